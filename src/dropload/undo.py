"""Take a load back: say what that would change, then change it in one transaction."""

import json
from dataclasses import dataclass, replace

import sqlalchemy as sa

from dropload.config import RetentionConfig
from dropload.dock import Dock
from dropload.errors import RefusedError, TargetError
from dropload.journal import AuditAction, StandingLoad, created_table
from dropload.logs import get_logger
from dropload.model import LoadRecord, LoadType, State, TableInfo, TableName
from dropload.refusals import note_refusal, noted_refusal
from dropload.reports import count_of
from dropload.retries import call_with_retries
from dropload.targets import restoring
from dropload.targets.base import Target
from dropload.times import spoken_time


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What undoing a load changes, or why it is refused."""

    load: LoadRecord
    table: TableName
    rows_now: int | None = None
    """None, as the next two, where it was refused before they were counted."""
    rows_removed: int | None = None
    rows_restored: int | None = None
    backup: TableName | None = None
    """Where the restored rows come from; None when there are none to restore."""
    in_the_way: tuple[StandingLoad, ...] = ()
    """Loads that must be undone before it, in this order."""
    notes: tuple[str, ...] = ()
    """What a person should know, one sentence each."""
    refused: str = ""
    """Why it cannot be undone now; empty when it can."""
    hint: str = ""

    @property
    def rows_after(self) -> int | None:
        """Return the number of rows that the table has afterwards; None when it is refused."""
        if self.rows_now is None or self.rows_removed is None or self.rows_restored is None:
            return None
        return self.rows_now - self.rows_removed + self.rows_restored


def plan_undo(dock: Dock, load_id: int, *, force: bool = False) -> UndoPlan:
    """Return what undoing a load would change; changes nothing.

    Raises RefusedError only when there is no such load.
    """
    with dock.target.read() as conn:
        return _Undoing(
            dock, conn, dock.journal.history.existing(conn, load_id), force=force
        ).plan()


def ask_for_undo(
    dock: Dock, load_id: int, actor: str, *, reason: str = "", force: bool = False
) -> UndoPlan:
    """Undo a load if it can be undone; the answer's `refused` says why it was not.

    Raises RefusedError when there is no such load. What is refused is in the audit log, too.
    """
    with noted_refusal(dock, actor, AuditAction.UNDO, load_id, reason):
        plan = plan_undo(dock, load_id, force=force)
    if plan.refused:
        refused = RefusedError(plan.refused)
        note_refusal(dock, actor, AuditAction.UNDO, refused, load_id, reason)
        return plan
    return undo_load(dock, load_id, actor, reason=reason, force=force)


def undo_load(
    dock: Dock, load_id: int, actor: str, *, reason: str = "", force: bool = False
) -> UndoPlan:
    """Undo a load in one transaction with the journal and the audit log; return what was changed.

    Raises RefusedError when it cannot be undone: then nothing is changed. With `force`, rows that
    no load has brought do not keep the backup from being restored.
    """
    tried: list[UndoPlan] = []

    def undo_once() -> UndoPlan:
        with dock.target.write() as conn:
            row = dock.journal.history.existing(conn, load_id)
            # First of all: a commit whose answer was lost may still be under way, and is over then.
            dock.target.lock_queue(conn, TableName(row.schema_name, row.table_name))
            row = dock.journal.history.existing(conn, load_id)
            if tried and row.state is State.UNDONE:
                return tried[-1]
            tried.append(_Undoing(dock, conn, row, force=force).carry_out(actor, reason))
            return tried[-1]

    with noted_refusal(dock, actor, AuditAction.UNDO, load_id, reason):
        plan = call_with_retries(undo_once, dock.config.retry)
    get_logger().info(
        "load_undone",
        load_id=load_id,
        table=str(plan.table),
        removed=plan.rows_removed,
        restored=plan.rows_restored,
    )
    return plan


class _Undoing:
    """One load that is looked at, and taken back, in the caller's transaction."""

    def __init__(self, dock: Dock, conn: sa.Connection, row: LoadRecord, *, force: bool) -> None:
        self._dock = dock
        self._conn = conn
        self._row = row
        self._force = force
        self._table = TableName(row.schema_name, row.table_name)

    # --- looking

    def plan(self) -> UndoPlan:
        """Return what would be changed, with the reason where it cannot be."""
        plan = UndoPlan(self._row, self._table)
        try:
            _check_state(self._row)
            self._check_idle()
            later = self._dock.journal.standing.after(
                self._conn, self._table, self._row.commit_no or 0
            )
            plan = replace(plan, in_the_way=_in_the_way(self._row, later))
            info = self._reflect()
            plan = replace(plan, rows_now=self._dock.target.count_rows(self._conn, self._table))
            _check_nothing_later(plan, info, self._dock.config.retention)
            return self._with_rows(plan, info)
        except (RefusedError, TargetError) as exc:
            return replace(plan, refused=exc.message, hint=exc.hint)

    def _check_idle(self) -> None:
        """Refuse while a worker has a load of the table: it was planned for the rows of now."""
        journal, conn = self._dock.journal, self._conn
        for other in journal.history.open(conn):
            is_same = (other.schema_name, other.table_name) == (
                self._table.schema,
                self._table.name,
            )
            if is_same and other.worker and not journal.claims.is_abandoned(conn, other):
                raise RefusedError(
                    f"Load {other.load_id} of {other.file_name} into {self._table} is under way.",
                    hint=f"Wait until it is over, or `dropload cancel {other.load_id}`.",
                    code="not_undone",
                )

    def _reflect(self) -> TableInfo:
        info = self._dock.target.reflect(self._conn, self._table)
        if info is None:
            raise RefusedError(
                f"{self._table} is not there any more.",
                hint="Somebody dropped or renamed it: there is nothing to take back.",
                code="not_undone",
            )
        return info

    def _with_rows(self, plan: UndoPlan, info: TableInfo) -> UndoPlan:
        if self._row.load_type == LoadType.FULLLOAD and not created_table(self._row):
            return self._with_restored_rows(plan, info)
        return self._with_removed_rows(plan, info)

    def _with_removed_rows(self, plan: UndoPlan, info: TableInfo) -> UndoPlan:
        """Take out what carries the load's number."""
        if not info.has_lineage:
            raise RefusedError(
                _no_lineage(self._table), hint="Delete the rows by hand.", code="not_undone"
            )
        target, conn, row = self._dock.target, self._conn, self._row
        restoring.check_dependents(target, conn, self._table)
        found = restoring.count_rows_of(target, conn, self._table, row.load_id)
        plan = replace(plan, rows_removed=found, rows_restored=0)
        return replace(plan, notes=tuple(_notes(plan, target.drop_words(self._table))))

    def _with_restored_rows(self, plan: UndoPlan, info: TableInfo) -> UndoPlan:
        """Put what the load replaced into the place of all rows."""
        target, conn, row = self._dock.target, self._conn, self._row
        backup = target.backup_name(self._table, row.load_id)
        if not row.backup_table or not target.has_table(conn, backup):
            raise RefusedError(
                f"The rows that load {row.load_id} replaced are not kept any more.",
                hint=_why_no_backup(self._dock.config.retention),
                code="not_undone",
            )
        restoring.check_restore(target, conn, self._table, backup)
        rows_now = plan.rows_now or 0
        self._check_rows_of_others(info, rows_now)
        kept = target.count_rows(conn, backup)
        plan = replace(plan, backup=backup, rows_removed=rows_now, rows_restored=kept)
        return replace(plan, notes=tuple(_notes(plan, "")))

    def _check_rows_of_others(self, info: TableInfo, rows_now: int) -> None:
        """Refuse to throw away rows that no backup keeps."""
        row = self._row
        own = row.rows_after or 0
        if info.has_lineage:
            target, conn = self._dock.target, self._conn
            own = restoring.count_rows_of(target, conn, self._table, row.load_id)
        others = rows_now - own
        if others > 0 and not self._force:
            raise RefusedError(
                f"{self._table} holds {count_of(others, 'row')} that no load has brought; "
                f"restoring what load {row.load_id} replaced would delete them.",
                hint="Copy them away, or add --force to delete them.",
                code="not_undone",
            )

    # --- doing

    def carry_out(self, actor: str, reason: str) -> UndoPlan:
        """Change rows, journal, reference configuration and audit log together."""
        target, conn = self._dock.target, self._conn
        target.lock_table(conn, self._table)
        plan = self.plan()
        if plan.refused:
            raise RefusedError(plan.refused, hint=plan.hint, code="not_undone")
        self._change_rows(target, plan)
        self._dock.journal.standing.take_back(conn, self._row)
        if self._row.is_reference_data:
            self._follow_reference()
        detail = (
            f"{plan.table}: {count_of(plan.rows_removed or 0, 'row')} removed, "
            f"{plan.rows_restored or 0:,} restored"
        )
        audit, load_id = self._dock.journal.audit, self._row.load_id
        audit.add(conn, actor, AuditAction.UNDO, load_id, detail, reason=reason)
        return plan

    def _change_rows(self, target: Target, plan: UndoPlan) -> None:
        conn = self._conn
        if plan.backup is None:
            restoring.remove_rows(target, conn, self._table, self._row.load_id)
        else:
            restoring.restore(target, conn, self._table, plan.backup)
            target.drop_table(conn, plan.backup)
        found = target.count_rows(conn, self._table)
        right = plan.rows_after or 0
        if found != right:
            raise TargetError(
                f"{self._table} has {found:,} rows after the undo where {right:,} are "
                "right; nothing was changed.",
                hint="Look for triggers or rules on the table that add or keep rows.",
                code="row_count",
            )

    def _follow_reference(self) -> None:
        """Have the reference configuration name the load that the table goes back to."""
        journal, conn = self._dock.journal, self._conn
        last = journal.standing.last(conn, self._table)
        info = self._reflect()
        # With no load left the table stays, empty, and so does its row.
        load_id = last.load_id if last else self._row.load_id
        journal.reference.follow(conn, self._table, load_id, info.columns)


