"""The real daemon: start it, drop files, and find rows, folders and journal as promised."""

import json
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.daemon import Daemon

ORDERS = "id,name,amount\n1,Ada,10.50\n2,Bob,7.25\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.end()


def test_a_dropped_file_becomes_rows_and_sigterm_ends_the_daemon_cleanly(daemon: Daemon) -> None:
    daemon.start()
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    daemon.wait_until_filed(1)
    assert daemon.query('SELECT id, name, amount FROM "dbo.orders"') == [
        (1, "Ada", 10.5),
        (2, "Bob", 7.25),
    ]
    [filed] = list((daemon.inbox() / "processed").iterdir())
    assert filed.name.endswith("Z_orders.csv")
    [load] = daemon.history()
    assert (load["state"], load["rows_loaded"], load["table"]) == ("filed", 2, "dbo.orders")
    assert daemon.stop(signal.SIGTERM) == 0
    assert daemon.stop() == 0


def test_a_broken_file_gets_its_answer_and_the_daemon_goes_on(daemon: Daemon) -> None:
    """H4"""
    daemon.start()
    (daemon.inbox() / "orders.csv").write_text(ORDERS + "3,only\n")
    daemon.wait_until_filed(1)
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    daemon.wait_until_filed(2)
    assert daemon.states() == ["failed", "filed"]
    names = sorted(path.name.partition("Z_")[2] for path in (daemon.inbox() / "error").iterdir())
    assert names == ["orders.csv", "orders.csv.report.txt", "orders.rejects.csv"]


def test_files_that_were_there_before_the_start_are_found(daemon: Daemon) -> None:
    """A2"""
    daemon.inbox().mkdir(parents=True)
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    daemon.start("--until-idle")
    assert daemon.process is not None
    assert daemon.process.wait(60) == 0
    assert daemon.states() == ["filed"]


def test_a_file_that_grows_is_loaded_whole_when_it_has_settled(daemon: Daemon) -> None:
    daemon.start()
    path = daemon.inbox() / "slow.csv"
    with path.open("w") as out:
        out.write("n,square\n")
        for number in range(20):
            out.write(f"{number},{number * number}\n")
            out.flush()
            time.sleep(0.05)
            assert not daemon.states()
    daemon.wait_until_filed(1)
    assert daemon.query('SELECT count(*), max(square) FROM "dbo.slow"') == [(20, 361)]


def test_the_done_companion_lets_a_file_through_at_once(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, DROPLOAD_GATE__CHECKS="1000")
    try:
        daemon.start()
        (daemon.inbox() / "orders.csv").write_text(ORDERS)
        (daemon.inbox() / "orders.csv.done").touch()
        daemon.wait_until_filed(1)
        assert sorted(
            p.name.partition("Z_")[2] for p in (daemon.inbox() / "processed").iterdir()
        ) == [
            "orders.csv",
            "orders.csv.done",
        ]
    finally:
        daemon.end()


def test_a_renamed_part_file_is_seen(daemon: Daemon) -> None:
    """A7"""
    daemon.start()
    part = daemon.inbox() / "orders.csv.part"
    part.write_text(ORDERS)
    time.sleep(1)
    assert not daemon.states()
    part.rename(daemon.inbox() / "orders.csv")
    daemon.wait_until_filed(1)


def test_a_burst_of_files_for_many_tables_is_loaded_completely(daemon: Daemon) -> None:
    """A1, in small: 4 writers, 200 files, 20 tables."""
    daemon.start()

    def write(writer: int) -> None:
        for number in range(50):
            name = f"t{number % 20}_{writer}_{number}.csv"
            (daemon.inbox() / name).write_text(f"writer,number\n{writer},{number}\n")

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    daemon.wait_until_filed(200)
    assert set(daemon.states()) == {"filed"}
    assert len(list((daemon.inbox() / "processed").iterdir())) == 200


def test_files_of_one_table_load_in_the_order_of_their_arrival(daemon: Daemon) -> None:
    daemon.inbox(kind="fullload").mkdir(parents=True)
    for number in range(5):
        path = daemon.inbox(kind="fullload") / f"prices_2026110{9 - number}.csv"
        path.write_text(f"price\n{number}\n{number}\n")
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    daemon.start()
    daemon.wait_until_filed(5)
    assert daemon.query('SELECT price FROM "dbo.prices"') == [(4,), (4,)]
    names = [name for (name,) in daemon.query('SELECT file_name FROM "ref.Load_History"')]
    assert names == [f"prices_2026110{9 - number}.csv" for number in range(5)]


