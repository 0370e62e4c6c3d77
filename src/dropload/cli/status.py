"""The command that says how things stand: status."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dropload.accounts import Account, account_for_files
from dropload.cli import output
from dropload.cli.session import Session, json_option, pass_session
from dropload.reports import count_of
from dropload.status import Status, read_status

_WATCH_SECONDS = 1.0


@click.command()
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@click.option("--account", is_flag=True, help="Count what became of every file that was ever seen.")
@json_option
@pass_session
def status(session: Session, watch: bool, account: bool, as_json: bool) -> int:
    """Say what is waiting and why, what is loading, and how the last loads ended.

    With --account: files seen = loaded + error + duplicate + waiting + held (+ withdrawn by their
    senders). Names each file that is in none of them, and then ends with exit status 1.
    """
    if account:
        return _show_account(account_for_files(session.prepared_dock), as_json=as_json)
    if not watch:
        _show_status(read_status(session.dock), as_json=as_json)
        return 0
    console = Console()
    try:
        while True:
            answer = read_status(session.dock)
            if output.is_terminal():
                console.clear()
            _show_status(answer, as_json=as_json)
            time.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0


def _show_account(answer: Account, *, as_json: bool) -> int:
    if as_json:
        missing = [asdict(found) for found in answer.missing]
        output.print_json({"seen": answer.seen, **answer.counts, "missing": missing})
    else:
        click.echo(f"{count_of(answer.seen, 'file')} seen")
        for name, number in answer.counts.items():
            click.echo(f"  {number:>12,} {name}")
        for found in answer.missing:
            click.echo(f"In none of these: {found.path}: {found.reason}.")
        if not answer.missing:
            click.echo("Every file is accounted for.")
    return 1 if answer.missing else 0


def _show_status(answer: Status, *, as_json: bool) -> None:
    if as_json:
        output.print_json(_status_as_json(answer))
    else:
        _print_status(answer)


def _status_as_json(answer: Status) -> dict[str, Any]:
    return {
        "daemon": asdict(answer.daemon) if answer.daemon else None,
        "files": [asdict(file) for file in answer.files],
        "loads": [asdict(load) for load in answer.loads],
        "last": [output.load_as_json(row) for row in answer.last],
        "strays": list(answer.strays),
        "folder_problems": list(answer.folder_problems),
        "database_problem": answer.database_problem or None,
    }


def _print_status(answer: Status) -> None:
    beat = answer.daemon
    if beat is None:
        click.echo("No daemon is running: start it with `dropload run`.")
    else:
        click.echo(f"The daemon (process {beat.pid}) looked {beat.age_seconds:.0f} s ago.")
    for problem in (answer.database_problem, *answer.folder_problems):
        if problem:
            click.echo(f"Problem: {problem}")
    if answer.files:
        output.print_table(
            ["file", "inbox", "bytes", "status", "why"],
            [
                (Path(f.path).name, f"{f.area} {f.load_type}", f.size_bytes, f.status, f.reason)
                for f in answer.files
            ],
            title=f"In the inboxes: {len(answer.files):,}",
        )
    else:
        click.echo("Nothing is waiting.")
    if answer.loads:
        output.print_table(
            ["load", "file", "table", "state", "rows staged", "of"],
            [
                (
                    str(load.load_id),
                    load.file_name,
                    load.table,
                    load.state,
                    load.rows_staged,
                    load.rows_read,
                )
                for load in answer.loads
            ],
            title="Loading",
        )
    for stray in answer.strays:
        click.echo(f"Stray (in no inbox, never touched): {stray}")
    if answer.last:
        output.print_loads(answer.last, "Last loads")


COMMANDS: tuple[click.Command, ...] = (status,)
