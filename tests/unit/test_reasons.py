"""Why a file waits: the most telling reason first, and until when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dropload.config import Config
from dropload.heartbeat import AtGate, Heartbeat, PutOff, TableQueue
from dropload.identity import worker_name
from dropload.model import LoadRecord, State, TrackedFile
from dropload.progress import judge_progress
from dropload.reasons import (
    Reason,
    Situation,
    WaitsFor,
    explain_wait,
    find_daemon_problem,
    make_situation,
    span,
)
from dropload.times import clock_time

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
PATH = Path("/dropoff/orders.csv")


def beat(**values: Any) -> Heartbeat:
    known = {
        "scanned_at": NOW.isoformat(),
        "started_at": NOW.isoformat(),
        "scan_seconds": 0.0,
        "scan_interval_seconds": 5.0,
        "gate_checks": 6,
        "gate_interval_seconds": 15.0,
        "waiting": 0,
        "queued": 0,
    }
    return Heartbeat(**{**known, **values})


def row(**values: Any) -> TrackedFile:
    names = dict.fromkeys(TrackedFile.__dataclass_fields__)
    known = {**names, "id": 1, "status": "waiting", "created_at": NOW}
    return TrackedFile(**{**known, **values})


def load(**values: Any) -> LoadRecord:
    names = dict.fromkeys(LoadRecord.__dataclass_fields__)
    known = {
        "load_id": 57,
        "file_path": "/dropoff/x.csv",
        "file_name": "x.csv",
        "file_size": 1000,
        "schema_name": "dbo",
        "table_name": "orders",
        "state": State.STAGING,
    }
    return LoadRecord(**{**names, **known, **values})


def situation(heartbeat: Heartbeat | None = None, **values: Any) -> Situation:
    return replace(make_situation(Config(), heartbeat or beat(), "", NOW), **values)


def why(found: Situation, tracked: TrackedFile | None = None) -> Reason:
    return explain_wait(found, PATH, tracked or row())


def at_gate(**values: Any) -> Heartbeat:
    known = {"checks_done": 4, "change": "appeared", "changed_at": 0, "whole_at": 0}
    return beat(at_gate=[AtGate(str(PATH), **{**known, **values})])


def queue(place: int, **values: Any) -> Heartbeat:
    files = [f"/dropoff/{number}.csv" for number in range(place)]
    return beat(queues=[TableQueue("dbo.orders", place + 1, [*files, str(PATH)], **values)])


def after(seconds: float) -> float:
    return NOW.timestamp() + seconds


def test_a_file_at_the_gate_tells_its_checks_and_the_time_left() -> None:
    found = why(situation(at_gate(whole_at=after(25))))
    assert found == Reason(WaitsFor.GATE, "check 4 of 6, 25 s left", NOW + timedelta(seconds=25))


def test_time_goes_on_between_two_heartbeats() -> None:
    """Nobody writes a heartbeat a second for those who look."""
    kept = at_gate(checks_done=1, whole_at=after(62))
    texts = [
        why(make_situation(Config(), kept, "", NOW + timedelta(seconds=past))).text
        for past in (0, 10, 40, 100)
    ]
    assert texts == [
        "check 1 of 6, 62 s left",
        "check 2 of 6, 52 s left",
        "check 4 of 6, 22 s left",
        "check 6 of 6, 0 s left",
    ]


def test_a_file_that_grows_says_when_it_grew() -> None:
    kept = at_gate(checks_done=0, change="grew", changed_at=after(-12), whole_at=after(78))
    assert why(situation(kept)).text == "grew 12 s ago, 78 s left if it stays so"


def test_a_held_file_says_how_to_go_on_whatever_else_is_wrong() -> None:
    path = Path("/drop off/it's.csv")
    held = row(status="held", reason="62 % fewer rows than the table.", load_id=9)
    found = explain_wait(situation(daemon_problem="no daemon", database_problem="x"), path, held)
    assert (found.waits_for, found.load_id) == (WaitsFor.PERSON, 9)
    assert found.text == "held: 62 % fewer rows than the table."
    assert found.next_step == "dropload release 9"
    nobody = row(status="held", reason="x", load_id=None)
    by_path = explain_wait(situation(), path, nobody).next_step
    assert by_path == """dropload release '/drop off/it'"'"'s.csv'"""


def test_a_file_whose_load_is_over_waits_for_its_folder() -> None:
    found = why(situation(), row(status="failed"))
    assert found.waits_for is WaitsFor.MOVE
    assert "its load is over (failed)" in found.text


def test_a_load_of_another_daemon_is_seen_in_the_journal() -> None:
    own = load(file_path=str(PATH))
    found = why(situation(loads=(own,), daemon_problem="no daemon is running"))
    assert (found.waits_for, found.load_id) == (WaitsFor.LOAD, 57)


def test_without_a_daemon_a_file_waits_for_one() -> None:
    kept = make_situation(Config(), at_gate(), "the daemon was killed", NOW)
    assert explain_wait(kept, PATH, row()) == Reason(WaitsFor.DAEMON, "the daemon was killed")


def test_what_was_put_off_says_why_and_when_it_is_tried_again() -> None:
    kept = beat(put_off=[PutOff(str(PATH), "It cannot be read: Permission denied.", after(60))])
    found = why(situation(kept))
    at = clock_time(NOW + timedelta(seconds=60))
    assert found.text == f"put off, next try {at}: It cannot be read: Permission denied"
    assert (found.waits_for, found.until) == (WaitsFor.RETRY, NOW + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("place", "text"),
    [(0, "queued, the next of its table"), (3, "queued, 3 before it")],
)
def test_a_complete_file_tells_its_place(place: int, text: str) -> None:
    assert why(situation(queue(place))) == Reason(WaitsFor.QUEUE, text)


@pytest.mark.parametrize(
    ("place", "more"), [(0, ""), (2, ", 2 more before it")], ids=["next", "later"]
)
def test_a_busy_table_names_the_load(place: int, more: str) -> None:
    found = why(situation(queue(place), loads=(load(),)))
    assert found == Reason(WaitsFor.TABLE, f"table busy: load 57 of x.csv{more}", load_id=57)
    unknown = why(situation(queue(place, running="/dropoff/x.csv")))
    assert unknown.text == f"table busy: x.csv{more}"


def test_a_paused_table_says_until_when() -> None:
    found = why(situation(queue(1, reason="The log is full.", until=after(60))))
    at = clock_time(NOW + timedelta(seconds=60))
    assert found.text == f"dbo.orders is paused until {at}: The log is full"
    assert found.until == NOW + timedelta(seconds=60)


def test_a_database_that_is_away_is_tried_again_at_a_time() -> None:
    at = NOW + timedelta(seconds=90)
    kept = beat(database_problem="gone", database_next_try=at.isoformat())
    text = f"database away, next try {clock_time(at)}"
    assert why(situation(kept)) == Reason(WaitsFor.DATABASE, text, at)
    # The gate goes on meanwhile.
    gate = replace(kept, at_gate=at_gate(whole_at=after(25)).at_gate)
    assert why(situation(gate)).waits_for is WaitsFor.GATE
    assert why(situation(database_problem="gone")).text == "database away: gone"


def test_a_file_that_nobody_has_seen_is_new() -> None:
    assert explain_wait(situation(), PATH, None).waits_for is WaitsFor.SCAN


@pytest.mark.parametrize(
    ("age", "values", "text"),
    [
        (40, {}, "check 2 of 6, 50 s left"),
        (100, {}, "complete, its turn comes after the files before it"),
        (100, {"load_id": 3, "reason": "deadlock"}, "deadlock"),
    ],
)
def test_where_the_heartbeat_names_too_many_the_journal_tells(
    age: int, values: dict[str, Any], text: str
) -> None:
    now = NOW
    tracked = row(changed_at=now - timedelta(seconds=age), **values)
    assert why(situation(journal_now=now), tracked).text == text


# --- the daemon ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "gone", "problem"),
    [
        (1, False, ""),
        (1, True, "the daemon was killed: start it with `dropload run`"),
        (100, False, ""),
        (400, True, "the daemon was killed: start it with `dropload run`"),
        (400, False, "the daemon hangs or was killed: see `dropload health`"),
    ],
)
def test_a_daemon_is_believed_while_it_lives_and_looks(age: int, gone: bool, problem: str) -> None:
    at = datetime.now(UTC) - timedelta(seconds=age)
    # No process was started in the very moment in which the machine was.
    process = f"{worker_name().rpartition('#')[0]}#1" if gone else worker_name()
    kept = beat(scanned_at=at.isoformat(), process=process)
    assert find_daemon_problem(Config(), kept) == problem


def test_without_a_heartbeat_there_is_no_daemon() -> None:
    assert "dropload run" in find_daemon_problem(Config(), None)


# --- words ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")],
)
def test_time_is_told_as_people_say_it(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_another_day_is_named() -> None:
    assert len(clock_time(datetime.now(UTC))) == len("14:02:31 UTC")
    assert clock_time(datetime(2020, 5, 1, 12, tzinfo=UTC)) == "2020-05-01 12:00:00 UTC"


# --- how far a load is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "share", "left"),
    [
        # By bytes while the rows are not known, by rows after that.
        ({"state": State.CLAIMED, "step": "profiling", "bytes_read": 250}, 0.25, 30),
        ({"step": "staging", "bytes_read": 900, "rows_read": 210, "rows_rejected": 10}, 0.5, 10),
        ({"step": "staging", "bytes_read": 500, "rows_read": 0}, 0.5, 10),
    ],
)
def test_share_and_time_left_of_the_step_come_from_the_journal(
    values: dict[str, Any], share: float, left: float
) -> None:
    now = NOW
    told = {"rows_done": 100, "rows_per_second": 10.0, "progress_at": now}
    found = judge_progress(load(**told, **values), now)
    assert (found.share, found.seconds_left) == (share, left)
    later = judge_progress(load(**told, **values), now + timedelta(seconds=4))
    assert (later.silent_seconds, later.seconds_left) == (4, left - 4)
    late = judge_progress(load(**told, **values), now + timedelta(seconds=left))
    assert late.seconds_left is None, "nobody knows, and it is not nothing"


def test_a_load_that_told_nothing_yet_claims_nothing() -> None:
    now = NOW
    begun = judge_progress(load(state=State.CLAIMED), now)
    assert (begun.step, begun.share, begun.seconds_left) == ("claimed", None, None)
    told = {"step": "staging", "rows_done": 5, "progress_at": now}
    publishing = judge_progress(load(state=State.PUBLISHING, rows_read=5, **told), now)
    assert (publishing.step, publishing.rows_total, publishing.share) == ("publishing", 5, None)
    empty = judge_progress(load(file_size=0, **told), now)
    assert (empty.share, empty.seconds_left) == (None, None)
