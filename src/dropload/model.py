"""The values that travel through dropload; all frozen, none knows a database or a folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from dropload.wrapping import Wrapping

DAEMON = "daemon"
"""Who asks for what no person has asked for."""
HELD_CATEGORY = "held"
"""Error category of a load whose file waits in its inbox for a person."""

# --- where a file was dropped -------------------------------------------------------------


class Area(StrEnum):
    """Which half of the drop tree a file was dropped into."""

    REFERENCE = "reference"
    NON_REFERENCE = "non-reference"


class LoadType(StrEnum):
    """What a load does to the rows that the table already has."""

    FULLLOAD = "fullload"
    APPEND = "append"


@dataclass(frozen=True, slots=True)
class Inbox:
    """One of the four folders that are scanned."""

    area: Area
    load_type: LoadType
    path: Path


_INODE_BITS = 2**63 - 1
"""Some file systems use all 64 bits; databases have signed integers."""


def storable_ns(nanoseconds: int) -> int:
    """Return a time that databases can hold: file systems know years before 1678 and after 2262."""
    return max(-(2**63), min(nanoseconds, 2**63 - 1))


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What the gate compares: two equal versions are taken for the same bytes."""

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> "FileVersion":
        """Return the version that a stat result describes."""
        return cls(stat.st_size, storable_ns(stat.st_mtime_ns), stat.st_ino & _INODE_BITS)


class Observation(NamedTuple):
    """One look at one file of an inbox during a scan.

    A flat tuple, because every scan makes one for each waiting file: a dataclass with a path and a
    version inside would double the time of a scan of 100,000 files.
    """

    inbox: Inbox
    name: str
    size_bytes: int
    mtime_ns: int
    inode: int
    done_companion: bool = False
    """A file of the same name plus `.done` stands beside it: accept at once."""

    @property
    def path(self) -> Path:
        """Return the full path of the file."""
        return self.inbox.path / self.name

    @property
    def version(self) -> FileVersion:
        """Return the version of the file that was seen."""
        return FileVersion(self.size_bytes, storable_ns(self.mtime_ns), self.inode & _INODE_BITS)


@dataclass(frozen=True, slots=True)
class Drop:
    """One version of one file that is ready to be loaded."""

    path: Path
    area: Area
    load_type: LoadType
    version: FileVersion
    in_tree: bool = True
    """False for a file named on the command line outside the drop tree: it is never moved."""
    force: bool = False
    """Load even if the same bytes were loaded before or a guard rail would hold the file."""
    requested_by: str = DAEMON
    reason: str = ""
    """Why a person asks for it, in that person's words."""
    appeared_at: float | None = None
    """When the daemon saw it first, by the daemon's clock; None where no daemon has seen it."""
    whole_at: float | None = None
    """When the gate let it through, by the same clock."""


@dataclass(frozen=True, slots=True)
class TableName:
    """A table of the target; on a target without schemas both parts form the name."""

    schema: str
    name: str

    def __str__(self) -> str:
        """Return `schema.name`, the form that people read."""
        return f"{self.schema}.{self.name}"


# --- how a file is written ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written."""

    encoding: str
    """Python codec name, lower case; `utf-8` also for pure ASCII."""
    delimiter: str
    """One character, seldom several (`||`), or the empty string for a file of one column."""
    quotechar: str
    """One character, or the empty string when quotes mean nothing in this file."""
    escapechar: str
    """One character, or the empty string; doubled quotes are understood in any case."""
    header: bool
    skip_lines: int
    """Physical lines before the header, or before the first record when there is none."""
    header_names: tuple[str, ...]
    """The header's cells as written; empty strings when the file has no header."""
    confidence: float
    """0 (a guess) to 1 (certain)."""
    has_bom: bool = False
    skip_initial_space: bool = False
    """A blank follows each delimiter and belongs to no value."""
    wrapping: Wrapping = Wrapping.NONE
    """What is drawn around every line and belongs to no value."""
    evidence: tuple[str, ...] = ()
    """One sentence for each thing that was decided, for people."""
    header_lines: int = 1
    """Records that the header takes, where there is one: names in two lines, units below them."""
    remarks: tuple[str, ...] = ()
    """The part of the evidence that is said after each load: lines that are no rows."""
    doubt: str = ""
    """Why a person should look before it is loaded; empty when there is no such reason."""

    @property
    def width(self) -> int:
        """Return the number of columns."""
        return len(self.header_names)


