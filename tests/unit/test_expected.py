"""Files that should be here by now: which, from when on, and until when that is said."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dropload.alert_config import ExpectedConfig, ExpectedFile
from dropload.daemon import Daemon
from dropload.dock import Dock
from dropload.expected import ExpectedFiles, find_window, learn
from dropload.health import Level, check_health
from dropload.journal import Arrival
from dropload.status import read_status
from tests.conftest import Yard, make_config

BERLIN = ZoneInfo("Europe/Berlin")
WORKDAYS = ("mon", "tue", "wed", "thu", "fri")


def expected(**values: Any) -> ExpectedFile:
    return ExpectedFile.model_validate({"table": "sales", "by": "07:00", **values})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- windows


@pytest.mark.parametrize(
    ("now", "by"),
    [
        ("2026-11-20T06:59", None),
        ("2026-11-20T07:00", "2026-11-20T07:00"),
        ("2026-11-20T23:59", "2026-11-20T07:00"),
        ("2026-11-21T00:00", None),
    ],
)
def test_a_file_is_due_from_its_deadline_to_the_end_of_the_day(now: str, by: str | None) -> None:
    window = find_window(expected(), UTC, utc(now))
    assert (window and window.by) == (by and utc(by))


def test_what_came_in_the_evening_before_counts_where_the_window_begins_there() -> None:
    window = find_window(expected(after="18:00"), UTC, utc("2026-11-20T08:00"))
    assert window is not None
    assert window.since == utc("2026-11-19T18:00")
    assert find_window(expected(after="18:00"), UTC, utc("2026-11-20T18:30")) is None


def test_a_file_of_workdays_is_missed_over_the_weekend_and_not_expected_then() -> None:
    workdays = expected(weekdays=WORKDAYS)
    for now in ("2026-11-21T12:00", "2026-11-22T23:00"):
        window = find_window(workdays, UTC, utc(now))
        assert window is not None
        assert window.by == utc("2026-11-20T07:00"), "Friday's"
    assert find_window(workdays, UTC, utc("2026-11-23T06:00")) is None
    assert find_window(expected(weekdays=("mon",)), UTC, utc("2026-11-23T07:30")) is not None


@pytest.mark.parametrize(("day", "hour"), [("2026-07-01", 5), ("2026-12-01", 6)])
def test_seven_in_the_morning_is_meant_by_the_clock_on_the_wall(day: str, hour: int) -> None:
    window = find_window(expected(), BERLIN, utc(f"{day}T12:00"))
    assert window is not None
    assert window.by == utc(f"{day}T0{hour}:00")
    local = find_window(expected(), None, utc(f"{day}T23:59"))
    assert local is not None
    assert local.by.astimezone().time() == time(7)


# --- the journal


def dock_expecting(yard: Yard, **files: dict[str, Any]) -> Dock:
    section = {"time_zone": "UTC", "files": files}
    return replace(yard.dock, config=make_config(yard.root, expected=section))


def tomorrow_at(hour: int) -> datetime:
    """Return a time of tomorrow: what is loaded now came the day before."""
    day = datetime.now(UTC).date() + timedelta(days=1)
    return datetime.combine(day, time(hour), UTC)


def end_of_today() -> datetime:
    return datetime.combine(datetime.now(UTC).date(), time(23, 59, 59), UTC)


def missing(files: ExpectedFiles, now: datetime) -> list[str]:
    files.look(now)
    return [deadline.name for deadline in files.missing]


def test_what_came_today_is_here_and_yesterdays_does_not_count(yard: Yard) -> None:
    files = ExpectedFiles(
        dock_expecting(
            yard,
            by_table={"table": "sales", "by": "00:01"},
            by_full_name={"table": "DBO.Sales", "by": "00:01"},
            by_name={"pattern": "SALES_*.csv", "by": "00:01"},
            other={"pattern": "prices_*.csv", "by": "00:01"},
        )
    )
    assert missing(files, end_of_today()) == ["by_table", "by_full_name", "by_name", "other"]
    yard.drop("sales_20261120.csv", "id\n1\n")
    assert missing(files, end_of_today()) == ["other"]
    assert {key.partition(":")[0] for key in files.arrived} == {
        *("by_table", "by_full_name", "by_name")
    }
    assert len(missing(files, tomorrow_at(1))) == 4, "of the new day"


def test_what_failed_is_held_or_waits_is_here(yard: Yard) -> None:
    dock = dock_expecting(
        yard,
        failed={"table": "failed", "by": "00:01"},
        held={"pattern": "held.csv", "by": "00:01"},
        waiting={"table": "dbo.waiting", "by": "00:01"},
    )
    yard.drop("failed.csv", "id,name\n1\n")
    yard.drop("held.csv", "id\n", load_type="fullload")
    yard.put("waiting.csv", "id\n1\n")
    daemon = Daemon(yard.dock)
    daemon._prepare()
    daemon._take_turn(woken=True)
    daemon._shut_down()
    assert missing(ExpectedFiles(dock), end_of_today()) == []
    assert len(missing(ExpectedFiles(dock), tomorrow_at(1))) == 3


def test_what_is_missing_is_said_by_status_and_health_with_name_time_and_reason(
    yard: Yard,
) -> None:
    dock = dock_expecting(yard, sales={"table": "dbo.sales", "by": "00:00"})
    daemon = Daemon(dock)
    daemon._prepare()
    daemon._take_turn_safely(woken=True)
    daemon._teller.note_news()
    daemon._teller._last_beat = float("-inf")
    daemon._beat_when_due()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    said = (
        f"a file for dbo.sales was expected by {today} 00:00:00 UTC and is not here "
        "(expected.files.sales). Ask its sender"
    )
    assert said in list(read_status(dock).problems())
    checks = {check.name: check for check in check_health(dock.config).checks}
    assert (checks["expected files"].level, checks["expected files"].message) == (
        Level.WARNING,
        said,
    )
    daemon._shut_down()


def test_where_nothing_is_expected_the_journal_is_not_asked(yard: Yard) -> None:
    yard.dock.target.close()
    (yard.root / "dropload.db").unlink()
    ExpectedFiles(yard.dock).look(end_of_today())


# --- learning

FRIDAY = date(2026, 11, 20)


def fridays(*times: str, table: str = "dbo.sales") -> list[Arrival]:
    """Return one arrival on each of the Fridays before, the latest week first."""
    return [
        Arrival(
            "x.csv", table, datetime.combine(FRIDAY - timedelta(weeks=n), time.fromisoformat(t))
        )
        for n, t in enumerate(times, start=1)
    ]


def learned(arrivals: list[Arrival], *known: str, **values: Any) -> dict[str, str]:
    config = ExpectedConfig.model_validate({"time_zone": "UTC", "learn": True, **values})
    found = learn(arrivals, FRIDAY, config, frozenset(known))
    return {name: f"{one.by:%H:%M} {','.join(one.weekdays)}" for name, one in found.items()}


def test_what_came_each_friday_is_expected_an_hour_after_the_latest_of_them() -> None:
    arrivals = fridays("06:10", "05:55", "06:31", "06:00")
    assert learned(arrivals) == {"dbo.sales": "07:31 fri"}
    assert learned([*arrivals, *fridays("22:00", "22:00")]) == {"dbo.sales": "07:31 fri"}, "first"
    assert learned(arrivals, learn_margin_minutes=5) == {"dbo.sales": "06:36 fri"}
    assert learned(fridays("23:30", "23:10", "23:00", "23:00")) == {"dbo.sales": "23:59 fri"}


def test_what_did_not_come_every_week_or_has_a_deadline_already_is_not_learned() -> None:
    assert learned(fridays("06:10", "05:55", "06:31")) == {}
    four = fridays("06:10", "05:55", "06:31", "06:00")
    assert learned(four, "sales") == {}
    assert learned(four, "dbo.sales") == {}
    assert learned(fridays("06:10", "05:55"), learn_weeks=2) == {"dbo.sales": "07:10 fri"}
    assert learned(fridays("6:10".zfill(5), *["06:00"] * 3, table="dbo.")) == {}


def test_what_was_learned_is_missed_and_says_so(yard: Yard) -> None:
    for n in range(1, 5):
        load_id = yard.drop(f"sales_2026110{n}.csv", f"id\n{n}\n").load_id
        yard.execute(
            'UPDATE "ref.Load_History" SET claimed_at = '
            f"strftime('%Y-%m-%d', 'now', '-{7 * n} days') || ' 00:00:01.000000' "
            f"WHERE load_id = {load_id}"
        )
    section = {"learn": True, "time_zone": "UTC", "learn_margin_minutes": 1}
    files = ExpectedFiles(replace(yard.dock, config=make_config(yard.root, expected=section)))
    files.look(end_of_today())
    [one] = files.missing
    assert one.what == "a file for dbo.sales"
    assert "00:01:00 UTC and is not here (learned from the last weeks)" in one.describe()