def test_a_killed_daemon_is_succeeded_by_one_that_loads_each_file_once(daemon: Daemon) -> None:
    """C2, C3"""
    daemon.start()
    rows = "n,text\n" + "".join(f"{n},{'x' * 50}{n}\n" for n in range(100_000))
    for name in ("a", "b", "c"):
        (daemon.inbox() / f"{name}.csv").write_text(rows)
    daemon.wait_for(daemon.is_staging)
    daemon.stop(signal.SIGKILL)
    daemon.start()
    daemon.wait_until_filed(3)
    for name in ("a", "b", "c"):
        counted = daemon.query(f'SELECT count(*), count(DISTINCT n) FROM "dbo.{name}"')
        assert counted == [(100_000, 100_000)]
    stages = daemon.query("SELECT name FROM sqlite_master WHERE name LIKE 'stg.%'")
    assert stages == []


def test_a_worker_that_is_killed_costs_only_a_try(daemon: Daemon) -> None:
    """Promise 7: a dead worker ends that load only, and the file loads in the next try."""
    daemon.start()
    rows = "n,text\n" + "".join(f"{n},{'x' * 50}{n}\n" for n in range(200_000))
    (daemon.inbox() / "big.csv").write_text(rows)
    daemon.wait_for(daemon.is_staging)
    [(worker,)] = daemon.query('SELECT worker FROM "ref.Load_History"')
    os.kill(int(worker.split("#")[1]), signal.SIGKILL)
    (daemon.inbox() / "small.csv").write_text(ORDERS)
    daemon.wait_until_filed(2)
    assert daemon.query('SELECT count(*), count(DISTINCT n) FROM "dbo.big"') == [(200_000, 200_000)]


def test_a_worker_that_is_killed_with_many_small_files_costs_none_of_them_twice(
    daemon: Daemon,
) -> None:
    files = 60
    daemon.start()
    for n in range(files):
        (daemon.inbox() / f"t_20260101_{n:06}.csv").write_text(f"n,text\n{n},x\n")

    def workers() -> list[tuple[str]]:
        return daemon.try_query('SELECT worker FROM "ref.Load_History" WHERE worker IS NOT NULL')

    busy: list[tuple[str]] = []

    def find_busy() -> bool:
        busy.extend(workers())
        return bool(busy)

    daemon.wait_for(find_busy)
    os.kill(int(busy[0][0].split("#")[1]), signal.SIGKILL)
    daemon.wait_until_filed(files)
    counted = daemon.query('SELECT count(*), count(DISTINCT n) FROM "dbo.t"')
    assert counted == [(files, files)]
    daemon.wait_for(lambda: daemon.states() == ["filed"] * files)


def test_a_file_whose_workers_keep_dying_goes_to_error(daemon: Daemon) -> None:
    daemon.start()
    rows = "n,text\n" + "".join(f"{n},{'x' * 50}{n}\n" for n in range(200_000))
    (daemon.inbox() / "big.csv").write_text(rows)
    killed: set[int] = set()

    def next_worker() -> int | None:
        if not daemon.is_staging():
            return None
        open_loads = daemon.try_query('SELECT worker FROM "ref.Load_History"')
        pids = [int(worker.split("#")[1]) for (worker,) in open_loads if worker]
        return next((pid for pid in pids if pid not in killed), None)

    for _ in range(3):
        daemon.wait_for(lambda: next_worker() is not None, "for a worker to kill")
        pid = next_worker()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    daemon.wait_until_filed(1)
    [load] = daemon.history()
    assert (load["state"], load["crashes"]) == ("failed", 3)
    assert "died on this file 3 times" in load["error_message"]
    [report] = (daemon.inbox() / "error").glob("*.report.txt")
    assert "workers.memory_limit_mb" in report.read_text()


