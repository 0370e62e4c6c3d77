"""A worker of its own for moving files whose loads are over: a share that hangs delays no load."""

from collections.abc import Callable
from concurrent.futures import Future

from pebble import ProcessPool

from dropload.config import Config
from dropload.logs import get_logger
from dropload.recovery import Recovered
from dropload.worker_calls import file_late_here
from dropload.worker_pool import open_pool


class FilingWorker:
    """Starts that worker, one at a time, and reads what it did; used from the daemon's thread."""

    def __init__(self, wake: Callable[[], None], retire: Callable[[ProcessPool], None]) -> None:
        """`wake` is called when it is done; `retire` gets a pool that is given nothing more."""
        self._wake = wake
        self._retire = retire
        self._future: Future[Recovered] | None = None
        self._pool: ProcessPool | None = None
        self._in_short = False
        """The last try died, perhaps of reading one of the files again."""

    @property
    def is_working(self) -> bool:
        """Return whether files are being moved."""
        return self._future is not None and not self._future.done()

    def start(self, config: Config) -> None:
        """Begin to move the files, unless what was begun has not been collected yet."""
        if self._future is not None:
            return
        try:
            self._pool = open_pool(config, 1)
            self._future = self._pool.schedule(
                file_late_here,
                kwargs={"in_short": self._in_short},
                timeout=config.workers.load_timeout_seconds,
            )
        except (RuntimeError, OSError) as exc:  # it is tried again with the next look
            self.leave()
            get_logger().warning("filing_broke_off", reason=f"{type(exc).__name__}: {exc}")
            return
        self._future.add_done_callback(lambda _: self._wake())

    def collect(self) -> Recovered | None:
        """Return what was moved, None when nothing was or it is under way."""
        future = self._future
        if future is None or not future.done():
            return None
        self._future = None
        self.leave()
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            self._in_short = error is not None
            get_logger().warning("filing_broke_off", reason=f"{type(error).__name__}: {error}")
            return None
        self._in_short = False
        return future.result()

    def leave(self) -> None:
        """Give its process nothing more; what it does goes on."""
        if self._pool is not None:
            self._retire(self._pool)
        self._pool = None
