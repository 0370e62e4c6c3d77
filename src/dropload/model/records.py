"""What the journal remembers."""

from dataclasses import dataclass
from datetime import datetime

from dropload.model.drops import FileVersion
from dropload.model.loads import HELD_CATEGORY, RELEASED_CATEGORY, State


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
    """A row of the load history; times are in UTC, counts null until they are known."""

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
    step_seconds: str | None = None
    """JSON: how long each step took, those that it came to; null where nobody has measured."""
    steps_retried: int | None = None
    """How often a step was done again, because of trouble that passed."""
    error_code: str | None = None
    """Stable code of the error that ended it, `DL-xxx`."""

    @property
    def table(self) -> str:
        """Return `schema.name`, the empty string when there is no table."""
        return f"{self.schema_name}.{self.table_name}" if self.table_name else ""

    @property
    def outcome(self) -> str:
        """Return how it stands as people say it: `held` or `released`, else its state.

        The load of a held file is over, its file waits; the journal counts it with the cancelled.
        Released, the file has a load of its own.
        """
        return outcome_of(self.state, self.error_category)

    @property
    def version(self) -> FileVersion:
        """Return the version of the file that was claimed."""
        return FileVersion(self.file_size, self.mtime_ns, self.inode)


def outcome_of(state: str, error_category: str | None) -> str:
    """Return how a load stands as people say it; see `LoadRecord.outcome`."""
    was_held = error_category in (HELD_CATEGORY, RELEASED_CATEGORY)
    return str(error_category if was_held and state == State.CANCELLED else state)


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
