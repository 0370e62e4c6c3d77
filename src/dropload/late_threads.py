"""Threads for work that takes long; most is over before a thread would be worth its start.

To start one and wait for its end takes a tenth of the time of a small load.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AGAIN_SECONDS = 0.5
"""After so long a thread is tried again that the machine had no room for."""


class LateStarter:
    """Starts threads when they are due; one that is ended before never begins."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._due: dict[threading.Thread, float] = {}
        """When each of them is to be started."""
        self._starter: threading.Thread | None = None
        self._looks_at = 0.0

    def add(self, thread: threading.Thread, seconds: float) -> None:
        """Have a thread started after a while; RuntimeError when the machine has no room for it."""
        with self._lock:
            due = self._due[thread] = time.monotonic() + seconds
            if due < self._looks_at:
                self._lock.notify()
            # After a fork it is there and does not live.
            if self._starter is None or not self._starter.is_alive():
                starter = threading.Thread(target=self._run, name="late-starter", daemon=True)
                try:
                    starter.start()
                except RuntimeError:
                    del self._due[thread]
                    raise
                self._starter = starter

    def end(self, thread: threading.Thread) -> None:
        """Return when the thread is over, or will never begin."""
        with self._lock:
            never_began = self._due.pop(thread, None) is not None
        if not never_began:
            thread.join()

    def _run(self) -> None:
        with self._lock:
            while self._due:
                self._looks_at = min(self._due.values())
                self._lock.wait(max(0.0, self._looks_at - time.monotonic()))
                self._start_due()
            self._starter = None

    def _start_due(self) -> None:
        now = time.monotonic()
        for thread in [thread for thread, due in self._due.items() if due <= now]:
            try:
                thread.start()
            except RuntimeError:
                self._due[thread] = now + _AGAIN_SECONDS
            else:
                del self._due[thread]


LATE = LateStarter()
"""That of this process."""


@contextmanager
def done_meanwhile(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Do something in another thread when the block takes longer than this, else not at all."""
    thread = threading.Thread(target=action, name="meanwhile", daemon=True)
    try:
        LATE.add(thread, seconds)
    except RuntimeError:  # limits of the machine
        yield
        return
    try:
        yield
    finally:
        LATE.end(thread)
