"""The tracking table: one row per drop path, its present state."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dropload.durable import stored_path_text
from dropload.journal.queries import Queries
from dropload.journal.tables import JournalTables, path_key
from dropload.model import (
    OPEN_STATES,
    Area,
    FileVersion,
    Inbox,
    Layout,
    LoadType,
    State,
    TableName,
    TrackedFile,
)
from dropload.targets.base import Target

TRACKING_QUEUE = TableName("journal", "tracking")
"""Whoever notes new files takes this queue first."""
WAITING = "waiting"
HELD = "held"
CANCELLED_BY_PERSON = "cancelled"
"""Category of a load that a person stopped."""
NEVER_TRIED = 0
"""Attempts of a load whose file a person stopped while it waited."""
RELEASED = "released"
VANISHED = "vanished"
_OVER = (State.COMMITTED, State.FILED, State.FAILED, State.DUPLICATE)
_KEPT = (WAITING, HELD, RELEASED, *(state.value for state in (*OPEN_STATES, *_OVER)))
"""A new look at the same version does not change these."""

_LONGEST_PAUSE_NS = 600 * 10**9
"""Longest pause of somebody who is still writing a file."""


class Tracking:
    """Reads and writes rows of the tracking table, always in the caller's transaction."""

    def __init__(self, target: Target, tables: JournalTables, queries: Queries) -> None:
        self._target = target
        self._table = tables.tracking
        self._queries = queries
        self._loads = tables.loads

    def upsert_waiting(
        self,
        conn: sa.Connection,
        files: Iterable[tuple[Path, Inbox, FileVersion, str]],
    ) -> None:
        """Note files that wait: path, inbox, version and the reason for people."""
        # Two daemons may see the same new file in the same moment.
        self._target.lock_queue(conn, TRACKING_QUEUE)
        now = self._target.now(conn)
        listed = list(files)
        existing = self._rows(conn, [path_key(path) for path, *_ in listed])
        fresh = []
        for path, inbox, version, reason in listed:
            values = _version_values(version) | {"reason": reason, "changed_at": now}
            text = path_key(path)
            row = existing.get(text)
            if row is None:
                fresh.append(
                    _new_row(text, inbox.area, inbox.load_type, now) | values | {"status": WAITING}
                )
            elif row.status in _KEPT and row.is_version(version):
                continue
            elif not self.stays_held(conn, row, version):
                if row.status == VANISHED and row.is_version(version):
                    values |= self._stopped_by_person(conn, row)
                self.set_status(conn, row.id, **({"status": WAITING} | values))
        if fresh:
            conn.execute(sa.insert(self._table), fresh)

    def stays_held(self, conn: sa.Connection, row: TrackedFile, version: FileVersion) -> bool:
        """Return whether a file is held in this version, too; a new one is then written down.

        What a person stopped while it waited may still be written to: that is the same drop. Where
        a load of it was stopped it was whole, and a new version is new.
        """
        if row.status != HELD or row.is_version(version):
            return row.status == HELD
        if not _is_written_on(row, version) or not self._was_stopped_waiting(conn, row):
            return False
        loads, values = self._loads, _version_values(version)
        self.set_status(conn, row.id, HELD, **values)
        # Its load, too: by the version the history knows what became of a file.
        conn.execute(sa.update(loads).where(loads.c.load_id == row.load_id).values(values))
        return True

    def _was_stopped_waiting(self, conn: sa.Connection, row: TrackedFile) -> bool:
        loads = self._loads.c
        query = sa.select(loads.load_id).where(
            loads.load_id == row.load_id,
            loads.error_category == CANCELLED_BY_PERSON,
            loads.attempts == NEVER_TRIED,
        )
        return conn.execute(query).first() is not None

    def _stopped_by_person(self, conn: sa.Connection, row: TrackedFile) -> dict[str, Any]:
        """Return that a file is still held which was gone for a moment, if a person had it held."""
        loads = self._loads
        query = sa.select(loads.c.error_message).where(
            loads.c.load_id == row.load_id, loads.c.error_category == CANCELLED_BY_PERSON
        )
        reason = conn.execute(query).scalar()
        return {} if reason is None else {"status": HELD, "reason": reason}

    def mark_vanished(self, conn: sa.Connection, paths: Iterable[Path]) -> None:
        """Note that files left their inbox: loaded by somebody meanwhile, or before a load."""
        now = self._target.now(conn)
        for row in self.at_paths(conn, paths).values():
            if row.status not in (WAITING, HELD, RELEASED):
                continue
            over = self._state_of_latest_load(conn, row)
            reason = None if over else "it left the inbox before it was loaded"
            self.set_status(
                conn, row.id, over or VANISHED, reason=reason, processed_at=row.processed_at or now
            )

    def _state_of_latest_load(self, conn: sa.Connection, row: TrackedFile) -> str | None:
        """Return the state of the load that dealt with this version, None when there is none.

        Another daemon may have loaded and moved the file while this one still saw it waiting.
        """
        loads = self._loads
        query = sa.select(loads.c.state).where(
            loads.c.load_id == row.load_id,
            loads.c.filed_at.is_not(None),
            loads.c.file_size == row.file_size,
            loads.c.mtime_ns == row.mtime_ns,
        )
        return conn.execute(query).scalar()

    def ensure(
        self,
        conn: sa.Connection,
        path: Path,
        area: Area,
        load_type: LoadType,
        version: FileVersion,
    ) -> TrackedFile:
        """Return the row of a path (`id`, `status`, version), made when it was not there."""
        text = path_key(path)
        row = self.find(conn, text)
        if row is not None:
            return row
        values = _new_row(text, area, load_type, self._target.now(conn)) | _version_values(version)
        made = conn.execute(self._queries.new_file, values).inserted_primary_key
        assert made is not None  # noqa: S101 - one row was inserted
        columns = {column.name: None for column in self._table.c}
        return TrackedFile(**{**columns, **values, "id": made[0]})

    def find(self, conn: sa.Connection, file_path: str) -> TrackedFile | None:
        """Return the row of a path, None when it was never seen."""
        found = conn.execute(self._queries.file, {"of_path": file_path}).mappings().first()
        return TrackedFile(**found) if found else None

    def set_status(self, conn: sa.Connection, tracking_id: int, status: str, **values: Any) -> bool:
        """Write a new status and whatever else changed with it; return whether the row is there."""
        changed = conn.execute(
            self._queries.change_file, {"of_tracking_id": tracking_id, "status": status, **values}
        )
        return changed.rowcount == 1

    def with_status(self, conn: sa.Connection, *statuses: str) -> list[TrackedFile]:
        """Return the rows in any of these states, oldest first."""
        query = (
            sa.select(self._table)
            .where(self._table.c.status.in_(statuses))
            .order_by(self._table.c.created_at, self._table.c.id)
        )
        return [TrackedFile(**row) for row in conn.execute(query).mappings()]

    def all(self, conn: sa.Connection) -> list[TrackedFile]:
        """Return the row of every path that was ever seen."""
        return [TrackedFile(**row) for row in conn.execute(sa.select(self._table)).mappings()]

    def knows_files_below(self, conn: sa.Connection, folder: Path) -> bool:
        """Return whether a file anywhere below a folder was ever seen."""
        below = self._table.c.file_path.startswith(f"{stored_path_text(folder)}/", autoescape=True)
        return conn.execute(sa.select(self._table.c.id).where(below).limit(1)).first() is not None

    def counts(self, conn: sa.Connection) -> dict[str, int]:
        """Return how many paths are in each state."""
        query = sa.select(self._table.c.status, sa.func.count().label("total")).group_by(
            self._table.c.status
        )
        return {row.status: row.total for row in conn.execute(query)}

    def standing(self, conn: sa.Connection, root: Path) -> dict[str, tuple[int, datetime | None]]:
        """Return of the files below a drop tree that are not over, by state: how many, since when.

        The time is that of the oldest one's last change, UTC.
        """
        own = self._table.c
        query = (
            sa.select(own.status, sa.func.count(), sa.func.min(own.changed_at))
            .where(
                own.status.in_((WAITING, HELD, RELEASED)),
                own.file_path.startswith(f"{stored_path_text(root)}/", autoescape=True),
            )
            .group_by(own.status)
        )
        return {status: (count, since) for status, count, since in conn.execute(query)}

    def at_paths(self, conn: sa.Connection, paths: Iterable[Path]) -> dict[str, TrackedFile]:
        """Return the rows of these paths by their text, as far as there are any."""
        return self._rows(conn, [path_key(path) for path in paths])

    def _rows(self, conn: sa.Connection, paths: list[str]) -> dict[str, TrackedFile]:
        found: dict[str, TrackedFile] = {}
        for chunk in _chunks(paths):
            query = sa.select(self._table).where(self._table.c.file_path.in_(chunk))
            rows = [TrackedFile(**row) for row in conn.execute(query).mappings()]
            found |= {row.file_path: row for row in rows}
        return found


