"""The commands that set a load right afterwards: undo."""

from dataclasses import asdict
from typing import Any

import click

from dropload.cli import output
from dropload.cli.session import Session, actor_option, json_option, pass_session
from dropload.errors import RefusedError
from dropload.identity import person_name
from dropload.reports import count_of
from dropload.undo import UndoPlan, plan_undo, undo_load

reason_option = click.option("--reason", default="", help="Why; goes into the audit log.")


@click.command()
@click.argument("load_id", type=int)
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
@click.option("--force", is_flag=True, help="Also delete rows that no load has brought.")
@reason_option
@actor_option
@json_option
@pass_session
def undo(
    session: Session,
    load_id: int,
    dry_run: bool,
    force: bool,
    reason: str,
    actor: str,
    as_json: bool,
) -> int:
    """Take back what a load has changed in its table, in one transaction.

    An append: its rows go, also when later files were appended since. A fullload: the rows that it
    replaced come back, while they are kept (the last 3 of a table, retention.backups_per_table);
    what was loaded after it must be undone before, and the order is said. Columns that it added or
    widened stay. Afterwards the same file may be dropped again.
    """
    dock = session.prepared_dock
    plan = plan_undo(dock, load_id, force=force)
    if not dry_run and not plan.refused:
        plan = undo_load(dock, load_id, person_name(actor), reason=reason, force=force)
    if as_json:
        output.print_json(_undo_as_json(plan, undone=not (dry_run or plan.refused)))
        return 1 if plan.refused else 0
    if plan.refused:
        _print_in_the_way(plan)
        raise RefusedError(plan.refused, hint=plan.hint)
    _print_undo(plan, dry_run=dry_run)
    return 0


def _undo_as_json(plan: UndoPlan, *, undone: bool) -> dict[str, Any]:
    return {
        "load_id": plan.load.load_id,
        "file_name": plan.load.file_name,
        "table": str(plan.table),
        "load_type": plan.load.load_type,
        "undone": undone,
        "rows_now": plan.rows_now,
        "rows_removed": plan.rows_removed,
        "rows_restored": plan.rows_restored,
        "rows_after": plan.rows_after,
        "backup_table": str(plan.backup) if plan.backup else None,
        "in_the_way": [asdict(load) for load in plan.in_the_way],
        "notes": list(plan.notes),
        "error_message": f"{plan.refused} {plan.hint}".strip() or None,
    }


def _print_in_the_way(plan: UndoPlan) -> None:
    if plan.in_the_way:
        output.print_table(
            ["load", "when (UTC)", "file", "type", "rows"],
            [
                (
                    str(load.load_id),
                    load.committed_at,
                    load.file_name,
                    load.load_type,
                    load.rows_loaded,
                )
                for load in plan.in_the_way
            ],
            title=f"To be undone before load {plan.load.load_id}, in this order",
        )


def _print_undo(plan: UndoPlan, *, dry_run: bool) -> None:
    row = plan.load
    click.echo(
        f"Load {row.load_id}, {row.load_type} of {row.file_name} into {plan.table}, "
        f"{'would be' if dry_run else 'is'} undone:"
    )
    click.echo(f"  {count_of(plan.rows_removed, 'row')} removed")
    if plan.backup is not None:
        click.echo(f"  {count_of(plan.rows_restored, 'row')} restored, from {plan.backup}")
    has = "would have" if dry_run else "has"
    click.echo(
        f"  {plan.table} {has} {count_of(plan.rows_after, 'row')}, before: {plan.rows_now:,}"
    )
    for note in plan.notes:
        click.echo(f"  {note}")
    if not dry_run and row.filed_path:
        click.echo(f"  The file may be dropped again: {row.filed_path}")


COMMANDS: tuple[click.Command, ...] = (undo,)
