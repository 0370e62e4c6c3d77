"""The commands that look at files: inspect, plan.

What reads files is imported when it is asked to: other commands need neither its time nor its
memory.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dropload.cli import output
from dropload.cli.session import Session, json_option, pass_session, place_options
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import DroploadError, FileBusyError, FileError
from dropload.journal import to_json
from dropload.model import Area, Layout, LoadType, Plan, Profile
from dropload.reports import count_of, describe_layout

if TYPE_CHECKING:
    from dropload.examination import Examined
    from dropload.on_request import Inspection

_SHOWN_ROWS = 5
_SHOWN_COLUMNS = 12
_SHOWN_CHARS = 24


@click.command(short_help="Say how files are written and what is in them.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
@pass_session
def inspect(session: Session, files: tuple[Path, ...], as_json: bool) -> int:
    """Say how each of FILES is written and what is in it; touches no database.

    Prints one JSON object a line, or tables when a person is looking.
    """
    from dropload.on_request import inspect_file  # noqa: PLC0415 - see above

    failed = 0
    for file in files:
        found = inspect_file(session.dock, file)
        failed += found.examined is None
        if as_json or not output.is_terminal():
            output.print_json(_inspection_as_json(found))
        elif found.examined is None:
            click.echo(f"{path_text(file)}: {found.error}")
        else:
            _print_examined(session, file, found.examined)
    return 1 if failed else 0


def _inspection_as_json(found: "Inspection") -> dict[str, Any]:
    answer: dict[str, Any] = {"file": path_text(found.path)}
    if found.layout is not None:
        answer |= _layout_as_json(found.layout)
    if found.examined is not None:
        answer |= _examined_as_json(found.examined)
    exc = found.error
    if exc is not None:
        code = exc.code if isinstance(exc, FileError) else type(exc).__name__
        answer |= {"error": str(exc), "error_code": code}
        answer |= _failure_as_json(exc)
    return {"ok": exc is None} | answer


def _failure_as_json(exc: DroploadError | OSError) -> dict[str, Any]:
    if isinstance(exc, DroploadError):
        return output.failure_as_json(exc.category, exc.message, exc.advice, exc.dl_code)
    return output.failure_as_json(FileBusyError.category, str(exc))


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


def _examined_as_json(examined: "Examined") -> dict[str, Any]:
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


def _print_examined(session: Session, file: Path, examined: "Examined") -> None:
    profile = examined.profile
    click.echo(f"{path_text(file)}: {describe_layout(examined.layout)}")
    click.echo(
        f"  {count_of(profile.rows, 'row')}, {profile.rejected_rows:,} of them cannot be loaded"
    )
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


def _print_first_rows(session: Session, file: Path, examined: "Examined") -> None:
    """Show how the first rows read under their types, as far as the terminal is wide."""
    from dropload.profiling import first_rows  # noqa: PLC0415 - see above

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
            title=f"{count_of(profile.rejected_rows, 'row')} cannot be loaded",
        )


@click.command(short_help="Say what loading a file would do, and why.")
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

    A file in an inbox, or in its processed/ or error/, needs no options; any other needs --area
    and --load-type.
    """
    from dropload.on_request import plan_file  # noqa: PLC0415 - see above

    dock = session.dock
    place = (Area(area) if area else None, LoadType(load_type) if load_type else None)
    planned = plan_file(dock, file, *place, force=force)
    made = planned.plan
    if as_json:
        click.echo(to_json(made))
        return
    _print_plan(dock, made, file)
    _print_first_rows(session, file, planned.examined)
    _print_rejects(made.profile)


def _print_plan(dock: Dock, made: Plan, file: Path) -> None:
    verb = "replace the rows of" if made.replaces_rows else "be added to"
    if made.creates_table:
        verb = "create"
    rows = count_of(made.rows_planned, "row")
    click.echo(f"{rows} of {path_text(file.name)} would {verb} {made.table}.")
    click.echo(f"  {describe_layout(made.layout)}")
    for sentence in made.layout.evidence:
        click.echo(f"  {sentence}")
    if not made.creates_table:
        click.echo(f"  the table has {count_of(made.rows_before or 0, 'row')} now")
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


COMMANDS: tuple[click.Command, ...] = (inspect, plan)
