"""Print answers: tables for people on a terminal, plain lines elsewhere, JSON for scripts."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from dropload.error_codes import code_of
from dropload.logs import mask_secrets
from dropload.model import LoadRecord
from dropload.printable import printable
from dropload.times import column_time, iso_time

_Cell = TypeVar("_Cell")

STATE_STYLES = {
    "filed": "green",
    "committed": "green",
    "ok": "green",
    "failed": "red",
    "refused": "yellow",
    "critical": "red",
    "held": "yellow",
    "warning": "yellow",
    "duplicate": "cyan",
    "waiting": "blue",
}

_NOT_TOLD = frozenset(
    {"layout", "plan", "schema_name", "table_name", "tracking_id", "once_key", "inode"}
    # How far a load is under way is told by `status`.
    | {"step", "rows_done", "bytes_read", "rows_per_second", "progress_at"}
)
_SHORTEST_NAME = 10
_TEXT_SHARE = 5
"""A text is given this part of the width before names are shortened."""
_INDENT = 5
"""Blanks before a text below its row."""
WIDE = 120
"""Columns of a terminal from which on tables have all their columns."""
BAR = "progress"
"""Name of a column of bars, which only a terminal shows."""
_NEVER_WRAPPED = (
    "load",
    "of load",
    "done",
    "step left",
    "step",
    BAR,
    "a second",
    "when (UTC)",
    "last (UTC)",
    "state",
    "result",
    "status",
    "rows",
    "type",
    "times",
    "category",
    "trend",
    "unusual",
    "median",
    "rows/s",
    "loads",
)
"""Short columns that are read at a glance; long texts beside them make room."""


def is_terminal() -> bool:
    """Return whether a person is looking."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Print one JSON object on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def failure_as_json(category: str, message: str, hint: str = "", code: str = "") -> dict[str, Any]:
    """Return why a command was refused or has failed, under the same keys for all of them.

    `code` is `DL-xxx`; default: that of the category.
    """
    return {
        "ok": False,
        "category": category,
        "code": code or code_of(category) or None,
        "message": mask_secrets(message),
        "hint": mask_secrets(hint) or None,
    }


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows under a header; cells are values, or a bar that only a terminal can show."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    one_line: bool = False
    """A terminal shows each row on one line, and cuts what has no room there."""
    spared: Sequence[str] = ()
    """Columns that a narrow terminal does without."""
    shortened: str | None = None
    """The column whose texts lose their middle where the others leave it no room: names of files
    differ at their ends, and are never broken in two."""
    below: str | None = None
    """The column whose texts a narrow terminal shows whole, in lines of their own below their row;
    each row is one line then."""

    def fitted(self, width: int) -> "Listing":
        """Return it with the columns that a terminal of this width has room for."""
        spared = self.spared if width < WIDE else ()
        kept = [place for place, name in enumerate(self.columns) if name not in spared]
        rows = [[row[place] for place in kept] for row in self.rows]
        return replace(self, columns=[self.columns[place] for place in kept], rows=rows)

    def drawn(self, width: int) -> RenderableType:
        """Return it as people see it on a terminal of this width."""
        fitted = self.fitted(width)
        if self.below is None or width >= WIDE:
            return fitted.as_table(width)
        place = fitted.columns.index(self.below)
        texts = [shown(row[place]) for row in fitted.rows]
        above = replace(
            fitted,
            columns=_without(fitted.columns, place),
            rows=[_without(row, place) for row in fitted.rows],
            one_line=True,
        )
        return _TextsBelow(above.as_table(width), texts)

    def as_table(self, width: int) -> Table:
        """Return all its columns as a table for a terminal of this width."""
        title = Text(self.title) if self.title else None
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
            padding=(0, _gap(width), 0, 0),
        )
        place, room = self._room_for_names(width)
        for column in self.columns:
            whole = column in _NEVER_WRAPPED or column == self.shortened
            table.add_column(
                Text(column, no_wrap=True, overflow="ellipsis"),
                overflow="fold",
                no_wrap=whole,
                header_style="dim",
                min_width=len(column),
            )
        for row in self.rows:
            cells = [
                without_middle(shown(cell), room) if at == place else cell
                for at, cell in enumerate(row)
            ]
            table.add_row(*(_as_renderable(cell, one_line=self.one_line) for cell in cells))
        return table

    def _room_for_names(self, width: int) -> tuple[int, int]:
        """Return which column is shortened, -1 for none, and to how many characters."""
        if self.shortened is None or self.shortened not in self.columns:
            return -1, 0
        place = self.columns.index(self.shortened)
        others = [
            self._width_of(at, width // _TEXT_SHARE)
            for at in range(len(self.columns))
            if at != place
        ]
        return place, max(_SHORTEST_NAME, width - sum(others) - _gap(width) * len(others))

    def _width_of(self, place: int, most: int) -> int:
        """Return how many characters a column takes; long texts make room for names."""
        name = self.columns[place]
        widest = max((_cell_width(row[place]) for row in self.rows), default=0)
        return max(len(name), widest if name in _NEVER_WRAPPED else min(most, widest))

    def as_lines(self) -> Iterator[str]:
        """Yield it as other programs like it: cells between tabs."""
        if self.title:
            yield f"# {self.title}"
        kept = [place for place, name in enumerate(self.columns) if name != BAR]
        for row in [self.columns, *self.rows]:
            yield "\t".join(re.sub(r"[\t\n]", " ", shown(row[place])) for place in kept)


class _TextsBelow:
    """A table whose rows are a line each, with a text below each of them."""

    def __init__(self, table: Table, texts: Sequence[str]) -> None:
        self._table = table
        self._texts = texts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._table, options, pad=False)
        # Title and header have no text.
        texts = ["", *self._texts]
        texts = [""] * (len(lines) - len(texts)) + texts
        for line, text in zip(lines, texts, strict=True):
            yield from line
            yield Segment.line()
            if text:
                yield Padding(Text(text), (0, 0, 0, _INDENT), expand=False)