def test_status_says_why_a_file_is_waiting_and_health_is_ok_while_the_daemon_runs(
    tmp_path: Path,
) -> None:
    daemon = Daemon(tmp_path, DROPLOAD_GATE__CHECKS="500")
    try:
        daemon.start()
        (daemon.inbox() / "orders.csv").write_text(ORDERS)
        (daemon.tree / "stray.csv").write_text(ORDERS)
        daemon.wait_for(lambda: bool(daemon.try_query('SELECT 1 FROM "ref.File_Monitor_Tracking"')))
        status = json.loads(daemon.command("status", "--json").stdout)
        [file] = status["files"]
        assert file["path"].endswith("orders.csv")
        assert file["status"] == "waiting"
        assert "of 500" in file["reason"]
        assert status["strays"] == [str(daemon.tree / "stray.csv")]
        health = daemon.command("health")
        assert health.returncode == 0, health.stdout
        assert health.stdout.startswith("DROPLOAD OK")
        assert "waiting=1" in health.stdout
    finally:
        daemon.end()
    after = daemon.command("health", "--json")
    assert json.loads(after.stdout)["checks"]


def test_health_is_critical_when_no_daemon_runs(daemon: Daemon) -> None:
    daemon.command("init")
    health = daemon.command("health")
    assert health.returncode == 2
    assert "not running" in health.stdout


def test_a_held_file_loads_when_it_is_released(daemon: Daemon) -> None:
    daemon.start()
    inbox = daemon.inbox(kind="fullload")
    (inbox / "orders.csv").write_text(ORDERS)
    daemon.wait_until_filed(1)
    (inbox / "orders.csv").write_text("id,name,amount\n")
    held = "SELECT 1 FROM \"ref.File_Monitor_Tracking\" WHERE status = 'held'"
    daemon.wait_for(lambda: daemon.query(held) == [(1,)])
    assert daemon.query('SELECT count(*) FROM "dbo.orders"') == [(2,)]
    released = daemon.command("release", str(inbox / "orders.csv"), "--reason", "closed")
    assert released.returncode == 0, released.stderr
    daemon.wait_for(lambda: daemon.query('SELECT count(*) FROM "dbo.orders"') == [(0,)])
    done = daemon.query("SELECT reason FROM \"ref.Audit_Log\" WHERE action = 'release'")
    assert done == [("closed",)]


def test_a_wrong_configuration_refuses_to_start_and_says_what_would_be_right(
    tmp_path: Path,
) -> None:
    daemon = Daemon(tmp_path, DROPLOAD_GATE__CHEKCS="3")
    answer = daemon.command("run")
    assert answer.returncode == 1
    assert "gate.checks" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_trouble_of_one_table_pauses_that_table_only_and_ends_when_it_is_mended(
    tmp_path: Path,
) -> None:
    """Promise 6: here a view has the table's name, which only the database owner can mend."""
    daemon = Daemon(tmp_path, DROPLOAD_RETRY__PAUSE_SECONDS="0.5")
    try:
        daemon.command("init")
        daemon.execute('CREATE VIEW "dbo.orders" AS SELECT 1 AS id')
        daemon.start()
        (daemon.inbox() / "orders.csv").write_text(ORDERS)
        daemon.wait_for(lambda: "table_paused" in daemon.log.read_text())
        (daemon.inbox() / "other.csv").write_text(ORDERS)
        daemon.wait_until_filed(1)
        assert (daemon.inbox() / "orders.csv").exists()
        # Between two pauses it is tried again, which takes long on a busy machine.
        daemon.wait_for(lambda: "dbo.orders pauses" in daemon.command("health").stdout)
        daemon.execute('DROP VIEW "dbo.orders"')
        daemon.wait_until_filed(2)
        assert daemon.query('SELECT count(*) FROM "dbo.orders"') == [(2,)]
        assert not list((daemon.inbox() / "error").iterdir())
    finally:
        daemon.end()


def test_a_locked_database_makes_files_wait_and_all_load_afterwards(tmp_path: Path) -> None:
    """G7, in small: nothing goes to error/ while the database is away."""
    daemon = Daemon(
        tmp_path,
        DROPLOAD_DATABASE__BUSY_TIMEOUT_SECONDS="0.2",
        DROPLOAD_RETRY__ATTEMPTS="1",
        DROPLOAD_RETRY__MAX_WAIT_SECONDS="0.5",
    )
    try:
        daemon.start()
        daemon.wait_for(lambda: "journal_created" in daemon.log.read_text())
        blocker = sqlite3.connect(daemon.database)
        blocker.execute("BEGIN IMMEDIATE")
        for number in range(5):
            (daemon.inbox() / f"t{number}.csv").write_text(f"n\n{number}\n{number}\n")
        daemon.wait_for(lambda: "database_away" in daemon.log.read_text())
        time.sleep(2)
        assert daemon.log.read_text().count("database_away") < 5, "said per change, not per try"
        blocker.rollback()
        blocker.close()
        daemon.wait_until_filed(5)
        assert set(daemon.states()) == {"filed"}
        assert not list((daemon.inbox() / "error").iterdir())
    finally:
        daemon.end()