# --- what is in a file --------------------------------------------------------------------


class Kind(StrEnum):
    """The families of column types that dropload tells apart."""

    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMP_OFFSET = "timestamp_offset"
    """A point in time with its offset from UTC, which is kept."""
    TIME = "time"
    UUID = "uuid"


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type, in terms that every target can express."""

    kind: Kind
    precision: int = 0
    """Decimal: total digits. Integer: digits of the longest value, 0 when unknown (up to 19).
    Times and timestamps: digits of the second's fraction. Else 0."""
    scale: int = 0
    """Decimal: digits behind the point. Else 0."""
    max_length: int = 0
    """Text: units of UTF-16 that the longest value takes (the databases that count in bytes or
    characters need no more), 0 when every value is null or empty. Else 0."""
    spelling: str = field(default="", compare=False)
    """How a file writes what has two spellings, no part of the type: float `.0` when whole numbers
    are written `12.0`; timestamps `T` when that stands between date and time, and `Z` when that
    says UTC. Else empty."""
    notation: str = field(default="", compare=False)
    """How a file writes the values when a database prints them otherwise, by an example:
    `1.234,5`, `31.12.2024`. They are rewritten on their way into the table. Else empty."""

    def __str__(self) -> str:
        """Return the type as people read it, for example `decimal(10,2)`."""
        if self.kind is Kind.DECIMAL:
            return f"decimal({self.precision},{self.scale})"
        return self.kind.value


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the whole file says about one column."""

    name: str
    """The column's name in the table."""
    source_name: str
    """The name in the file's header, as written; empty when it has none."""
    type: ColumnType
    nulls: int
    max_length: int
    """Characters of the longest value as written."""
    note: str = ""
    """Why the type is not the one that a person may expect; empty when there is nothing to say."""
    doubt: str = ""
    """The key of the configuration that would settle the type; empty when there is no doubt."""
    nearly: tuple[Kind, ...] = ()
    """Of a text: the kinds of column that nearly all values look made for."""
    pointed: str = ""
    """The first of numbers whose points could all separate thousands (`1.234`), else empty."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused row."""

    source_row: int
    """Record number in the file, from 1, the header not counted."""
    line: int
    """Physical line on which the record starts, from 1."""
    column: str
    """Name of the column, or the empty string when the whole row is at fault."""
    value: str
    code: str
    message: str
    fields: tuple[str | None, ...] = ()
    """The record's cells as read; None for an empty one without quotes."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one full read of the file found."""

    file_hash: str
    hash_algorithm: str
    size_bytes: int
    rows: int
    """Data records, good and bad."""
    columns: tuple[ColumnProfile, ...]
    rejected_rows: int
    rejects: tuple[Reject, ...]
    """The first rejects only (bounded); `rejected_rows` is exact."""
    reader: str
    """Which reader was faithful to this file: `columnar` or `tolerant`."""
    footer: tuple[Reject, ...] = ()
    """Lines behind the table that say something about it ("Total rows: 4"); no rows of it."""

    @property
    def good_rows(self) -> int:
        """Return the number of records that can be loaded."""
        return self.rows - self.rejected_rows


# --- what will happen ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table in the target."""

    name: str
    type: ColumnType
    nullable: bool = True
    has_default: bool = False
    """The table fills it when a load does not."""
    declared: str = ""
    """The type as the database declares it, where that says more than `type`; else empty."""
    encoding: str = ""
    """Python codec of a text column that does not hold all of Unicode; else empty."""

    @property
    def shown_type(self) -> str:
        """Return the type as people know it."""
        return self.declared or str(self.type)


