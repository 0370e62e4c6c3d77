"""What is told of loads, files and the daemon: each thing once, and once that it is over."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dropload.alarms import Alarms
from dropload.alarms.memory import FILE_NAME, Memory
from dropload.config import Config
from dropload.daemon import TROUBLE_SECONDS, Daemon
from dropload.dock import Dock
from dropload.errors import ConfigError, LockedError
from dropload.expected import ExpectedFiles
from dropload.heartbeat import Heartbeat
from dropload.model import Area, Drop, FileVersion, LoadType, Outcome, Verdict
from dropload.notify import Service
from dropload.notify.message import Message
from dropload.returned import Finished
from dropload.rivals import Company
from tests.conftest import Yard, make_config
from tests.http_receiver import Site
from tests.unit.test_daemon import Clock

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)


class Inbox:
    """A service that keeps what it is sent."""

    name = "Inbox"

    def __init__(self) -> None:
        self.got: list[Message] = []

    def send(self, message: Message) -> None:
        self.got.append(message)


class Wall:
    """The time of day, as the test sets it."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def go(self, minutes: float) -> None:
        self.at += timedelta(minutes=minutes)


class Night:
    """Alarms over a yard, and what somebody heard of them."""

    def __init__(self, yard: Yard, **notify: Any) -> None:
        section = {"window_seconds": 3600, "receivers": {"oncall": {}}, "time_zone": "UTC"}
        config = make_config(yard.root, notify={**section, **notify})
        self.dock = replace(yard.dock, config=config)
        self.wall = Wall()
        self.inbox = Inbox()
        self.alarms = self.open()

    def open(self) -> Alarms:
        def services(config: Config) -> Mapping[str, Service]:
            return dict.fromkeys(config.notify.receivers, self.inbox)

        made = Alarms(self.dock, self.wall, services)
        made.start()
        return made

    def restart(self) -> None:
        """Stop, which sends what there is, and start anew."""
        self.alarms.close()
        self.alarms = self.open()

    def heard(self) -> list[str]:
        """Return the first lines of all that was told since the last time."""
        self.restart()
        told = [message.body for message in self.inbox.got]
        self.inbox.got.clear()
        # The last item of a message says who speaks.
        return [item.splitlines()[0] for body in told for item in body.split("\n\n")[:-1]]

    def finish(self, name: str, verdict: Verdict, table: str = "dbo.sales", **values: Any) -> None:
        path = self.dock.tree.root / name
        drop = Drop(path, Area.NON_REFERENCE, LoadType.APPEND, FileVersion(1, 2, 3))
        given = {"message": "It is wrong.", "hint": "Correct it."} | values
        self.alarms.note_finished(Finished(drop, table, Outcome(verdict, path, **given), 0.0))

    def beat(self, **values: Any) -> None:
        self.alarms.tell(Heartbeat(NOW.isoformat(), NOW.isoformat(), 0, 5, 6, 15, 0, 0, **values))


@pytest.fixture
def night(yard: Yard) -> Night:
    return Night(yard)


def test_files_that_fail_are_told_together_and_once_that_their_table_loads_again(
    night: Night,
) -> None:
    report = Path("/srv/error/x.report.txt")
    for n in range(100):
        night.finish(f"sales_{n:03}.csv", Verdict.FAILED, report_path=report)
    night.restart()
    [message] = night.inbox.got
    assert message.title.startswith("ERROR: 100 files failed (dropload on ")
    assert "The last, sales_099.csv: It is wrong. Correct it.\nReport: /srv" in message.body
    night.inbox.got.clear()
    night.wall.go(180)
    night.finish("sales_100.csv", Verdict.LOADED, rows_loaded=5, load_id=7)
    night.finish("sales_101.csv", Verdict.LOADED, rows_loaded=5, load_id=8)
    [over] = night.heard()
    assert over.startswith("dbo.sales loads again, 3 h after its first failure, 05:00.")
    night.finish("sales_102.csv", Verdict.LOADED, rows_loaded=5, load_id=9)
    assert night.heard() == []