def _without(cells: Sequence[_Cell], place: int) -> list[_Cell]:
    return [cell for at, cell in enumerate(cells) if at != place]


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = ""
) -> None:
    """Print rows as a table on a terminal, else as lines of tab-separated cells under a header."""
    print_listing(Listing(columns, list(rows), title))


def print_note(text: str) -> None:
    """Print a sentence below a table; programs that read its lines get only those."""
    if is_terminal():
        click.echo(text)


def print_listing(listing: Listing) -> None:
    """Print a listing as a table on a terminal, else as lines."""
    if is_terminal():
        console = Console()
        console.print(listing.drawn(console.width))
        return
    for line in listing.as_lines():
        click.echo(line)


def _gap(width: int) -> int:
    """Return the blanks between columns."""
    return 2 if width >= WIDE else 1


def _cell_width(cell: object) -> int:
    return cell.width or 0 if isinstance(cell, ProgressBar) else len(shown(cell))


def without_middle(text: str, room: int) -> str:
    """Return a text that has no more than so many characters: its beginning and its end."""
    if len(text) <= room:
        return text
    behind = (room - 1) // 2
    return f"{text[: room - 1 - behind]}…{text[len(text) - behind :]}"


def _as_renderable(cell: object, *, one_line: bool) -> Text | ProgressBar:
    if isinstance(cell, ProgressBar):
        return cell
    # Text, not str: a file's name must not be read as markup.
    text = shown(cell)
    # Of the cell, not of the column: what is read at a glance keeps its width.
    overflow: Literal["ellipsis"] | None = "ellipsis" if one_line else None
    return Text(text, STATE_STYLES.get(text, ""), no_wrap=one_line or None, overflow=overflow)


def loads_listing(rows: Sequence[LoadRecord], title: str = "") -> Listing:
    """Return loads with how they ended, a line each."""
    return Listing(
        ("load", "when (UTC)", "file", "table", "type", "state", "rows", "rejected", "why"),
        [
            (
                str(row.load_id),
                row.committed_at or row.finished_at or row.claimed_at,
                row.file_name,
                row.table,
                row.load_type,
                row.outcome,
                row.rows_loaded,
                row.rows_rejected,
                first_sentence(row.error_message or ""),
            )
            for row in rows
        ],
        title,
        one_line=True,
        spared=("table", "rejected"),
        shortened="file",
        below="why",
    )


def first_sentence(text: str) -> str:
    """Return what fits into a list; `show` tells the rest."""
    end = re.search(r"\.(?=\s+[A-Z])", text)
    return text[: end.end()] if end else text


def shown(cell: object) -> str:
    """Return a cell as people read it: thousands separated, times in UTC, null empty."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, datetime):
        return column_time(cell)
    lines = str(cell).replace("\t", " ").split("\n")
    return "\n".join(map(printable, lines))


def load_as_json(record: LoadRecord) -> dict[str, Any]:
    """Return a load under the keys that scripts rely on."""
    values = {key: value for key, value in asdict(record).items() if key not in _NOT_TOLD}
    own = {"load_id": record.load_id, "table": record.table or None, "outcome": record.outcome}
    steps = json.loads(record.step_seconds) if record.step_seconds else None
    return own | values | {"step_seconds": steps}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return iso_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (Decimal, Path)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
