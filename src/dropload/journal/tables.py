"""The journal's tables as SQLAlchemy sees them; `sql/` is what creates them."""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dropload.durable import stored_path_text
from dropload.folders import find_path
from dropload.model import State, TableName
from dropload.targets.base import Target

FILE_PATH_LENGTH = 500
"""Characters of `file_path` in the tracking table."""


_ENDS_IN_HASH = re.compile(r"…[0-9a-f]{64}$")


class UTCTime(sa.TypeDecorator[datetime]):
    """A time that the database keeps without its zone, which is UTC, and that we never have so."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: sa.Dialect,  # noqa: ARG002 - the same for all
    ) -> datetime | None:
        """Return what the database keeps."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without its zone: {value}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: sa.Dialect,  # noqa: ARG002 - the same for all
    ) -> datetime | None:
        """Return what the database keeps, with its zone."""
        return None if value is None else value.replace(tzinfo=UTC)


def path_key(path: Path) -> str:
    """Return a path as the journal keeps it: its text, or its beginning and the text's hash.

    The hash is for texts that are too long, and for those that end in a blank: databases compare
    texts as if trailing blanks were not there.
    """
    text = stored_path_text(path)
    if len(text) <= FILE_PATH_LENGTH and not text.endswith(" "):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: FILE_PATH_LENGTH - len(digest) - 1]}…{digest}"


def path_of_key(key: str) -> Path:
    """Return the path that `path_key` made this key of, as far as it still exists.

    A path whose folder has been cut off is not found again.
    """
    path = find_path(key)
    if not _ENDS_IN_HASH.search(key) or os.path.lexists(path):
        return path
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if path_key(path.parent / entry.name) == key:
                return path.parent / entry.name
    return path


@dataclass(frozen=True, slots=True)
class JournalTables:
    """One table object per journal table, in the target's reference schema."""

    tracking: sa.Table
    loads: sa.Table
    rejects: sa.Table
    reference: sa.Table
    audit: sa.Table
    versions: sa.Table


def in_states(column: sa.ColumnElement[Any], states: Iterable[State]) -> sa.ColumnElement[bool]:
    """Return the condition that a state is one of these, with the words in the statement.

    As parameters their number would have the statement made anew each time it runs.
    """
    return column.in_([sa.literal_column(f"'{state.value}'") for state in states])


def journal_tables(target: Target) -> JournalTables:
    """Return the journal's tables under the names that this target gives them."""
    metadata = sa.MetaData()

    def table(name: str, *columns: sa.Column[object]) -> sa.Table:
        schema, physical = target.physical_name(TableName(target.schemas.reference, name))
        return sa.Table(sa.quoted_name(physical, quote=True), metadata, *columns, schema=schema)

    return JournalTables(
        tracking=table("File_Monitor_Tracking", *_tracking_columns()),
        loads=table("Load_History", *_load_columns()),
        rejects=table(
            "Load_Reject",
            sa.Column("load_id", sa.BigInteger, primary_key=True),
            sa.Column("source_row", sa.BigInteger, primary_key=True),
            sa.Column("line", sa.BigInteger),
            sa.Column("column_name", sa.Unicode(128)),
            sa.Column("reason_code", sa.Unicode(50)),
            sa.Column("message", sa.UnicodeText),
            sa.Column("row_text", sa.UnicodeText),
        ),
        reference=table(
            "Reference_Data_Cfg",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("schema_name", sa.Unicode(128)),
            sa.Column("table_name", sa.Unicode(128)),
            sa.Column("columns", sa.UnicodeText),
            sa.Column("created_at", UTCTime),
            sa.Column("updated_at", UTCTime),
            sa.Column("load_id", sa.BigInteger),
        ),
        audit=table(
            "Audit_Log",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("at", UTCTime),
            sa.Column("actor", sa.Unicode(200)),
            sa.Column("action", sa.Unicode(50)),
            sa.Column("load_id", sa.BigInteger),
            sa.Column("detail", sa.UnicodeText),
            sa.Column("result", sa.Unicode(20)),
            sa.Column("reason", sa.UnicodeText),
        ),
        versions=table(
            "Schema_Version",
            sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("script", sa.Unicode(200)),
            sa.Column("applied_at", UTCTime),
        ),
    )