def test_a_tree_that_is_taken_away_and_comes_back_is_watched_again(daemon: Daemon) -> None:
    """A3"""
    daemon.start()
    away = daemon.root / "away"
    daemon.tree.rename(away)
    daemon.wait_for(lambda: "is not there" in daemon.log.read_text())
    away.rename(daemon.tree)
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    daemon.wait_until_filed(1)


def test_two_daemons_on_one_tree_load_each_file_once(tmp_path: Path) -> None:
    """C1"""
    first, second = Daemon(tmp_path), Daemon(tmp_path)
    second.log = tmp_path / "second.log"
    try:
        first.start()
        second.start()
        for number in range(20):
            (first.inbox() / f"t{number % 4}_202601{number + 1:02}.csv").write_text(
                f"n,text\n{number},a\n{number},b\n"
            )
        first.wait_until_filed(20)
        assert set(first.states()) == {"filed"}
        for table in range(4):
            counted = first.query(f'SELECT n, count(*) FROM "dbo.t{table}" GROUP BY n ORDER BY n')
            assert counted == [(number, 2) for number in range(table, 20, 4)]
        statuses = 'SELECT DISTINCT status FROM "ref.File_Monitor_Tracking"'
        first.wait_for(lambda: first.query(statuses) == [("filed",)], "for one status")
    finally:
        first.end()
        second.end()


def test_sigterm_during_a_load_ends_within_its_time_and_the_load_goes_on_later(
    tmp_path: Path,
) -> None:
    """C8"""
    daemon = Daemon(tmp_path, DROPLOAD_WORKERS__STOP_TIMEOUT_SECONDS="0.2")
    try:
        daemon.start()
        rows = "n,text\n" + "".join(f"{n},{'x' * 50}{n}\n" for n in range(600_000))
        (daemon.inbox() / "big.csv").write_text(rows)
        daemon.wait_for(daemon.is_staging)
        assert daemon.stop(signal.SIGTERM) == 0
        [state] = daemon.states()
        assert state in ("claimed", "staging", "publishing")
        assert daemon.try_query('SELECT count(*) FROM "dbo.big"') == []
        daemon.start()
        daemon.wait_until_filed(1)
        counted = daemon.query('SELECT count(*), count(DISTINCT n) FROM "dbo.big"')
        assert counted == [(600_000, 600_000)]
    finally:
        daemon.end()


def test_a_new_version_that_comes_while_the_old_one_loads_is_loaded_too(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, DROPLOAD_GATE__CHECKS="1")
    try:
        daemon.start()
        path = daemon.inbox(kind="fullload") / "big.csv"
        path.write_text("n,text\n" + "".join(f"{n},{'x' * 50}{n}\n" for n in range(300_000)))
        daemon.wait_for(daemon.is_staging)
        fresh = daemon.root / "fresh.csv"
        fresh.write_text("n,text\n" + "".join(f"{n},new\n" for n in range(250_000)))
        fresh.rename(path)
        daemon.wait_for(
            lambda: (
                daemon.try_query("SELECT count(*) FROM \"dbo.big\" WHERE text='new'")
                == [(250_000,)]
            )
        )
        daemon.wait_for(lambda: not path.exists())
        assert daemon.query('SELECT count(*) FROM "dbo.big"') == [(250_000,)]
    finally:
        daemon.end()


def test_an_idle_worker_that_is_killed_is_replaced(daemon: Daemon) -> None:
    """Promise 7"""
    daemon.start()
    (daemon.inbox() / "first.csv").write_text(ORDERS)
    daemon.wait_until_filed(1)
    assert daemon.process is not None
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
    for pid in children.read_text().split():
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"spawn_main" in command:
            os.kill(int(pid), signal.SIGKILL)
    time.sleep(0.5)
    (daemon.inbox() / "second.csv").write_text(ORDERS)
    daemon.wait_until_filed(2)
    assert daemon.states() == ["filed", "filed"]


def test_until_idle_ends_when_only_paused_tables_are_left(daemon: Daemon) -> None:
    daemon.command("init")
    daemon.execute('CREATE VIEW "dbo.orders" AS SELECT 1 AS id')
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    (daemon.inbox() / "other.csv").write_text(ORDERS)
    answer = daemon.command("run", "--until-idle")
    assert answer.returncode == 0
    assert "left_undone" in answer.stderr
    assert (daemon.inbox() / "orders.csv").exists()
    assert not (daemon.inbox() / "other.csv").exists()


