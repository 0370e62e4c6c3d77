"""The life of a load: moving it from state to state, and closing it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from dropload.durable import stored_path_text
from dropload.error_codes import code_of
from dropload.errors import ClaimLostError, DroploadError, DuplicateError, HeldError
from dropload.journal.history import LATE_WRITE, History, once_key, progress_values
from dropload.journal.queries import FILE_GONE, of_table
from dropload.journal.tables import JournalTables, path_of_key
from dropload.journal.tracking import HELD, WAITING, Tracking, layout_values
from dropload.model import (
    DAEMON,
    Area,
    Drop,
    Effort,
    Load,
    LoadRecord,
    LoadType,
    Plan,
    Profile,
    Progress,
    Reject,
    State,
    TableName,
)
from dropload.targets.base import Published, Target

_STAGED_FROM = ("table", "layout", "profile", "columns", "table_columns", "has_lineage", "checks")
"""What of a plan decides which rows its side table gets, and how it is made."""


class Loads:
    """Writes rows of the load history, always in the caller's transaction."""

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

    def advance(
        self,
        conn: sa.Connection,
        load: Load,
        state: State,
        progress: Progress | None = None,
        tracked: Mapping[str, Any] = MappingProxyType({}),
        **values: Any,
    ) -> None:
        """Write a new state and renew the lease; raise ClaimLostError if the claim is gone.

        `tracked` is what changes of its file with the state, `values` what changes of the load.
        """
        now = self._target.now(conn)
        changed = conn.execute(
            self._queries.change_own,
            {
                "of_load_id": load.load_id,
                "of_worker": load.worker,
                "state": state,
                "lease_until": now + self._lease,
                **progress_values(progress, now),
                **values,
            },
        )
        if changed.rowcount != 1:
            raise ClaimLostError(f"Load {load.load_id} was taken over or cancelled.")
        self._tracking.set_status(conn, load.tracking_id, state, **tracked)

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

    def record_plan(
        self,
        conn: sa.Connection,
        load: Load,
        plan: Plan,
        progress: Progress | None = None,
        *,
        rows_staged: int | None = None,
    ) -> None:
        """Write layout, profile and plan; the load's state becomes staging.

        With `rows_staged` all rows of the plan are staged already: it becomes publishing.
        """
        now = self._target.now(conn)
        values = _plan_values(plan, now, write_plan(plan)) | {"rows_staged": rows_staged or 0}
        state = State.STAGING
        if rows_staged is not None:
            state = State.PUBLISHING
            values |= {"staged_at": now}
        self.advance(conn, load, state, progress, layout_values(plan.layout), **values)

    def staged_rows(self, conn: sa.Connection, load: Load, plan: Plan) -> int:
        """Return how many rows an earlier try has staged that this plan would stage the same."""
        row = self._history.row(conn, load.load_id)
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
        *,
        written: Mapping[str, str] | None = None,
    ) -> None:
        """Write `committed` beside the rows, in their transaction.

        The first load that appends some bytes to a table gets the key that may exist only once.
        `written` is the plan as `write_plan` gives it: the rows were staged in the same
        transaction, and no plan recorded before.
        """
        now = self._target.now(conn)
        tracked = {
            "processed_at": now,
            "file_hash": plan.profile.file_hash[:64],
            "reference_config_inserted": load.drop.area is Area.REFERENCE,
        }
        values: dict[str, Any] = {"file_hash": plan.profile.file_hash}
        if written is not None:
            tracked |= layout_values(plan.layout)
            values = _plan_values(plan, now, written)
            values |= {"rows_staged": plan.rows_planned, "staged_at": now}
        self.advance(
            conn,
            load,
            State.COMMITTED,
            None,
            tracked,
            committed_at=now,
            rows_loaded=published.rows_loaded,
            rows_before=published.rows_before,
            rows_after=published.rows_after,
            backup_table=str(published.backup) if published.backup else None,
            filed_path=_optional_text(filed_path),
            **self._place_among_commits(conn, load, plan.profile.file_hash),
            error_message=None,
            **values,
        )
        self._add_rejects(conn, load.load_id, plan.profile.rejects)

    def _place_among_commits(
        self, conn: sa.Connection, load: Load, file_hash: str
    ) -> dict[str, Any]:
        """Return the next number, and the key that may exist once where it is free.

        The caller holds the table's queue.
        """
        is_append = load.drop.load_type is LoadType.APPEND
        key = once_key(load, file_hash) if is_append else None
        named = of_table(load.table.schema, load.table.name)
        found = conn.execute(self._queries.commits, named | {"of_once_key": key}).one()
        return {
            "commit_no": (found.last_commit_no or 0) + 1,
            "once_key": key if found.load_with_bytes is None else None,
        }

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
        if isinstance(error, DuplicateError):
            values |= {"duplicate_of": error.load_id}
        if state is State.CANCELLED:
            # Nothing is left to do: no file has to be moved.
            values |= {"worker": None}
        file_hash = profile.file_hash[:64] if profile is not None else None
        tracked = {"processed_at": now, "error_message": message, "file_hash": file_hash}
        try:
            self.advance(
                conn,
                load,
                state,
                None,
                tracked,
                finished_at=now,
                error_category=error.category,
                error_code=error.dl_code,
                error_message=message,
                filed_path=_optional_text(filed_path),
                rows_loaded=0,
                **values,
            )
        except ClaimLostError:
            if self._was_closed_by(conn, load, state):
                return
            raise
        self._add_rejects(conn, load.load_id, profile.rejects if profile is not None else ())

    def _was_closed_by(self, conn: sa.Connection, load: Load, state: State) -> bool:
        row = self._history.row(conn, load.load_id)
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
        is_open = self._history.is_open
        freed = {"worker": None, "lease_until": None}
        reopened = conn.execute(
            sa.update(self._loads).where(*held_by_us, is_open).values(error_message=reason, **freed)
        )
        if reopened.rowcount:
            self._tracking.set_status(conn, load.tracking_id, WAITING, reason=reason)
        else:
            conn.execute(sa.update(self._loads).where(*held_by_us).values(freed))

    def note_filed_path(self, conn: sa.Connection, load_id: int, filed_path: Path | None) -> None:
        """Write where the file of a load that is over will be moved."""
        change = sa.update(self._loads).where(self._loads.c.load_id == load_id)
        conn.execute(change.values(filed_path=_optional_text(filed_path)))

    def mark_filed(
        self,
        conn: sa.Connection,
        load_id: int,
        filed_path: Path | None,
        report: Path | None,
        effort: Effort | None = None,
    ) -> bool:
        """Note that the file is where it belongs; a committed load becomes filed.

        `effort` is what the load has cost, None where another process has measured it.

        Returns False, and changes nothing, when that was noted before.
        """
        changed = conn.execute(
            self._queries.note_filed,
            {
                "of_load_id": load_id,
                "filed_at": self._target.now(conn),
                "filed_path": _optional_text(filed_path),
                "report_path": _optional_text(report),
                **_effort_values(effort),
            },
        )
        if changed.rowcount:
            self._tell_tracking(conn, load_id)
        return changed.rowcount == 1

    def mark_gone(self, conn: sa.Connection, load_id: int, report: Path | None) -> None:
        """Note that the file was taken away, or replaced, before it could be moved."""
        if self.mark_filed(conn, load_id, None, report):
            own = self._loads.c
            conn.execute(
                sa.update(self._loads)
                .where(own.load_id == load_id, own.state == State.FILED)
                .values(
                    error_category=FILE_GONE,
                    error_code=code_of(FILE_GONE),
                    error_message="The file was gone, or another, before it could be moved.",
                )
            )

    def _tell_tracking(self, conn: sa.Connection, load_id: int) -> None:
        row = conn.execute(self._queries.end_of_load, {"of_load_id": load_id}).first()
        if row is None:
            return
        of_file = {"of_tracking_id": row.tracking_id, "of_load_id": load_id}
        conn.execute(self._queries.tell_file, of_file | {"status": row.state})

    def note_late_write(self, conn: sa.Connection, load_id: int, message: str) -> None:
        """Note of a load that is over that its file was written to afterwards."""
        before = sa.func.coalesce(self._loads.c.error_message + " ", "")
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == load_id)
            .values(
                error_category=LATE_WRITE,
                error_code=code_of(LATE_WRITE),
                error_message=before + message,
            )
        )

    def _add_rejects(self, conn: sa.Connection, load_id: int, rejects: Iterable[Reject]) -> None:
        """Keep refused rows of a load that ends: it ends once, and has none from before."""
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
            conn.execute(sa.insert(self._tables.rejects), rows)

    def forget_backup(self, conn: sa.Connection, load_id: int) -> None:
        """Note that the backup of a load is gone."""
        conn.execute(
            sa.update(self._loads).where(self._loads.c.load_id == load_id).values(backup_table=None)
        )


