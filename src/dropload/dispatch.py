"""Hand drops to worker processes: several at once, those of one table one after the other."""

import multiprocessing
import os
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pebble import ProcessPool

from dropload.config import Config
from dropload.durable import path_text
from dropload.heartbeat import TableQueue
from dropload.logs import get_logger
from dropload.model import Drop, Outcome
from dropload.recovery import Recovered
from dropload.worker_calls import file_late_here, start_worker, work

_T = TypeVar("_T")
_MAX_REPLACEMENTS = 3
"""Pools that may break in a row before the workers are left alone for a while."""


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


@dataclass(slots=True)
class _Queue:
    drops: deque[Drop]
    not_before: float = 0.0
    reason: str = ""
    """Why the table's queue pauses; empty when it does not."""
    for_owner: bool = False
    """It pauses until the database owner has mended something, not for a moment."""


class _Running(NamedTuple):
    drop: Drop
    future: "Future[Outcome]"
    started_at: float
    trace_id: str


class Dispatcher:
    """Owns the pool and the queues; used from the daemon's thread only."""

    def __init__(
        self,
        config: Config,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._wake = wake
        self._clock = clock
        self._queues: OrderedDict[str, _Queue] = OrderedDict()
        self._running: dict[str, _Running] = {}
        self._known: set[Path] = set()
        self._rest_until = 0.0
        self._replacements = 0
        """Pools made anew since a load last came back."""
        self.problem = ""
        """Why no worker can be started; empty when they can."""
        self._filing: Future[Recovered] | None = None
        self._filing_pool: ProcessPool | None = None
        self._filing_in_short = False
        """The last try to move files late died, perhaps of reading one of them again."""
        self._pool = self._make_pool()
        self._retired: list[ProcessPool] = []
        """Pools that only finish what runs in them."""

    def configure(self, config: Config) -> None:
        """Start loads under another configuration from now on; those under way go on in theirs."""
        self._config = config
        self._pool.close()
        self._retired.append(self._pool)
        self._pool = self._make_pool()

    # --- queueing

    def add(self, drop: Drop, table: str, *, first: bool = False) -> bool:
        """Queue a drop behind (or before) those of its table.

        Returns False, and does nothing, while another drop of the same path is queued or runs.
        """
        if drop.path in self._known:
            return False
        self._known.add(drop.path)
        queue = self._queues.setdefault(table, _Queue(deque()))
        if first:
            queue.drops.appendleft(drop)
        else:
            queue.drops.append(drop)
        return True

    def pause(self, table: str, seconds: float, reason: str, *, for_owner: bool = False) -> None:
        """Start nothing of one table for a while; the others go on."""
        queue = self._queues.setdefault(table, _Queue(deque()))
        queue.not_before, queue.reason = self._clock() + seconds, reason
        queue.for_owner = for_owner

    def start_loads(self) -> bool:
        """Give every idle worker the next drop of a table that is neither busy nor paused.

        Returns whether there was one.
        """
        before = len(self._running)
        self._start_loads()
        return len(self._running) > before

    def _start_loads(self) -> None:
        now = self._clock()
        if now < self._rest_until:
            return
        for table in list(self._queues):
            if len(self._running) >= self._config.workers.count:
                return
            queue = self._queues[table]
            if table in self._running or now < queue.not_before:
                continue
            queue.reason = ""
            if queue.drops:
                self._start(table, queue.drops.popleft())
            if self.problem:
                return
            if not queue.drops:
                del self._queues[table]
            else:
                # To the end of the line: a long queue of one table starves no other.
                self._queues.move_to_end(table)

    def _start(self, table: str, drop: Drop) -> None:
        # Chosen here: its log lines are written before its trace is.
        trace_id = secrets.token_hex(16) if self._config.tracing.enabled else ""
        try:
            future = self._schedule(work, args=[drop, trace_id])
        except RuntimeError as exc:
            self._queues[table].drops.appendleft(drop)
            self._rest(str(exc))
            return
        self.problem = ""
        self._running[table] = _Running(drop, future, self._clock(), trace_id)
        future.add_done_callback(lambda _: self._wake())

    def _schedule(self, task: Callable[..., _T], **arguments: Any) -> "Future[_T]":
        arguments["timeout"] = self._config.workers.load_timeout_seconds
        try:
            return self._pool.schedule(task, **arguments)
        except RuntimeError:
            # The pool breaks when an idle worker is killed: what it ran comes back as cut off.
            self._replacements += 1
            if self._replacements > _MAX_REPLACEMENTS:
                raise
            self._pool.stop()
            # Its workers end in join(), which waits for them: not in the daemon's thread.
            threading.Thread(target=self._pool.join, daemon=True).start()
            self._pool = self._make_pool()
            return self._pool.schedule(task, **arguments)

    def _rest(self, reason: str) -> None:
        """Leave the workers alone for a while: they cannot even start (limits, no memory)."""
        self.problem = f"worker processes cannot be started: {reason}"
        get_logger().error("workers_not_started", reason=reason)
        self._rest_until = self._clock() + self._config.retry.pause_seconds
        self._replacements = 0
        self._pool.stop()
        self._pool = self._make_pool()

    def _make_pool(self, workers: int | None = None) -> ProcessPool:
        # Arrow's allocator (mimalloc) reserves 1 GiB at its first breath, which counts against the
        # limit of a worker although nothing is in it; KiB.
        os.environ.setdefault("MIMALLOC_ARENA_RESERVE", "65536")
        return ProcessPool(
            max_workers=workers or self._config.workers.count,
            initializer=start_worker,
            initargs=[self._config],
            context=multiprocessing.get_context("spawn"),
        )

    # --- coming back

    def collect(self) -> list[Finished]:
        """Return the drops whose workers are done; their tables are free again."""
        if not self._running:
            self._join_retired()
        done = [table for table, running in self._running.items() if running.future.done()]
        return [self._finish(table) for table in done]

    def _join_retired(self) -> None:
        while self._retired:
            # Its workers end in join(), which waits for them: not in the daemon's thread.
            threading.Thread(target=self._retired.pop().join, daemon=True).start()

    def _finish(self, table: str) -> Finished:
        drop, future, started_at, trace_id = self._running.pop(table)
        self._known.discard(drop.path)
        ended = partial(Finished, drop, table, started_at=started_at, trace_id=trace_id)
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or isinstance(error, (BrokenProcessPool, CancelledError)):
            return ended(None)
        if error is None:
            self._replacements = 0
            return ended(future.result())
        if isinstance(error, TimeoutError):
            limit = self._config.workers.load_timeout_seconds
            said = f"it took longer than {limit:,.0f} s"
            return ended(None, crash=said, timed_out=True)
        return ended(None, crash=f"{type(error).__name__}: {error}")

    # --- moving files late

    def start_filing(self) -> None:
        """Have a worker move the files whose loads are over, unless one is at it."""
        if self._filing is not None:
            return
        # A worker of its own: a share that hangs keeps no load waiting.
        self._filing_pool = self._make_pool(1)
        self._filing = self._filing_pool.schedule(
            file_late_here,
            kwargs={"in_short": self._filing_in_short},
            timeout=self._config.workers.load_timeout_seconds,
        )
        self._filing.add_done_callback(lambda _: self._wake())

    def collect_filing(self) -> Recovered | None:
        """Return what was moved late, None when nothing was or it is under way."""
        future = self._filing
        if future is None or not future.done():
            return None
        self._filing = None
        self._leave_filing_pool()
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            self._filing_in_short = error is not None
            get_logger().warning("filing_broke_off", reason=f"{type(error).__name__}: {error}")
            return None
        self._filing_in_short = False
        return future.result()

    def _leave_filing_pool(self) -> None:
        if self._filing_pool is not None:
            self._filing_pool.close()
            self._retired.append(self._filing_pool)
        self._filing_pool = None

    # --- looking

    @property
    def queued(self) -> int:
        """Return the number of drops that wait for a worker."""
        return sum(len(queue.drops) for queue in self._queues.values())

    @property
    def running(self) -> list[str]:
        """Return the names of the files being loaded."""
        return [path_text(running.drop.path.name) for running in self._running.values()]

    @property
    def is_at_rest(self) -> bool:
        """Return whether nothing runs, and what is queued, if anything, waits for an owner."""
        queues = [queue for queue in self._queues.values() if queue.drops]
        return not self._is_working and all(queue.reason and queue.for_owner for queue in queues)

    @property
    def _is_working(self) -> bool:
        is_filing = self._filing is not None and not self._filing.done()
        return bool(self._running) or is_filing

    def queues(self, most: int) -> Iterator[TableQueue]:
        """Yield what waits for each table, and what runs; `most` drops are named in all."""
        now, wall = self._clock(), time.time()
        for table in {**self._queues, **self._running}:
            queue = self._queues.get(table, _Queue(deque()))
            running = self._running.get(table)
            files = [path_text(drop.path) for drop in islice(queue.drops, most)]
            most -= len(files)
            yield TableQueue(
                table=table,
                count=len(queue.drops),
                files=files,
                running=path_text(running.drop.path) if running else "",
                reason=queue.reason,
                until=wall + queue.not_before - now if queue.reason else 0.0,
            )

    def paused(self) -> Iterator[tuple[str, str]]:
        """Yield table and reason of every queue that pauses."""
        for table, queue in self._queues.items():
            if queue.reason:
                yield table, queue.reason

    # --- stopping

    def stop(self, timeout_seconds: float) -> list[Finished]:
        """Let running loads finish within the time, then cut off what is left.

        Returns the loads that finished.
        """
        deadline = self._clock() + timeout_seconds
        finished = self.collect()
        while self._is_working and self._clock() < deadline:
            time.sleep(0.05)
            finished += self.collect()
        self._leave_filing_pool()
        pools = [self._pool, *self._retired]
        for pool in pools:
            if self._is_working:
                pool.stop()
            else:
                pool.close()
        for pool in pools:
            pool.join()
        return finished
