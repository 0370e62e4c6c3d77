"""The command `status`: what is waiting and why, what is loading, how it ended last."""

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.text import Text

from dropload.accounts import Account, account_for_files
from dropload.cli import output
from dropload.cli.screen import watch_screen
from dropload.cli.session import Session, json_option, pass_session
from dropload.heartbeat import Heartbeat
from dropload.reasons import span
from dropload.reports import count_of
from dropload.status import FileStatus, LoadStatus, Status, StatusReader
from dropload.times import spoken_time

WATCH_SECONDS = 1.0
MOST_FILES = 40
"""Files that are listed unless all are asked for."""
_NARROW = 80
"""Columns of a terminal below which tables have fewer columns still."""
_SILENT_SECONDS = 10.0
"""A worker that has told nothing for so long may be stuck: it is said."""
_BAR_WIDTH = 16
_LINES_AROUND = 8
"""Of a window: the daemon's line, titles, headers, and what is left out."""
_FEWEST = 5
"""So many files and outcomes are drawn in the smallest window."""
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
        watch_screen(
            lambda size: Group(*_draw(_fit(reader.read(), size), size.width)), WATCH_SECONDS
        )
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
        for drawn in _draw(answer, console.width):
            console.print(drawn)
    else:
        for part in _parts(answer, output.WIDE):
            for line in [part] if isinstance(part, str) else part.as_lines():
                click.echo(line)


# --- for people ----------------------------------------------------------------------------


def _fit(answer: Status, size: ConsoleDimensions) -> Status:
    """Return what has room in a window, of everything something."""
    taken = _LINES_AROUND + len(list(answer.problems())) + len(answer.loads)
    room = max(_FEWEST, size.height - taken - _FEWEST)
    files = answer.files[:room]
    last = max(_FEWEST, size.height - taken - len(files))
    return replace(answer, files=files, last=answer.last[:last])


def _draw(answer: Status, width: int) -> Iterator[RenderableType]:
    for part in _parts(answer, width):
        if isinstance(part, str):
            yield Text(part, style="red" if part.startswith("Problem:") else "")
        else:
            yield part.as_table()


def _parts(answer: Status, width: int) -> Iterator[str | output.Listing]:
    """Yield the sentences and tables of the answer, what is wrong at the top."""
    if answer.daemon is not None and not answer.daemon_problem:
        yield _daemon_line(answer.daemon)
    for problem in answer.problems():
        yield f"Problem: {problem}"
    if answer.loads:
        yield _loads_listing(answer, width)
    if answer.files:
        yield _files_listing(answer, width)
    else:
        yield "Nothing is waiting."
    if left_out := answer.files_total - len(answer.files):
        yield f"{left_out:,} more: `dropload status --all` lists them."
    yield from _strays(answer)
    if answer.last:
        yield output.loads_listing(answer.last, "Last loads").fitted(width)


def _daemon_line(beat: Heartbeat) -> str:
    numbers = [
        (beat.waiting, "at the gate"),
        (beat.queued, "queued"),
        (len(beat.running), "loading"),
        (beat.put_off_count, "put off"),
    ]
    said = ", ".join(f"{number:,} {what}" for number, what in numbers if number)
    ago = span(beat.age_seconds)
    return f"The daemon (process {beat.pid} on {beat.host}) looked {ago} ago" + (
        f": {said}." if said else "."
    )


def _loads_listing(answer: Status, width: int) -> output.Listing:
    columns = ("load", "file", "table", "step", output.BAR, "done", "rows", "a second", "left")
    kept: list[int] = list(range(len(columns)))
    if width < _NARROW:
        kept = [0, 1, 3, 5, 8]
    elif width < output.WIDE:
        kept = [0, 1, 3, 4, 5, 6, 8]
    rows = [_load_cells(found) for found in answer.loads]
    title = f"Loading: {len(rows):,}"
    return output.Listing(
        [columns[place] for place in kept], [[row[place] for place in kept] for row in rows], title
    )


def _load_cells(found: LoadStatus) -> tuple[object, ...]:
    load, progress = found.load, found.progress
    rate = progress.rows_per_second
    return (
        str(load.load_id),
        load.file_name,
        load.table,
        progress.step,
        _bar(progress.share),
        "" if progress.share is None else f"{progress.share:.0%}",
        _of(progress.rows_done, progress.rows_total),
        None if rate is None else round(rate),
        _time_left(found),
    )


def _bar(share: float | None) -> object:
    if share is None:
        return ""
    return ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH)


def _of(done: int | None, total: int | None) -> str:
    if done is None:
        return ""
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


def _time_left(found: LoadStatus) -> str:
    if found.is_abandoned:
        return "its worker is gone"
    silent, left = found.progress.silent_seconds, found.progress.seconds_left
    if silent is not None and silent > _SILENT_SECONDS:
        return f"silent for {span(silent)}"
    return "" if left is None else span(left)


def _files_listing(answer: Status, width: int) -> output.Listing:
    columns = ("file", "inbox", "bytes", "status", "why")
    kept: list[int] = list(range(len(columns)))
    if width < _NARROW:
        kept = [0, 4]
    elif width < output.WIDE:
        kept = [0, 1, 3, 4]
    rows = [
        (Path(f.path).name, f"{f.area} {f.load_type}", f.size_bytes, f.status, _why(f))
        for f in answer.files
    ]
    return output.Listing(
        [columns[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        f"In the inboxes: {answer.files_total:,}",
    )


def _why(file: FileStatus) -> str:
    own = f" (load {file.why.load_id})" if file.why.text == "being loaded" else ""
    said = f"{file.why.text}{own}"
    return f"{said}\nLet it load: {file.why.next_step}" if file.why.next_step else said


def _strays(answer: Status) -> Iterator[str]:
    for stray in answer.strays[:MOST_FILES]:
        yield f"Stray (in no inbox, never touched): {stray}"
    if (more := answer.stray_count - MOST_FILES) > 0:
        yield f"{more:,} more strays."


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