def _storable(text: str) -> str:
    """Return a text without the one character that databases refuse."""
    return text.replace("\0", "\u2400")


def drop_from_record(record: LoadRecord) -> Drop:
    """Return the drop that a load was made for."""
    return Drop(
        path=path_of_key(record.file_path),
        area=Area.REFERENCE if record.is_reference_data else Area.NON_REFERENCE,
        load_type=LoadType(record.load_type),
        version=record.version,
        in_tree=record.in_tree,
        requested_by=record.requested_by or DAEMON,
    )


def to_json(value: Any) -> str:
    """Return a value of the model as JSON text."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def write_plan(plan: Plan) -> dict[str, str]:
    """Return the texts that the journal keeps of a plan: takes time, needs no database."""
    return {"layout": to_json(plan.layout), "plan": _plan_as_json(plan)}


def _plan_as_json(plan: Plan) -> str:
    """Return the plan without the refused rows: these have a table of their own."""
    return to_json(replace(plan, profile=replace(plan.profile, rejects=())))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        # One level at a time: `asdict` copies all that is below, which took longer than the rest.
        return {name: getattr(value, name) for name in _field_names(type(value))}
    return str(value)


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _plan_values(plan: Plan, now: datetime, written: Mapping[str, str]) -> dict[str, Any]:
    return {"planned_at": now, **written, **_profile_values(plan.profile)}


def _profile_values(profile: Profile) -> dict[str, Any]:
    return {
        "file_hash": profile.file_hash,
        "hash_algorithm": profile.hash_algorithm,
        "rows_read": profile.rows,
        "rows_rejected": profile.rejected_rows,
    }


def _effort_values(effort: Effort | None) -> dict[str, Any]:
    if effort is None:
        return {}
    seconds = {step: round(taken, 4) for step, taken in effort.step_seconds.items()}
    return {"step_seconds": json.dumps(seconds), "steps_retried": effort.steps_retried}


def _optional_text(path: Path | None) -> str | None:
    return None if path is None else stored_path_text(path)
