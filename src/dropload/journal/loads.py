"""The load history: claiming, moving a load from state to state, and closing it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dropload.durable import path_text
from dropload.errors import ClaimLostError, DroploadError, HeldError, RefusedError, TransientError
from dropload.identity import is_dead_worker
from dropload.journal.tables import JournalTables, path_key, path_of_key
from dropload.journal.tracking import HELD, RELEASED, VANISHED, WAITING, Tracking
from dropload.model import (
    OPEN_STATES,
    Area,
    Drop,
    FileVersion,
    Load,
    LoadEnd,
    LoadRecord,
    LoadType,
    Plan,
    Profile,
    Reject,
    RejectRecord,
    State,
    TableName,
    TrackedFile,
)
from dropload.targets.base import Published, Target

CANCELLED_BY_PERSON = "cancelled"
"""Category of a load that a person stopped."""
LATE_WRITE = "late_write"
"""Category of a load whose file was written to after it had been loaded and moved."""
UNFILED = (State.COMMITTED, State.FAILED, State.DUPLICATE)
"""Over as far as the rows go; the file still has to be moved unless `filed_at` says so."""


# How a table's numbers were written shows in its last loads; older senders may be gone.
_PAST_PLANS = 10
_STAGED_FROM = ("table", "layout", "profile", "columns", "table_columns", "has_lineage", "checks")
"""What of a plan decides which rows its side table gets, and how it is made."""


@dataclass(frozen=True, slots=True)
class ClaimRefused:
    """Why a drop is not loaded now."""

    reason: str
    held: bool = False
    unfiled: bool = False
    """The load is over and only its file has not been moved yet."""
    table_busy: bool = False
    """Another file of the table came first: those of one table keep their order."""


class Loads:
    """Reads and writes rows of the load history, always in the caller's transaction."""

    def __init__(
        self, target: Target, tables: JournalTables, tracking: Tracking, lease: timedelta
    ) -> None:
        self._target = target
        self._tables = tables
        self._loads = tables.loads
        self._tracking = tracking
        self._lease = lease

    # --- claiming

    def claim(
        self, conn: sa.Connection, drop: Drop, table: TableName, worker: str
    ) -> Load | ClaimRefused:
        """Return the load that `worker` now owns, or why it may not have the file.

        A claim that nobody holds any more (released, its lease run out, its process gone) is
        taken over in one statement that only one worker can win.
        """
        row = self._tracking.ensure(conn, drop.path, drop.area, drop.load_type, drop.version)
        refused = self._refusal(conn, row, drop)
        if refused is not None:
            return refused
        # Two daemons may claim two files of one table in the same moment.
        self._target.lock_queue(conn, TableName(f"claim.{table.schema}", table.name))
        first = self._find_earlier(conn, row.id, table, drop) if drop.in_tree else None
        if first is not None:
            return ClaimRefused(
                f"load {first.load_id} of {first.file_name} into {table} comes first",
                table_busy=True,
            )
        drop = self._released(conn, row, drop)
        open_load = self._open_load(conn, row.id)
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
        is_there = self._tracking.set_status(
            conn,
            row.id,
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
        return load

    def _refusal(self, conn: sa.Connection, row: TrackedFile, drop: Drop) -> ClaimRefused | None:
        if row.status == HELD and row.is_version(drop.version) and not drop.force:
            return ClaimRefused(row.reason or "held", held=True)
        query = sa.select(self._loads).where(
            self._loads.c.tracking_id == row.id,
            self._loads.c.state.in_([state.value for state in UNFILED]),
            self._loads.c.filed_at.is_(None),
        )
        for load in self._all(conn, query):
            if load.state == State.COMMITTED or load.version == drop.version:
                return ClaimRefused("it is loaded and only has to be moved", unfiled=True)
        return None

    def _released(self, conn: sa.Connection, row: TrackedFile, drop: Drop) -> Drop:
        """Return the drop of a released file, which nothing holds back any more.

        Where a person had stopped the load, no guard rail has spoken yet: they still count.
        """
        if row.status != RELEASED or not row.is_version(drop.version):
            return drop
        last = self.row(conn, row.load_id) if row.load_id is not None else None
        was_stopped = last is not None and last.error_category == CANCELLED_BY_PERSON
        forced = last.forced if last is not None and was_stopped else True
        return replace(drop, force=drop.force or forced)

    def _find_earlier(
        self, conn: sa.Connection, tracking_id: int, table: TableName, drop: Drop
    ) -> LoadRecord | None:
        """Return the load of another file into the table that must come first.

        One that a worker has, of whatever daemon; and, where one of the two replaces all rows, one
        that was put off and whose file still waits: the order decides what the table holds.
        """
        query = sa.select(self._loads).where(
            self._loads.c.schema_name == table.schema,
            self._loads.c.table_name == table.name,
            self._loads.c.tracking_id != tracking_id,
            self._loads.c.in_tree == sa.true(),
            self._loads.c.state.in_([state.value for state in OPEN_STATES]),
        )
        others = self._all(conn, query.order_by(self._loads.c.load_id)) if table.name else []
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
            .where(self._loads.c.load_id == load_id, self._is_open)
            .values(
                state=State.CANCELLED,
                finished_at=self._target.now(conn),
                error_category=category,
                error_message=reason,
                worker=None,
                lease_until=None,
            )
        )
        return changed.rowcount == 1

    def _open_load(self, conn: sa.Connection, tracking_id: int) -> LoadRecord | None:
        query = sa.select(self._loads).where(
            self._loads.c.tracking_id == tracking_id,
            self._loads.c.state.in_([state.value for state in OPEN_STATES]),
        )
        return self._first(conn, query)

    def is_abandoned(self, conn: sa.Connection, row: LoadRecord) -> bool:
        """Return whether nobody works on a load any more."""
        holder, lease_until = row.worker, row.lease_until
        if holder is None or is_dead_worker(holder):
            return True
        return lease_until is None or bool(lease_until < self._target.now(conn))

    def _insert(
        self, conn: sa.Connection, tracking_id: int, drop: Drop, table: TableName, worker: str
    ) -> Load:
        now = self._target.now(conn)
        values = {
            "tracking_id": tracking_id,
            "state": State.CLAIMED,
            "claimed_at": now,
            "worker": worker,
            "lease_until": now + self._lease,
            "attempts": 1,
            "crashes": 0,
            **_drop_values(drop, table),
        }
        result = conn.execute(sa.insert(self._loads).values(values))
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
        holder = open_load.worker
        still = self._loads.c.worker.is_(None) if holder is None else self._loads.c.worker == holder
        changed = conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == open_load.load_id, still, self._is_open)
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

    @property
    def _is_open(self) -> sa.ColumnElement[bool]:
        return self._loads.c.state.in_([state.value for state in OPEN_STATES])

    # --- on the way

    def advance(self, conn: sa.Connection, load: Load, state: State, **values: Any) -> None:
        """Write a new state and renew the lease; raise ClaimLostError if the claim is gone."""
        now = self._target.now(conn)
        changed = conn.execute(
            sa.update(self._loads)
            .where(
                self._loads.c.load_id == load.load_id,
                self._loads.c.worker == load.worker,
                self._loads.c.state.in_([open_state.value for open_state in OPEN_STATES]),
            )
            .values(state=state, lease_until=now + self._lease, **values)
        )
        if changed.rowcount != 1:
            raise ClaimLostError(f"Load {load.load_id} was taken over or cancelled.")
        self._tracking.set_status(conn, load.tracking_id, state)

    def renew(self, conn: sa.Connection, load: Load) -> None:
        """Move the end of the lease, if the claim still is this worker's."""
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == load.load_id, self._loads.c.worker == load.worker)
            .values(lease_until=self._target.now(conn) + self._lease)
        )

    def forget_appends(self, conn: sa.Connection, table: TableName) -> None:
        """Let bytes that were appended to a table once be appended again."""
        conn.execute(
            sa.update(self._loads)
            .where(
                self._loads.c.schema_name == table.schema,
                self._loads.c.table_name == table.name,
                self._loads.c.once_key.is_not(None),
            )
            .values(once_key=None)
        )

    def record_plan(self, conn: sa.Connection, load: Load, plan: Plan) -> None:
        """Write layout, profile and plan; the load's state becomes staging."""
        self.advance(
            conn,
            load,
            State.STAGING,
            planned_at=self._target.now(conn),
            layout=to_json(plan.layout),
            plan=_plan_as_json(plan),
            rows_staged=0,
            **_profile_values(plan.profile),
        )
        self._tracking.set_layout(conn, load.tracking_id, plan.layout)

    def staged_rows(self, conn: sa.Connection, load: Load, plan: Plan) -> int:
        """Return how many rows an earlier try has staged that this plan would stage the same."""
        row = self.row(conn, load.load_id)
        if row is None or not row.rows_staged or not row.plan:
            return 0
        earlier, now = json.loads(row.plan), json.loads(_plan_as_json(plan))
        same = all(earlier.get(key) == now[key] for key in _STAGED_FROM)
        return row.rows_staged if same else 0

    def commit(
        self,
        conn: sa.Connection,
        load: Load,
        plan: Plan,
        published: Published,
        filed_path: Path | None,
    ) -> None:
        """Write `committed` beside the rows, in their transaction.

        The first load that appends some bytes to a table gets the key that may exist only once.
        """
        now = self._target.now(conn)
        self.advance(
            conn,
            load,
            State.COMMITTED,
            committed_at=now,
            rows_loaded=published.rows_loaded,
            rows_before=published.rows_before,
            rows_after=published.rows_after,
            backup_table=str(published.backup) if published.backup else None,
            filed_path=_optional_text(filed_path),
            file_hash=plan.profile.file_hash,
            once_key=self._free_once_key(conn, load, plan.profile.file_hash),
            commit_no=self._next_commit_no(conn, load.table),
        )
        self._add_rejects(conn, load.load_id, plan.profile.rejects)
        self._tracking.set_status(
            conn,
            load.tracking_id,
            State.COMMITTED,
            processed_at=now,
            file_hash=plan.profile.file_hash[:64],
            reference_config_inserted=load.drop.area is Area.REFERENCE,
        )

    def _next_commit_no(self, conn: sa.Connection, table: TableName) -> int:
        """Return the next number; the caller holds the table's queue."""
        query = sa.select(sa.func.max(self._loads.c.commit_no)).where(
            self._loads.c.schema_name == table.schema, self._loads.c.table_name == table.name
        )
        return int(conn.execute(query).scalar() or 0) + 1

    def _free_once_key(self, conn: sa.Connection, load: Load, file_hash: str) -> str | None:
        key = _once_key(load, file_hash)
        query = sa.select(self._loads).where(self._loads.c.once_key == key)
        is_append = load.drop.load_type is LoadType.APPEND
        return key if is_append and self._first(conn, query) is None else None

    # --- closing

    def close(
        self,
        conn: sa.Connection,
        load: Load,
        state: State,
        *,
        error: DroploadError,
        filed_path: Path | None,
        profile: Profile | None = None,
    ) -> None:
        """End a load without rows: failed, duplicate or cancelled.

        Called again after a lost answer to COMMIT, it finds the load ended and does nothing.
        """
        now = self._target.now(conn)
        message = str(error)
        values = _profile_values(profile) if profile is not None else {}
        if state is State.CANCELLED:
            # Nothing is left to do: no file has to be moved.
            values |= {"worker": None}
        try:
            self.advance(
                conn,
                load,
                state,
                finished_at=now,
                error_category=error.category,
                error_message=message,
                filed_path=_optional_text(filed_path),
                rows_loaded=0,
                **values,
            )
        except ClaimLostError:
            if self._was_closed_by(conn, load, state):
                return
            raise
        file_hash = profile.file_hash[:64] if profile is not None else None
        self._add_rejects(conn, load.load_id, profile.rejects if profile is not None else ())
        self._tracking.set_status(
            conn,
            load.tracking_id,
            state,
            processed_at=now,
            error_message=message,
            file_hash=file_hash,
        )

    def _was_closed_by(self, conn: sa.Connection, load: Load, state: State) -> bool:
        row = self.row(conn, load.load_id)
        return row is not None and row.state is state and row.worker in (load.worker, None)

    def hold(self, conn: sa.Connection, load: Load, error: HeldError) -> None:
        """Give a load up because somebody must decide; the file stays in its inbox."""
        self.close(conn, load, State.CANCELLED, error=error, filed_path=None)
        self._tracking.set_status(
            conn, load.tracking_id, HELD, reason=str(error), processed_at=None
        )

    def release(self, conn: sa.Connection, load: Load, reason: str) -> None:
        """Let go of a claim, so that the next try may begin at once."""
        held_by_us = (self._loads.c.load_id == load.load_id, self._loads.c.worker == load.worker)
        is_open = self._loads.c.state.in_([state.value for state in OPEN_STATES])
        freed = {"worker": None, "lease_until": None}
        reopened = conn.execute(
            sa.update(self._loads).where(*held_by_us, is_open).values(error_message=reason, **freed)
        )
        if reopened.rowcount:
            self._tracking.set_status(conn, load.tracking_id, WAITING, reason=reason)
        else:
            conn.execute(sa.update(self._loads).where(*held_by_us).values(freed))

    def mark_filed(
        self, conn: sa.Connection, load_id: int, filed_path: Path | None, report: Path | None
    ) -> None:
        """Note that the file is where it belongs; a committed load becomes filed."""
        row = self.row(conn, load_id)
        if row is None:
            return
        state = State.FILED if row.state == State.COMMITTED else row.state
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == load_id)
            .values(
                state=state,
                filed_at=self._target.now(conn),
                filed_path=_optional_text(filed_path),
                report_path=_optional_text(report),
                worker=None,
                lease_until=None,
            )
        )
        tracked = self._tables.tracking
        conn.execute(
            sa.update(tracked)
            .where(tracked.c.id == row.tracking_id, tracked.c.load_id == load_id)
            .values(status=state)
        )

    def note_late_write(self, conn: sa.Connection, load_id: int, message: str) -> None:
        """Note of a load that is over that its file was written to afterwards."""
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == load_id)
            .values(error_category=LATE_WRITE, error_message=message)
        )

    def late_writes(self, conn: sa.Connection, since: timedelta) -> list[LoadRecord]:
        """Return the loads of the last time whose files were written to afterwards."""
        query = sa.select(self._loads).where(
            self._loads.c.error_category == LATE_WRITE,
            self._loads.c.claimed_at > self._target.now(conn) - since,
        )
        return self._all(conn, query)

    def cancel_abandoned(self, conn: sa.Connection, load_id: int, reason: str) -> None:
        """End an open load whose file is gone."""
        row = self.row(conn, load_id)
        if row is None or row.state not in OPEN_STATES:
            return
        if not self.is_abandoned(conn, row):
            return
        self._end_without_rows(conn, load_id, "file_changed", reason)
        now = self._target.now(conn)
        self._tracking.set_status(conn, row.tracking_id, VANISHED, reason=reason, processed_at=now)

    def cancel(self, conn: sa.Connection, load_id: int, reason: str) -> LoadRecord | None:
        """End an open load because a person says so; return it as it was, None when it is over.

        Its worker finds its claim gone at its next write; the file is held in its inbox.
        """
        row = self.row(conn, load_id)
        is_ended = self._end_without_rows(conn, load_id, CANCELLED_BY_PERSON, reason)
        if row is None or not is_ended:
            return None
        self._hold_file(conn, row, reason)
        return row

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

    def free_abandoned(self, conn: sa.Connection, load_id: int, worker: str) -> None:
        """Take the dead worker's name off an open load."""
        conn.execute(
            sa.update(self._loads)
            .where(
                self._loads.c.load_id == load_id,
                self._loads.c.worker == worker,
                self._loads.c.state.in_([state.value for state in OPEN_STATES]),
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

    def record_crash(self, conn: sa.Connection, path: Path) -> None:
        """Count a worker process that died on this file, and let the next one have it."""
        conn.execute(
            sa.update(self._loads)
            .where(
                self._loads.c.file_path == path_key(path),
                self._loads.c.state.in_([state.value for state in OPEN_STATES]),
            )
            .values(crashes=self._loads.c.crashes + 1, worker=None, lease_until=None)
        )

    def _add_rejects(self, conn: sa.Connection, load_id: int, rejects: Iterable[Reject]) -> None:
        """Keep refused rows; earlier ones of the same load are replaced."""
        table = self._tables.rejects
        conn.execute(sa.delete(table).where(table.c.load_id == load_id))
        rows = [
            {
                "load_id": load_id,
                "source_row": reject.source_row,
                "line": reject.line,
                "column_name": _storable(reject.column)[:128] or None,
                "reason_code": reject.code,
                "message": _storable(reject.message),
                "row_text": _storable("\t".join(cell or "" for cell in reject.fields)[:4000]),
            }
            for reject in rejects
        ]
        if rows:
            conn.execute(sa.insert(table), rows)

    # --- looking back

    def row(self, conn: sa.Connection, load_id: int) -> LoadRecord | None:
        """Return the whole row of a load."""
        query = sa.select(self._loads).where(self._loads.c.load_id == load_id)
        return self._first(conn, query)

    def existing(self, conn: sa.Connection, load_id: int) -> LoadRecord:
        """Return the whole row of a load that a person names; raise RefusedError without one."""
        row = self.row(conn, load_id)
        if row is None:
            raise RefusedError(
                f"There is no load {load_id}.", hint="`dropload history` lists them."
            )
        return row

    def find_duplicate(self, conn: sa.Connection, load: Load, file_hash: str) -> LoadRecord | None:
        """Return the earlier load that makes this one a duplicate, None when it is not one.

        Append: the same bytes were appended and no fullload has replaced the rows since. Fullload:
        the same bytes are what the table holds now, that is, its last load.
        """
        query = (
            sa.select(self._loads)
            .where(
                self._loads.c.schema_name == load.table.schema,
                self._loads.c.table_name == load.table.name,
                self._loads.c.state.in_([State.COMMITTED.value, State.FILED.value]),
            )
            .order_by(self._loads.c.commit_no.desc())
        )
        if load.drop.load_type is LoadType.FULLLOAD:
            last = self._first(conn, query)
            is_same = last is not None and last.file_hash == file_hash
            is_fullload = last is not None and last.load_type == LoadType.FULLLOAD.value
            return last if is_same and is_fullload else None
        return self._first(conn, query.where(self._loads.c.once_key == _once_key(load, file_hash)))

    def past_plans(self, conn: sa.Connection, table: TableName) -> list[str]:
        """Return the plans of the last loads into the table as JSON, the newest first."""
        query = (
            sa.select(self._loads.c.plan)
            .where(
                self._loads.c.schema_name == table.schema,
                self._loads.c.table_name == table.name,
                self._loads.c.state.in_([State.COMMITTED.value, State.FILED.value]),
                self._loads.c.plan.is_not(None),
            )
            .order_by(self._loads.c.commit_no.desc())
        )
        return list(conn.execute(query.limit(_PAST_PLANS)).scalars())

    def find_later_commit(self, conn: sa.Connection, load: Load) -> LoadRecord | None:
        """Return a load of the same table that was claimed later and is committed already.

        Only where one of the two replaces all rows; a fullload before an append.
        """
        query = sa.select(self._loads).where(
            self._loads.c.schema_name == load.table.schema,
            self._loads.c.table_name == load.table.name,
            self._loads.c.load_id > load.load_id,
            self._loads.c.state.in_([State.COMMITTED.value, State.FILED.value]),
        )
        replacing = self._loads.c.load_type == LoadType.FULLLOAD.value
        found = self._first(conn, query.where(replacing))
        if found is None and load.drop.load_type is LoadType.FULLLOAD:
            found = self._first(conn, query)
        return found

    def unfiled(self, conn: sa.Connection) -> list[LoadRecord]:
        """Return the loads that are over but whose file has not been moved, oldest first."""
        query = (
            sa.select(self._loads)
            .where(
                self._loads.c.state.in_([state.value for state in UNFILED]),
                self._loads.c.filed_at.is_(None),
            )
            .order_by(self._loads.c.load_id)
        )
        return self._all(conn, query)

    def open(self, conn: sa.Connection) -> list[LoadRecord]:
        """Return the loads under way, oldest first."""
        query = (
            sa.select(self._loads)
            .where(self._loads.c.state.in_([state.value for state in OPEN_STATES]))
            .order_by(self._loads.c.load_id)
        )
        return self._all(conn, query)

    def backups(self, conn: sa.Connection, table: TableName) -> list[tuple[int, str]]:
        """Return load id and backup of each fullload of a table that has one, newest first."""
        query = (
            sa.select(self._loads.c.load_id, self._loads.c.backup_table)
            .where(
                self._loads.c.schema_name == table.schema,
                self._loads.c.table_name == table.name,
                self._loads.c.backup_table.is_not(None),
            )
            .order_by(self._loads.c.commit_no.desc())
        )
        return [(row.load_id, row.backup_table) for row in conn.execute(query)]

    def forget_backup(self, conn: sa.Connection, load_id: int) -> None:
        """Note that the backup of a load is gone."""
        conn.execute(
            sa.update(self._loads).where(self._loads.c.load_id == load_id).values(backup_table=None)
        )

    def history(self, conn: sa.Connection, table: str | None, limit: int) -> list[LoadRecord]:
        """Return the latest loads, newest first; `table` is `name` or `schema.name`."""
        query = sa.select(self._loads).order_by(self._loads.c.load_id.desc()).limit(limit)
        if table:
            schema, _, name = table.rpartition(".")
            query = query.where(self._loads.c.table_name == name)
            query = query.where(self._loads.c.schema_name == schema) if schema else query
        return self._all(conn, query)

    def ends(self, conn: sa.Connection, limit: int | None = None) -> list[LoadEnd]:
        """Return of every load, or of so many of the last, where its file went."""
        names = [field.name for field in fields(LoadEnd)]
        columns = (self._loads.c[name] for name in names)
        query = sa.select(*columns).order_by(self._loads.c.load_id.desc()).limit(limit)
        found = conn.execute(query).mappings()
        return [LoadEnd(**{**row, "state": State(row["state"])}) for row in found]

    def rejects(self, conn: sa.Connection, load_id: int) -> list[RejectRecord]:
        """Return the refused rows that were kept, in the order of the file."""
        table = self._tables.rejects
        query = sa.select(table).where(table.c.load_id == load_id).order_by(table.c.source_row)
        return [RejectRecord(**row) for row in conn.execute(query).mappings()]

    def _all(self, conn: sa.Connection, query: sa.Select[Any]) -> list[LoadRecord]:
        return [_record(row) for row in conn.execute(query).mappings()]

    def _first(self, conn: sa.Connection, query: sa.Select[Any]) -> LoadRecord | None:
        row = conn.execute(query.limit(1)).mappings().first()
        return _record(row) if row else None


def _record(row: sa.RowMapping) -> LoadRecord:
    return LoadRecord(**{**row, "state": State(row["state"])})


def _storable(text: str) -> str:
    """Return a text without the one character that databases refuse."""
    return text.replace("\0", "\u2400")


def _still_waits(row: LoadRecord) -> bool:
    """Return whether the file of a load that was put off still stands where it was dropped."""
    try:
        return FileVersion.from_stat(path_of_key(row.file_path).lstat()) == row.version
    except FileNotFoundError:
        return False
    except OSError:
        return True  # a folder that is closed to us just now says nothing about the file


def _once_key(load: Load, file_hash: str) -> str:
    return f"{load.table}:{file_hash}"


def drop_from_record(record: LoadRecord) -> Drop:
    """Return the drop that a load was made for."""
    return Drop(
        path=path_of_key(record.file_path),
        area=Area.REFERENCE if record.is_reference_data else Area.NON_REFERENCE,
        load_type=LoadType(record.load_type),
        version=record.version,
        in_tree=record.in_tree,
        requested_by=record.requested_by or "daemon",
    )


def to_json(value: Any) -> str:
    """Return a value of the model as JSON text."""
    return json.dumps(asdict(value), ensure_ascii=False, default=_plain)


def _plan_as_json(plan: Plan) -> str:
    """Return the plan without the refused rows: these have a table of their own."""
    return to_json(replace(plan, profile=replace(plan.profile, rejects=())))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value)


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


def _profile_values(profile: Profile) -> dict[str, Any]:
    return {
        "file_hash": profile.file_hash,
        "hash_algorithm": profile.hash_algorithm,
        "rows_read": profile.rows,
        "rows_rejected": profile.rejected_rows,
    }


def _optional_text(path: Path | None) -> str | None:
    return None if path is None else path_text(path)
