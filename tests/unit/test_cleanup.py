"""The daily cleanup beside everything else: the command, the daemon, the logs."""

import io
import json
from datetime import UTC, date, datetime
from pathlib import Path

from dropload.accounts import account_for_files
from dropload.cleanup import clean_up
from dropload.config import LogConfig
from dropload.daemon import Daemon
from dropload.logs import configure_logs, get_logger
from dropload.old_logs import find_old_logs, start_new_log
from tests.conftest import Yard, let_audit_be_changed, open_yard
from tests.unit.test_cli import Run, run
from tests.unit.test_daemon import Clock

__all__ = ["run"]

ORDERS = "id,name\n1,Ada\n2,Bob\n"
LONG_AGO = "2020-01-01 00:00:00.000000"


def make_old(yard: Yard) -> None:
    times = ", ".join(
        f"{name} = CASE WHEN {name} IS NULL THEN NULL ELSE '{LONG_AGO}' END"
        for name in ("claimed_at", "committed_at", "finished_at", "filed_at")
    )
    yard.execute(f'UPDATE "ref.Load_History" SET {times}')


def actions(yard: Yard) -> list[tuple[str, str]]:
    """Return what was done beside loading and preparing."""
    others = "action NOT IN ('init', 'load', 'load_forced')"
    return [
        tuple(row)
        for row in yard.query(f'SELECT actor, action FROM "ref.Audit_Log" WHERE {others}')
    ]


