"""C2, C3: a load is killed at each durable step of its way, and its successors kept from none."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.crashes import CASES
from tests.conftest import (
    drop_database,
    drop_sqlserver_database,
    make_database,
    make_sqlserver_database,
    unmeasured,
)

ALL = bool(os.environ.get("DROPLOAD_TEST_ALL_CRASHES"))
"""Die before each statement, too, and twice in a row, on every database: takes half an hour."""
ON_SERVERS = ("small file", "staged ahead", "new table ahead")
"""Cases that are walked on servers in any case; the others differ in what happens to the file."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a place in memory where there is one: a process that is killed loses nothing there."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made below
    place = Path(tempfile.mkdtemp(dir=memory)) if os.access(memory, os.W_OK) else tmp_path
    made = place / "walk"
    yield made
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql", "sqlserver"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield "sqlite://"
        return
    if request.param == "sqlserver":
        made = make_sqlserver_database()
        yield made
        drop_sqlserver_database(made)
        return
    server = request.getfixturevalue("postgresql_server")
    made = make_database(server)
    yield made
    drop_database(server, made)


@pytest.mark.parametrize("case", CASES)
def test_a_load_that_dies_at_any_step_ends_as_if_it_had_not(
    case: str, url: str, folder: Path
) -> None:
    if url != "sqlite://" and case not in ON_SERVERS and not ALL:
        pytest.skip("walked on SQLite; on servers with DROPLOAD_TEST_ALL_CRASHES=1")
    thorough = ["--statements", "--lives", "3"] if ALL else []
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.crashes", case, url, str(folder), *thorough],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=unmeasured(),
        check=False,
    )
    assert done.stdout, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["failures"], json.dumps(found["failures"][:5], indent=1)
    # A walk that never died proves nothing.
    assert found["kills"] >= found["steps"] >= 10, found
