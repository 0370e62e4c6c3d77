"""The real daemon over a real database server, which is there, or away, or away for a while."""

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropload.heartbeat import read_heartbeat
from tests.acceptance.daemon import Daemon
from tests.conftest import address_of_server, url_through
from tests.proxy import DistantProxy

ORDERS = "id,name,amount\n1,Ada,10.50\n2,Bob,7.25\n"
pytestmark = pytest.mark.parametrize("server_url", ["postgresql", "sqlserver"], indirect=True)
TABLES = 3
FILES = 30


@pytest.fixture
def proxy(server_url: str) -> Iterator[DistantProxy]:
    with DistantProxy(address_of_server(server_url)) as made:
        yield made


@pytest.fixture
def daemon(tmp_path: Path, server_url: str, proxy: DistantProxy) -> Iterator[Daemon]:
    """A daemon behind the proxy; the test itself looks into the database by the straight way."""
    made = Daemon(
        tmp_path,
        server_url,
        DROPLOAD_DATABASE__URL=url_through(proxy, server_url),
        DROPLOAD_DATABASE__CONNECT_TIMEOUT_SECONDS="2",
        DROPLOAD_RETRY__ATTEMPTS="2",
        DROPLOAD_RETRY__MAX_WAIT_SECONDS="0.5",
    )
    yield made
    made.end()


def drop_many(daemon: Daemon, first: int = 0, files: int = FILES) -> None:
    """Drop small files for a few tables; every row of every file is unlike all others."""
    daemon.inbox().mkdir(parents=True, exist_ok=True)
    for number in range(first, first + files):
        rows = "".join(f"{number},{row}\n" for row in range(10))
        name = f"t{number % TABLES}_202601{number % 28 + 1:02}_{number:06}.csv"
        part = daemon.root / name
        part.write_text(f"file,row\n{rows}")
        part.rename(daemon.inbox() / name)


def note_next_try(daemon: Daemon, tries: set[str]) -> set[str]:
    """Add the time of the next try that the daemon tells to those that it told before."""
    heartbeat = read_heartbeat(daemon.tree / ".dropload")
    if heartbeat is not None and heartbeat.database_next_try:
        tries.add(heartbeat.database_next_try)
    return tries


def assert_each_file_is_there_once(daemon: Daemon, files: int = FILES) -> None:
    found = [row for table in daemon.tables() for row in daemon.rows(table, "file", "row")]
    assert sorted(found) == [(file, row) for file in range(files) for row in range(10)]
    assert daemon.states() == ["filed"] * files
    assert len(list((daemon.inbox() / "processed").iterdir())) == files
    assert not list((daemon.inbox() / "error").iterdir())


def test_a_dropped_file_becomes_rows_and_a_bad_one_gets_its_answer(daemon: Daemon) -> None:
    daemon.start()
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    daemon.wait_until_filed(1)
    assert daemon.rows("orders", "id", "name") == [(1, "Ada"), (2, "Bob")]
    assert len(list((daemon.inbox() / "processed").iterdir())) == 1
    (daemon.inbox() / "orders.csv").write_text(ORDERS + "3,only\n")
    daemon.wait_until_filed(2)
    assert daemon.states() == ["filed", "failed"]
    names = sorted(path.name.partition("Z_")[2] for path in (daemon.inbox() / "error").iterdir())
    assert names == ["orders.csv", "orders.csv.report.txt", "orders.rejects.csv"]
    health = daemon.command("health")
    assert health.returncode == 0, health.stdout
    assert daemon.stop() == 0


def test_daemons_that_are_killed_again_and_again_load_each_file_once(daemon: Daemon) -> None:
    """C2, C3"""
    drop_many(daemon)
    moments = random.Random(7)  # noqa: S311 - the same moments each time
    for kill in range(3):
        daemon.start()
        done = moments.randrange(1, FILES // 4) + kill * FILES // 4
        daemon.wait_for(lambda done=done: daemon.states().count("filed") >= done)  # type: ignore[misc]
        time.sleep(moments.random() / 5)
        daemon.stop(signal.SIGKILL)
    daemon.start()
    daemon.wait_until_filed(FILES)
    assert_each_file_is_there_once(daemon)


def test_two_daemons_on_one_tree_load_each_file_once(daemon: Daemon) -> None:
    """C1"""
    second = Daemon(daemon.root, daemon.url)
    second.log = daemon.root / "second.log"
    daemon.start()
    try:
        second.start()
        drop_many(daemon)
        daemon.wait_until_filed(FILES)
        assert_each_file_is_there_once(daemon)
    finally:
        second.end()


def test_a_server_that_is_away_at_the_start_is_waited_for(
    daemon: Daemon, proxy: DistantProxy
) -> None:
    """G7"""
    proxy.refuse()
    daemon.start()
    drop_many(daemon, files=6)
    daemon.wait_for(lambda: bool(daemon.events("database_away")))
    health = daemon.command("health", "--json")
    assert health.returncode == 2, health
    found = {check["name"]: check for check in json.loads(health.stdout)["checks"]}
    assert found["database"]["status"] == "critical"
    assert daemon.command("health").stdout.startswith("DROPLOAD CRITICAL")
    assert len(list(daemon.inbox().glob("*.csv"))) == 6
    proxy.accept()
    daemon.wait_until_filed(6)
    assert_each_file_is_there_once(daemon, 6)


def test_files_that_arrive_while_the_server_is_away_all_load_afterwards(
    daemon: Daemon, proxy: DistantProxy
) -> None:
    """G7, H3: each outage is said once, however often it was asked."""
    daemon.start()
    drop_many(daemon, files=6)
    daemon.wait_for(lambda: daemon.states().count("filed") >= 2)
    proxy.refuse()
    drop_many(daemon, first=6, files=6)
    daemon.wait_for(lambda: bool(daemon.events("database_away")))
    tries: set[str] = set()
    daemon.wait_for(lambda: len(note_next_try(daemon, tries)) > 3, "for several tries")
    assert len(daemon.events("database_away")) == 1
    assert not daemon.events("database_back")
    proxy.accept()
    daemon.wait_until_filed(12)
    assert_each_file_is_there_once(daemon, 12)
    assert len(daemon.events("database_back")) == 1


def test_files_of_one_table_keep_their_order_through_an_outage(
    daemon: Daemon, proxy: DistantProxy
) -> None:
    """G7: claims that could not be given up are taken up again, by whichever worker is free."""
    daemon.environ["DROPLOAD_WORKERS__COUNT"] = "4"
    daemon.start()
    inbox, tables = daemon.inbox(kind="fullload"), ["a", "b", "c", "d"]
    target = daemon.dock.target
    daemon.wait_for(lambda: bool(daemon.events("daemon_started")))
    with target.write() as conn:
        # Every worker waits for its table when the server goes away.
        for table in tables:
            target.lock_queue(conn, daemon.table(table))
            # Large enough to be staged in a transaction of its own.
            (inbox / f"{table}_20260101.csv").write_text("price\n" + "1\n" * 40_000)
        daemon.wait_for(lambda: daemon.states() == ["publishing"] * 4, "for four loads")
        proxy.refuse()
    for table in tables:
        (inbox / f"{table}_20260102.csv").write_text("price\n" + "2\n" * 40_000)
    daemon.wait_for(lambda: len(daemon.events("load_put_off")) == 4, "for the outage")
    proxy.accept()
    daemon.wait_until_filed(8)
    assert [daemon.rows(table, "price") for table in tables] == [[(2,)] * 40_000] * 4
