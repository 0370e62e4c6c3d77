"""How far a load is: noted by the thread that loads, written down, and judged by who reads it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from dropload.model import LoadRecord, Progress, State, Step, StepSpan

STEPS = (
    *("detecting", "profiling", "checking", "planning", "staging", "publishing", "filing"),
    "journal",
)
"""What the time of a load goes to, in order. `journal` are the transactions that write to nothing
else: a claim, how the load ended. What is written there together with rows counts as theirs."""
_RATE_SECONDS = 10.0
"""Rows a second are those of this last time: a load that resumes runs over its old rows."""


class ProgressMeter:
    """Keeps what was noted last, and how fast it goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: tuple[Step, int, int] | None = None
        self._trouble: str | None = None
        self._taken: tuple[tuple[Step, int, int] | None, str | None] = (None, None)
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
            self._trouble = None

    def note_trouble(self, trouble: str | None) -> None:
        """Note why the step waits to be done again, None when it goes on."""
        with self._lock:
            self._trouble = trouble

    def has_news(self) -> bool:
        """Return whether anything was noted since the last time."""
        with self._lock:
            return self._noted is not None and self._told != self._taken

    def take(self) -> Progress | None:
        """Return what is new since the last time, None when nothing is."""
        with self._lock:
            if self._noted is None or self._told == self._taken:
                return None
            self._taken = self._told
            return Progress(*self._noted, self._rate(self._noted[1]), self._trouble)

    @property
    def _told(self) -> tuple[tuple[Step, int, int] | None, str | None]:
        return self._noted, self._trouble

    def _rate(self, rows_done: int) -> float | None:
        now = self._clock()
        # One mark is kept that is older, or a slow step would have none to compare with.
        while len(self._marks) > 1 and self._marks[1][0] <= now - _RATE_SECONDS:
            self._marks.popleft()
        since, rows_then = self._marks[0]
        self._marks.append((now, rows_done))
        return (rows_done - rows_then) / (now - since) if now > since else None


class StepTimes:
    """Measures how long the steps of one load take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._under_way: list[int] = []
        """Places, among the spans, of the steps being taken, each within the one before."""
        self._since = 0.0
        """When the time of the innermost of them was counted last."""
        self._to_wall_ns = time.time_ns() - round(clock() * 1e9)
        self._spans: list[StepSpan] = []

    @property
    def seconds(self) -> dict[str, float]:
        """Return them by step, in their order, with what the step under way has taken until now.

        A step that was taken twice has the sum.
        """
        self._count()
        return {step: self._seconds[step] for step in STEPS if step in self._seconds}

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Count the time until the end as the step's, also when the step fails.

        A step within another one has its time for itself: the sum is the whole time.
        """
        self._count()
        self._begin(step)
        broke_off = True
        try:
            yield
            broke_off = False
        finally:
            self._count()
            self._end(broke_off=broke_off)

    @property
    def spans(self) -> tuple[StepSpan, ...]:
        """Return when each step was under way, in the order in which they began."""
        return tuple(self._spans)

    def _begin(self, step: str) -> None:
        now, within = self._now_ns(), self._under_way[-1] if self._under_way else None
        self._under_way.append(len(self._spans))
        self._spans.append(StepSpan(step, now, now, within))

    def _end(self, *, broke_off: bool) -> None:
        place = self._under_way.pop()
        ended = replace(self._spans[place], ended_ns=self._now_ns(), broke_off=broke_off)
        self._spans[place] = ended

    def _now_ns(self) -> int:
        # Not the wall clock itself, which may be set back in the middle of a step.
        return self._to_wall_ns + round(self._clock() * 1e9)

    def _count(self) -> None:
        now = self._clock()
        if self._under_way:
            step = self._spans[self._under_way[-1]].step
            self._seconds[step] = self._seconds.get(step, 0.0) + now - self._since
        self._since = now


# --- as others see it ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a load is, by what its worker wrote down last."""

    step: str
    """`claimed` until the worker has told of its first step."""
    rows_done: int | None
    rows_total: int | None
    """None until the file has been read once."""
    share: float | None
    """Of the step that is done, 0 to 1."""
    rows_per_second: float | None
    seconds_left: float | None
    """Until the step is done; None where that is not known, or should have been by now."""
    silent_seconds: float | None
    """How long ago that was written."""
    trouble: str | None = None
    """Why the step waits to be done again, and when it is; None while it goes on."""


def judge_progress(load: LoadRecord, now: datetime) -> LoadProgress:
    """Return how far a load is at a time of the database's clock."""
    step = State.PUBLISHING.value if load.state is State.PUBLISHING else load.step or load.state
    total = None
    if load.state is not State.CLAIMED and load.rows_read is not None:
        total = load.rows_read - (load.rows_rejected or 0)
    silent = (now - load.progress_at).total_seconds() if load.progress_at else None
    trouble = load.error_message
    is_measured = step in tuple(Step) and step != Step.PUBLISHING
    if not is_measured or load.rows_done is None or trouble:
        return LoadProgress(step, load.rows_done, total, None, None, None, silent, trouble)
    share = _share(load, step, total)
    rate = load.rows_per_second
    left = None
    if share and rate and load.rows_done and share < _MOST_SHARE:
        # Where only bytes are known, rows are taken to be of equal length.
        left = load.rows_done / share * (1 - share) / rate - (silent or 0.0)
        # A step that should have been done by now waits for something: nobody knows how long.
        left = left if left >= _LEAST_LEFT_SECONDS else None
    return LoadProgress(step, load.rows_done, total, share, rate, left, silent)


_LEAST_LEFT_SECONDS = 0.5
"""Less would be shown as none at all."""
_MOST_SHARE = 0.99
"""Bytes are read ahead of the rows: only the end of a step says that it is done."""


def _share(load: LoadRecord, step: str, rows_total: int | None) -> float | None:
    done, whole = load.bytes_read, load.file_size
    if step == Step.STAGING and rows_total:
        done, whole = load.rows_done, rows_total
    return min(_MOST_SHARE, (done or 0) / whole) if whole else None
