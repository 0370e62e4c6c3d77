"""Hand drops to worker processes: several at once, those of one table one after the other."""

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from dropload.config import Config
from dropload.durable import path_text
from dropload.filing_worker import FilingWorker
from dropload.heartbeat import TableQueue
from dropload.model import Drop
from dropload.recovery import Recovered
from dropload.returned import Finished, Order, read_returned
from dropload.worker_calls import work
from dropload.worker_pool import WorkerPool

MOST_TOGETHER = 16
"""Small files of one table that a worker gets at a time: asking for each costs as much as loading
it."""
LARGEST_TOGETHER_BYTES = 64 * 1024
"""A larger file is given to a worker alone; up to this size it takes hundredths of a second."""


@dataclass(slots=True)
class _Queue:
    drops: deque[Drop]
    not_before: float = 0.0
    reason: str = ""
    """Why the table's queue pauses; empty when it does not."""
    for_owner: bool = False
    """It pauses until the database owner has mended something, not for a moment."""


class Dispatcher:
    """Owns the queues, and the workers that they wait for; used from the daemon's thread only."""

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
        self._running: dict[str, Order] = {}
        self._known: set[Path] = set()
        self._alone: set[Path] = set()
        """Files that a worker died with: each is tried on its own, to find which it died of."""
        self._broke_off = False
        self._workers = WorkerPool(config, clock)
        self._filing = FilingWorker(wake, self._workers.retire)

    def configure(self, config: Config) -> None:
        """Start loads under another configuration from now on; those under way go on in theirs."""
        self._config = config
        self._workers.configure(config)

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
        if self._workers.is_resting:
            return
        now = self._clock()
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
        are_small = all(drop.version.size_bytes <= LARGEST_TOGETHER_BYTES for drop in drops)
        return are_small and self._alone.isdisjoint(drop.path for drop in drops)

    def _start(self, table: str, drops: tuple[Drop, ...]) -> None:
        # Chosen here: their log lines are written before their traces are.
        is_traced = self._config.tracing.enabled
        trace_ids = tuple(secrets.token_hex(16) if is_traced else "" for _ in drops)
        future = self._workers.schedule(work, drops, trace_ids)
        if future is None:
            self._put_back(table, drops)
            return
        self._running[table] = Order(table, drops, future, self._clock(), trace_ids)
        future.add_done_callback(lambda _: self._wake())

    def _put_back(self, table: str, drops: Sequence[Drop]) -> None:
        """Queue drops before those of their table, in their order."""
        if drops:
            self._queues.setdefault(table, _Queue(deque())).drops.extendleft(reversed(drops))

    # --- coming back

    def collect(self) -> list[Finished]:
        """Return the drops whose workers are done; their tables are free again."""
        if not self._running:
            self._workers.join_retired()
        done = [order for order in self._running.values() if order.future.done()]
        return [finished for order in done for finished in self._take_back(order)]

    def _take_back(self, order: Order) -> Sequence[Finished]:
        """Return what became of what a worker had; what it did not come to is queued again."""
        del self._running[order.table]
        returned = read_returned(order, self._config.workers.load_timeout_seconds)
        if not returned.broke_off:
            self._workers.note_returned()
        elif returned.left:
            self._broke_off = True
        self._alone.update(returned.suspects)
        for finished in returned.finished:
            self._known.discard(finished.drop.path)
            if not finished.crash:
                self._alone.discard(finished.drop.path)
        self._put_back(order.table, returned.left)
        return returned.finished

    def take_broke_off(self) -> bool:
        """Return whether a worker died with several files since this was asked last.

        Some may be loaded and moved, and the journal not know of the move.
        """
        broke_off, self._broke_off = self._broke_off, False
        return broke_off

    # --- moving files late

    def start_filing(self) -> None:
        """Have a worker move the files whose loads are over, unless one is at it."""
        self._filing.start(self._config)

    def collect_filing(self) -> Recovered | None:
        """Return what was moved late, None when nothing was or it is under way."""
        return self._filing.collect()

    # --- looking

    @property
    def problem(self) -> str:
        """Return why no worker can be started; empty when they can."""
        return self._workers.problem

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
        return bool(self._running) or self._filing.is_working

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
        self._filing.leave()
        self._workers.stop(at_once=self._is_working)
        return finished
