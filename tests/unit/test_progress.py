"""How far a load is: what the meter makes of it, and what its lease writes down."""

import io
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dropload import late_threads
from dropload.errors import FileError, TransientError
from dropload.identity import worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.leases import kept_lease
from dropload.model import Load, LoadRecord, Progress, State, Step
from dropload.pipeline import process_drop
from dropload.progress import ProgressMeter, StepTimes
from tests.conftest import Yard, open_yard
from tests.unit.test_daemon import Clock

ORDERS = "id,name\n1,Ada\n2,Bob\n"
PATIENCE_SECONDS = 60.0


@pytest.fixture
def meter() -> tuple[ProgressMeter, Clock]:
    clock = Clock()
    return ProgressMeter(clock), clock


def test_only_what_is_new_is_taken(meter: tuple[ProgressMeter, Clock]) -> None:
    kept, _ = meter
    assert not kept.has_news()
    assert kept.take() is None
    kept.note(Step.PROFILING, 10, 100)
    kept.note(Step.PROFILING, 20, 200)
    assert kept.has_news()
    assert kept.take() == Progress(Step.PROFILING, 20, 200, None)
    assert not kept.has_news()
    assert kept.take() is None


def test_why_a_step_waits_is_told_until_it_goes_on(meter: tuple[ProgressMeter, Clock]) -> None:
    kept, _ = meter
    kept.note_trouble("too early to tell of")
    assert not kept.has_news()
    kept.note(Step.PUBLISHING, 10, 100)
    kept.take()
    kept.note_trouble("table busy")
    assert kept.has_news()
    told = kept.take()
    assert told is not None
    assert (told.step, told.trouble) == (Step.PUBLISHING, "table busy")
    kept.note_trouble(None)
    told = kept.take()
    assert told is not None
    assert told.trouble is None


def test_the_rate_is_that_of_the_last_seconds(meter: tuple[ProgressMeter, Clock]) -> None:
    kept, clock = meter
    kept.note(Step.STAGING, 0, 0)
    rates = []
    # A load that resumes: a million rows at once, then a hundred a second.
    for second in range(1, 31):
        clock.now += 1
        kept.note(Step.STAGING, 1_000_000 + 100 * second, second)
        taken = kept.take()
        assert taken is not None
        rates.append(taken.rows_per_second)
    assert rates[0] == 1_000_100
    assert rates[-1] == 100


def test_a_slow_step_has_a_rate(meter: tuple[ProgressMeter, Clock]) -> None:
    kept, clock = meter
    kept.note(Step.STAGING, 0, 0)
    for _ in range(3):
        clock.now += 60
        taken_rows = int(clock.now)
        kept.note(Step.STAGING, taken_rows, 1)
        taken = kept.take()
    assert taken is not None
    assert taken.rows_per_second == 1


def test_each_step_begins_anew(meter: tuple[ProgressMeter, Clock]) -> None:
    kept, clock = meter
    kept.note(Step.PROFILING, 0, 0)
    clock.now += 1
    kept.note(Step.PROFILING, 5_000, 9)
    kept.take()
    for last in (30, 32):  # the second time from the beginning, too: another reader took over
        kept.note(Step.CHECKING, 10, 1)
        clock.now += 2
        kept.note(Step.CHECKING, last, 3)
        assert kept.take() == Progress(Step.CHECKING, last, 3, (last - 10) / 2)


# --- the lease -----------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dropload.leases.BEAT_SECONDS", 0.01)


def claim(yard: Yard) -> Load:
    path = yard.put("orders.csv", ORDERS)
    named = name_drop(
        drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="x"),
        yard.dock.target,
    )
    with yard.dock.target.write() as conn:
        load = yard.dock.journal.claims.claim(conn, named.drop, named.table, worker_name())
    assert isinstance(load, Load)
    return load


def row_of(yard: Yard, load: Load) -> LoadRecord:
    with yard.dock.target.read() as conn:
        return yard.dock.journal.history.existing(conn, load.load_id)


