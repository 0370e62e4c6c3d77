"""What tests against real databases share."""

from typing import Any

import pytest

from dropload import reading_again, small_files, staging
from dropload.targets.postgresql import copying


@pytest.fixture(autouse=True)
def as_if_files_were_large(
    monkeypatch: pytest.MonkeyPatch,
    small_in_columns: None,
) -> None:
    """Files of tests are small, and what is large in production is to be tried with all of them."""
    monkeypatch.setattr(copying, "_LEAST_ROWS", 0)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Get the name of each file that is read again for its rows."""
    found: list[str] = []
    read_again = reading_again.read_again

    def note(target: Any, load: Any, *rest: Any) -> None:
        found.append(load.drop.path.name)
        read_again(target, load, *rest)

    for module in (staging, small_files):
        monkeypatch.setattr(module, "read_again", note)
    return found
