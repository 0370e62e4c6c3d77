"""Each check of the health, failing; what hangs, named; nothing changed by looking."""

import os
import pickle
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dropload import folders as folders_module
from dropload.config_digest import digest_sections
from dropload.dock import Dock
from dropload.errors import LockedError
from dropload.folders import DropTree, write_probe
from dropload.health import Check, Figure, Health, Level, check_health
from dropload.health import database as database_module
from dropload.health.apart import run_apart
from dropload.health.lanes import Lane, Say, run_lanes
from dropload.health.places import check_disk
from dropload.heartbeat import FILE_NAME, Heartbeat, write_heartbeat
from dropload.status import read_status
from tests.conftest import Yard, make_config, open_yard


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = open_yard(tmp_path)
    yield made
    made.dock.target.close()


PATIENCE_SECONDS = 60.0


def beat(yard: Yard, age_seconds: float = 0, **values: Any) -> None:
    """Leave a daemon's sign of life, of this living process."""
    scanned = datetime.now(UTC) - timedelta(seconds=age_seconds)
    given: dict[str, Any] = {
        "scanned_at": scanned.isoformat(),
        "started_at": scanned.isoformat(),
        "scan_seconds": 0.1,
        "scan_interval_seconds": 5,
        "gate_checks": 6,
        "gate_interval_seconds": 15,
        "waiting": 0,
        "queued": 0,
        "config_digests": digest_sections(yard.dock.config),
    }
    write_heartbeat(yard.dock.config.state_folder, Heartbeat(**given | values))


def look(yard: Yard, **health: Any) -> dict[str, Check]:
    """Return the checks by name; of those with one name the worst."""
    config = yard.dock.config
    settings = config.health.model_copy(update=health)
    answer = check_health(config.model_copy(update={"health": settings}))
    return {check.name: check for check in reversed(answer.by_weight())}


def figures(yard: Yard) -> dict[str, float]:
    return {f.name: f.value for f in check_health(yard.dock.config).figures}


# --- all is well


def test_a_healthy_dropload_passes_every_check_and_gives_figures(yard: Yard) -> None:
    beat(yard)
    answer = check_health(yard.dock.config)
    assert {check.level for check in answer.checks} == {Level.OK}, answer.summary()
    assert {check.name for check in answer.checks} == {
        *("daemon", "configuration", "database", "clock", "writing", "waiting", "held"),
        *("moves", "loads", "failures", "disk", "folders"),
    }
    line = answer.summary()
    assert line.startswith(f"DROPLOAD OK - {len(answer.checks)} checks passed | scan_age=")
    assert " held=0;0 " in line
    assert "\n" not in line


def test_looking_changes_neither_the_tree_nor_the_database(yard: Yard) -> None:
    beat(yard)
    yard.drop("orders.csv", "id\n1\n")
    yard.dock.target.close()

    def everything() -> tuple[Any, ...]:
        files = sorted(str(path) for path in yard.dock.tree.root.rglob("*"))
        with sqlite3.connect(yard.root / "dropload.db") as connection:
            rows = list(connection.iterdump())
        connection.close()
        return files, rows

    before = everything()
    check_health(yard.dock.config)
    assert everything() == before


