"""Print answers: tables for people on a terminal, plain lines elsewhere, JSON for scripts."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dropload.model import LoadRecord

STATE_STYLES = {
    "filed": "green",
    "committed": "green",
    "ok": "green",
    "failed": "red",
    "critical": "red",
    "held": "yellow",
    "warning": "yellow",
    "duplicate": "cyan",
    "waiting": "blue",
}

_NEVER_WRAPPED = (
    "load",
    "of load",
    "when (UTC)",
    "state",
    "status",
    "rows",
    "type",
    "times",
    "category",
)
"""Short columns that are read at a glance; long texts beside them make room."""


def is_terminal() -> bool:
    """Return whether a person is looking."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Print one JSON object on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = ""
) -> None:
    """Print rows as a table on a terminal, else as lines of tab-separated cells under a header."""
    texts = [[shown(cell) for cell in row] for row in rows]
    if not is_terminal():
        if title:
            click.echo(f"# {title}")
        for row in [list(columns), *texts]:
            click.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None)
    for column in columns:
        whole = column in _NEVER_WRAPPED
        table.add_column(column, overflow="fold", no_wrap=whole, header_style="dim")
    for row in texts:
        # Text, not str: a file's name must not be read as markup.
        table.add_row(*(Text(cell, style=STATE_STYLES.get(cell, "")) for cell in row))
    Console().print(table)


def shown(cell: object) -> str:
    """Return a cell as people read it: thousands separated, times to the second, null empty."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    return str(cell)


def load_as_json(record: LoadRecord) -> dict[str, Any]:
    """Return a load under the keys that scripts rely on."""
    hidden = ("layout", "plan", "schema_name", "table_name", "tracking_id", "once_key", "inode")
    values = {key: value for key, value in asdict(record).items() if key not in hidden}
    return {"load_id": record.load_id, "table": record.table or None, **values}


def print_loads(rows: Sequence[LoadRecord], title: str = "") -> None:
    """Print loads as a table, newest first as they come."""
    print_table(
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
                first_sentence(row.error_message or ""),
            )
            for row in rows
        ],
        title=title,
    )


def first_sentence(text: str) -> str:
    """Return what fits into a list; `show` tells the rest."""
    end = re.search(r"\.(?=\s+[A-Z])", text)
    return text[: end.end()] if end else text


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (Decimal, Path)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
