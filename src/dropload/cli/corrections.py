"""The commands that set a load right afterwards: undo, cancel, retry."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dropload.cli import output
from dropload.cli.session import (
    Session,
    actor_option,
    json_option,
    load_or_path,
    pass_session,
    reason_option,
)
from dropload.durable import path_text
from dropload.error_codes import code_of
from dropload.errors import RefusedError
from dropload.folders import find_path
from dropload.identity import person_name
from dropload.interventions import Cancelled, cancel_file, cancel_load, retry_load
from dropload.journal import WAITING
from dropload.reports import count_of
from dropload.undo import UndoPlan, ask_for_undo, plan_undo


@click.command(short_help="Take back what a load has changed in its table.")
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
    if dry_run:
        plan = plan_undo(dock, load_id, force=force)
    else:
        plan = ask_for_undo(dock, load_id, person_name(actor), reason=reason, force=force)
    if as_json:
        output.print_json(_undo_as_json(plan, undone=not (dry_run or plan.refused)))
        return 1 if plan.refused else 0
    if plan.refused:
        _print_in_the_way(plan)
        raise RefusedError(plan.refused, hint=plan.hint, code="not_undone")
    _print_undo(plan, dry_run=dry_run)
    return 0


def _undo_as_json(plan: UndoPlan, *, undone: bool) -> dict[str, Any]:
    refusal = output.failure_as_json(
        RefusedError.category, plan.refused, plan.hint, code_of("not_undone")
    )
    return (refusal if plan.refused else {"ok": True}) | {
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
        "filed_path": _filed_file(plan),
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
    click.echo(f"  {count_of(plan.rows_removed or 0, 'row')} removed")
    if plan.backup is not None:
        click.echo(f"  {count_of(plan.rows_restored or 0, 'row')} restored, from {plan.backup}")
    has = "would have" if dry_run else "has"
    click.echo(
        f"  {plan.table} {has} {count_of(plan.rows_after or 0, 'row')}, "
        f"before: {plan.rows_now or 0:,}"
    )
    for note in plan.notes:
        click.echo(f"  {note}")
    file = _filed_file(plan)
    if dry_run or not row.in_tree:
        return
    if file:
        click.echo(f"  The file may be dropped again: {file}")
    else:
        click.echo("  Its file is gone from processed/: to load it again, drop the original again.")


def _filed_file(plan: UndoPlan) -> str | None:
    """Return where the file of a load stands; None when somebody, or the retention, removed it."""
    filed = plan.load.filed_path
    return filed if filed and find_path(filed).is_file() else None


@click.command(short_help="Stop a load before its rows are in the table, or a waiting file.")
@click.argument("what", metavar="LOAD_ID|PATH", type=load_or_path)
@reason_option
@actor_option
@json_option
@pass_session
def cancel(session: Session, what: int | Path, reason: str, actor: str, as_json: bool) -> None:
    """Stop a load that is claimed, is being staged or is about to be published.

    With a PATH: the load of that file, or the file itself while it still waits in its inbox.

    Nothing of it comes into its table, and its side table is dropped. The file is held in its
    inbox until a new version is dropped, or `dropload release` lets this one load after all. A file
    that was still waiting may be written to meanwhile: it stays held until another file takes its
    place. What is committed cannot be cancelled: `dropload undo` takes it back.
    """
    dock, person = session.prepared_dock, person_name(actor)
    if isinstance(what, int):
        done = cancel_load(dock, what, person, reason)
    else:
        done = cancel_file(dock, what, person, reason)
    load_id = done.load.load_id
    if as_json:
        output.print_json(
            {
                "ok": True,
                "load_id": load_id,
                "file_path": done.load.file_path,
                "table": done.load.table or None,
                "was": done.was,
                "worker_ends": done.is_ending,
                "message": done.message,
            }
        )
        return
    click.echo(f"Load {load_id} of {done.load.file_name} is cancelled; it was {done.was}.")
    if done.is_ending:
        click.echo("  Its worker ends within a few seconds.")
    if done.load.in_tree:
        click.echo(f"  The file is held {_held_until(done)}, or:")
        click.echo(f"    dropload release {load_id}")


def _held_until(done: Cancelled) -> str:
    if done.was == WAITING:
        return "until another file takes its place, also while its writer goes on"
    return "until a new version comes"


@click.command(short_help="Put the file of a failed load back into its inbox.")
@click.argument("load_id", type=int)
@reason_option
@actor_option
@json_option
@pass_session
def retry(session: Session, load_id: int, reason: str, actor: str, as_json: bool) -> None:
    """Put the file of a failed load back into its inbox, where it is a new drop.

    For a trouble that was not the file's, or that was mended: in the table, in the configuration,
    or in the file where it stands in error/. It gets back the name that it was dropped with; the
    report and the rejects file stay where they are.
    """
    done = retry_load(session.prepared_dock, load_id, person_name(actor), reason)
    if as_json:
        output.print_json({"ok": True, "load_id": load_id, "file_path": path_text(done.path)})
        return
    click.echo(f"Back in its inbox: {path_text(done.path)}")
    click.echo("  It loads as any new file, when nothing has changed it for the usual checks.")


COMMANDS: tuple[click.Command, ...] = (undo, cancel, retry)
