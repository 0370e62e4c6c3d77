"""The commands that look back at loads: history, show."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from dropload.cli import output
from dropload.cli.session import Session, json_option, pass_session
from dropload.errors import RefusedError


@click.command()
@click.argument("table", required=False)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many.")
@json_option
@pass_session
def history(session: Session, table: str | None, limit: int, as_json: bool) -> None:
    """List the loads, newest first; of one TABLE (`name` or `schema.name`) where it is given.

    With --json: one object a line.
    """
    dock = session.prepared_dock
    with dock.target.read() as conn:
        rows = dock.journal.history.latest(conn, table, limit)
    if as_json:
        for row in rows:
            output.print_json(output.load_as_json(row))
        return
    if not rows:
        click.echo(f"No loads of {table} yet." if table else "No loads yet.")
        return
    output.print_listing(output.loads_listing(rows))


@click.command()
@click.argument("load_id", type=int)
@json_option
@pass_session
def show(session: Session, load_id: int, as_json: bool) -> None:
    """Tell everything about one load: its file, layout, columns, rows, times and rejects."""
    dock = session.prepared_dock
    with dock.target.read() as conn:
        row = dock.journal.history.row(conn, load_id)
        rejects = dock.journal.history.rejects(conn, load_id) if row else []
    if row is None:
        raise RefusedError(f"There is no load {load_id}.", hint="`dropload history` lists them.")
    answer = output.load_as_json(row) | {
        "layout": json.loads(row.layout or "null"),
        "plan": json.loads(row.plan or "null"),
        "rejects": [asdict(reject) for reject in rejects],
    }
    if as_json:
        output.print_json(answer)
        return
    _print_load(answer)


def _print_load(answer: Mapping[str, Any]) -> None:
    hidden = ("layout", "plan", "rejects")
    rows = [(key.replace("_", " "), value) for key, value in answer.items() if key not in hidden]
    output.print_table(
        ["", ""],
        [
            (key, str(value) if key == "load id" else value)
            for key, value in rows
            if value is not None
        ],
        title=f"Load {answer['load_id']}",
    )
    plan = answer["plan"]
    if plan:
        for note in plan["notes"]:
            click.echo(f"  {note}")
        output.print_table(
            ["column", "type", "what happened", "why"],
            [(c["name"], c["type"]["kind"], c["action"], c["reason"]) for c in plan["columns"]],
        )
    if answer["rejects"]:
        output.print_table(
            ["line", "row", "column", "why"],
            [
                (r["line"], r["source_row"], r["column_name"], r["message"])
                for r in answer["rejects"]
            ],
            title="Rejected rows",
        )


COMMANDS: tuple[click.Command, ...] = (history, show)