@dataclass(frozen=True, slots=True)
class CheckedColumn:
    """A column of a known table that may not hold every value of the file's column."""

    position: int
    """Index in the file's record, from 0."""
    column: TableColumn
    notation: str = ""
    """How the file writes values that are no text to the table (see `ColumnType`)."""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table of the target as it is now."""

    table: TableName
    columns: tuple[TableColumn, ...]
    """Without the lineage columns."""
    rows: int
    has_lineage: bool
    """It carries `_load_id` and `_source_row`: dropload made it."""
    computed: tuple[str, ...] = ()
    """Columns that the table fills by itself and that cannot be written; not among `columns`."""
    numbered_always: tuple[str, ...] = ()
    """Those of `computed` that a restored row brings along: its number."""


@dataclass(frozen=True, slots=True)
class TableRules:
    """What a table's owner has hung on it; it stays, and takes part when rows come and go."""

    triggers: tuple[str, ...] = ()
    """Those that are enabled."""
    constraints: tuple[str, ...] = ()
    """Keys, foreign keys and checks."""
    numbered: tuple[str, ...] = ()
    """Columns that the table numbers itself."""
    dependents: tuple[str, ...] = ()
    """Other tables whose rows go or change when rows of this one are deleted, with foreign key and
    action."""


CHANGING_ACTIONS = ("add", "widen")
"""What a load does to a column of a table that was there before it."""


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """Where the values of one column of the file go."""

    name: str
    """Name in the table."""
    type: ColumnType
    """The type that the values are stored with."""
    position: int
    """Index in the file's record, from 0."""
    action: str = "keep"
    """`create`, `add`, `widen` or `keep`."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load will do, and why; nothing has been written when it is made."""

    table: TableName
    load_type: LoadType
    layout: Layout
    profile: Profile
    columns: tuple[PlannedColumn, ...]
    missing: tuple[str, ...]
    """Columns of the table that the file does not have: they become null."""
    table_before: tuple[TableColumn, ...] | None
    """The table's columns when the plan was made, None when there was no table: publishing makes
    sure that they are still the same."""
    table_columns: tuple[TableColumn, ...]
    """All columns that the table has when the load is done, in order, without lineage."""
    has_lineage: bool
    rows_before: int
    """Rows in the table when the plan was made; 0 when there is no table."""
    notes: tuple[str, ...] = ()
    """What a person should know, one sentence each."""
    checks: tuple[CheckedColumn, ...] = ()
    """Columns whose values were looked at one by one; misfits are among the profile's rejects."""

    @property
    def creates_table(self) -> bool:
        """Return whether the table is made by this load."""
        return self.table_before is None

    @property
    def changes_table(self) -> bool:
        """Return whether columns of a table that was there are added or widened."""
        return any(column.action in CHANGING_ACTIONS for column in self.columns)

    @property
    def replaces_rows(self) -> bool:
        """Return whether the rows that the table has now go away."""
        return self.load_type is LoadType.FULLLOAD

    @property
    def rows_planned(self) -> int:
        """Return the number of rows that the load brings."""
        return self.profile.good_rows


# --- a load and how it ends ---------------------------------------------------------------


class State(StrEnum):
    """The states of a load."""

    CLAIMED = "claimed"
    """A worker owns it; nothing is written yet."""
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


class Step(StrEnum):
    """What a worker does that takes its time with a large file."""

    PROFILING = "profiling"
    """The file is read once, and nothing is written."""
    CHECKING = "checking"
    """It is read once more, against the columns of a known table."""
    STAGING = "staging"
    """Its rows go to the side table."""


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
    RETRY = "retry"
    PAUSED = "paused"
    SKIPPED = "skipped"


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