def test_what_was_never_prepared_is_not_made_by_looking(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    answer = check_health(config)
    assert answer.level is Level.CRITICAL
    assert "dropload init" in answer.summary()
    assert list(tmp_path.iterdir()) == []


def test_a_senders_files_that_keep_failing_are_a_warning_with_the_last_reason(yard: Yard) -> None:
    beat(yard)
    for n in range(1, 4):
        assert "repeated failures" not in look(yard)
        yard.drop(f"sales_{n}.csv", "id,name\n1\n")
    check = look(yard)["repeated failures"]
    assert check.level is Level.WARNING
    assert "3 files like sales_#.csv failed since " in check.message
    assert "the last, load 3: 1 row cannot be loaded" in check.message
    assert (check.subject, check.table) == ("sales_#.csv", ""), "they lead to three tables"


def test_many_failures_of_one_sender_are_named_as_such(yard: Yard) -> None:
    beat(yard)
    for n in range(1, 4):
        yard.drop(f"prices_{n}.csv", f"id\n{n}\n")
        yard.drop(f"sales_2026112{n}.csv", "id,name\n1\n")
    assert look(yard)["failures"].message == (
        "3 of 6 loads failed in the last hour, all like sales_########.csv: see "
        "`dropload history --errors`"
    )
    assert look(yard)["repeated failures"].table == "dbo.sales"
    yard.drop("other.csv", "id,name\n1\n")
    assert "4 of 7 loads failed in the last hour, 3 of them like" in look(yard)["failures"].message


# --- the daemon


def test_a_daemon_that_is_not_running_is_critical(yard: Yard) -> None:
    assert look(yard)["daemon"].level is Level.CRITICAL
    assert "dropload run" in look(yard)["daemon"].message


@pytest.mark.parametrize(
    ("age", "level"), [(100, Level.WARNING), (1000, Level.CRITICAL), (-100, Level.WARNING)]
)
def test_a_scan_too_long_ago_or_in_the_future_is_told(yard: Yard, age: int, level: Level) -> None:
    beat(yard, age_seconds=age)
    check = look(yard)["daemon"]
    assert check.level is level
    assert ("the clock was set back" in check.message) == (age < 0)


def test_a_scan_that_is_meant_to_be_seldom_is_not_late(yard: Yard) -> None:
    beat(yard, age_seconds=1000, scan_interval_seconds=3600)
    assert look(yard)["daemon"].level is Level.OK


def test_a_daemon_that_was_killed_is_critical_at_once(yard: Yard) -> None:
    host = Heartbeat("", "", 0, 0, 0, 0, 0, 0).process.rsplit("#", 2)[0]
    beat(yard, process=f"{host}#{os.getpid()}#1", pid=77)
    check = look(yard)["daemon"]
    assert (check.level, "process 77 is gone" in check.message) == (Level.CRITICAL, True)


def test_who_asks_as_another_user_is_told_that_rights_may_differ(yard: Yard) -> None:
    beat(yard, user="somebody")
    assert "by somebody" in look(yard)["daemon"].message


def test_a_sign_of_life_of_another_version_is_unknown(yard: Yard) -> None:
    (yard.dock.config.state_folder).mkdir()
    (yard.dock.config.state_folder / FILE_NAME).write_text('{"scanned": 1}')
    assert look(yard)["daemon"].level is Level.UNKNOWN


def test_a_sign_of_life_that_may_not_be_read_is_unknown(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(yard)
    usual = Path.open

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == FILE_NAME:
            raise PermissionError(13, "Permission denied")
        return usual(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    check = look(yard)["daemon"]
    assert (check.level, "ask as the service's user" in check.message) == (Level.UNKNOWN, True)


@pytest.mark.parametrize(
    ("told", "name", "level", "said"),
    [
        ({"metrics_problem": "taken"}, "metrics", Level.WARNING, "taken"),
        ({"workers_problem": "no memory"}, "workers", Level.CRITICAL, "no memory"),
        ({"turn_problem": "KeyError: 1"}, "turns", Level.CRITICAL, "KeyError"),
        (
            {"database_problem": "It is away.", "database_next_try": "2020-11-20T10:15:00.500Z"},
            "daemon's database",
            Level.CRITICAL,
            "starts no load: It is away. Next try at 2020-11-20 10:15:00 UTC.",
        ),
        ({"folder_problems": ["It is not there."]}, "daemon's folders", Level.CRITICAL, "not"),
        ({"paused_tables": {"dbo.a": "no right"}}, "queue", Level.WARNING, "dbo.a pauses: no"),
        ({"failures": {"/x/a.csv": 5, "/x/b.csv": 1}}, "put off", Level.WARNING, "1 file put"),
    ],
)
def test_what_the_daemon_says_of_itself_is_passed_on(
    yard: Yard, told: dict[str, Any], name: str, level: Level, said: str
) -> None:
    beat(yard, **told)
    check = look(yard)[name]
    assert check.level is level
    assert said in check.message


def test_a_configuration_that_the_daemon_does_not_run_with_is_named(yard: Yard) -> None:
    beat(yard)
    config = yard.dock.config
    other = config.gate.model_copy(update={"checks": 99})
    changed = config.model_copy(update={"gate": other})
    [check] = [c for c in check_health(changed).checks if c.name == "configuration"]
    assert check.level is Level.WARNING
    assert "[gate] differs" in check.message
    assert "reload" in check.message
    beat(yard, config_digests=digest_sections(config) | {"paths": "another"})
    assert "restart" in look(yard)["configuration"].message


def test_thresholds_and_passwords_are_no_part_of_what_is_compared(tmp_path: Path) -> None:
    def digests(password: str, url: str, checks: int = 6) -> dict[str, str]:
        config = make_config(
            tmp_path,
            database={"url": url, "password": password},
            gate={"checks": checks},
            health={"min_free_mb": 100 + len(password)},
        )
        return digest_sections(config)

    one = digests("a", "postgresql://me:p%40ss@host/x")
    assert one == digests("bcd", "postgresql://me:other@host/x")
    assert one["database"] != digests("a", "postgresql://me@host/y")["database"]
    assert one["gate"] != digests("a", "postgresql://me@host/x", checks=7)["gate"]
    assert "health" not in one
    assert digests("a", "no url: a@b")["database"] == digests("a", "nor this")["database"]


# --- folders and disks


def test_a_folder_that_cannot_be_used_is_critical(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = yard.dock.tree.error(yard.inbox())
    error.rmdir()
    check = look(yard)["folders"]
    assert check.level is Level.CRITICAL
    assert str(error) in check.message

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    error.mkdir()
    monkeypatch.setattr(folders_module, "write_probe", refuse)
    assert "the right to read, write" in look(yard)["folders"].message


def test_a_folder_of_another_file_system_is_told(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    processed = yard.dock.tree.processed(yard.inbox())
    usual = Path.stat

    def elsewhere(path: Path, **kwargs: Any) -> os.stat_result:
        found = usual(path, **kwargs)
        if path != processed:
            return found
        values = list(found)
        values[2] = found.st_dev + 1
        return os.stat_result(values)

    monkeypatch.setattr(Path, "stat", elsewhere)
    check = look(yard)["file systems"]
    assert (check.level, str(processed) in check.message) == (Level.OK, True)


def test_little_room_and_few_inodes_are_told(tmp_path: Path) -> None:
    def level(**settings: int) -> Level:
        config = make_config(tmp_path, health={"min_free_inodes": 0} | settings)
        return check_disk("tree", tmp_path, config.health).level

    much = 10**12
    assert level(min_free_mb=0, min_free_critical_mb=0) is Level.OK
    assert level(min_free_mb=much, min_free_critical_mb=0) is Level.WARNING
    assert level(min_free_mb=much, min_free_critical_mb=much) is Level.CRITICAL
    assert level(min_free_mb=0, min_free_critical_mb=0, min_free_inodes=much) is Level.WARNING
    gone = check_disk("tree", tmp_path / "gone", make_config(tmp_path).health)
    assert gone.level is Level.UNKNOWN


def test_the_disk_of_the_log_is_looked_at_too(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    yard = open_yard(tmp_path, log={"file": str(logs / "dropload.log")})
    names = figures(yard)
    yard.dock.target.close()
    assert {"tree_free", "log_free", "database_free"} <= names.keys()
    assert "state_free" not in names, "it is below the tree"


# --- the database and the journal


def test_a_database_that_cannot_be_opened_is_critical(tmp_path: Path) -> None:
    (tmp_path / "dropload.db").write_text("no database" * 100)
    config = make_config(tmp_path)
    DropTree(config.paths.dropoff).create()
    [check] = [c for c in check_health(config).checks if c.name == "database"]
    assert (check.level, "not a database" in check.message) == (Level.CRITICAL, True)


def test_a_database_that_is_busy_is_not_broken(yard: Yard) -> None:
    with yard.dock.target.write():
        check = look(yard, check_timeout_seconds=6)["writing"]
    assert (check.level, check.message) == (Level.OK, "busy: somebody writes just now")


def test_a_journal_whose_rows_a_load_holds_is_busy_and_not_broken(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_dock: Dock) -> Iterator[Check]:
        yield Check("held", Level.OK, "no file is held")
        raise LockedError("Lock request time out period exceeded.")

    monkeypatch.setattr(database_module, "check_journal", refuse)
    found = look(yard)
    assert (found["journal"].level, found["held"].level) == (Level.OK, Level.OK)
    assert found["database"].level is Level.OK


def test_a_journal_that_cannot_be_written_is_critical(yard: Yard) -> None:
    yard.execute(
        'CREATE TRIGGER refuse BEFORE UPDATE ON "ref.Schema_Version" '
        "BEGIN SELECT RAISE(ABORT, 'read-only'); END"
    )
    found = check_health(yard.dock.config)
    assert "read-only" in found.summary()
    assert found.level is Level.CRITICAL


def test_a_journal_of_a_newer_version_is_told(yard: Yard) -> None:
    yard.execute(
        'INSERT INTO "ref.Schema_Version" (version, script, applied_at) '
        "VALUES (9999, 'x', '2026-01-01')"
    )
    check = look(yard)["database"]
    assert (check.level, "upgrade this one" in check.message) == (Level.WARNING, True)


def test_clocks_that_are_apart_are_told(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = type(yard.dock.target).now

    def ahead(target: Any, conn: Any) -> datetime:
        found: datetime = usual(target, conn)
        return found + timedelta(seconds=100)

    monkeypatch.setattr(type(yard.dock.target), "now", ahead)
    check = look(yard)["clock"]
    assert (check.level, "see to NTP" in check.message) == (Level.WARNING, True)


def noted(yard: Yard, status: str, hours: int) -> None:
    since = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=hours)
    path = yard.inbox().path / f"{status}{hours}.csv"
    yard.execute(
        'INSERT INTO "ref.File_Monitor_Tracking" '
        "(file_path, file_name, load_type, is_reference_data, reference_config_inserted, status, "
        f"created_at, changed_at) VALUES ('{path}', '{path.name}', 'append', 0, 0, '{status}', "
        f"'{since}', '{since}')"
    )


def test_files_that_wait_too_long_are_told_by_their_age(yard: Yard) -> None:
    noted(yard, "waiting", 0)
    assert look(yard)["waiting"].level is Level.OK
    noted(yard, "waiting", 3)
    check = look(yard)["waiting"]
    assert (check.level, "2 files, the oldest unchanged for 3 h" in check.message) == (
        Level.WARNING,
        True,
    )
    noted(yard, "released", 49)
    check = look(yard)["waiting"]
    assert (check.level, "for 2 days" in check.message) == (Level.CRITICAL, True)
    assert figures(yard)["waiting"] == 3


def test_files_of_another_tree_in_the_same_database_do_not_count(yard: Yard) -> None:
    noted(yard, "waiting", 49)
    noted(yard, "held", 1)
    yard.execute("UPDATE \"ref.File_Monitor_Tracking\" SET file_path = '/elsewhere/' || file_path")
    found = figures(yard)
    assert (found["waiting"], found["held"]) == (0, 0)


def test_held_files_are_told_from_the_number_on_that_matters(yard: Yard) -> None:
    noted(yard, "held", 1)
    assert look(yard)["held"].level is Level.WARNING
    assert look(yard, held_warning_files=2)["held"].level is Level.OK


def test_a_load_that_takes_very_long_is_told(yard: Yard) -> None:
    yard.drop("orders.csv", "id\n1\n")
    yard.execute(
        "UPDATE \"ref.Load_History\" SET state = 'staging', worker = 'w@1#1#1', "
        "lease_until = '2999-01-01 00:00:00', claimed_at = '2026-01-01 00:00:00'"
    )
    check = look(yard)["loads"]
    assert (check.level, "load 1 of orders.csv under way for" in check.message) == (
        Level.WARNING,
        True,
    )


def test_a_file_that_was_not_moved_is_critical(yard: Yard) -> None:
    yard.drop("orders.csv", "id\n1\n")
    yard.execute(
        "UPDATE \"ref.Load_History\" SET state = 'committed', filed_at = NULL, worker = NULL"
    )
    check = look(yard)["moves"]
    assert (check.level, "1 file not moved: orders.csv" in check.message) == (Level.CRITICAL, True)


def test_failures_of_the_last_hour_count_from_a_number_of_loads_on(yard: Yard) -> None:
    yard.drop("good.csv", "id\n1\n")
    yard.drop("bad.csv", "a,b\n1\n")
    check = look(yard)["failures"]
    assert (check.level, check.message) == (Level.OK, "1 of 2 loads failed in the last hour")
    assert look(yard, failed_min_loads=2)["failures"].level is Level.WARNING
    critical = look(yard, failed_min_loads=2, failed_critical_share=0.5)["failures"]
    assert critical.level is Level.CRITICAL
    yard.execute(
        "UPDATE \"ref.Load_History\" SET finished_at = '2026-01-01', committed_at = "
        "CASE WHEN committed_at IS NULL THEN NULL ELSE '2026-01-01' END"
    )
    assert look(yard, failed_min_loads=2)["failures"].level is Level.OK


# --- what hangs


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What hangs in a test hangs until its end."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name.startswith("check of "):
            thread.join(PATIENCE_SECONDS)  # it closes what it has opened


def test_a_server_that_accepts_and_never_answers_is_named(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        url = f"postgresql://me:secret@127.0.0.1:{port}/rows"
        config = make_config(tmp_path, database={"url": url}, health={"check_timeout_seconds": 1})
        DropTree(config.paths.dropoff).create()
        found = check_health(config)
    [check] = [check for check in found.checks if check.name == "database"]
    assert check.level is Level.CRITICAL
    assert "no answer within 1 s from the database, 127.0.0.1/rows" in check.message
    assert "secret" not in found.summary()
    assert any(check.name == "daemon" for check in found.checks), "the others have answered"


def test_a_folder_that_hangs_is_named_and_keeps_nothing_else_waiting(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, released: threading.Event
) -> None:
    hung = yard.inbox().path
    usual = write_probe

    def hang(path: Path) -> None:
        if path.parent == hung:
            released.wait()
        usual(path)

    beat(yard)
    monkeypatch.setattr(folders_module, "write_probe", hang)
    found = look(yard, check_timeout_seconds=5)
    assert found["folders"].level is Level.CRITICAL
    assert found["folders"].message == f"no answer within 5 s from the folder {hung}"
    assert found["writing"].level is Level.OK


def test_a_journal_that_hangs_behind_an_open_connection_is_named(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, released: threading.Event
) -> None:
    monkeypatch.setattr(database_module, "prove_writable", lambda _target: released.wait())
    found = {
        check.message
        for check in check_health(
            make_config(yard.root, health={"check_timeout_seconds": 5})
        ).checks
        if check.level is Level.CRITICAL
    }
    assert any("from the database when it is to write, file" in message for message in found)


def test_many_that_hang_are_counted(released: threading.Event) -> None:
    def hang(_say: Say) -> Iterator[Check]:
        released.wait()
        yield Check("a", Level.OK, "")

    lanes = [Lane("folders", f"folder {number}", hang) for number in range(5)]
    [check] = run_lanes(lanes, 0.05)
    assert check.message == ("no answer within 0.05 s from folder 0, folder 1, folder 2 and 2 more")


def test_a_check_that_fails_itself_is_unknown_and_the_others_are_told() -> None:
    def fail(_say: Say) -> Iterator[Check]:
        yield Check("a", Level.OK, "first")
        raise KeyError("x")

    first, failed = run_lanes([Lane("a", "it", fail)], 30)
    assert (first.message, failed.level) == ("first", Level.UNKNOWN)
    assert "KeyError" in failed.message


# --- in a process of its own


def test_work_apart_gives_its_answer() -> None:
    assert run_apart(lambda: ("answer", os.getpid() != PARENT), 60) == ("answer", True)


PARENT = os.getpid()


def test_work_apart_that_is_stuck_or_dies_gives_none() -> None:
    assert run_apart(lambda: time.sleep(600), 0.2) is None
    assert run_apart(lambda: os.kill(os.getpid(), signal.SIGKILL), 60) is None
    assert run_apart(lambda: 1 / 0, 60) is None


def test_an_answer_does_not_wait_for_threads_that_hang() -> None:
    def leave_a_thread() -> str:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        return "done"

    assert run_apart(leave_a_thread, 60) == "done"


# --- the convention


def test_what_is_critical_outweighs_what_is_unknown() -> None:
    checks = [Check("a", Level.UNKNOWN, "?"), Check("b", Level.CRITICAL, "x | y\nz")]
    health = Health(tuple(checks))
    assert health.level is Level.CRITICAL
    assert health.summary() == "DROPLOAD CRITICAL - b: x / y z; a: ?"
    assert health.details() == ["CRITICAL b: x / y z", "UNKNOWN  a: ?"]
    assert pickle.loads(pickle.dumps(health)) == health  # noqa: S301


def test_figures_are_written_as_the_guidelines_say() -> None:
    written = [
        str(Figure("a", 1)),
        str(Figure("a", 1.5, "s", "60", "300")),
        str(Figure("a", 4711000, "MB", "500:", "50:")),
        str(Figure("a", 0, "", "0")),
    ]
    assert written == ["a=1", "a=1.5s;60;300", "a=4711000MB;500:;50:", "a=0;0"]


def test_a_tree_that_is_not_made_is_said_once(yard: Yard) -> None:
    for path in sorted(yard.dock.tree.root.rglob("*"), reverse=True):
        path.rmdir()
    health = check_health(yard.dock.config)
    said = [check.message for check in health.checks if check.name == "folders"]
    assert len(said) == 1
    assert "dropload init" in said[0]
    assert read_status(yard.dock).folder_problems == (said[0],)
    yard.inbox().path.mkdir(parents=True)
    assert len(read_status(yard.dock).folder_problems) == 3, "what is missing of a tree is named"
