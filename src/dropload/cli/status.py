"""The command `status`: what is waiting and why, what is loading, how it ended last."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console, Group

from dropload.accounts import Account, account_for_files
from dropload.cli import output
from dropload.cli.screen import watch_screen
from dropload.cli.session import Session, json_option, pass_session
from dropload.cli.status_screen import MOST_FILES, draw, fit, parts, show_all
from dropload.heartbeat import Heartbeat
from dropload.reports import count_of
from dropload.status import FileStatus, LoadStatus, Status, StatusReader
from dropload.times import spoken_time

WATCH_SECONDS = 1.0
_DETAILS = ("at_gate", "queues", "put_off", "paused_tables")
"""What the heartbeat says of single files and tables is told with these."""


@click.command(short_help="Say what is waiting and why, and what is loading.")
@click.option(
    "--watch", is_flag=True, help="Show it anew every second, until q or Ctrl-C is pressed."
)
@click.option("--all", "show_all", is_flag=True, help="List every file, not only the first 40.")
@click.option("--account", is_flag=True, help="Count what became of every file that was ever seen.")
@json_option
@pass_session
def status(session: Session, watch: bool, show_all: bool, account: bool, as_json: bool) -> int:
    """Say what is waiting, why and until when, what is loading, and how the last loads ended.

    Answers without a running daemon and without the database, too, and then says so. JSON lists
    every file. With --watch into a file or a pipe, the answer is printed once a second; with
    --json, that is one object a line.

    With --account: files seen = loaded + error + duplicate + waiting + held (+ withdrawn by their
    senders). Names each file that is in none of them, and then ends with exit status 1.
    """
    if account:
        if watch or show_all:
            raise click.UsageError("--account goes with neither --watch nor --all.")
        return _show_account(account_for_files(session.prepared_dock), as_json=as_json)
    most_files = None if show_all or as_json else MOST_FILES
    reader = StatusReader(session.dock, most_files=most_files)
    if not watch:
        _show(reader.read(), as_json=as_json)
        return 0
    if output.is_terminal() and not as_json:
        watch_screen(lambda size: Group(*draw(fit(reader.read(), size), size.width)), WATCH_SECONDS)
        return 0
    return _repeat(reader, as_json=as_json)


def _repeat(reader: StatusReader, *, as_json: bool) -> int:
    try:
        while True:
            if not as_json:
                click.echo(f"\n## {spoken_time(datetime.now(UTC))}")
            _show(reader.read(), as_json=as_json)
            time.sleep(WATCH_SECONDS)
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


def _show(answer: Status, *, as_json: bool) -> None:
    if as_json:
        output.print_json(_as_json(answer))
    elif output.is_terminal():
        console = Console()
        for drawn in draw(show_all(answer), console.width):
            console.print(drawn)
    else:
        for part in parts(show_all(answer), output.WIDE, is_screen=False):
            for line in [part] if isinstance(part, str) else part.as_lines():
                click.echo(line)


# --- for scripts ---------------------------------------------------------------------------


def _as_json(answer: Status) -> dict[str, Any]:
    return {
        "daemon": _daemon_as_json(answer.daemon),
        "problems": list(answer.problems()),
        "files": [_file_as_json(file) for file in answer.files],
        "loads": [_load_as_json(found) for found in answer.loads],
        "last": [output.load_as_json(row) for row in answer.last],
        "paused": [asdict(pause) for pause in answer.paused],
        "strays": list(answer.strays),
        "stray_count": answer.stray_count,
        "companions_without_file": list(answer.lonely_companions),
        "folder_problems": list(answer.folder_problems),
        "daemon_problem": answer.daemon_problem or None,
        "database_problem": answer.database_problem or None,
    }


def _daemon_as_json(beat: Heartbeat | None) -> dict[str, Any] | None:
    if beat is None:
        return None
    values = {key: value for key, value in asdict(beat).items() if key not in _DETAILS}
    return values | {"age_seconds": round(beat.age_seconds, 3)}


def _file_as_json(file: FileStatus) -> dict[str, Any]:
    why = file.why
    return {
        "path": file.path,
        "area": file.area,
        "load_type": file.load_type,
        "size_bytes": file.size_bytes,
        "status": file.status,
        "waits_for": why.waits_for,
        "reason": why.text,
        "until": why.until,
        "next_step": why.next_step or None,
        "load_id": why.load_id,
    }


def _load_as_json(found: LoadStatus) -> dict[str, Any]:
    load = found.load
    return {
        "load_id": load.load_id,
        "file_path": load.file_path,
        "file_name": load.file_name,
        "table": load.table or None,
        "load_type": load.load_type,
        "state": load.state,
        "size_bytes": load.file_size,
        "rows_read": load.rows_read,
        "rows_staged": load.rows_staged or 0,
        "bytes_read": load.bytes_read,
        **asdict(found.progress),
        "started_at": load.claimed_at,
        "progress_at": load.progress_at,
        "worker": load.worker,
        "is_abandoned": found.is_abandoned,
    }


COMMANDS: tuple[click.Command, ...] = (status,)
