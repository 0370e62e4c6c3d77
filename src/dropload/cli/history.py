"""The commands that look back: history with its views, show."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from dropload.cli import output
from dropload.cli.session import Session, json_option, pass_session
from dropload.comparison import say_seconds
from dropload.error_groups import ErrorGroup
from dropload.journal import Action, ActionFilter, AuditAction, Duplicate
from dropload.looking_back import (
    Since,
    group_errors,
    layout_from_json,
    list_actions,
    list_duplicates,
    list_loads,
    read_since,
    show_load,
)
from dropload.reports import describe_layout

_NOT_SHOWN = frozenset(
    {"layout", "plan", "rejects", "actions", "state", "mtime_ns", "in_tree", "commit_no"}
    | {"attempts", "crashes", "worker", "lease_until", "hash_algorithm"}
)
_DONE = {"create": "created", "keep": "kept", "add": "added", "widen": "widened"}


def read_since_option(_context: click.Context, _option: click.Parameter, said: str | None) -> Since:
    """Return the period that an option says; wrong ones are wrong usage."""
    try:
        return None if said is None else read_since(said)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command(short_help="List the loads, duplicates, errors or the audit log.")
@click.argument("table", required=False)
@click.option("--table", "named", metavar="TABLE", help="The same as the argument.")
@click.option("--duplicates", is_flag=True, help="Which file repeats which load.")
@click.option("--audit", is_flag=True, help="Who did what, when, with which result.")
@click.option("--errors", is_flag=True, help="What went wrong, grouped.")
@click.option(
    "--since", callback=read_since_option, help="Only since then: 12h, 7d, 2w ago or 2026-11-20."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--load", "load_id", type=int, help="With --audit: only actions on this load.")
@click.option("--actor", default=None, help="With --audit: only of who has this in the name.")
@click.option(
    "--action",
    default=None,
    type=click.Choice([action.value for action in AuditAction]),
    help="With --audit: only this.",
)
@json_option
@pass_session
def history(
    session: Session,
    table: str | None,
    named: str | None,
    duplicates: bool,
    audit: bool,
    errors: bool,
    since: Since,
    limit: int,
    load_id: int | None,
    actor: str | None,
    action: str | None,
    as_json: bool,
) -> None:
    """List the loads, newest first; of one TABLE (`name` or `schema.name`) where it is given.

    With --duplicates: which file was not loaded because of which load. With --audit: who did what
    and when, what came of it (done, refused, failed), and how the
    load stands now. With --errors: loads that failed or were held, grouped
    by category, table and the files' names (sales_########.csv), the most first, each with the
    message of the last.

    All times are UTC. With --json: one object a line.
    """
    if table and named and table != named:
        raise click.UsageError("Name one table: as the argument, or by --table.")
    if duplicates + audit + errors > 1:
        raise click.UsageError("Ask for one of --duplicates, --audit and --errors at a time.")
    if not audit and (load_id is not None or actor or action):
        raise click.UsageError("--load, --actor and --action belong to --audit.")
    dock, table = session.prepared_dock, table or named
    if duplicates:
        _show_duplicates(list_duplicates(dock, table, since, limit), as_json=as_json)
    elif audit:
        wanted = ActionFilter(load_id, actor, action, table)
        _show_actions(list_actions(dock, wanted, since, limit), as_json=as_json)
    elif errors:
        _show_errors(group_errors(dock, table, since, limit), as_json=as_json)
    else:
        _show_loads(session, table, since, limit, as_json=as_json)


def _show_loads(
    session: Session, table: str | None, since: Since, limit: int, *, as_json: bool
) -> None:
    rows = list_loads(session.prepared_dock, table, since, limit)
    if as_json:
        for row in rows:
            output.print_json(output.load_as_json(row))
    elif rows:
        output.print_listing(output.loads_listing(rows))
    elif since:
        click.echo("No loads in that time.")
    else:
        click.echo(f"No loads of {table} yet." if table else "No loads yet.")


def _show_duplicates(found: Sequence[Duplicate], *, as_json: bool) -> None:
    cells = [
        (
            str(one.load_id),
            one.found_at,
            one.file_name,
            one.table,
            str(one.duplicate_of or ""),
            one.original_file_name,
            one.original_committed_at,
        )
        for one in found
    ]
    columns = ("load", "when (UTC)", "file", "table", "of load", "its file", "loaded (UTC)")
    listing = output.Listing(columns, cells, one_line=True, spared=("table", "loaded (UTC)"))
    _show(found, listing, "No duplicates.", as_json=as_json)


def _show_actions(found: Sequence[Action], *, as_json: bool) -> None:
    cells = [
        (
            one.at,
            one.actor,
            one.action,
            one.result,
            str(one.load_id or ""),
            one.load_state,
            one.file_name,
            _said(one.detail, one.reason),
        )
        for one in found
    ]
    columns = ("when (UTC)", "who", "what", "result", "load", "state", "file", "detail")
    listing = output.Listing(columns, cells, shortened="file", below="detail", spared=("state",))
    _show(found, listing, "No actions.", as_json=as_json)


def _said(detail: str | None, reason: str | None) -> str:
    """Return what is told of an action; a person's own words stand in quotes."""
    return "; ".join(filter(None, [detail, f'"{reason}"' if reason else ""]))