def _version_values(version: FileVersion) -> dict[str, Any]:
    return {
        "file_size": version.size_bytes,
        "mtime_ns": version.mtime_ns,
        "inode": version.inode,
    }


def _new_row(text: str, area: Area, load_type: LoadType, now: Any) -> dict[str, Any]:
    return {
        "file_path": text,
        "file_name": Path(text).name,
        "load_type": load_type.value,
        "is_reference_data": area is Area.REFERENCE,
        "reference_config_inserted": False,
        "status": WAITING,
        "created_at": now,
    }


def _chunks(texts: list[str], size: int = 500) -> Iterable[list[str]]:
    """Yield slices: a statement takes 2,100 parameters at most on the smallest server."""
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _is_written_on(row: TrackedFile, version: FileVersion) -> bool:
    """Return whether a version is what a writer made of the one before, and not another delivery.

    The same file, no shorter, and written to a moment after it was last written to: the next day's
    file may have the inode of today's.
    """
    if row.mtime_ns is None or row.file_size is None or row.inode != version.inode:
        return False
    pause = version.mtime_ns - row.mtime_ns
    return version.size_bytes >= row.file_size and 0 <= pause <= _LONGEST_PAUSE_NS


def layout_values(layout: Layout) -> dict[str, Any]:
    """Return what is kept of a file's layout."""
    return {
        "detected_delimiter": layout.delimiter,
        "detected_headers": json.dumps(layout.header_names, ensure_ascii=False),
    }
