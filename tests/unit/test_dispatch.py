"""The dispatcher over a pool of which the test says what comes back."""

import io
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from dropload.dispatch import Dispatcher
from dropload.late_filing import file_late
from dropload.recovery import Recovered
from dropload.worker_calls import file_late_here
from tests.conftest import Yard, make_config


class Pool:
    """Takes tasks and does nothing with them."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Any, dict[str, Any], Future[Any]]] = []

    def close(self) -> None:
        """Do nothing: nothing runs."""

    def schedule(self, task: Any, **arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self.tasks.append((task, arguments, future))
        return future


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    monkeypatch.setattr(Dispatcher, "_make_pool", lambda *_: made)
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
