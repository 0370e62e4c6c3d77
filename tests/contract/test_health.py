"""What the health check asks of a database, on every target."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from dropload.dock import Dock, open_dock
from dropload.errors import DroploadError, LockedError
from dropload.health import Check, Level, check_health
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.journal import apply_scripts, journal_versions, prove_writable
from dropload.journal.tables import journal_tables
from dropload.pipeline import process_drop
from tests.conftest import make_config


@pytest.fixture
def dock(database_url: str, tmp_path: Path) -> Iterator[Dock]:
    database = {"url": database_url, "busy_timeout_seconds": 0.3}
    made = open_dock(make_config(tmp_path, database=database))
    made.tree.create()
    apply_scripts(made.target)
    yield made
    made.target.close()


def drop(dock: Dock, name: str, content: str) -> None:
    path = dock.tree.inboxes[-1].path / name
    path.write_text(content)
    found = drop_of_path(path, dock.tree, None, None, force=False, requested_by="somebody")
    process_drop(dock, found, worker_name())


def look(dock: Dock) -> dict[str, Check]:
    return {check.name: check for check in check_health(dock.config).checks}


def test_the_database_is_asked_for_all_that_health_tells(dock: Dock) -> None:
    drop(dock, "good.csv", "id\n1\n")
    drop(dock, "bad.csv", "a,b\n1\n")
    found = look(dock)
    told = ("database", "clock", "writing", "waiting", "held", "moves", "loads")
    assert {found[name].level for name in told} == {Level.OK}, found
    assert dock.target.place in found["database"].message
    has, knows = journal_versions(dock.target)
    assert has == knows
    assert f"journal version {has}" in found["database"].message
    assert found["failures"].message == "1 of 2 loads failed in the last hour"


def test_proving_that_the_journal_can_be_written_changes_nothing(dock: Dock) -> None:
    versions = journal_tables(dock.target).versions

    def rows() -> list[sa.Row[tuple[object, ...]]]:
        with dock.target.read() as conn:
            return list(conn.execute(sa.select(versions).order_by(versions.c.version)).all())

    before = rows()
    prove_writable(dock.target)
    assert rows() == before


def test_a_lock_that_somebody_holds_is_told_from_a_broken_database(dock: Dock) -> None:
    versions = journal_tables(dock.target).versions
    other = open_dock(dock.config)
    try:
        with contextlib.suppress(KeyError), other.target.write() as conn:
            conn.execute(sa.update(versions).values(script="held"))
            with pytest.raises(DroploadError) as caught:
                prove_writable(dock.target)
            if "Lock request time out" not in str(caught.value) and dock.target.name == "mssql":
                pytest.skip("this server does not say 1222 when a lock is not had in time")
            assert isinstance(caught.value, LockedError)
            raise KeyError
    finally:
        other.target.close()
