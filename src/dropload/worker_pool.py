"""The worker processes: a pool of them, made anew when it breaks."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from pebble import ProcessPool

from dropload.config import Config
from dropload.logs import get_logger
from dropload.worker_calls import start_worker

_T = TypeVar("_T")
_MAX_REPLACEMENTS = 3
"""Pools that may break in a row before the workers are left alone for a while."""


class WorkerPool:
    """Owns the processes that load; used from the daemon's thread only."""

    def __init__(self, config: Config, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._replacements = 0
        """Pools made anew since a load last came back."""
        self._rest_until = 0.0
        self.problem = ""
        """Why no worker can be started; empty when they can."""
        self._pool = open_pool(config, config.workers.count)
        self._retired: list[ProcessPool] = []
        """Pools that only finish what runs in them."""

    def configure(self, config: Config) -> None:
        """Start workers under another configuration; those at work go on in theirs."""
        self._config = config
        self.retire(self._pool)
        self._pool = open_pool(config, config.workers.count)

    @property
    def is_resting(self) -> bool:
        """Return whether workers are left alone for a while, since none could be started."""
        return self._clock() < self._rest_until

    def schedule(self, task: Callable[..., _T], *arguments: Any) -> "Future[_T] | None":
        """Have a worker do a task; return None, and rest for a while, where none can be started."""
        try:
            future = self._schedule(task, arguments)
        except (RuntimeError, OSError) as exc:
            self._rest(exc)
            return None
        self.problem = ""
        return future

    def note_returned(self) -> None:
        """Take note that a worker came back with what it was given: the pool holds."""
        self._replacements = 0

    def retire(self, pool: ProcessPool) -> None:
        """Give nothing more to a pool; what runs in it goes on."""
        pool.close()
        self._retired.append(pool)

    def join_retired(self) -> None:
        """End the processes of pools that were retired; they must have nothing left to do."""
        retired, self._retired = self._retired, []
        for pool in retired:
            self._join(pool)

    def stop(self, *, at_once: bool) -> None:
        """End all processes, `at_once` or after what they do."""
        pools = [self._pool, *self._retired]
        for pool in pools:
            if at_once:
                pool.stop()
            else:
                pool.close()
        for pool in pools:
            pool.join()

    def _join(self, pool: ProcessPool) -> None:
        """End the processes of a pool, or at a later look where the machine allows no thread."""
        try:
            _join_aside(pool)
        except RuntimeError:
            self._retired.append(pool)

    def _schedule(self, task: Callable[..., _T], arguments: tuple[Any, ...]) -> "Future[_T]":
        timeout = self._config.workers.load_timeout_seconds
        try:
            return self._pool.schedule(task, args=arguments, timeout=timeout)
        except RuntimeError:
            # The pool breaks when an idle worker is killed: what it ran comes back as cut off.
            self._replacements += 1
            if self._replacements > _MAX_REPLACEMENTS:
                raise
            self._pool.stop()
            self._join(self._pool)
            self._pool = open_pool(self._config, self._config.workers.count)
            return self._pool.schedule(task, args=arguments, timeout=timeout)

    def _rest(self, error: RuntimeError | OSError) -> None:
        """Leave the workers alone for a while: they cannot even start (limits, no memory)."""
        pause_seconds = self._config.retry.pause_seconds
        self.problem = (
            f"No file is loaded: {_explain(error)} Files wait where they are; it is tried again "
            f"every {pause_seconds:,.0f} s."
        )
        get_logger().error("workers_not_started", reason=self.problem)
        self._rest_until = self._clock() + pause_seconds
        self._replacements = 0
        self._pool.stop()
        self._pool = open_pool(self._config, self._config.workers.count)


def open_pool(config: Config, workers: int) -> ProcessPool:
    """Return a pool of so many worker processes, which start with its first task."""
    # Arrow's allocator (mimalloc) reserves 1 GiB at its first breath, which counts against the
    # limit of a worker although nothing is in it; KiB.
    os.environ.setdefault("MIMALLOC_ARENA_RESERVE", "65536")
    return ProcessPool(
        max_workers=workers,
        initializer=start_worker,
        initargs=[config],
        context=multiprocessing.get_context("spawn"),
    )


def _explain(error: RuntimeError | OSError) -> str:
    """Return why no worker can be started, and what to do; the pool itself does not say."""
    refusal = error if isinstance(error, OSError) else error.__cause__
    if isinstance(refusal, OSError):
        return (
            f"the system starts no worker process ({refusal.strerror or refusal}). Raise the "
            "limits of processes, memory and open files that the service has (under systemd "
            "TasksMax=, MemoryMax= and LimitNOFILE=), or lower workers.count."
        )
    return (
        "worker processes end as soon as they start. Look for their error in the lines of the log "
        "before this one. If there is none, the system has killed them, mostly for want of memory "
        "(`journalctl -k` tells): give it more, or lower workers.count."
    )


def _join_aside(pool: ProcessPool) -> None:
    # Its workers end in join(), which waits for them: not in the daemon's thread.
    threading.Thread(target=pool.join, daemon=True).start()