def test_cleanup_says_what_it_would_free_and_then_frees_it(run: Run, yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    yard.drop("broken.csv", "id,name\n1\n")
    assert run("cleanup")[1] == "Nothing is old enough to go.\n"
    make_old(yard)
    status, text, _ = run("cleanup", "--dry-run")
    assert status == 0
    assert "what would go" in text
    assert "4\t" in text
    assert "Z_orders.csv\n" in text
    status, text, _ = run("cleanup", "--json")
    answer = json.loads(text)
    assert (status, answer["dry_run"], answer["left"]) == (0, False, [])
    assert answer["removed"]["files"]["number"] == 4
    assert answer["bytes"] == answer["removed"]["files"]["bytes"] > len(ORDERS)
    assert len(answer["names"]) == 4
    assert run("cleanup")[1] == "Nothing is old enough to go.\n"


def test_backups_that_go_are_counted_by_their_rows(run: Run, yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    for _ in range(2):
        yard.drop("orders.csv", ORDERS, load_type="fullload", force=True)
    yard.execute(f"UPDATE \"ref.Load_History\" SET committed_at = '{LONG_AGO}'")
    assert "2 backups with 4 rows would be freed.\n" in run("cleanup", "--dry-run")[1]
    text = run("cleanup")[1]
    assert text.endswith("2 backups with 4 rows freed.\n")
    assert "bytes of files" not in text
    [detail] = yard.query("SELECT detail FROM \"ref.Audit_Log\" WHERE action = 'cleanup_done'")
    assert tuple(detail) == ("2 backups; 4 rows of backups",)


def test_cleanup_fails_when_something_old_has_to_stay(run: Run, yard: Yard) -> None:
    outcome = yard.drop("orders.csv", ORDERS)
    make_old(yard)
    assert outcome.filed_path is not None
    outcome.filed_path.write_text("somebody works on it")
    status, text, _ = run("cleanup")
    assert status == 1
    assert text.endswith("it was changed after it had been filed\n")


def test_a_rejects_file_that_had_to_take_another_name_goes_with_its_file(yard: Yard) -> None:
    bad = yard.put("orders.csv", "id,name\n1\n")
    outcome = yard.load(bad)
    assert outcome.filed_path is not None
    assert outcome.report_path is not None
    [rejects] = outcome.filed_path.parent.glob("*rejects.csv")
    second = rejects.with_name(rejects.name.replace("Z_", "Z-2_"))
    rejects.rename(second)
    report = outcome.report_path.read_text().replace(rejects.name, second.name)
    outcome.report_path.write_text(report)
    rejects.write_text("theirs")
    make_old(yard)
    clean_up(yard.dock, "somebody")
    assert [p.name for p in outcome.filed_path.parent.iterdir()] == [rejects.name]


def test_the_companion_of_a_file_goes_with_it(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    path.with_name("orders.csv.done").touch()
    outcome = yard.load(path)
    make_old(yard)
    clean_up(yard.dock, "somebody")
    assert outcome.filed_path is not None
    assert list(outcome.filed_path.parent.iterdir()) == []


def test_the_daemon_cleans_up_once_a_day_and_not_again_after_a_restart(
    yard: Yard, logs: io.StringIO
) -> None:
    yard.drop("orders.csv", ORDERS)
    make_old(yard)
    for _ in range(2):
        daemon = Daemon(yard.dock, until_idle=True)
        daemon.run()
    assert not list((yard.inbox().path / "processed").iterdir())
    assert actions(yard) == [("daemon", "cleanup"), ("daemon", "cleanup_done")]
    assert logs.getvalue().count("cleaned_up") == 1
    assert account_for_files(yard.dock, lambda _s: None).missing == ()


def test_a_daemon_that_runs_on_asks_again_and_finds_the_next_day_come(yard: Yard) -> None:
    clock = Clock()
    daemon = Daemon(yard.dock, clock=clock)
    daemon._prepare()
    daemon._take_turn(woken=True)
    let_audit_be_changed(yard.dock.target)
    for age, turns in ((23, 1), (25, 2)):
        yard.execute(
            f"UPDATE \"ref.Audit_Log\" SET at = datetime('now', '-{age} hours') || '.000000'"
        )
        clock.now += 3700
        daemon._take_turn(woken=True)
        assert len(actions(yard)) == turns
    daemon._shut_down()


def test_a_cleanup_that_the_database_cut_off_is_begun_again_an_hour_later(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    make_old(yard)
    clock = Clock()
    daemon = Daemon(yard.dock, clock=clock)
    daemon._prepare()
    yard.execute('ALTER TABLE "ref.Load_Reject" RENAME TO away')
    yard.execute('ALTER TABLE "ref.File_Monitor_Tracking" RENAME TO gone')
    daemon._housekeeper.configure(yard.dock)
    daemon._clean_up()
    assert not daemon._housekeeper.is_busy
    assert actions(yard) == [("daemon", "cleanup")]
    yard.execute('ALTER TABLE away RENAME TO "ref.Load_Reject"')
    yard.execute('ALTER TABLE gone RENAME TO "ref.File_Monitor_Tracking"')
    clock.now += 3700
    daemon._clean_up()
    assert actions(yard)[-1] == ("daemon", "cleanup_done")
    daemon._shut_down()


def test_a_long_cleanup_is_done_in_pieces_between_scans(yard: Yard) -> None:
    for number in range(5):
        yard.drop(f"t{number}.csv", ORDERS)
    make_old(yard)
    clock = Clock()
    daemon = Daemon(yard.dock, clock=clock)
    daemon._prepare()

    def hurry() -> float:
        clock.now += 0.3
        return clock.now

    daemon._housekeeper._clock = hurry
    turns = 0
    while turns == 0 or daemon._housekeeper.is_busy:
        daemon._take_turn(woken=True)
        turns += 1
    assert turns > 2
    assert daemon._seconds_to_next_turn() > 0
    assert actions(yard)[-1] == ("daemon", "cleanup_done")
    daemon._shut_down()


def test_a_log_gets_its_day_as_a_name_once_and_lines_go_on_in_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "dropload.log"
    configure_logs(LogConfig(file=file, format="json"))
    get_logger().info("before")
    today = date(2026, 11, 21)
    kept = start_new_log(file, today)
    assert kept == tmp_path / "dropload.log.2026-11-21"
    get_logger().info("after")
    assert start_new_log(file, today) is None, "once a day"
    assert "before" in kept.read_text()
    assert "after" not in kept.read_text()
    assert "after" in file.read_text()
    file.rename(tmp_path / "taken")
    get_logger().info("later")
    assert "later" in file.read_text(), "whoever takes it away"


def test_only_logs_that_got_their_name_here_are_ever_old(tmp_path: Path) -> None:
    file = tmp_path / "dropload.log"
    for name in ("", ".1", ".2026-13", ".2026-11-20.gz", "-20261101", ".2020-01-01"):
        (tmp_path / f"dropload.log{name}").write_text("x")
    for day in range(10, 16):
        (tmp_path / f"dropload.log.2026-11-{day}").write_text("x")
    (tmp_path / "other.log.2020-01-01").write_text("x")
    today = date(2026, 11, 21)
    by_age = [path.name for path in find_old_logs(file, today, kept=30, days=10)]
    assert by_age == ["dropload.log.2026-11-10", "dropload.log.2020-01-01"]
    by_number = [path.name for path in find_old_logs(file, today, kept=5, days=90)]
    assert by_number == ["dropload.log.2026-11-10", "dropload.log.2020-01-01"]


def test_cleanup_takes_old_logs_away_and_starts_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "dropload.log"
    yard = open_yard(tmp_path, log={"file": str(file)}, retention={"log_files": 1})
    file.write_text("a line\n")
    old = tmp_path / "dropload.log.2020-01-01"
    old.write_text("long ago")
    assert clean_up(yard.dock, "x", dry_run=True).numbers["logs"] == 1
    assert old.exists()
    assert file.exists()
    cleaned = clean_up(yard.dock, "somebody")
    assert (cleaned.numbers["logs"], cleaned.total_bytes) == (1, 8)
    assert not old.exists()
    kept = [path.name for path in tmp_path.glob("dropload.log*")]
    assert kept == [f"dropload.log.{datetime.now(UTC):%Y-%m-%d}"]
    yard.dock.target.close()
