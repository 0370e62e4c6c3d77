"""Who may load a file: claims with a lease, taking them over, and taking them away."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dropload.durable import path_text
from dropload.error_codes import code_of
from dropload.errors import ClaimLostError, TransientError
from dropload.identity import is_dead_worker, is_own_worker
from dropload.journal.history import History, progress_values
from dropload.journal.queries import of_table
from dropload.journal.tables import JournalTables, in_states, path_key, path_of_key
from dropload.journal.tracking import (
    CANCELLED_BY_PERSON,
    HELD,
    NEVER_TRIED,
    RELEASED,
    VANISHED,
    Tracking,
)
from dropload.model import (
    HELD_CATEGORY,
    OPEN_STATES,
    RELEASED_CATEGORY,
    STANDING,
    Area,
    Drop,
    FileVersion,
    Load,
    LoadRecord,
    LoadType,
    Progress,
    State,
    Step,
    TableName,
    TrackedFile,
)
from dropload.targets.base import Target

_WRITING = (Step.STAGING.value, Step.PUBLISHING.value)
"""Steps in which a load waits for the database and no longer for its file."""


@dataclass(frozen=True, slots=True)
class ClaimRefused:
    """Why a drop is not loaded now."""

    reason: str
    held: bool = False
    unfiled: bool = False
    """The load is over and only its file has not been moved yet."""
    table_busy: bool = False
    """Another file of the table came first: those of one table keep their order."""


class Claims:
    """Gives loads to workers and takes them back, always in the caller's transaction."""

    def __init__(
        self,
        target: Target,
        tables: JournalTables,
        tracking: Tracking,
        history: History,
        lease: timedelta,
    ) -> None:
        self._target = target
        self._tables = tables
        self._loads = tables.loads
        self._queries = history.queries
        self._tracking = tracking
        self._history = history
        self._lease = lease

    def claim(
        self, conn: sa.Connection, drop: Drop, table: TableName, worker: str
    ) -> Load | ClaimRefused:
        """Return the load that `worker` now owns, or why it may not have the file.

        A claim that nobody holds any more (released, its lease run out, its process gone) is
        taken over in one statement that only one worker can win.
        """
        self._lock_claims(conn, table)
        row = self._tracking.ensure(conn, drop.path, drop.area, drop.load_type, drop.version)
        refused = self._refusal(conn, row, drop)
        if refused is not None:
            return refused
        first = self._find_earlier(conn, row.id, table, drop) if drop.in_tree else None
        if first is not None:
            return ClaimRefused(
                f"load {first.load_id} of {first.file_name} into {table} comes first",
                table_busy=True,
            )
        drop = self._released(conn, row, drop)
        open_load = self._open_load(conn, row)
        if open_load is not None and self._is_replaced(conn, open_load, drop, worker):
            self._end_replaced(conn, open_load)
            open_load = None
        if open_load is None:
            load = self._insert(conn, row.id, drop, table, worker)
        elif open_load.forced and open_load.version == drop.version and not drop.force:
            # Released, or forced by a person, and put off since then.
            return self.claim(conn, replace(drop, force=True), table, worker)
        elif open_load.worker == worker or self.is_abandoned(conn, open_load):
            load = self._take_over(conn, open_load, drop, table, worker)
        else:
            return ClaimRefused(f"it is being loaded by {open_load.worker}", table_busy=True)
        if drop.force and row.status == HELD and row.load_id is not None:
            self.note_released(conn, row.load_id)
        self._mark_claimed(conn, load)
        return load

    def _mark_claimed(self, conn: sa.Connection, load: Load) -> None:
        """Write down of the file which load has it, in which version."""
        drop, table = load.drop, load.table
        is_there = self._tracking.set_status(
            conn,
            load.tracking_id,
            State.CLAIMED,
            load_id=load.load_id,
            table_name=str(table) if table.name else None,
            file_size=drop.version.size_bytes,
            mtime_ns=drop.version.mtime_ns,
            inode=drop.version.inode,
            load_type=drop.load_type.value,
            error_message=None,
            reason=None,
        )
        if not is_there:
            # A cleanup took the path for one that nobody uses any more, in the same moment.
            raise TransientError(
                f"The journal forgot {path_text(drop.path.name)} while it was claimed."
            )

    def _lock_claims(self, conn: sa.Connection, table: TableName) -> None:
        """Let nobody else claim or cancel: two may want files of one table in the same moment."""
        self._target.lock_queue(conn, TableName(f"claim.{table.schema}", table.name))

    def _refusal(self, conn: sa.Connection, row: TrackedFile, drop: Drop) -> ClaimRefused | None:
        if not drop.force and self._tracking.stays_held(conn, row, drop.version):
            return ClaimRefused(row.reason or "held", held=True)
        return None if _never_had_a_load(row) else self._refusal_by_loads(conn, row, drop)

    def _refusal_by_loads(
        self, conn: sa.Connection, row: TrackedFile, drop: Drop
    ) -> ClaimRefused | None:
        """Return why a path may not be loaded that was loaded before."""
        unfiled = self._history.all(conn, self._queries.unfiled_of_file, of_tracking_id=row.id)
        for load in unfiled:
            if load.state == State.COMMITTED or load.version == drop.version:
                return ClaimRefused("it is loaded and only has to be moved", unfiled=True)
        lost = self._find_lost(conn, row) if drop.in_tree and not drop.force else None
        if lost is None or row.status == RELEASED:
            return None
        if lost.version == drop.version and not self._is_replaced_since(conn, lost):
            self._take_up_again(conn, lost)
            return ClaimRefused("it is loaded and is back: it only has to be moved", unfiled=True)
        if lost.inode == drop.version.inode and drop.load_type is LoadType.APPEND:
            return self._hold_grown(conn, row, lost, drop)
        return None

    def _find_lost(self, conn: sa.Connection, row: TrackedFile) -> LoadRecord | None:
        """Return the last load of a path, if its file was gone before it could be moved."""
        return self._history.find(conn, self._queries.lost_of_file, of_tracking_id=row.id)

    def _is_replaced_since(self, conn: sa.Connection, lost: LoadRecord) -> bool:
        """Return whether the rows of a load have been replaced: then its file is a new drop."""
        own = self._loads.c
        query = sa.select(self._loads).where(
            own.schema_name == lost.schema_name,
            own.table_name == lost.table_name,
            own.commit_no > (lost.commit_no or 0),
            own.load_type == LoadType.FULLLOAD.value,
            in_states(own.state, STANDING),
        )
        return self._history.first(conn, query) is not None

    def _take_up_again(self, conn: sa.Connection, lost: LoadRecord) -> None:
        """Let a file be moved that was loaded and then gone, as with a share that went away.

        Without that it would be a drop of its own, and its rows in the table twice.
        """
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == lost.load_id)
            .values(
                state=State.COMMITTED,
                filed_at=None,
                error_category=None,
                error_code=None,
                error_message=None,
            )
        )

    def _hold_grown(
        self, conn: sa.Connection, row: TrackedFile, lost: LoadRecord, drop: Drop
    ) -> ClaimRefused:
        """Hold a file that was written to after it was loaded: its first rows are in the table."""
        reason = (
            f"It was written to after load {lost.load_id} had loaded its {lost.file_size:,} bytes "
            f"into {lost.table}: loaded again, those rows would be there twice. Drop only what is "
            "new, under another name; or release the file if all of it is new."
        )
        self._tracking.set_status(
            conn,
            row.id,
            HELD,
            reason=reason,
            file_size=drop.version.size_bytes,
            mtime_ns=drop.version.mtime_ns,
            inode=drop.version.inode,
        )
        return ClaimRefused(reason, held=True)

    def _released(self, conn: sa.Connection, row: TrackedFile, drop: Drop) -> Drop:
        """Return the drop of a released file, which nothing holds back any more.

        Where a person had stopped the load, no guard rail has spoken yet: they still count.
        """
        if row.status != RELEASED or not row.is_version(drop.version):
            return drop
        last = self._history.row(conn, row.load_id) if row.load_id is not None else None
        was_stopped = last is not None and last.error_category == CANCELLED_BY_PERSON
        forced = last.forced if last is not None and was_stopped else True
        return replace(drop, force=drop.force or forced)

    def note_released(self, conn: sa.Connection, load_id: int) -> None:
        """Write that a person has let the file of a held load through."""
        own = self._loads.c
        conn.execute(
            sa.update(self._loads)
            .where(own.load_id == load_id, own.error_category == HELD_CATEGORY)
            .values(error_category=RELEASED_CATEGORY)
        )

    def _find_earlier(
        self, conn: sa.Connection, tracking_id: int, table: TableName, drop: Drop
    ) -> LoadRecord | None:
        """Return the load of another file into the table that must come first.

        One that a worker has, of whatever daemon; and, where one of the two replaces all rows, one
        that was put off and whose file still waits: the order decides what the table holds.
        """
        if not table.name:
            return None
        named = of_table(table.schema, table.name)
        others = self._history.all(
            conn, self._queries.open_of_table, **named, of_tracking_id=tracking_id
        )
        return next((row for row in others if self._comes_first(conn, row, drop)), None)

    def _comes_first(self, conn: sa.Connection, row: LoadRecord, drop: Drop) -> bool:
        if row.worker is not None and not self.is_abandoned(conn, row):
            return True
        replaces = LoadType.FULLLOAD.value in (row.load_type, drop.load_type.value)
        return replaces and not drop.force and _still_waits(row)

    def _is_replaced(self, conn: sa.Connection, row: LoadRecord, drop: Drop, worker: str) -> bool:
        """Return whether an open load is of an older version, and nobody works on it any more."""
        idle = row.worker == worker or self.is_abandoned(conn, row)
        return row.version != drop.version and idle

    def _end_replaced(self, conn: sa.Connection, row: LoadRecord) -> None:
        """End the load of a version that is gone: its tries and its place are not the new one's."""
        table = TableName(row.schema_name, row.table_name)
        self._target.drop_table(conn, self._target.stage_name(table, row.load_id))
        reason = "the file was replaced before it was loaded"
        self._end_without_rows(conn, row.load_id, "file_changed", reason)

    def _end_without_rows(
        self, conn: sa.Connection, load_id: int, category: str, reason: str
    ) -> bool:
        """Cancel an open load; return False when it is over."""
        changed = conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == load_id, self._history.is_open)
            .values(
                state=State.CANCELLED,
                finished_at=self._target.now(conn),
                error_category=category,
                error_code=code_of(category) or None,
                error_message=reason,
                worker=None,
                lease_until=None,
            )
        )
        return changed.rowcount == 1

    def _open_load(self, conn: sa.Connection, row: TrackedFile) -> LoadRecord | None:
        if _never_had_a_load(row):
            return None
        return self._history.find(conn, self._queries.open_of_file, of_tracking_id=row.id)

    def is_abandoned(self, conn: sa.Connection, row: LoadRecord) -> bool:
        """Return whether nobody works on a load any more."""
        holder, lease_until = row.worker, row.lease_until
        if holder is None or is_dead_worker(holder):
            return True
        return lease_until is None or bool(lease_until < self._target.now(conn))

    def _insert(
        self,
        conn: sa.Connection,
        tracking_id: int,
        drop: Drop,
        table: TableName,
        worker: str,
        *,
        attempts: int = 1,
    ) -> Load:
        now = self._target.now(conn)
        values = {
            "tracking_id": tracking_id,
            "state": State.CLAIMED,
            "claimed_at": now,
            "worker": worker,
            "lease_until": now + self._lease,
            "attempts": attempts,
            "crashes": 0,
            **_drop_values(drop, table),
        }
        result = conn.execute(self._queries.new_load, values)
        assert result.inserted_primary_key is not None  # noqa: S101 - one row was inserted
        return Load(int(result.inserted_primary_key[0]), tracking_id, drop, table, worker)

    def _take_over(
        self,
        conn: sa.Connection,
        open_load: LoadRecord,
        drop: Drop,
        table: TableName,
        worker: str,
    ) -> Load:
        now = self._target.now(conn)
        changed = conn.execute(
            sa.update(self._loads)
            .where(
                self._loads.c.load_id == open_load.load_id,
                self._is_held_by(open_load.worker),
                self._history.is_open,
            )
            .values(
                state=State.CLAIMED,
                worker=worker,
                lease_until=now + self._lease,
                attempts=open_load.attempts + 1,
                **_drop_values(drop, table),
            )
        )
        if changed.rowcount != 1:
            raise ClaimLostError(
                f"Load {open_load.load_id} was taken by another worker, or cancelled."
            )
        return Load(
            open_load.load_id,
            open_load.tracking_id,
            drop,
            table,
            worker,
            crashes=open_load.crashes,
        )

    def renew(self, conn: sa.Connection, load: Load, progress: Progress | None = None) -> bool:
        """Move the end of the lease and write how far the load is.

        Returns False, and writes nothing, when the claim is not this worker's any more.
        """
        now = self._target.now(conn)
        values = progress_values(progress, now)
        if values:
            said, kept = values["error_message"], self._loads.c.error_message
            message = sa.null() if said is None else sa.literal(said, kept.type)
            # The load may have ended since that was noted.
            values["error_message"] = sa.case((self._history.is_open, message), else_=kept)
        changed = conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == load.load_id, self._loads.c.worker == load.worker)
            .values(lease_until=now + self._lease, **values)
        )
        return changed.rowcount == 1

    def cancel_abandoned(self, conn: sa.Connection, load_id: int, reason: str) -> None:
        """End an open load whose file is gone."""
        row = self._history.row(conn, load_id)
        if row is None or row.state not in OPEN_STATES:
            return
        if not self.is_abandoned(conn, row):
            return
        self._end_without_rows(conn, load_id, "file_changed", reason)
        now = self._target.now(conn)
        self._tracking.set_status(conn, row.tracking_id, VANISHED, reason=reason, processed_at=now)

    def cancel(self, conn: sa.Connection, load_id: int, reason: str) -> LoadRecord | None:
        """End an open load because a person says so; return it as it was, None when it is over.

        Its worker finds its claim gone within seconds; the file is held in its inbox.
        """
        row = self._history.row(conn, load_id)
        is_ended = self._end_without_rows(conn, load_id, CANCELLED_BY_PERSON, reason)
        if row is None or not is_ended:
            return None
        self._hold_file(conn, row, reason)
        return row

    def cancel_waiting(
        self, conn: sa.Connection, drop: Drop, table: TableName, reason: str
    ) -> int | ClaimRefused:
        """Hold a file before anybody has loaded it; return the load that says so.

        It has a load of its own, which is cancelled from its beginning, so that the history shows
        it and the file can be named by a number. What is still written to stays held while it
        grows, see `Tracking.stays_held`.
        """
        self._lock_claims(conn, table)
        row = self._tracking.ensure(conn, drop.path, drop.area, drop.load_type, drop.version)
        refused = self._refusal(conn, row, drop)
        if refused is not None:
            return refused
        open_load = self._open_load(conn, row)
        if open_load is not None:
            return ClaimRefused(f"load {open_load.load_id} of it has begun in this moment")
        load = self._insert(conn, row.id, drop, table, "", attempts=NEVER_TRIED)
        self._end_without_rows(conn, load.load_id, CANCELLED_BY_PERSON, reason)
        self._tracking.set_status(
            conn,
            row.id,
            HELD,
            reason=reason,
            load_id=load.load_id,
            table_name=str(table) if table.name else None,
            file_size=drop.version.size_bytes,
            mtime_ns=drop.version.mtime_ns,
            inode=drop.version.inode,
        )
        return load.load_id

    def _hold_file(self, conn: sa.Connection, row: LoadRecord, reason: str) -> None:
        """Hold the version that was being loaded; a newer one that was seen since then waits."""
        tracked = self._tables.tracking
        conn.execute(
            sa.update(tracked)
            .where(
                tracked.c.id == row.tracking_id,
                tracked.c.load_id == row.load_id,
                tracked.c.file_size == row.file_size,
                tracked.c.mtime_ns == row.mtime_ns,
                tracked.c.inode == row.inode,
            )
            .values(status=HELD if row.in_tree else State.CANCELLED, reason=reason)
        )

    def take_unfiled(self, conn: sa.Connection, row: LoadRecord, worker: str) -> bool:
        """Claim a load that is over and whose file is to be moved; return False if somebody has."""
        changed = conn.execute(
            sa.update(self._loads)
            .where(
                self._loads.c.load_id == row.load_id,
                self._is_held_by(row.worker),
                self._loads.c.state == row.state,
                self._loads.c.filed_at.is_(None),
            )
            .values(worker=worker, lease_until=self._target.now(conn) + self._lease)
        )
        return changed.rowcount == 1

    def leave_unfiled(self, conn: sa.Connection, load_id: int, worker: str) -> None:
        """Give that claim up, whether the file was moved or not."""
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == load_id, self._loads.c.worker == worker)
            .values(worker=None, lease_until=None)
        )

    def free_abandoned(self, conn: sa.Connection, load_id: int, worker: str) -> None:
        """Take the dead worker's name off an open load."""
        conn.execute(
            sa.update(self._loads)
            .where(
                self._loads.c.load_id == load_id,
                self._loads.c.worker == worker,
                self._history.is_open,
            )
            .values(worker=None, lease_until=None)
        )

    def free_claim(self, conn: sa.Connection, path: Path, worker: str) -> None:
        """Take the name of a worker off the loads of a path, which it could not do itself."""
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.file_path == path_key(path), self._loads.c.worker == worker)
            .values(worker=None, lease_until=None)
        )

    def record_crash(self, conn: sa.Connection, path: Path, *, timed_out: bool = False) -> None:
        """Count a worker of this daemon that ended on this file, and let the next one have it.

        What another daemon's worker has taken over meanwhile stays its own. A load that ran out of
        time while it wrote (`timed_out`) waited for the database, which is not the file's fault.
        """
        query = sa.select(self._loads).where(
            self._loads.c.file_path == path_key(path), self._history.is_open
        )
        for row in self._history.all(conn, query):
            holder = row.worker
            if holder is not None and not (is_dead_worker(holder) or is_own_worker(holder)):
                continue
            counts = not timed_out or (row.state is State.CLAIMED and row.step not in _WRITING)
            still = self._is_held_by(holder)
            conn.execute(
                sa.update(self._loads)
                .where(self._loads.c.load_id == row.load_id, still)
                .values(crashes=row.crashes + counts, worker=None, lease_until=None)
            )

    def _is_held_by(self, holder: str | None) -> sa.ColumnElement[bool]:
        own = self._loads.c.worker
        return own.is_(None) if holder is None else own == holder


def _never_had_a_load(row: TrackedFile) -> bool:
    """Return whether there is nothing to ask for: a claim writes both, its load and who has it."""
    return row.load_id is None


def _still_waits(row: LoadRecord) -> bool:
    """Return whether the file of a load that was put off still stands where it was dropped."""
    try:
        return FileVersion.from_stat(path_of_key(row.file_path).lstat()) == row.version
    except FileNotFoundError:
        return False
    except OSError:
        return True  # a folder that is closed to us just now says nothing about the file


def _drop_values(drop: Drop, table: TableName) -> dict[str, Any]:
    return {
        "file_path": path_key(drop.path),
        "forced": drop.force,
        "file_name": Path(path_text(drop.path)).name,
        "file_size": drop.version.size_bytes,
        "mtime_ns": drop.version.mtime_ns,
        "inode": drop.version.inode,
        "schema_name": table.schema,
        "table_name": table.name,
        "load_type": drop.load_type.value,
        "is_reference_data": drop.area is Area.REFERENCE,
        "in_tree": drop.in_tree,
        "requested_by": drop.requested_by,
        "error_message": None,
    }
