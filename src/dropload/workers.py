"""What runs inside a worker process: it loads one drop after the other, over one dock."""

import os
import resource
import signal
import threading
import time
from collections.abc import Sequence

# What reads files is imported now: the first file would wait for it.
import dropload.detection
import dropload.parsers.delimited.beyond
import dropload.parsers.delimited.columnar
import dropload.parsers.delimited.tolerant  # noqa: F401
from dropload.arrow_settings import spare_memory
from dropload.config import Config, LogConfig
from dropload.dock import Dock, open_dock
from dropload.errors import ConfigError
from dropload.identity import worker_name
from dropload.in_order import load_in_order
from dropload.late_filing import file_late
from dropload.logs import configure_logs, get_logger
from dropload.model import Drop, WorkerResult
from dropload.parsers import installed_parsers
from dropload.recovery import Recovered

_PARENT_CHECK_SECONDS = 1.0


class WorkerError(Exception):
    """Something that nobody foresaw ended what a worker did; its log has the traceback."""


_dock: Dock | None = None
"""One dock per worker process, opened by `start_worker`: connections stay warm between drops."""


def start_worker(config: Config) -> None:
    """Prepare this process: limits, logs, database; run once by the pool."""
    global _dock  # noqa: PLW0603 - see above
    # Ctrl-C reaches the whole process group; the daemon alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit = config.workers.memory_limit_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    spare_memory()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _configure_logs(config.log)
    _dock = open_dock(config)
    installed_parsers()


def _configure_logs(settings: LogConfig) -> None:
    """Log where the daemon does; a file that cannot be opened here is no reason not to load."""
    try:
        configure_logs(settings)
    except ConfigError as exc:
        configure_logs(settings.model_copy(update={"file": None}))
        get_logger().error("log_file_unusable", reason=str(exc))


def work(drops: Sequence[Drop], trace_ids: Sequence[str] = ()) -> list[WorkerResult]:
    """Load drops of one table; called in a worker process that `start_worker` has prepared.

    The log lines of each carry its `trace_id`, where there is one.
    """
    if _dock is None:
        raise WorkerError("the worker was not started")
    try:
        return load_in_order(_dock, drops, worker_name(), trace_ids)
    except Exception as exc:  # noqa: BLE001 - everything must come back in words
        get_logger().exception("loads_broke_off", files=len(drops))
        raise WorkerError(f"{type(exc).__name__}: {exc}") from None


def file_late_here(*, in_short: bool) -> Recovered:
    """Move the files whose loads are over; called in a worker process, as `work` is."""
    if _dock is None:
        raise WorkerError("the worker was not started")
    return file_late(_dock, in_short=in_short)


def _end_with_parent(parent: int) -> None:
    """End when the daemon is gone: its successor would wait for a claim that nobody watches."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)
