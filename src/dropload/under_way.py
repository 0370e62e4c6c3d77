"""One claimed load on its way: what is known of it so far, and what all its steps need."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from dropload.dock import Dock
from dropload.errors import DroploadError
from dropload.examination import Examined
from dropload.leases import Lease, kept_lease
from dropload.model import Effort, Load, Outcome, Step, Verdict
from dropload.progress import ProgressMeter, StepTimes
from dropload.retries import call_with_retries
from dropload.times import clock_time

T = TypeVar("T")

OnStep = Callable[[str, int], None]
"""Gets the name of the step under way and the rows it has done so far."""


class LoadUnderWay:
    """A load, what its file was found to be, and how far it is."""

    def __init__(self, dock: Dock, load: Load, on_step: OnStep, times: StepTimes) -> None:
        self.dock = dock
        self.load = load
        self.times = times
        self.meter = ProgressMeter()
        self.examined: Examined | None = None
        """What is known of the file, for the report; None until it was read."""
        self.retries = 0
        """Steps that were taken again."""
        self._on_step = on_step
        self._lease = Lease(load)

    @property
    def counts_once(self) -> bool:
        """Return whether bytes that are in their table already are left out."""
        return not (self.load.drop.force or self.dock.config.load.reload_duplicates)

    def measure(self) -> Effort:
        """Return what the load has cost until now."""
        return Effort(self.times.seconds, self.retries)

    @contextmanager
    def lease_kept(self) -> Iterator[None]:
        """Keep the claim alive until the block ends."""
        dock = self.dock
        seconds = dock.config.workers.lease_seconds
        with kept_lease(dock.target, dock.journal, self.load, seconds, self.meter) as self._lease:
            yield

    def note_progress(self, step: Step, rows_done: int, bytes_read: int) -> None:
        """Tell how far a step is; a load that was cancelled ends here."""
        self.meter.note(step, rows_done, bytes_read)
        self._on_step(step.value, rows_done)
        self._lease.check()

    def retry(self, action: Callable[[], T]) -> T:
        """Do something, again after a while where the trouble passes."""
        try:
            return call_with_retries(action, self.dock.config.retry, self._note_retry)
        finally:
            self.meter.note_trouble(None)

    def _note_retry(self, error: BaseException, seconds: float) -> None:
        self.retries += 1
        said = error.message if isinstance(error, DroploadError) else str(error)
        at = clock_time(datetime.now(UTC) + timedelta(seconds=seconds))
        self.meter.note_trouble(f"{said.rstrip('.')}; tried again {at}")

    def outcome(
        self, verdict: Verdict, error: DroploadError | None, rows_loaded: int = 0
    ) -> Outcome:
        """Return what became of the file."""
        profile = self.examined.profile if self.examined else None
        return Outcome(
            verdict,
            self.load.drop.path,
            table=str(self.load.table),
            load_id=self.load.load_id,
            message=error.message if error else "",
            hint=error.hint if error else "",
            category=error.category if error else "",
            code=error.dl_code if error else "",
            rows_read=profile.rows if profile else 0,
            rows_loaded=rows_loaded,
            rows_rejected=profile.rejected_rows if profile else 0,
        )