# --- what the journal remembers -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """A row of the tracking table: one drop path and its present state."""

    id: int
    file_path: str
    file_name: str
    file_size: int | None
    file_hash: str | None
    load_type: str
    table_name: str | None
    detected_delimiter: str | None
    detected_headers: str | None
    is_reference_data: bool
    reference_config_inserted: bool
    status: str
    created_at: datetime
    processed_at: datetime | None
    error_message: str | None
    reason: str | None
    changed_at: datetime | None
    mtime_ns: int | None
    inode: int | None
    load_id: int | None

    def is_version(self, version: FileVersion) -> bool:
        """Return whether this row speaks of that version of the file."""
        return (self.file_size, self.mtime_ns, self.inode) == (
            version.size_bytes,
            version.mtime_ns,
            version.inode,
        )


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """A row of the load history; times are UTC, counts null until they are known."""

    load_id: int
    tracking_id: int
    file_path: str
    file_name: str
    file_size: int
    mtime_ns: int
    inode: int
    file_hash: str | None
    hash_algorithm: str | None
    schema_name: str
    table_name: str
    """Empty when the file's name gives no table."""
    load_type: str
    is_reference_data: bool
    in_tree: bool
    forced: bool
    """A person let it past duplicates and guard rails, by --force or by a release."""
    state: State
    rows_read: int | None
    rows_staged: int | None
    rows_loaded: int | None
    rows_rejected: int | None
    rows_before: int | None
    rows_after: int | None
    layout: str | None
    plan: str | None
    claimed_at: datetime
    planned_at: datetime | None
    staged_at: datetime | None
    committed_at: datetime | None
    finished_at: datetime | None
    filed_at: datetime | None
    filed_path: str | None
    report_path: str | None
    backup_table: str | None
    worker: str | None
    lease_until: datetime | None
    attempts: int
    crashes: int
    error_category: str | None
    error_message: str | None
    requested_by: str | None
    once_key: str | None
    commit_no: int | None
    """Order of the commits of one table, from 1; clocks may be set back, this is not."""
    step: str | None = None
    """The step that was told of last, null for a load that was over within a moment."""
    rows_done: int | None = None
    bytes_read: int | None = None
    """Of the file, in this step; packed bytes of a packed file."""
    rows_per_second: float | None = None
    progress_at: datetime | None = None
    duplicate_of: int | None = None
    """The load by which it was a duplicate; None for all others."""

    @property
    def table(self) -> str:
        """Return `schema.name`, the empty string when there is no table."""
        return f"{self.schema_name}.{self.table_name}" if self.table_name else ""

    @property
    def outcome(self) -> str:
        """Return how it stands as people say it: `held` where nobody cancelled it, else its state.

        The load of a held file is over, its file waits; the journal counts it with the cancelled.
        """
        return outcome_of(self.state, self.error_category)

    @property
    def version(self) -> FileVersion:
        """Return the version of the file that was claimed."""
        return FileVersion(self.file_size, self.mtime_ns, self.inode)


def outcome_of(state: str, error_category: str | None) -> str:
    """Return how a load stands as people say it; see `LoadRecord.outcome`."""
    is_held = state == State.CANCELLED and error_category == HELD_CATEGORY
    return HELD_CATEGORY if is_held else str(state)


@dataclass(frozen=True, slots=True)
class LoadEnd:
    """What a row of the load history says of a load's file: where it went, without its plan."""

    load_id: int
    file_path: str
    file_name: str
    file_size: int
    mtime_ns: int
    inode: int
    state: State
    in_tree: bool
    filed_at: datetime | None
    filed_path: str | None
    report_path: str | None
    error_category: str | None

    @property
    def version(self) -> FileVersion:
        """Return the version of the file that was claimed."""
        return FileVersion(self.file_size, self.mtime_ns, self.inode)


@dataclass(frozen=True, slots=True)
class RejectRecord:
    """A refused row as the journal keeps it."""

    load_id: int
    source_row: int
    line: int
    column_name: str | None
    reason_code: str
    message: str
    row_text: str | None