def wait_for(done: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def keep(yard: Yard, load: Load, meter: ProgressMeter, seconds: float = 120) -> Any:
    return kept_lease(yard.dock.target, yard.dock.journal, load, seconds, meter)


@pytest.mark.usefixtures("quick")
def test_the_lease_writes_what_the_meter_has(yard: Yard) -> None:
    load, meter = claim(yard), ProgressMeter()
    with keep(yard, load, meter):
        meter.note(Step.PROFILING, 1234, 5678)
        wait_for(lambda: row_of(yard, load).rows_done == 1234)
    row = row_of(yard, load)
    assert (row.step, row.bytes_read, row.state) == ("profiling", 5678, State.CLAIMED)
    assert row.progress_at is not None


def test_a_load_that_is_over_soon_starts_no_thread_for_its_lease(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.leases.BEAT_SECONDS", 3600.0)
    load = claim(yard)
    with keep(yard, load, ProgressMeter()):
        names = {thread.name for thread in threading.enumerate()}
    assert f"lease-{load.load_id}" not in names
    assert "late-starter" in names, "and one looks whether it takes long"


@pytest.mark.usefixtures("quick")
def test_a_thread_that_cannot_be_started_now_is_started_later(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, meter, refused = claim(yard), ProgressMeter(), list[str]()
    start = threading.Thread.start

    def refuse_once(thread: threading.Thread) -> None:
        if thread.name.startswith("lease-") and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    with keep(yard, load, meter):
        meter.note(Step.PROFILING, 1234, 5678)
        wait_for(lambda: row_of(yard, load).rows_done == 1234)
    assert refused == [f"lease-{load.load_id}"]


def test_what_is_to_be_done_meanwhile_is_left_out_where_there_is_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done: list[int] = []
    monkeypatch.setattr(late_threads, "LATE", late_threads.LateStarter())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with late_threads.done_meanwhile(lambda: done.append(1), 0.01):
        done.append(2)
    assert done == [2]


def test_what_was_noted_before_the_end_does_not_replace_why_it_ended(yard: Yard) -> None:
    load = claim(yard)
    journal = yard.dock.journal
    with yard.dock.target.write() as conn:
        journal.claims.renew(conn, load, Progress(Step.PUBLISHING, 1, 1, None, "table busy"))
    assert row_of(yard, load).error_message == "table busy"
    with yard.dock.target.write() as conn:
        journal.loads.close(
            conn, load, State.FAILED, error=FileError("It is torn."), filed_path=None
        )
    for trouble in ("table busy", None):
        with yard.dock.target.write() as conn:
            journal.claims.renew(conn, load, Progress(Step.PUBLISHING, 1, 1, None, trouble))
        assert row_of(yard, load).error_message == "It is torn."


@pytest.mark.usefixtures("quick")
def test_where_nothing_goes_on_only_the_lease_is_renewed(yard: Yard) -> None:
    load = claim(yard)
    before = row_of(yard, load).lease_until
    assert before is not None
    with keep(yard, load, ProgressMeter(), seconds=0.03):
        wait_for(lambda: row_of(yard, load).lease_until != before)
    assert row_of(yard, load).progress_at is None


@pytest.mark.usefixtures("quick")
def test_a_busy_database_costs_progress_and_no_load(yard: Yard, logs: io.StringIO) -> None:
    load, meter = claim(yard), ProgressMeter()
    with keep(yard, load, meter) as lease:
        with yard.dock.target.write():
            meter.note(Step.STAGING, 1, 1)
            # It gives up while the writer is still at work, instead of waiting behind it.
            wait_for(lambda: "lease_not_renewed" in logs.getvalue())
        meter.note(Step.STAGING, 2, 2)
        wait_for(lambda: row_of(yard, load).rows_done == 2)
        lease.check()


def test_a_write_that_may_be_left_out_leaves_the_others_their_patience(yard: Yard) -> None:
    target = yard.dock.target
    with target.write_soon() as conn:
        assert conn.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 5000
    gone_on = threading.Event()

    def write() -> None:
        with target.write():
            gone_on.set()

    other = threading.Thread(target=write)
    with target.write_soon():
        other.start()
        with pytest.raises(TransientError, match="locked"), target.write_soon():
            pass
    other.join()
    assert gone_on.is_set()


def test_a_small_file_costs_no_transaction_more(yard: Yard, begun: list[str]) -> None:
    """Claim, stage and publish, file away: progress is in none of its own."""
    yard.drop("orders.csv", ORDERS)
    assert len(begun) == 3


def write_large(yard: Yard) -> Path:
    return yard.put("orders.csv", "id,name\n" + "1,some text to read\n" * 500_000)


@pytest.mark.usefixtures("quick")
def test_staging_tells_how_far_it_is_beside_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.staging_ahead.AHEAD_BYTES", 1 << 40)
    yard = open_yard(tmp_path)
    yard.dock.target.settle_seconds = 0.0
    yard.dock.target.commit_bytes = 1 << 20  # type: ignore[misc]
    path = write_large(yard)
    seen: list[tuple[str | None, int | None, int | None]] = []

    def look(step: str, _rows: int) -> None:
        if step == "staging":
            seen.extend(yard.query('SELECT step, rows_done, rows_staged FROM "ref.Load_History"'))

    drop = drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="x")
    process_drop(yard.dock, drop, worker_name(), look)
    staged = [row for row in seen if row[0] == "staging"]
    assert staged, seen
    assert [row[1] for row in staged] == sorted(row[1] or 0 for row in staged)
    assert (staged[-1][2] or 0) > 0
    yard.dock.target.close()


def test_the_time_of_a_step_within_a_step_is_its_own_and_the_order_is_that_of_the_steps() -> None:
    clock = Clock()
    times = StepTimes(clock)
    with times.measure("journal"):
        clock.now += 1
    with pytest.raises(ZeroDivisionError), times.measure("filing"):
        clock.now += 2
        with times.measure("journal"):
            clock.now += 4
        clock.now += 8
        with times.measure("journal"):
            raise ZeroDivisionError
    assert times.seconds == {"filing": 10, "journal": 5}
    assert list(times.seconds) == ["filing", "journal"]
    began = times.spans[0].began_ns
    told = [
        ((s.began_ns - began) // 10**9, (s.ended_ns - began) // 10**9, s.within, s.broke_off)
        for s in times.spans
    ]
    assert [s.step for s in times.spans] == ["journal", "filing", "journal", "journal"]
    assert told == [
        (0, 1, None, False),
        (1, 15, None, True),
        (3, 7, 1, False),
        (15, 15, 1, True),
    ]