def _show_errors(found: Sequence[ErrorGroup], *, as_json: bool) -> None:
    cells = [
        (
            group.count,
            group.category,
            group.table,
            group.file_pattern,
            group.first_at,
            group.last_at,
            str(group.last_load_id),
            output.first_sentence(group.last_message),
        )
        for group in found
    ]
    columns = (
        "times",
        "category",
        "table",
        "files",
        "first (UTC)",
        "last (UTC)",
        "load",
        "why",
    )
    listing = output.Listing(
        columns,
        cells,
        one_line=True,
        spared=("first (UTC)",),
        shortened="files",
        below="why",
    )
    _show(found, listing, "Nothing went wrong.", as_json=as_json)


def _show(
    found: Sequence[Duplicate | Action | ErrorGroup],
    listing: output.Listing,
    empty: str,
    *,
    as_json: bool,
) -> None:
    if as_json:
        for one in found:
            output.print_json(asdict(one))
    elif found:
        output.print_listing(listing)
    else:
        click.echo(empty)


@click.command(short_help="Tell everything about one load.")
@click.argument("load_id", type=int)
@json_option
@pass_session
def show(session: Session, load_id: int, as_json: bool) -> None:
    """Tell everything about one load: its file, layout, columns, rows, times, rejects, actions.

    Without --json, what only dropload itself needs is left out.
    """
    found = show_load(session.prepared_dock, load_id)
    answer = output.load_as_json(found.load) | {
        "layout": found.layout,
        "plan": found.plan,
        "rejects": [asdict(reject) for reject in found.rejects],
        "actions": [asdict(action) for action in found.actions],
    }
    if as_json:
        output.print_json(answer)
        return
    _print_load(answer)


def _print_load(answer: Mapping[str, Any]) -> None:
    rows = [
        (key.replace("_", " "), _told(key, value))
        for key, value in answer.items()
        if key not in _NOT_SHOWN and value is not None and value is not False
    ]
    # A path that is broken in two cannot be copied: a terminal wraps it by itself.
    paths = [row for row in rows if str(row[0]).endswith(" path") and output.is_terminal()]
    told = [row for row in rows if row not in paths]
    output.print_table(["", ""], told, title=f"Load {answer['load_id']} (times in UTC)")
    for name, path in paths:
        click.echo(f"{name}  {path}")
    if answer["layout"]:
        click.echo(f"  {describe_layout(layout_from_json(answer['layout']))}")
    if answer["actions"]:
        output.print_table(
            ["when (UTC)", "who", "what", "result", "load", "detail"],
            [
                (
                    one["at"],
                    one["actor"],
                    one["action"],
                    one["result"],
                    str(one["load_id"]),
                    _said(one["detail"], one["reason"]),
                )
                for one in answer["actions"]
            ],
            title="Actions",
        )
    _print_plan(answer["plan"])
    if answer["rejects"]:
        output.print_table(
            ["line", "row", "column", "why"],
            [
                (r["line"], r["source_row"], r["column_name"], r["message"])
                for r in answer["rejects"]
            ],
            title="Rejected rows",
        )


def _told(key: str, value: Any) -> Any:
    if key == "load_id":
        return str(value)
    if key == "step_seconds":
        return ", ".join(f"{step} {say_seconds(took)}" for step, took in value.items())
    return value


def _print_plan(plan: Mapping[str, Any] | None) -> None:
    if not plan:
        return
    for note in plan["notes"]:
        click.echo(f"  {note}")
    output.print_table(
        ["column", "type", "what happened", "why"],
        [
            (
                column["name"],
                column["type"]["kind"],
                _DONE.get(column["action"], column["action"]),
                column["reason"],
            )
            for column in plan["columns"]
        ],
    )


COMMANDS: tuple[click.Command, ...] = (history, show)
