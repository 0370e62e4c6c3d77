"""The dispatcher over a pool of which the test says what comes back."""

import errno
import io
import json
import threading
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from pebble import ProcessExpired

from dropload import filing_worker, worker_pool
from dropload.dispatch import LARGEST_TOGETHER_BYTES, MOST_TOGETHER, Dispatcher
from dropload.late_filing import file_late
from dropload.model import Area, Drop, FileVersion, LoadType, Outcome, Verdict, WorkerResult
from dropload.recovery import Recovered
from dropload.worker_calls import file_late_here
from tests.conftest import Yard, make_config


class Pool:
    """Takes tasks and does nothing with them."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Any, dict[str, Any], Future[Any]]] = []

    def close(self) -> None:
        """Do nothing: nothing runs."""

    stop = join = close

    def schedule(self, task: Any, **arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self.tasks.append((task, arguments, future))
        return future


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    for module in (worker_pool, filing_worker):
        monkeypatch.setattr(module, "open_pool", lambda *_: made)
    return made


def test_files_are_moved_late_by_one_worker_at_a_time(tmp_path: Path, pool: Pool) -> None:
    woken: list[int] = []
    dispatcher = Dispatcher(make_config(tmp_path), lambda: woken.append(1))
    dispatcher.start_filing()
    dispatcher.start_filing()
    [(task, arguments, future)] = pool.tasks
    assert task is file_late_here
    assert arguments["kwargs"] == {"in_short": False}
    assert not dispatcher.is_at_rest
    assert dispatcher.collect_filing() is None
    future.set_result(Recovered(moved=3))
    assert woken == [1]
    assert dispatcher.collect_filing() == Recovered(moved=3)
    assert dispatcher.collect_filing() is None
    assert dispatcher.is_at_rest


def test_when_moving_late_has_died_it_is_done_without_reading_files_again(
    tmp_path: Path, pool: Pool, logs: io.StringIO
) -> None:
    dispatcher = Dispatcher(make_config(tmp_path), lambda: None)
    dispatcher.start_filing()
    pool.tasks[-1][2].set_exception(MemoryError("no room"))
    assert dispatcher.collect_filing() is None
    assert "MemoryError: no room" in logs.getvalue()
    dispatcher.start_filing()
    assert pool.tasks[-1][1]["kwargs"] == {"in_short": True}
    pool.tasks[-1][2].set_result(Recovered())
    dispatcher.collect_filing()
    dispatcher.start_filing()
    assert pool.tasks[-1][1]["kwargs"] == {"in_short": False}


@pytest.mark.parametrize("in_short", [True, False])
def test_in_short_the_answer_says_why_and_names_no_rows(yard: Yard, *, in_short: bool) -> None:
    path = yard.put("orders.csv", "id,name\n1\n")
    outcome = yard.load(path)
    assert outcome.filed_path is not None
    outcome.filed_path.rename(path)
    for left in path.parent.joinpath("error").iterdir():
        left.unlink()
    yard.execute('UPDATE "ref.Load_History" SET filed_at=NULL, worker=NULL')
    assert file_late(yard.dock, in_short=in_short) == Recovered(moved=1)
    [report] = path.parent.joinpath("error").glob("*.report.txt")
    assert "was not loaded" in report.read_text()
    assert ("line 2" in report.read_text()) is not in_short


# --- workers that cannot be started


class BrokenPool(Pool):
    """Takes no task, as a pool whose processes cannot live."""

    def __init__(self, error: RuntimeError | OSError) -> None:
        super().__init__()
        self.error = error

    def schedule(self, *_: Any, **__: Any) -> "Future[Any]":
        raise self.error


def refused_by_system() -> BrokenProcessPool:
    error = BrokenProcessPool()
    error.__cause__ = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    return error


@pytest.mark.parametrize(
    ("error", "why", "cure"),
    [
        (
            RuntimeError("Unexpected error within the Pool"),
            "worker processes end as soon as they start.",
            "Look for their error in the lines of the log before this one.",
        ),
        (
            refused_by_system(),
            "the system starts no worker process (Resource temporarily unavailable).",
            "Raise the limits of processes, memory and open files",
        ),
        (
            OSError(errno.EMFILE, "Too many open files"),
            "the system starts no worker process (Too many open files).",
            "Raise the limits of processes, memory and open files",
        ),
    ],
)
def test_workers_that_cannot_be_started_are_told_with_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logs: io.StringIO,
    error: RuntimeError | OSError,
    why: str,
    cure: str,
) -> None:
    now, made = [10.0], Pool()
    opened: list[Pool] = [BrokenPool(error) for _ in range(5)]
    monkeypatch.setattr(worker_pool, "open_pool", lambda *_: opened.pop(0) if opened else made)
    config = make_config(tmp_path, retry={"pause_seconds": 300})
    dispatcher = Dispatcher(config, lambda: None, clock=lambda: now[0])
    drop = drop_of(tmp_path, 1)
    dispatcher.add(drop, "dbo.t")
    while not dispatcher.problem:
        assert not dispatcher.start_loads()
    assert dispatcher.problem.startswith(f"No file is loaded: {why} {cure}")
    assert dispatcher.problem.endswith("it is tried again every 300 s.")
    [said] = [json.loads(line) for line in logs.getvalue().splitlines()]
    assert (said["event"], said["reason"]) == ("workers_not_started", dispatcher.problem)
    opened.clear()
    assert (dispatcher.start_loads(), dispatcher.queued) == (False, 1), "it rests"
    now[0] += 300
    while not dispatcher.start_loads():
        now[0] += 300
    assert (given(made), dispatcher.problem) == ([drop], "")


def test_where_the_system_allows_no_thread_the_pool_is_ended_at_a_later_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    joined = threading.Event()

    class Joined(BrokenPool):
        def join(self) -> None:
            joined.set()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def open_pool(*_: object) -> Pool:
        return Joined(OSError(errno.EMFILE, "Too many open files"))

    monkeypatch.setattr(worker_pool, "open_pool", open_pool)
    monkeypatch.setattr(filing_worker, "open_pool", open_pool)
    dispatcher = Dispatcher(make_config(tmp_path), lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        dispatcher.start_filing()
        assert "filing_broke_off" in logs.getvalue()
        assert dispatcher.collect_filing() is None
        assert dispatcher.collect() == []
    assert not joined.is_set()
    assert dispatcher.collect() == []
    assert joined.wait(60)


# --- several small files together


def drop_of(tmp_path: Path, number: int, size: int = 100) -> Drop:
    path = tmp_path / f"t_{number}.csv"
    return Drop(path, Area.NON_REFERENCE, LoadType.APPEND, FileVersion(size, 1, number))


def results(*verdicts: Verdict) -> list[WorkerResult]:
    return [WorkerResult(Outcome(verdict, Path("x"))) for verdict in verdicts]


def given(pool: Pool) -> list[Drop]:
    """Return the drops of the last task."""
    return list(pool.tasks[-1][1]["args"][0])


@pytest.fixture
def dispatcher(tmp_path: Path, pool: Pool) -> Dispatcher:
    assert pool.tasks == []
    return Dispatcher(make_config(tmp_path), lambda: None, clock=lambda: 10.0)


def test_a_worker_gets_small_files_of_one_table_together_in_their_order(
    tmp_path: Path, pool: Pool, dispatcher: Dispatcher
) -> None:
    drops = [drop_of(tmp_path, number) for number in range(MOST_TOGETHER + 3)]
    for drop in drops:
        assert dispatcher.add(drop, "dbo.t")
    assert dispatcher.add(drop_of(tmp_path, 100), "dbo.other")
    assert dispatcher.start_loads()
    assert [list(task[1]["args"][0]) for task in pool.tasks] == [
        drops[:MOST_TOGETHER],
        [drop_of(tmp_path, 100)],
    ]
    assert dispatcher.running == ["t_0.csv", "t_100.csv"]
    assert dispatcher.queued == MOST_TOGETHER - 1 + 3
    table, _ = sorted(dispatcher.queues(4), key=lambda queue: -queue.count)
    assert (table.count, table.running) == (dispatcher.queued, str(drops[0].path))
    assert table.files == [str(drop.path) for drop in drops[1:5]]
    pool.tasks[0][2].set_result(results(*[Verdict.LOADED] * MOST_TOGETHER))
    assert [finished.drop for finished in dispatcher.collect()] == drops[:MOST_TOGETHER]
    dispatcher.start_loads()
    assert given(pool) == drops[MOST_TOGETHER:]


def test_a_large_file_is_given_alone(tmp_path: Path, pool: Pool, dispatcher: Dispatcher) -> None:
    small, large = drop_of(tmp_path, 1), drop_of(tmp_path, 2, LARGEST_TOGETHER_BYTES + 1)
    for drop in (small, large, drop_of(tmp_path, 3)):
        dispatcher.add(drop, "dbo.t")
    for expected in ([small], [large], [drop_of(tmp_path, 3)]):
        dispatcher.start_loads()
        assert given(pool) == expected
        pool.tasks[-1][2].set_result(results(Verdict.LOADED))
        dispatcher.collect()


def test_what_a_worker_did_not_come_to_is_the_next_of_its_table(
    tmp_path: Path, pool: Pool, dispatcher: Dispatcher
) -> None:
    drops = [drop_of(tmp_path, number) for number in range(5)]
    for drop in drops[:4]:
        dispatcher.add(drop, "dbo.t")
    dispatcher.start_loads()
    dispatcher.add(drops[4], "dbo.t")
    pool.tasks[-1][2].set_result(
        [
            WorkerResult(Outcome(Verdict.LOADED, drops[0].path), 0.5, 1.5),
            WorkerResult(None, 1.5, 2.5, "ZeroDivisionError: a bug"),
        ]
    )
    loaded, broken = dispatcher.collect()
    assert (loaded.drop, loaded.started_at, loaded.ended_at) == (drops[0], 10.5, 11.5)
    assert (broken.drop, broken.crash, broken.ended_at) == (
        drops[1],
        "ZeroDivisionError: a bug",
        12.5,
    )
    # The daemon gives the one that must be repeated back, before those behind it.
    assert dispatcher.add(drops[1], "dbo.t", first=True)
    assert not dispatcher.add(drops[2], "dbo.t"), "it is known already"
    dispatcher.start_loads()
    assert given(pool) == drops[1:]


def test_of_files_that_a_worker_died_with_none_is_blamed_until_it_is_tried_alone(
    tmp_path: Path, pool: Pool, dispatcher: Dispatcher, logs: io.StringIO
) -> None:
    drops = [drop_of(tmp_path, number) for number in range(3)]
    for drop in drops:
        dispatcher.add(drop, "dbo.t")
    dispatcher.start_loads()
    pool.tasks[-1][2].set_exception(ProcessExpired("Abnormal termination", code=-9))
    assert dispatcher.collect() == []
    assert "files_tried_singly" in logs.getvalue()
    assert (dispatcher.take_broke_off(), dispatcher.take_broke_off()) == (True, False)
    dispatcher.start_loads()
    assert given(pool) == [drops[0]]
    pool.tasks[-1][2].set_result(results(Verdict.LOADED))
    dispatcher.collect()
    # The one that it died of is known by dying again, and stays alone.
    for _ in range(2):
        dispatcher.start_loads()
        assert given(pool) == [drops[1]]
        pool.tasks[-1][2].set_exception(ProcessExpired("Abnormal termination", code=-9))
        [finished] = dispatcher.collect()
        assert finished.drop == drops[1]
        assert "Abnormal termination" in finished.crash
        dispatcher.add(drops[1], "dbo.t", first=True)
    assert not dispatcher.take_broke_off()


def test_files_whose_worker_was_replaced_are_queued_again_in_their_order(
    tmp_path: Path, pool: Pool, dispatcher: Dispatcher
) -> None:
    drops = [drop_of(tmp_path, number) for number in range(3)]
    for drop in drops:
        dispatcher.add(drop, "dbo.t")
    dispatcher.start_loads()
    pool.tasks[-1][2].set_exception(BrokenProcessPool("All workers expired"))
    assert dispatcher.collect() == []
    for drop in drops:
        dispatcher.start_loads()
        assert given(pool) == [drop]
        pool.tasks[-1][2].set_result(results(Verdict.LOADED))
        dispatcher.collect()
