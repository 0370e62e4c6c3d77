"""What tests against real databases share."""

import pytest

from dropload.targets.postgresql import copying


@pytest.fixture(autouse=True)
def binary_copies_however_little_they_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of tests are small, and what is large in production is to be tried with all of them."""
    monkeypatch.setattr(copying, "_LEAST_ROWS", 0)