def test_loads_that_are_not_as_usual_are_told_together_with_what_was_different(
    night: Night,
) -> None:
    for n in range(3):
        unusual = f"{n} rows (usually 5,000): nothing else was different"
        night.finish(f"sales_{n}.csv", Verdict.LOADED, load_id=50 + n, unusual=unusual)
    night.finish("sales_4.csv", Verdict.LOADED, load_id=53)
    night.restart()
    [message] = night.inbox.got
    assert message.title.startswith("WARNING: 3 files not as usual (dropload on ")
    assert message.body.startswith(
        "3 files not as usual: sales_#.csv (dbo.sales), 02:00.\nThe last, sales_2.csv: "
        "Load 52 of dbo.sales: 2 rows (usually 5,000): nothing else was different.\n"
        "dropload stats dbo.sales\n"
    )


def test_a_held_file_is_told_with_the_command_and_not_again_after_a_restart(
    night: Night,
) -> None:
    night.finish("prices.csv", Verdict.HELD)
    night.restart()
    [message] = night.inbox.got
    assert f"\ndropload release {night.dock.tree.root}/prices.csv\n" in message.body
    night.inbox.got.clear()
    night.finish("prices.csv", Verdict.HELD)
    assert night.heard() == []


def test_a_paused_table_is_told_once_until_it_loads_however_often_it_is_tried(
    night: Night,
) -> None:
    for _ in range(3):
        night.finish("sales.csv", Verdict.PAUSED, message="No permission to INSERT.")
        night.wall.go(1)
    assert night.heard() == ["dbo.sales is paused, 02:00."]
    night.finish("sales.csv", Verdict.PAUSED)
    assert night.heard() == []
    night.finish("sales.csv", Verdict.LOADED, rows_loaded=1, load_id=3)
    assert night.heard() == ["dbo.sales loads again after 3 min, 02:03."]


def test_a_database_that_is_away_is_told_once_also_across_restarts_and_that_it_is_back(
    night: Night,
) -> None:
    for _ in range(3):
        night.beat(database_problem="connection refused")
    assert night.heard() == ["The database is away, 02:00."]
    night.beat(database_problem="connection refused")
    assert night.heard() == []
    night.wall.go(14)
    night.beat()
    night.beat()
    assert night.heard() == ["The database is back after 14 min, 02:14."]


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        ({"disk_problem": "only 100 MB free"}, "The disk is nearly full, no load starts"),
        ({"workers_problem": "no memory"}, "No worker can be started"),
        ({"turn_problem": "KeyError"}, "An error in dropload itself"),
        ({"failures": {"/a/x.csv": 9}}, "Files are put off again and again"),
    ],
)
def test_what_the_daemon_finds_wrong_is_told(
    night: Night, problem: dict[str, Any], told: str
) -> None:
    night.beat(**problem)
    assert night.heard() == [f"{told}, 02:00."]
    night.beat(**problem)
    assert night.heard() == []
    night.beat()
    assert len(night.heard()) == 1


def test_two_folders_that_cannot_be_used_are_two_troubles(night: Night) -> None:
    night.beat(folder_problems=["a is gone", "b is gone"])
    assert night.heard() == ["A folder cannot be used, 02:00."] * 2
    night.beat(folder_problems=["b is gone"])
    assert len(night.heard()) == 1


def test_an_error_rate_past_its_threshold_is_told_when_it_rises_and_when_it_is_over(
    yard: Yard, night: Night
) -> None:
    expected = ExpectedFiles(night.dock)
    health = {"failed_critical_share": 0.4}
    config = night.dock.config.model_copy(
        update={"health": make_config(yard.root, health=health).health}
    )
    night.dock = replace(night.dock, config=config)
    night.restart()
    night.alarms.look_at_journal(expected)
    assert night.heard() == []
    for n in range(4):
        yard.drop(f"ok_{n}.csv", f"id\n{n}\n")
    yard.drop("bad_a.csv", "id,name\n1\n")
    for _ in range(2):
        night.alarms.look_at_journal(expected)
    assert night.heard() == ["Many loads fail, 02:00."]
    for name in "bc":
        yard.drop(f"bad_{name}.csv", "id,name\n1\n")
    night.alarms.look_at_journal(expected)
    assert night.heard() == ["Many loads fail, 02:00."], "worse: it is critical now"
    yard.execute("UPDATE \"ref.Load_History\" SET claimed_at = '2020-01-01 00:00:00.000000'")
    yard.execute("UPDATE \"ref.Load_History\" SET finished_at = '2020-01-01 00:00:00.000000'")
    night.wall.go(5)
    night.alarms.look_at_journal(expected)
    assert night.heard() == ["Loads no longer fail as often after 5 min, 02:05."]


