"""The commands that only look: inspect, plan, status, history, show, health, config."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dropload.cli import output
from dropload.cli.session import Session, json_option, pass_session, place_options
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import DroploadError, FileError, RefusedError
from dropload.examination import (
    Examined,
    examine,
    examine_for_table,
    examine_in,
    find_layout,
    plan_load,
)
from dropload.health import check_health
from dropload.intake import drop_of_path, name_drop
from dropload.journal import to_json
from dropload.logs import mask_secrets
from dropload.model import Area, Layout, LoadRecord, LoadType, Plan, Profile
from dropload.profiling import first_rows
from dropload.reports import describe_layout
from dropload.status import Status, read_status

_WATCH_SECONDS = 1.0


_SHOWN_ROWS = 5
_SHOWN_COLUMNS = 12
_SHOWN_CHARS = 24


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
@pass_session
def inspect(session: Session, files: tuple[Path, ...], as_json: bool) -> int:
    """Say how each of FILES is written and what is in it; touches no database.

    Prints one JSON object a line, or tables when a person is looking.
    """
    failed = 0
    for file in files:
        answer, examined = _inspect(session, file)
        failed += examined is None
        if as_json or not output.is_terminal():
            output.print_json(answer)
        elif examined is None:
            click.echo(f"{path_text(file)}: {answer['error']}")
        else:
            _print_examined(session, file, examined)
    return 1 if failed else 0


def _inspect(session: Session, file: Path) -> tuple[dict[str, Any], Examined | None]:
    answer: dict[str, Any] = {"file": path_text(file)}
    try:
        drop = drop_of_path(
            file,
            session.dock.tree,
            Area.NON_REFERENCE,
            LoadType.APPEND,
            force=False,
            requested_by="inspect",
        )
        # How it is written is worth knowing of a file that cannot be read to its end, too.
        parser, layout = find_layout(drop.path)
        answer |= _layout_as_json(layout)
        examined = examine_in(session.dock, drop, parser, layout)
    except (DroploadError, OSError) as exc:
        code = exc.code if isinstance(exc, FileError) else type(exc).__name__
        return {**answer, "error": str(exc), "error_code": code}, None
    return {**answer, **_layout_as_json(examined.layout), **_examined_as_json(examined)}, examined


def _layout_as_json(layout: Layout) -> dict[str, Any]:
    return {
        "encoding": layout.encoding,
        "delimiter": layout.delimiter,
        "quotechar": layout.quotechar,
        "escapechar": layout.escapechar,
        "header": layout.header,
        "skip_lines": layout.skip_lines,
        "columns": layout.width,
        "column_names": list(layout.header_names),
        "confidence": round(layout.confidence, 3),
        "evidence": list(layout.evidence),
    }


def _examined_as_json(examined: Examined) -> dict[str, Any]:
    layout, profile = examined.layout, examined.profile
    return {
        "rows": profile.rows,
        "column_names": [
            column.source_name if layout.header else column.name for column in profile.columns
        ],
        "file_hash": profile.file_hash,
        "types": [
            {
                "name": column.name,
                "type": str(column.type),
                "nullable": column.nulls > 0,
                "max_length": column.max_length,
                "note": column.note,
            }
            for column in profile.columns
        ],
        "rejects": _rejects_as_json(profile),
        "rejected_rows": profile.rejected_rows,
        "footer": [
            {"line": line.line, "text": next(filter(None, line.fields), "")}
            for line in profile.footer
        ],
    }


def _rejects_as_json(profile: Profile) -> list[dict[str, Any]]:
    return [
        {
            "source_row": reject.source_row,
            "line": reject.line,
            "column": reject.column or None,
            "value": reject.value,
            "code": reject.code,
            "message": reject.message,
        }
        for reject in profile.rejects
    ]


def _print_examined(session: Session, file: Path, examined: Examined) -> None:
    profile = examined.profile
    click.echo(f"{path_text(file)}: {describe_layout(examined.layout)}")
    click.echo(f"  {profile.rows:,} rows, {profile.rejected_rows:,} of them cannot be loaded")
    for sentence in examined.layout.evidence:
        click.echo(f"  {sentence}")
    for line in profile.footer:
        text = next(filter(None, line.fields), "")
        click.echo(f'  behind the table, not loaded: line {line.line:,} "{_short(text)}"')
    output.print_table(
        ["column", "type", "nulls", "longest", "note"],
        [(c.name, str(c.type), c.nulls, c.max_length, c.note) for c in profile.columns],
    )
    _print_first_rows(session, file, examined)
    _print_rejects(profile)


def _print_first_rows(session: Session, file: Path, examined: Examined) -> None:
    """Show how the first rows read under their types, as far as the terminal is wide."""
    profile = examined.profile
    rows = first_rows(
        file,
        examined.layout,
        examined.parser,
        profile,
        _SHOWN_ROWS,
        max_record_bytes=session.dock.config.load.max_record_bytes,
    )
    names = [column.name for column in profile.columns[:_SHOWN_COLUMNS]]
    more = len(profile.columns) - len(names)
    shown = [[_short(value) for value in row[:_SHOWN_COLUMNS]] for row in rows]
    if shown:
        title = "The first rows" + (f", without {more:,} more columns" if more else "")
        output.print_table(names, shown, title=title)


def _short(value: str | None) -> str:
    """Return a value as it fits into a cell; an empty text is told from null."""
    if value is None:
        return ""
    text = value if len(value) <= _SHOWN_CHARS else f"{value[: _SHOWN_CHARS - 1]}…"
    return text or '""'


def _print_rejects(profile: Profile) -> None:
    if profile.rejects:
        output.print_table(
            ["line", "row", "column", "why"],
            [(r.line, r.source_row, r.column, r.message) for r in profile.rejects[:20]],
            title=f"{profile.rejected_rows:,} rows cannot be loaded",
        )


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@place_options
@click.option("--force", is_flag=True, help="Plan as if duplicates and guard rails did not count.")
@json_option
@pass_session
def plan(
    session: Session,
    file: Path,
    area: str | None,
    load_type: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Say what loading FILE would do, and why; writes nothing.

    A file in an inbox needs no options; any other needs --area and --load-type.
    """
    dock = session.dock
    drop = drop_of_path(
        file,
        dock.tree,
        Area(area) if area else None,
        LoadType(load_type) if load_type else None,
        force=force,
        requested_by="plan",
    )
    named = name_drop(drop, dock.target)
    made = plan_load(dock, named, examine_for_table(dock, named, examine(dock, drop)))
    if as_json:
        click.echo(to_json(made))
        return
    _print_plan(dock, made, file)


