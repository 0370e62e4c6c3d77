"""Hand drops to worker processes: several at once, those of one table one after the other."""

import multiprocessing
import os
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pebble import ProcessPool

from dropload.config import Config
from dropload.durable import path_text
from dropload.heartbeat import TableQueue
from dropload.logs import get_logger
from dropload.model import Drop, Ended, Outcome
from dropload.recovery import Recovered
from dropload.worker_calls import file_late_here, start_worker, work

_T = TypeVar("_T")
MOST_TOGETHER = 16
"""Small files of one table that a worker gets at a time: asking for each costs as much as loading
it."""
SMALL_BYTES = 64 * 1024
"""Up to this size a file is small: some hundredths of a second."""
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
    ended_at: float | None = None
    """By the daemon's clock; None where that is just now."""


@dataclass(slots=True)
class _Queue:
    drops: deque[Drop]
    not_before: float = 0.0
    reason: str = ""
    """Why the table's queue pauses; empty when it does not."""
    for_owner: bool = False
    """It pauses until the database owner has mended something, not for a moment."""


class _Running(NamedTuple):
    drops: tuple[Drop, ...]
    """What one worker has, in order."""
    future: "Future[list[Ended]]"
    started_at: float
    trace_ids: tuple[str, ...]


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
        self._alone: set[Path] = set()
        """Files that a worker died with: each is tried on its own, to find which it died of."""
        self._broke_off = False
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
                self._start(table, self._take_together(queue.drops))
            if self.problem:
                return
            if not queue.drops:
                del self._queues[table]
            else:
                # To the end of the line: a long queue of one table starves no other.
                self._queues.move_to_end(table)

    def _take_together(self, queued: deque[Drop]) -> tuple[Drop, ...]:
        """Take the next drop of a table, with the small ones behind it if it is small.

        All are of one table: one that takes long keeps nobody waiting who would not wait anyhow.
        """
        taken = [queued.popleft()]
        while queued and len(taken) < MOST_TOGETHER and self._may_share(taken[0], queued[0]):
            taken.append(queued.popleft())
        return tuple(taken)

    def _may_share(self, *drops: Drop) -> bool:
        return all(d.version.size_bytes <= SMALL_BYTES and d.path not in self._alone for d in drops)

    def _start(self, table: str, drops: tuple[Drop, ...]) -> None:
        # Chosen here: their log lines are written before their traces are.
        is_traced = self._config.tracing.enabled
        trace_ids = tuple(secrets.token_hex(16) if is_traced else "" for _ in drops)
        try:
            future = self._schedule(work, args=[drops, trace_ids])
        except RuntimeError as exc:
            self._put_back(table, drops)
            self._rest(str(exc))
            return
        self.problem = ""
        self._running[table] = _Running(drops, future, self._clock(), trace_ids)
        future.add_done_callback(lambda _: self._wake())

    def _put_back(self, table: str, drops: Sequence[Drop]) -> None:
        """Queue drops before those of their table, in their order."""
        if drops:
            self._queues.setdefault(table, _Queue(deque())).drops.extendleft(reversed(drops))

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
        return [finished for table in done for finished in self._finish(table)]

    def take_broke_off(self) -> bool:
        """Return whether a worker died with several files since this was asked last.

        Some may be loaded and moved, and the journal not know of the move.
        """
        broke_off, self._broke_off = self._broke_off, False
        return broke_off

    def _join_retired(self) -> None:
        while self._retired:
            # Its workers end in join(), which waits for them: not in the daemon's thread.
            threading.Thread(target=self._retired.pop().join, daemon=True).start()

    def _finish(self, table: str) -> list[Finished]:
        """Return what became of what a worker had; what it did not come to is queued again."""
        running = self._running.pop(table)
        drops, future, _, _ = running
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            return self._break_off(table, running, error)
        self._replacements = 0
        found = [
            Finished(
                drop,
                table,
                one.outcome,
                started_at=running.started_at + one.began_after,
                crash=one.crash,
                trace_id=trace_id,
                ended_at=running.started_at + one.ended_after,
            )
            for drop, one, trace_id in zip(drops, future.result(), running.trace_ids, strict=False)
        ]
        for finished in found:
            self._known.discard(finished.drop.path)
            if not finished.crash:
                self._alone.discard(finished.drop.path)
        self._put_back(table, drops[len(found) :])
        return found

    def _break_off(
        self, table: str, running: _Running, error: BaseException | None
    ) -> list[Finished]:
        """Return the drop that a worker did not come back from; of several, none is to blame yet.

        They are queued again, each on its own: what was loaded is not there any more, and what the
        worker died of it dies of again.
        """
        crash, timed_out = self._explain_end(error)
        if len(running.drops) > 1:
            self._broke_off = True
            self._alone.update(drop.path for drop in running.drops)
            self._put_back(table, running.drops)
            log = get_logger().warning if crash else get_logger().debug
            log("files_tried_singly", table=table, files=len(running.drops), reason=crash)
            return []
        [drop], [trace_id] = running.drops, running.trace_ids
        self._known.discard(drop.path)
        (self._alone.add if crash else self._alone.discard)(drop.path)
        return [
            Finished(
                drop,
                table,
                None,
                started_at=running.started_at,
                crash=crash,
                timed_out=timed_out,
                trace_id=trace_id,
            )
        ]

    def _explain_end(self, error: BaseException | None) -> tuple[str, bool]:
        """Return how a worker ended, empty when it was cut off by us, and whether time was up."""
        if error is None or isinstance(error, (BrokenProcessPool, CancelledError)):
            return "", False
        if isinstance(error, TimeoutError):
            limit = self._config.workers.load_timeout_seconds
            return f"it took longer than {limit:,.0f} s", True
        return f"{type(error).__name__}: {error}", False

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
        """Return the number of drops that wait for a worker, or for those before them there."""
        waiting = sum(len(queue.drops) for queue in self._queues.values())
        return waiting + sum(len(running.drops) - 1 for running in self._running.values())

    @property
    def is_full(self) -> bool:
        """Return whether drops wait, and no worker is free to take one."""
        has_waiting = any(queue.drops for queue in self._queues.values())
        return has_waiting and len(self._running) >= self._config.workers.count

    @property
    def running(self) -> list[str]:
        """Return the names of the files being loaded: of several together, the first."""
        return [path_text(running.drops[0].path.name) for running in self._running.values()]

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
            drops = running.drops if running else ()
            behind = drops[1:]
            files = [path_text(drop.path) for drop in islice(chain(behind, queue.drops), most)]
            most -= len(files)
            yield TableQueue(
                table=table,
                count=len(behind) + len(queue.drops),
                files=files,
                running=path_text(drops[0].path) if drops else "",
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
