"""How far a load is: told by the thread that loads, taken by whoever writes it down."""

import threading
import time
from collections import deque
from collections.abc import Callable

from dropload.model import Progress, Step

_RATE_SECONDS = 10.0
"""Rows a second are those of this last time: a load that resumes runs over its old rows."""


class ProgressMeter:
    """Keeps what was noted last, and how fast it goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: tuple[Step, int, int] | None = None
        self._taken: tuple[Step, int, int] | None = None
        self._marks: deque[tuple[float, int]] = deque()
        """When how many rows were done in this step, the last seconds only."""

    def note(self, step: Step, rows_done: int, bytes_read: int) -> None:
        """Note how far the step is; cheap enough for every batch."""
        with self._lock:
            before = self._noted
            if before is None or before[0] is not step or rows_done < before[1]:
                self._marks.clear()
                self._marks.append((self._clock(), rows_done))
            self._noted = (step, rows_done, bytes_read)

    def take(self) -> Progress | None:
        """Return what is new since the last time, None when nothing is."""
        with self._lock:
            if self._noted is None or self._noted == self._taken:
                return None
            self._taken = self._noted
            return Progress(*self._noted, self._rate(self._noted[1]))

    def _rate(self, rows_done: int) -> float | None:
        now = self._clock()
        # One mark is kept that is older, or a slow step would have none to compare with.
        while len(self._marks) > 1 and self._marks[1][0] <= now - _RATE_SECONDS:
            self._marks.popleft()
        since, rows_then = self._marks[0]
        self._marks.append((now, rows_done))
        return (rows_done - rows_then) / (now - since) if now > since else None
