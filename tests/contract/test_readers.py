"""What other sessions see of a load, and what they can do to it."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropload.dock import open_dock
from dropload.errors import DroploadError, LockedError
from dropload.journal import apply_scripts
from dropload.model import TableName, Verdict
from dropload.targets import open_target
from dropload.targets.base import Target
from tests.conftest import make_config
from tests.contract.test_loading import Site

OLD_ROWS, NEW_ROWS = 150_000, 200_000
PATIENCE_SECONDS = 30.0
"""Only a reader that is locked out for good waits this long."""


class Reader(threading.Thread):
    """Counts a table's rows again and again, on a connection of its own."""

    def __init__(self, target: Target, table: TableName) -> None:
        super().__init__(daemon=True)
        self.seen: list[int] = []
        """Every count that differed from the one before it."""
        self._target = target
        self._table = table
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            self._look()

    def _look(self) -> None:
        try:
            with self._target.read() as conn:
                count = self._target.count_rows(conn, self._table)
        except DroploadError:
            return  # locked out for the moment
        if self.seen[-1:] != [count]:
            self.seen.append(count)

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.seen[-1:] != [count]:
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.01)

    def end(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def reading(target: Target, table: TableName) -> Iterator[Reader]:
    reader = Reader(target, table)
    reader.start()
    try:
        yield reader
    finally:
        reader.end()


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    database = {"url": database_url, "busy_timeout_seconds": 1}
    dock = open_dock(make_config(tmp_path, database=database))
    dock.tree.create()
    apply_scripts(dock.target)
    yield Site(dock)
    dock.target.close()


@pytest.fixture
def other(database_url: str, tmp_path: Path) -> Iterator[Target]:
    """Another session's way to the same database."""
    made = open_target(make_config(tmp_path, database={"url": database_url}))
    yield made
    made.close()


def test_a_reader_sees_the_old_rows_or_the_new_and_nothing_else(site: Site, other: Target) -> None:
    """Promise 4, G1"""
    site.drop("numbers.csv", "n\n" + "\n".join(map(str, range(OLD_ROWS))), "fullload")
    with reading(other, site.table("numbers")) as reader:
        reader.wait_for(OLD_ROWS)
        new = "n\n" + "\n".join(map(str, range(NEW_ROWS)))
        assert site.drop("numbers.csv", new, "fullload").verdict is Verdict.LOADED
        reader.wait_for(NEW_ROWS)
    assert reader.seen == [OLD_ROWS, NEW_ROWS]


def test_a_reader_of_an_append_sees_all_of_a_file_or_nothing(site: Site, other: Target) -> None:
    """G2"""
    site.drop("numbers.csv", "n\n1\n2\n")
    with reading(other, site.table("numbers")) as reader:
        reader.wait_for(2)
        more = "n\n" + "\n".join(map(str, range(20_000)))
        assert site.drop("numbers.csv", more).verdict is Verdict.LOADED
        reader.wait_for(20_002)
    assert reader.seen == [2, 20_002]


def test_a_session_that_is_in_the_way_is_named_and_costs_the_file_nothing(
    site: Site, other: Target
) -> None:
    """G3, H4"""
    name = site.dock.target.name
    if name == "sqlite":
        pytest.skip("its lock is on the file, and has no name")
    asked, shared, exclusive = {
        "postgresql": (
            "SELECT pg_backend_pid()",
            "LOCK TABLE orders IN ACCESS SHARE MODE",
            "LOCK TABLE orders IN ROW EXCLUSIVE MODE",
        ),
        "mssql": (
            "SELECT @@SPID",
            "SELECT 1",
            "SELECT TOP 1 1 FROM dbo.orders WITH (TABLOCKX, HOLDLOCK)",
        ),
    }[name]
    site.drop("orders.csv", "n\n1\n2\n")
    with other.write() as conn:
        blocker = conn.exec_driver_sql(asked).scalar_one()
        conn.exec_driver_sql(shared).close()
        assert site.drop("orders.csv", "n\n3\n4\n").verdict is Verdict.LOADED, "readers may go on"
        conn.exec_driver_sql(exclusive).close()
        refused = site.drop("orders.csv", "n\n5\n6\n")
        if name == "mssql" and refused.verdict is Verdict.LOADED:
            pytest.skip("this server takes no notice of TABLOCKX")
        assert (refused.verdict, refused.category) == (Verdict.RETRY, "transient")
        # A server may keep from its users who else is there; the message says what to grant then.
        told = f"session {blocker} of" in refused.message
        assert told or "VIEW SERVER STATE" in refused.message
        assert refused.path.exists()
    assert site.drop("orders.csv", "n\n5\n6\n").verdict is Verdict.LOADED
    assert [row[0] for row in site.texts(site.table("orders"))] == list("123456")


def test_whoever_keeps_a_load_from_looking_at_its_table_is_named(
    site: Site, other: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    if site.dock.target.name != "postgresql":
        pytest.skip("its locks are taken by other statements")
    site.drop("orders.csv", "n\n1\n2\n")
    dock, table = site.dock, TableName("public", "orders")
    locks = {
        "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE": dock.target.count_rows,
        "SELECT pg_advisory_xact_lock(hashtextextended('dropload public.orders', 0))": (
            dock.target.lock_queue
        ),
    }
    for lock, wait in locks.items():
        with other.write() as conn:
            blocker = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            conn.exec_driver_sql(lock).close()
            said = rf"Table busy: session {blocker} of \w+ \(.+\) holds a lock on public\.orders\."
            with pytest.raises(LockedError, match=said), dock.target.write() as own:
                wait(own, table)
    monkeypatch.setattr("dropload.leases.BEAT_SECONDS", 0.05)
    with other.write() as conn:
        conn.exec_driver_sql("LOCK TABLE orders IN ACCESS SHARE MODE").close()
        refused = site.drop("orders.csv", "n,m\n3,4\n")
        with dock.target.read() as own:
            row = dock.journal.history.existing(own, refused.load_id or 0)
    assert row.step == "publishing", "told while it waited"
    assert refused.verdict is Verdict.RETRY, "a new column waits for readers"
    assert re.search(r"Table busy: session \d+ of", refused.message)
