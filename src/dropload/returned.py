"""What comes back from workers: what became of each drop that one of them was given."""

from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dropload.logs import get_logger
from dropload.model import Drop, Outcome, WorkerResult


class Order(NamedTuple):
    """What one worker was given."""

    table: str
    drops: tuple[Drop, ...]
    """In the order in which it loads them."""
    future: "Future[list[WorkerResult]]"
    started_at: float
    """By the daemon's clock."""
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """A drop that came back from its worker."""

    drop: Drop
    table: str
    outcome: Outcome | None
    started_at: float
    """By the daemon's clock."""
    crash: str = ""
    """How the worker ended when there is no outcome; empty when it was cut off by us."""
    timed_out: bool = False
    """It was ended because its load took longer than a load may."""
    trace_id: str = ""
    """By which its log lines are found from its trace; empty where there is none."""
    ended_at: float | None = None
    """By the daemon's clock; None where that is just now."""


class Returned(NamedTuple):
    """What came back of one order."""

    finished: Sequence[Finished]
    left: Sequence[Drop] = ()
    """Drops to be queued again before those behind them, in their order."""
    suspects: Sequence[Path] = ()
    """Files that the worker may have died of: each is to be tried on its own."""
    broke_off: bool = False
    """The worker did not come back: it died, or was cut off."""


def read_returned(order: Order, limit_seconds: float) -> Returned:
    """Return what came back of an order that is done; a load may take `limit_seconds`."""
    future = order.future
    error = None if future.cancelled() else future.exception()
    if future.cancelled() or error is not None:
        return _break_off(order, error, limit_seconds)
    finished = [
        Finished(
            drop,
            order.table,
            one.outcome,
            started_at=order.started_at + one.began_after,
            crash=one.crash,
            trace_id=trace_id,
            ended_at=order.started_at + one.ended_after,
        )
        for drop, one, trace_id in zip(order.drops, future.result(), order.trace_ids, strict=False)
    ]
    return Returned(finished, left=order.drops[len(finished) :])


def _break_off(order: Order, error: BaseException | None, limit_seconds: float) -> Returned:
    """Return the drop that a worker did not come back from; of several, none is to blame yet.

    They are queued again, each on its own: what was loaded is not there any more, and what the
    worker died of it dies of again.
    """
    crash, timed_out = _explain_end(error, limit_seconds)
    paths = [drop.path for drop in order.drops]
    if len(paths) > 1:
        log = get_logger().warning if crash else get_logger().debug
        log("files_tried_singly", table=order.table, files=len(paths), reason=crash)
        return Returned([], left=order.drops, suspects=paths, broke_off=True)
    [drop], [trace_id] = order.drops, order.trace_ids
    finished = Finished(
        drop,
        order.table,
        None,
        started_at=order.started_at,
        crash=crash,
        timed_out=timed_out,
        trace_id=trace_id,
    )
    return Returned([finished], suspects=paths if crash else (), broke_off=True)


def _explain_end(error: BaseException | None, limit_seconds: float) -> tuple[str, bool]:
    """Return how a worker ended, empty when it was cut off by us, and whether time was up."""
    if error is None or isinstance(error, (BrokenProcessPool, CancelledError)):
        return "", False
    if isinstance(error, TimeoutError):
        return f"it took longer than {limit_seconds:,.0f} s", True
    return f"{type(error).__name__}: {error}", False