# --- what speaks against it


def _check_state(row: LoadRecord) -> None:
    number = f"Load {row.load_id} of {row.file_name}"
    if row.state is State.FILED:
        return
    if row.state is State.UNDONE:
        at = f", {spoken_time(row.finished_at)}" if row.finished_at else ""
        raise RefusedError(
            f"{number} is undone already{at}.", hint="Nothing to do.", code="not_undone"
        )
    if row.state is State.COMMITTED:
        raise RefusedError(
            f"{number} is loaded, but its file has not been moved yet.",
            hint="Try again when it is in processed/; `dropload health` says what keeps it.",
            code="not_undone",
        )
    over = row.state in (State.FAILED, State.DUPLICATE, State.CANCELLED)
    hint = "Nothing to do." if over else f"`dropload cancel {row.load_id}` stops it."
    raise RefusedError(
        f"{number} is {row.outcome}: it has brought no rows.", hint=hint, code="not_undone"
    )


def _in_the_way(row: LoadRecord, later: list[StandingLoad]) -> tuple[StandingLoad, ...]:
    """Return what must be undone first, newest first; `later` is what stands behind it, in order.

    Appended rows lie beside each other, so later appends do not matter to them; a fullload has
    taken everything before it out of the table, and everything after it rests on it.
    """
    if row.load_type == LoadType.FULLLOAD:
        return tuple(reversed(later))
    first = next((at for at, load in enumerate(later) if load.replaced_rows), len(later))
    return tuple(reversed(later[first:]))