def test_a_database_that_refuses_the_login_refuses_the_start(tmp_path: Path) -> None:
    """Promise 6: wrong configuration"""
    daemon = Daemon(tmp_path, DROPLOAD_DATABASE__URL="sqlite:////dev/null/x.db")
    answer = daemon.command("run")
    assert answer.returncode == 1
    assert "cannot be made" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_database_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """Promise 6, G7: away is not wrong"""
    daemon = Daemon(
        tmp_path, DROPLOAD_DATABASE__URL="postgresql://x@127.0.0.1:1/x?connect_timeout=2"
    )
    try:
        daemon.start()
        (daemon.inbox() / "orders.csv").write_text(ORDERS)
        daemon.wait_for(lambda: "database_away" in daemon.log.read_text())
        health = daemon.command("health")
        assert health.returncode == 2
        assert "cannot be reached" in health.stdout
        status = daemon.command("status")
        assert "database away" in status.stdout
        assert (daemon.inbox() / "orders.csv").exists()
        assert daemon.stop() == 0
    finally:
        daemon.end()


def test_sighup_takes_a_new_configuration_and_says_what_needs_a_restart(tmp_path: Path) -> None:
    config = tmp_path / "dropload.toml"
    config.write_text("[gate]\nchecks = 500\n")
    daemon = Daemon(tmp_path, DROPLOAD_CONFIG=str(config))
    del daemon.environ["DROPLOAD_GATE__CHECKS"]
    try:
        daemon.start()
        (daemon.inbox() / "orders.csv").write_text(ORDERS)
        daemon.wait_for(lambda: "orders.csv" in daemon.command("status").stdout)
        assert daemon.process is not None
        config.write_text("[gate]\nchecks = 'many'\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(lambda: bool(daemon.events("configuration_refused")))
        assert not daemon.tables(), "it goes on as before"
        config.write_text('[gate]\nchecks = 2\n[schemas]\nnon_reference = "other"\n')
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_until_filed(1)
        [reloaded] = daemon.events("configuration_reloaded")
        assert reloaded["changed"] == ["gate"]
        [restart] = daemon.events("restart_needed")
        assert restart["sections"] == ["schemas"]
        assert daemon.query('SELECT count(*) FROM "dbo.orders"') == [(2,)]
        assert daemon.stop() == 0
    finally:
        daemon.end()


def test_loads_under_way_end_as_they_began_when_the_configuration_changes(tmp_path: Path) -> None:
    config = tmp_path / "dropload.toml"
    config.write_text("")
    daemon = Daemon(tmp_path, DROPLOAD_CONFIG=str(config))
    try:
        daemon.start()
        rows = "n,text\n" + "".join(f"{n},{'x' * 50}{n}\n" for n in range(200_000))
        (daemon.inbox() / "big.csv").write_text(rows)
        daemon.wait_for(daemon.is_staging)
        config.write_text("[load]\nmax_rejected_rows = 1\n")
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(lambda: bool(daemon.events("configuration_reloaded")))
        (daemon.inbox() / "orders.csv").write_text(ORDERS + "3\n")
        daemon.wait_until_filed(2)
        assert daemon.states() == ["filed", "filed"], "one bad row is allowed now"
        assert daemon.query('SELECT count(*), count(DISTINCT n) FROM "dbo.big"') == [
            (200_000, 200_000)
        ]
        assert daemon.stop() == 0
    finally:
        daemon.end()


def test_the_service_manager_hears_of_start_life_reload_and_stop(tmp_path: Path) -> None:
    """H2"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(60)
        daemon = Daemon(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"))
        try:
            daemon.start()
            heard = []
            while "READY=1" not in heard:
                heard += receiver.recv(4096).decode().splitlines()
            while heard.count("WATCHDOG=1") < 3:
                heard += receiver.recv(4096).decode().splitlines()
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGHUP)
            while "RELOADING=1" not in heard or heard.count("READY=1") < 2:
                heard += receiver.recv(4096).decode().splitlines()
            assert daemon.stop() == 0
            while "STOPPING=1" not in heard:
                heard += receiver.recv(4096).decode().splitlines()
        finally:
            daemon.end()