def test_of_two_daemons_one_tells_what_both_see(yard: Yard) -> None:
    first, second = Night(yard), Night(yard)
    for n in range(3):
        yard.drop(f"sales_2026110{n + 1}.csv", "id,name\n1\n")
    first.alarms.company = Company(is_alone=False, is_first=True)
    second.alarms.company = Company(is_alone=False, is_first=False)
    for night in (first, second):
        night.alarms.look_at_journal(ExpectedFiles(night.dock))
    first.finish("prices.csv", Verdict.HELD, load_id=7)
    second.finish("prices.csv", Verdict.HELD)
    second.alarms.close()
    assert second.inbox.got == []
    assert first.heard() == [
        "sales_########.csv fails again and again (dbo.sales), 02:00.",
        "prices.csv is held (dbo.sales), 02:00.",
    ]


def test_one_senders_failures_stay_one_trouble_although_a_name_leads_to_another_table(
    yard: Yard,
) -> None:
    night = Night(yard, receivers={"sales": {"tables": ["sales"], "events": ["repeated_failures"]}})
    for n in range(3):
        yard.drop(f"sales_2026110{n + 1}.csv", "id,name\n1\n")
    night.alarms.look_at_journal(ExpectedFiles(night.dock))
    assert night.heard() == ["sales_########.csv fails again and again (dbo.sales), 02:00."]
    yard.drop("sales_20261199.csv", "id,name\n1\n")
    night.alarms.look_at_journal(ExpectedFiles(night.dock))
    assert night.heard() == []


def test_files_that_wait_for_too_long_and_one_senders_failures_are_told(
    yard: Yard, night: Night
) -> None:
    for n in range(3):
        yard.drop(f"sales_2026110{n}.csv", "id,name\n1\n")
    night.alarms.look_at_journal(ExpectedFiles(night.dock))
    assert night.heard() == ["sales_########.csv fails again and again, 02:00."]
    yard.drop("sales_20261109.csv", "id,name\n1,a\n")
    night.alarms.look_at_journal(ExpectedFiles(night.dock))
    assert night.heard() == ["sales_########.csv no longer fails after 0 s, 02:00."]


def missing_of(yard: Yard) -> tuple[Dock, ExpectedFiles]:
    section = {"time_zone": "UTC", "files": {"sales": {"table": "dbo.sales", "by": "00:00"}}}
    dock = replace(yard.dock, config=make_config(yard.root, expected=section))
    return dock, ExpectedFiles(dock)


def test_a_missing_file_is_told_once_a_day_also_across_restarts(yard: Yard, night: Night) -> None:
    _, expected = missing_of(yard)
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    for _ in range(3):
        expected.look(noon)
        night.alarms.look_at_journal(expected)
        night.restart()
    [message] = night.inbox.got
    assert message.title.startswith("ERROR: a file for dbo.sales is not here (dropload on ")
    night.inbox.got.clear()
    expected.look(noon + timedelta(days=1))
    night.alarms.look_at_journal(expected)
    assert night.heard() == ["A file for dbo.sales is not here, 02:00."], "the next day's"
    expected.look(noon)
    night.alarms.look_at_journal(expected)
    night.heard()
    yard.drop("sales.csv", "id\n1\n")
    night.wall.go(120)
    expected.look(noon)
    night.alarms.look_at_journal(expected)
    assert night.heard() == ["A file for dbo.sales is here after all after 2 h, 04:00."]
    night.alarms.look_at_journal(expected)
    assert night.heard() == []