def _check_nothing_later(plan: UndoPlan, info: TableInfo, retention: RetentionConfig) -> None:
    """Refuse what something later rests on, with the order in which it can be undone, if it can."""
    if not plan.in_the_way:
        return
    row = plan.load
    appended = any(not load.replaced_rows for load in plan.in_the_way)
    lost = [
        load.load_id
        for load in plan.in_the_way
        if load.replaced_rows and not load.backup_table and not load.created_table
    ]
    first = plan.in_the_way[-1]
    why = (
        f"Load {first.load_id} of {first.file_name} has replaced the rows of {plan.table} since"
        if first.replaced_rows
        else f"Load {first.load_id} of {first.file_name} was appended to {plan.table} since"
    )
    if lost:
        raise RefusedError(
            f"{why}, and what load {lost[0]} replaced is not kept any more.",
            hint=_why_no_backup(retention),
            code="not_undone",
        )
    if appended and not info.has_lineage:
        raise RefusedError(
            f"{why}. {_no_lineage(plan.table)}", hint="Correct the rows by hand.", code="not_undone"
        )
    order = ", ".join(str(load.load_id) for load in plan.in_the_way)
    raise RefusedError(
        f"{why}.", hint=f"Undo in this order: {order}, {row.load_id}.", code="not_undone"
    )


def _no_lineage(table: TableName) -> str:
    return (
        f"{table} does not say which load its rows came from: dropload did not make it, and so "
        "leaves it without _load_id."
    )


def _why_no_backup(retention: RetentionConfig) -> str:
    """Return why replaced rows may be gone, by every key that takes them away, and what to do."""
    kept, days = retention.backups_per_table, retention.backups_days
    instead = "Drop the file again whose rows the table should have."
    if kept == 0:
        return f"retention.backups_per_table is 0: dropload keeps no replaced rows. {instead}"
    return (
        f"dropload keeps what the last {count_of(kept, 'fullload')} of a table replaced "
        f"(retention.backups_per_table), for {count_of(days, 'day')} (retention.backups_days). "
        f"{instead}"
    )


# --- what is said


def _notes(plan: UndoPlan, drop_words: str) -> list[str]:
    """Return the notes; `drop_words` is what takes the table away, where dropload made it."""
    row, notes = plan.load, []
    loaded = row.rows_loaded or 0
    if plan.backup is None and plan.rows_removed != loaded:
        notes.append(
            f"Of the {count_of(loaded, 'row')} that it brought, {plan.rows_removed:,} are in the "
            "table: somebody has deleted or added some."
        )
    if drop_words and plan.rows_after == 0:
        notes.append(
            f"The table {plan.table} stays, empty, with its columns. Were they wrong, too: "
            f"`{drop_words}`, and the next file makes it anew."
        )
    elif created_table(row):
        notes.append(f"The table {plan.table} was made by this load; it stays.")
    changed = json.loads(row.plan or "{}").get("columns", ())
    for action, what in (("add", "added"), ("widen", "widened")):
        names = [column["name"] for column in changed if column["action"] == action]
        if names:
            listed = ", ".join(f'"{name}"' for name in names)
            notes.append(f"Columns that it {what} stay so: {listed}.")
    return notes
