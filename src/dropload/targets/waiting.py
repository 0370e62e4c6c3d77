"""Tell whoever sits there that a lock is waited for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 2.0
"""How long nobody is told: the commits of loads take less."""


class LockWait:
    """Tells once, however often and by however many threads is waited."""

    def __init__(self) -> None:
        self.tell: Callable[[], None] | None = None
        """Called after a while, in a thread of its own; None: nobody is there to be told."""
        self._lock = threading.Lock()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Run a block that waits for a lock and does nothing else."""
        if self.tell is None:
            yield
            return
        timer = threading.Timer(PATIENCE_SECONDS, self._tell_once)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _tell_once(self) -> None:
        with self._lock:
            tell, self.tell = self.tell, None
        if tell is not None:
            tell()