def test_a_journal_that_a_load_holds_is_looked_at_later(
    night: Night, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise LockedError("busy")

    night.beat(database_problem="away")
    monkeypatch.setattr("dropload.alarms.alarms.check_journal", locked)
    night.alarms.look_at_journal(ExpectedFiles(night.dock))
    assert night.heard() == ["The database is away, 02:00."], "nothing was taken for over"


def test_where_nobody_is_to_be_told_nothing_is_asked_or_kept(yard: Yard) -> None:
    night = Night(yard, receivers={})
    night.finish("a.csv", Verdict.FAILED)
    night.beat(database_problem="away")
    yard.dock.target.close()
    (yard.root / "dropload.db").unlink()
    night.alarms.look_at_journal(ExpectedFiles(night.dock))
    night.alarms.close()
    assert not (night.dock.config.state_folder / FILE_NAME).exists()


def test_what_is_known_is_kept_for_its_owner_only_and_what_is_damaged_is_forgotten(
    night: Night,
) -> None:
    night.beat(database_problem="away")
    file = night.dock.config.state_folder / FILE_NAME
    assert file.stat().st_mode & 0o077 == 0
    values = json.loads(file.read_text())
    assert list(values["open"]) == ["database_away:"]
    night.alarms.close()
    for text in ("{", "[]", json.dumps(values | {"unsent": {"oncall": [{"first": 1}]}})):
        file.write_text(text)
        night.alarms = night.open()
        night.alarms.close()


def test_more_held_files_than_are_remembered_push_out_the_oldest() -> None:
    memory = Memory()
    assert all(memory.note_held(f"/{n}", "1") for n in range(1001))
    assert not memory.note_held("/1000", "1")
    assert memory.note_held("/1000", "2"), "another version"
    assert memory.note_held("/0", "1")


def test_another_configuration_takes_over_what_is_unsent(night: Night) -> None:
    night.finish("a.csv", Verdict.FAILED)
    silent = replace(night.dock, config=make_config(Path("/"), notify={"gap_seconds": 1}))
    night.alarms.check(silent.config)
    receivers = {"oncall": {"min_severity": "info"}}
    notify = {"receivers": receivers, "window_seconds": 3600, "time_zone": "UTC"}
    config = night.dock.config.model_copy(
        update={"notify": make_config(Path("/"), notify=notify).notify}
    )
    night.alarms.configure(replace(night.dock, config=config))
    night.alarms.close()
    assert "a.csv failed" in "".join(message.body for message in night.inbox.got)


def test_a_reload_reads_a_url_anew_that_stands_in_a_file(yard: Yard, tmp_path: Path) -> None:
    file, (old, new) = tmp_path / "oncall.url", (Site(), Site())
    file.write_text(old.url)
    receivers = {"oncall": {"url_file": str(file)}}
    config = make_config(yard.root, notify={"receivers": receivers, "window_seconds": 3600})
    daemon = Daemon(replace(yard.dock, config=config), read_config=lambda: config)
    daemon._prepare()
    file.write_text(new.url)
    daemon._take_configuration()
    daemon._alarms.tell(Heartbeat("", "", 0, 5, 6, 15, 0, 0, database_problem="away"))
    daemon._shut_down()
    assert (len(old.got), len(new.got)) == (0, 1)
    old.close()
    new.close()


def test_a_daemon_refuses_a_receiver_that_cannot_be_used_at_its_start_and_at_a_reload(
    yard: Yard,
) -> None:
    wrong = make_config(yard.root, notify={"receivers": {"oncall": {"url": "slak://geheim"}}})
    with pytest.raises(ConfigError, match=r"notify\.receivers\.oncall\.url is no URL"):
        Daemon(replace(yard.dock, config=wrong))
    daemon = Daemon(yard.dock, read_config=lambda: wrong)
    daemon._prepare()
    daemon._take_configuration()
    assert daemon._dock.config.notify == yard.dock.config.notify
    daemon._shut_down()


def test_the_daemon_looks_at_the_journal_for_alarms_now_and_then(
    yard: Yard,
) -> None:
    night, clock = Night(yard), Clock()
    daemon = Daemon(yard.dock, clock=clock)
    daemon._alarms = night.alarms
    daemon._take_turn_safely(woken=True)
    for n in range(3):
        yard.drop(f"sales_2026110{n}.csv", "id,name\n1\n")
    clock.now += TROUBLE_SECONDS
    daemon._take_turn_safely(woken=True)
    daemon._shut_down()
    assert "fails again and again" in "".join(message.body for message in night.inbox.got)
