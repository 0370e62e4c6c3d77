"""A load and how it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dropload.model.drops import Drop, TableName

HELD_CATEGORY = "held"
"""Error category of a load whose file waits in its inbox for a person."""
RELEASED_CATEGORY = "released"
"""Error category of a load whose file was held until a person let it load, as another load."""


class State(StrEnum):
    """The states of a load."""

    CLAIMED = "claimed"
    """A worker owns it; what it may have staged does not count yet."""
    STAGING = "staging"
    """Batches go to the side table."""
    PUBLISHING = "publishing"
    """The publishing transaction is under way or about to begin."""
    COMMITTED = "committed"
    """Rows and this word were written together; the file has not been moved yet."""
    FILED = "filed"
    """The file is in processed/: the load is over."""
    FAILED = "failed"
    """Refused; the file goes to error/."""
    DUPLICATE = "duplicate"
    """The same bytes are in the table already; not loaded again."""
    CANCELLED = "cancelled"
    """Given up before anything was published; the file was left alone."""
    UNDONE = "undone"
    """Filed once, taken back later."""


OPEN_STATES = (State.CLAIMED, State.STAGING, State.PUBLISHING)
"""A worker has it: at most one load of a path may be in one of these (or committed)."""


STANDING = (State.COMMITTED, State.FILED)
"""Its rows are in the table, unless a later fullload has replaced them."""


class Step(StrEnum):
    """What a worker does that takes its time with a large file."""

    PROFILING = "profiling"
    """The file is read once, and nothing is written."""
    CHECKING = "checking"
    """It is read once more, against the columns of a known table."""
    STAGING = "staging"
    """Its rows go to the side table."""
    PUBLISHING = "publishing"
    """Its rows become visible, or wait for a lock of the table."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is."""

    step: Step
    rows_done: int
    """Rows that this step has dealt with."""
    bytes_read: int
    """Bytes of the file that this step has read."""
    rows_per_second: float | None
    """In the last seconds; None while that cannot be told."""
    trouble: str | None = None
    """Why the step waits to be done again, and since or until when; None while it goes on."""


@dataclass(frozen=True, slots=True)
class Load:
    """One attempt to put one version of one file into one table."""

    load_id: int
    tracking_id: int
    drop: Drop
    table: TableName
    worker: str
    """Who holds the claim; every later write checks that it still does."""
    crashes: int = 0
    """Worker processes that died on this file so far."""


class Verdict(StrEnum):
    """How a drop ended, as far as the daemon must know."""

    LOADED = "loaded"
    DUPLICATE = "duplicate"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"
    """A person stopped it; its file is held, where it stands in an inbox."""
    RETRY = "retry"
    PAUSED = "paused"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StepSpan:
    """When one step of a load was under way; in nanoseconds since 1970."""

    step: str
    began_ns: int
    ended_ns: int
    within: int | None = None
    """Place, among the spans of the load, of the one it was a part of."""
    broke_off: bool = False
    """An error ended it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one drop."""

    verdict: Verdict
    path: Path
    table: str = ""
    load_id: int | None = None
    message: str = ""
    hint: str = ""
    category: str = ""
    code: str = ""
    """Stable code of what kept it from being loaded, `DL-xxx`; empty where nothing did."""
    rows_read: int = 0
    rows_loaded: int = 0
    rows_rejected: int = 0
    filed_path: Path | None = None
    report_path: Path | None = None
    notes: tuple[str, ...] = ()
    """What the plan of a file that was loaded says to people."""
    moved: bool = True
    """False when the file still stands in the inbox although the load is over."""
    claimed_by: str = ""
    """The worker whose claim could not be given up, because the database was away; else empty."""
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each step of the load took, in the order of the steps; those that it came to."""
    steps_retried: int = 0
    """How often a step was done again within the load, because of trouble that passed."""
    unusual: str = ""
    """In what its load was far from those of its table before it; empty where it was as usual."""
    spans: tuple[StepSpan, ...] = ()
    """When each step was under way, in the order in which they began."""


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """What a worker sends back of one drop; times are in seconds since it got its drops."""

    outcome: Outcome | None
    began_after: float = 0.0
    ended_after: float = 0.0
    crash: str = ""
    """What nobody foresaw, where there is no outcome."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What one load has cost so far."""

    step_seconds: Mapping[str, float]
    """By step, in their order, with what the step under way has taken until now."""
    steps_retried: int
