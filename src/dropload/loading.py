"""Publish the rows of a planned file: they become visible, and the journal says so, at once."""

from pathlib import Path

import sqlalchemy as sa

from dropload.errors import (
    DuplicateError,
    HeldError,
    StalePlanError,
    TargetError,
    TransientError,
)
from dropload.journal import Journal, write_plan
from dropload.model import Area, Load, LoadType, Plan
from dropload.open_append import OpenAppend
from dropload.reports import count_of
from dropload.small_files import RowsInHand
from dropload.targets.base import Published, Target
from dropload.times import spoken_time


def publish_rows(
    target: Target,
    journal: Journal,
    load: Load,
    plan: Plan,
    filed_path: Path | None,
    *,
    backups_kept: int,
    once: bool,
    rows: RowsInHand | OpenAppend | None = None,
) -> Published:
    """Make the staged rows visible and write `committed`, in one transaction.

    With rows in hand they are staged in this transaction, too: none of them is in the side table
    yet. Those of an open append are in the table already, in its transaction, which ends here.
    Called again after a lost answer to COMMIT, it finds the journal's word and does nothing.
    """
    # Before anybody else has to wait for this transaction.
    written = write_plan(plan) if isinstance(rows, RowsInHand) else None
    opened = rows.transaction() if isinstance(rows, OpenAppend) else target.write()
    with opened as conn:
        # First of all: a commit whose answer was lost may still be under way, and is over then.
        target.lock_queue(conn, plan.table)
        done = journal.history.find_published(conn, load.load_id)
        if done is not None:
            return done
        if not load.drop.force:
            _check_not_overtaken(journal, conn, load)
        if once and not plan.creates_table:
            check_not_duplicate(target, journal, conn, load, plan.profile.file_hash)
        keep_backup = backups_kept > 0
        published = _publish(target, journal, conn, load, plan, rows, keep_backup=keep_backup)
        _check_counts(plan, published)
        if load.drop.area is Area.REFERENCE:
            journal.reference.upsert(conn, load, plan.table_columns)
        if plan.replaces_rows or plan.creates_table:
            # What was appended before is no longer there: the same bytes may come again.
            journal.loads.forget_appends(conn, plan.table)
        journal.loads.commit(conn, load, plan, published, filed_path, written=written)
        if plan.replaces_rows:
            _drop_old_backups(target, journal, conn, load, backups_kept)
    return published


def _publish(
    target: Target,
    journal: Journal,
    conn: sa.Connection,
    load: Load,
    plan: Plan,
    rows: RowsInHand | OpenAppend | None,
    *,
    keep_backup: bool,
) -> Published:
    """Make the rows the table's, from its side table or from memory, while others are kept out."""
    if isinstance(rows, OpenAppend):
        rows.check_table(conn)
        return rows.published()
    stage = target.stage_name(plan.table, load.load_id)
    # Many rows take a moment, in which nobody need wait for the table.
    staged = target.count_staged(conn, plan, stage) if rows is None else 0
    lock_as_planned(target, conn, plan)
    if rows is not None:
        published = rows.publish(conn, journal, keep_backup=keep_backup)
        if published is not None:
            return published
        rows.stage(conn)
        staged = target.count_staged(conn, plan, stage)
    return target.publish(conn, plan, stage, load.load_id, staged=staged, keep_backup=keep_backup)


def check_not_duplicate(
    target: Target, journal: Journal, conn: sa.Connection, load: Load, file_hash: str
) -> None:
    """Raise DuplicateError when these bytes are in the table already."""
    earlier = journal.history.find_duplicate(conn, load, file_hash)
    if earlier is None or not target.has_table(conn, load.table):
        return
    # Somebody may have emptied or changed the table by hand: dropping the file again mends it.
    is_fullload = load.drop.load_type is LoadType.FULLLOAD
    if is_fullload and target.count_rows(conn, load.table) != earlier.rows_loaded:
        return
    at = f", {spoken_time(earlier.committed_at)}" if earlier.committed_at else ""
    raise DuplicateError(
        f"The same bytes are in {load.table} already: load {earlier.load_id} of "
        f"{earlier.file_name}{at}.",
        hint="Nothing to do; `dropload load --force FILE` would load them again.",
        load_id=earlier.load_id,
    )


def _check_not_overtaken(journal: Journal, conn: sa.Connection, load: Load) -> None:
    """Raise DuplicateError or HeldError when a file that came later was loaded before this one.

    This one was kept waiting (it could not be read, its daemon died): its rows are the older ones.
    """
    later = journal.history.find_later_commit(conn, load)
    if later is None:
        return
    said = f"{later.file_name} came later and was loaded into {load.table} before: load"
    if {later.load_type, load.drop.load_type.value} == {LoadType.FULLLOAD.value}:
        raise DuplicateError(
            f"{said} {later.load_id}. It has replaced the rows that this file would replace.",
            hint="Nothing to do; if these rows are the right ones, drop the file again.",
            load_id=later.load_id,
        )
    raise HeldError(
        f"{said} {later.load_id}. In this order the table would hold other rows.",
        hint="Release the file if it is to be loaded now, after that one.",
        code="out_of_order",
    )


def lock_as_planned(target: Target, conn: sa.Connection, plan: Plan) -> None:
    """Keep other writers out; raise StalePlanError when the table is not as the plan has it.

    Before anything is made: while a side table is not committed, all would wait with this load who
    look into the catalogue of some databases.
    """
    if not plan.creates_table:
        target.lock_table(conn, plan.table)
    check_as_planned(target, conn, plan)


def check_as_planned(target: Target, conn: sa.Connection, plan: Plan) -> None:
    """Raise StalePlanError when the table is not as the plan has it."""
    info = target.reflect(conn, plan.table)
    if (info.columns if info else None) != plan.table_before:
        raise StalePlanError(f"{plan.table} was changed while the file was being staged.")


def _check_counts(plan: Plan, published: Published) -> None:
    """Refuse to commit when the database counts other rows than were read."""
    expected = plan.rows_planned
    if published.rows_loaded != expected:
        # Somebody else wrote there, a worker that was taken for dead perhaps: it is made anew.
        raise TransientError(
            f"{published.rows_loaded:,} rows are ready for {plan.table} where {expected:,} were "
            "read from the file."
        )
    if published.rows_added != expected:
        raise TargetError(
            f"{plan.table} has taken {count_of(published.rows_added, 'row')} where "
            f"{expected:,} are right; nothing was committed.",
            hint="Look for triggers or rules on the table that add or drop rows.",
            code="row_count",
        )


def _drop_old_backups(
    target: Target, journal: Journal, conn: sa.Connection, load: Load, kept: int
) -> None:
    for load_id, _name in journal.history.backups(conn, load.table)[kept:]:
        target.drop_table(conn, target.backup_name(load.table, load_id))
        journal.loads.forget_backup(conn, load_id)