def _print_plan(dock: Dock, made: Plan, file: Path) -> None:
    verb = "replace the rows of" if made.replaces_rows else "be added to"
    if made.creates_table:
        verb = "create"
    click.echo(f"{made.rows_planned:,} rows of {path_text(file.name)} would {verb} {made.table}.")
    click.echo(f"  {describe_layout(made.layout)}")
    if not made.creates_table:
        click.echo(f"  the table has {made.rows_before:,} rows now")
    for note in made.notes:
        click.echo(f"  {note}")
    output.print_table(
        ["column", "type", "what happens", "why"],
        [(c.name, str(c.type), c.action, c.reason) for c in made.columns],
    )
    statements = dock.target.explain_changes(made)
    if statements:
        click.echo("Statements that would make or change the table:")
    for statement in statements:
        click.echo(f"  {statement};")
    _print_rejects(made.profile)


@click.command()
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@json_option
@pass_session
def status(session: Session, watch: bool, as_json: bool) -> None:
    """Say what is waiting and why, what is loading, and how the last loads ended."""
    if not watch:
        _show_status(read_status(session.dock), as_json=as_json)
        return
    console = Console()
    try:
        while True:
            answer = read_status(session.dock)
            if output.is_terminal():
                console.clear()
            _show_status(answer, as_json=as_json)
            time.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return


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
        _print_loads(answer.last, "Last loads")


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
        rows = dock.journal.loads.history(conn, table, limit)
    if as_json:
        for row in rows:
            output.print_json(output.load_as_json(row))
        return
    if not rows:
        click.echo(f"No loads of {table} yet." if table else "No loads yet.")
        return
    _print_loads(rows, "")


def _print_loads(rows: Sequence[LoadRecord], title: str) -> None:
    output.print_table(
        ["load", "when (UTC)", "file", "table", "type", "state", "rows", "rejected", "why"],
        [
            (
                str(row.load_id),
                row.committed_at or row.finished_at or row.claimed_at,
                row.file_name,
                f"{row.schema_name}.{row.table_name}" if row.table_name else "",
                row.load_type,
                row.state,
                row.rows_loaded,
                row.rows_rejected,
                _first_sentence(row.error_message or "") if row.state != "filed" else "",
            )
            for row in rows
        ],
        title=title,
    )


def _first_sentence(text: str) -> str:
    """Return what fits into a list; `show` tells the rest."""
    end = re.search(r"\.(?=\s+[A-Z])", text)
    return text[: end.end()] if end else text


@click.command()
@click.argument("load_id", type=int)
@json_option
@pass_session
def show(session: Session, load_id: int, as_json: bool) -> None:
    """Tell everything about one load: its file, layout, columns, rows, times and rejects."""
    dock = session.prepared_dock
    with dock.target.read() as conn:
        row = dock.journal.loads.row(conn, load_id)
        rejects = dock.journal.loads.rejects(conn, load_id) if row else []
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


@click.command()
@json_option
@pass_session
def health(session: Session, as_json: bool) -> int:
    """Check folders, daemon, database and disk, as a plugin for monitoring systems.

    Prints one line with performance data. Exit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    """
    try:
        answer = check_health(session.dock)
    except DroploadError as exc:
        text = mask_secrets(str(exc))
        if as_json:
            check = {"name": exc.category, "status": "critical", "message": text}
            output.print_json({"status": "critical", "checks": [check]})
        else:
            click.echo(f"DROPLOAD CRITICAL - {exc.category}: {text}")
        return 2
    if as_json:
        output.print_json(
            {
                "status": answer.level.name.lower(),
                "checks": [
                    {"name": c.name, "status": c.level.name.lower(), "message": c.message}
                    for c in answer.checks
                ],
                "figures": dict(answer.figures),
            }
        )
    else:
        click.echo(answer.summary())
    return int(answer.level)


@click.group()
def config() -> None:
    """Check or show the configuration."""


@config.command("check")
@pass_session
def config_check(session: Session) -> None:
    """Say whether the configuration is right; every wrong key with what would be right."""
    session.loaded  # noqa: B018 - reading it is the check
    click.echo("The configuration is right.")
    click.echo(f"database   {mask_secrets(session.dock.target.describe())}")


@config.command("show")
@json_option
@pass_session
def config_show(session: Session, as_json: bool) -> None:
    """List every key with its value in force and where it comes from; secrets are masked."""
    settings = list(session.loaded.settings())
    if as_json:
        output.print_json({s.key: {"value": _setting(s.value), "from": s.source} for s in settings})
        return
    output.print_table(
        ["key", "value", "from"], [(s.key, _setting(s.value), s.source) for s in settings]
    )


def _setting(value: Any) -> Any:
    if isinstance(value, tuple):
        return ", ".join(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


COMMANDS: tuple[click.Command, ...] = (inspect, plan, status, history, show, health, config)