def _tracking_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("file_path", sa.Unicode(FILE_PATH_LENGTH)),
        sa.Column("file_name", sa.Unicode(255)),
        sa.Column("file_size", sa.BigInteger),
        sa.Column("file_hash", sa.Unicode(64)),
        sa.Column("load_type", sa.Unicode(20)),
        sa.Column("table_name", sa.Unicode(300)),
        sa.Column("detected_delimiter", sa.Unicode(10)),
        sa.Column("detected_headers", sa.UnicodeText),
        sa.Column("is_reference_data", sa.Boolean),
        sa.Column("reference_config_inserted", sa.Boolean),
        sa.Column("status", sa.Unicode(20)),
        sa.Column("created_at", UTCTime),
        sa.Column("processed_at", UTCTime),
        sa.Column("error_message", sa.UnicodeText),
        sa.Column("reason", sa.UnicodeText),
        sa.Column("changed_at", UTCTime),
        sa.Column("mtime_ns", sa.BigInteger),
        sa.Column("inode", sa.BigInteger),
        sa.Column("load_id", sa.BigInteger),
    ]


def _load_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("load_id", sa.Integer, primary_key=True),
        sa.Column("tracking_id", sa.BigInteger),
        sa.Column("file_path", sa.Unicode(FILE_PATH_LENGTH)),
        sa.Column("file_name", sa.Unicode(255)),
        sa.Column("file_size", sa.BigInteger),
        sa.Column("mtime_ns", sa.BigInteger),
        sa.Column("inode", sa.BigInteger),
        sa.Column("file_hash", sa.Unicode(128)),
        sa.Column("hash_algorithm", sa.Unicode(20)),
        sa.Column("schema_name", sa.Unicode(128)),
        sa.Column("table_name", sa.Unicode(128)),
        sa.Column("load_type", sa.Unicode(20)),
        sa.Column("is_reference_data", sa.Boolean),
        sa.Column("in_tree", sa.Boolean),
        sa.Column("forced", sa.Boolean),
        sa.Column("state", sa.Unicode(20)),
        sa.Column("rows_read", sa.BigInteger),
        sa.Column("rows_staged", sa.BigInteger),
        sa.Column("rows_loaded", sa.BigInteger),
        sa.Column("rows_rejected", sa.BigInteger),
        sa.Column("rows_before", sa.BigInteger),
        sa.Column("rows_after", sa.BigInteger),
        sa.Column("layout", sa.UnicodeText),
        sa.Column("plan", sa.UnicodeText),
        sa.Column("claimed_at", UTCTime),
        sa.Column("planned_at", UTCTime),
        sa.Column("staged_at", UTCTime),
        sa.Column("committed_at", UTCTime),
        sa.Column("finished_at", UTCTime),
        sa.Column("filed_at", UTCTime),
        sa.Column("filed_path", sa.Unicode(1000)),
        sa.Column("report_path", sa.Unicode(1000)),
        sa.Column("backup_table", sa.Unicode(300)),
        sa.Column("worker", sa.Unicode(200)),
        sa.Column("lease_until", UTCTime),
        sa.Column("attempts", sa.Integer),
        sa.Column("crashes", sa.Integer),
        sa.Column("error_category", sa.Unicode(30)),
        sa.Column("error_message", sa.UnicodeText),
        sa.Column("requested_by", sa.Unicode(200)),
        sa.Column("once_key", sa.Unicode(500)),
        sa.Column("commit_no", sa.BigInteger),
        sa.Column("step", sa.Unicode(20)),
        sa.Column("rows_done", sa.BigInteger),
        sa.Column("bytes_read", sa.BigInteger),
        sa.Column("rows_per_second", sa.Float),
        sa.Column("progress_at", UTCTime),
        sa.Column("duplicate_of", sa.BigInteger),
        sa.Column("step_seconds", sa.UnicodeText),
        sa.Column("steps_retried", sa.Integer),
        sa.Column("error_code", sa.Unicode(20)),
    ]
