"""Look at a file, and at the table it is meant for; nothing is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from dropload.column_types import Hints
from dropload.config import LoadConfig
from dropload.dock import Dock
from dropload.errors import FileError
from dropload.intake import NamedDrop
from dropload.model import (
    CheckedColumn,
    Drop,
    Layout,
    Plan,
    Profile,
    TableInfo,
    TableName,
    TableRules,
)
from dropload.parsers import find_parser
from dropload.parsers.base import Batch, MisjudgedError, Parser
from dropload.planning import Questions, Request, find_checks, make_plan
from dropload.planning.guards import check_width
from dropload.planning.past import find_comma_columns
from dropload.profiling import OnBatch, profile_batches, profile_file
from dropload.reading_again import check_version
from dropload.reports import REJECT_COLUMNS
from dropload.row_checks import RowCheck

T = TypeVar("T")

OnProgress = Callable[[int, int], None]
"""Gets the records and the bytes of the file that were read so far."""
_CONTRADICTED = 0.1
"""Share of refused rows from which the layout itself is in doubt."""
_LAYOUT_MAY_BE_WRONG = frozenset({"unbalanced_quote", "record_too_long"})
"""What ends the reading of a file whose quotes mean nothing."""

# No database has tables as wide; judging the types of columns takes long where there are so many.
_MOST_COLUMNS = 2000


@dataclass(frozen=True, slots=True)
class Examined:
    """What reading a file found; nothing has been written."""

    parser: Parser
    layout: Layout
    profile: Profile
    checks: tuple[CheckedColumn, ...] = ()
    """Columns of the known table whose values were looked at one by one."""


@dataclass(frozen=True, slots=True)
class KnownTable:
    """The table that a file is meant for, as it was when it was looked up."""

    info: TableInfo
    rules: TableRules


def find_layout(path: Path) -> tuple[Parser, Layout]:
    """Return who reads the file, and how it is written; raises FileError when nobody can."""
    parser = find_parser(path)
    return parser, parser.detect(path)


def examine(dock: Dock, drop: Drop, on_progress: OnProgress | None = None) -> Examined:
    """Detect the layout and read the whole file once; nothing is written."""
    parser, layout = detect_layout(dock, drop)
    return examine_in(dock, drop, parser, layout, on_progress)


def detect_layout(dock: Dock, drop: Drop) -> tuple[Parser, Layout]:
    """Return who reads a file that is to be loaded, and how it is written."""
    check_version(drop.path, drop.version)
    parser, layout = find_layout(drop.path)
    # A rejects file has columns more that are not loaded; the plan counts exactly.
    check_width(layout.width, dock.target.limits.columns, spare=len(REJECT_COLUMNS))
    return parser, layout


def examine_in(
    dock: Dock,
    drop: Drop,
    parser: Parser,
    layout: Layout,
    on_progress: OnProgress | None = None,
    on_batch: OnBatch | None = None,
) -> Examined:
    """Read the whole file in a layout; when the file contradicts it, look again and compare.

    `on_batch` gets what is read in the layout that was asked for.
    """
    check_width(layout.width, _MOST_COLUMNS)
    is_late = False

    def note(batch: Batch, reader: str) -> None:
        nonlocal is_late
        is_late = is_late or batch.is_late
        if on_batch is not None:
            on_batch(batch, reader)

    first: Examined | FileError
    try:
        first = examine_as(dock, drop, parser, layout, (), on_progress, note)
    except MisjudgedError:
        whole = parser.detect(drop.path, whole=True)
        return examine_in(dock, drop, parser, whole, on_progress)
    except FileError as exc:
        first = exc
    if layout.seen_bytes and (is_late or not _is_in_order(first)):
        whole = parser.detect(drop.path, whole=True)
        if not whole.reads_like(layout):
            return examine_in(dock, drop, parser, whole, on_progress)
        if isinstance(first, Examined):
            first = replace(first, layout=whole)
    return _look_again(dock, drop, parser, layout, first, on_progress)


def _is_in_order(first: Examined | FileError) -> bool:
    """Return whether nothing that was read speaks against the layout."""
    return isinstance(first, Examined) and not first.profile.rejected_rows


def _look_again(
    dock: Dock,
    drop: Drop,
    parser: Parser,
    layout: Layout,
    first: Examined | FileError,
    on_progress: OnProgress | None,
) -> Examined:
    """Return what reading a file found first, or something better where that is not in order."""
    if isinstance(first, FileError):
        if first.code not in _LAYOUT_MAY_BE_WRONG:
            raise first
        other = _examine_again(dock, drop, parser, layout, on_progress)
        if other is None or _is_contradicted(other):
            raise first
        return other
    if not _is_contradicted(first):
        return first
    second = _examine_again(dock, drop, parser, layout, on_progress)
    if second is None:
        return first
    fewer = second.profile.rejected_rows < first.profile.rejected_rows
    return second if fewer and second.profile.good_rows > first.profile.good_rows else first


def _is_contradicted(examined: Examined) -> bool:
    """Return whether so many rows are refused that the layout itself is in doubt."""
    return examined.profile.rejected_rows > _CONTRADICTED * examined.profile.rows


def _examine_again(
    dock: Dock,
    drop: Drop,
    parser: Parser,
    layout: Layout,
    on_progress: OnProgress | None,
) -> Examined | None:
    """Return what a more thorough look finds; None when it is nothing else, or unreadable, too."""
    try:
        other = parser.detect(drop.path, thorough=True)
        if other.reads_like(layout):
            return None
        return examine_as(dock, drop, parser, other, (), on_progress)
    except FileError:
        return None


def look_up_table(dock: Dock, conn: sa.Connection, named: NamedDrop) -> KnownTable | None:
    """Return the table that a file is meant for, as it is now; None when there is none."""
    if named.error is not None:
        return None
    info = dock.target.reflect(conn, named.table)
    return KnownTable(info, dock.target.find_rules(conn, named.table)) if info else None


def examine_for_table(
    dock: Dock,
    named: NamedDrop,
    examined: Examined,
    known: KnownTable | None,
    on_progress: OnProgress | None = None,
) -> Examined:
    """Read the file once more where the known table may not hold every value of it.

    Rows with such values become rejects that say line, column and reason.
    """
    checks = find_checks(examined.profile, known.info, dock.target) if known else ()
    if not checks:
        return examined
    again = examine_as(dock, named.drop, examined.parser, examined.layout, checks, on_progress)
    # What the columns are is said by all rows: those that are refused are evidence, too.
    columns = tuple(
        replace(
            second,
            type=first.type,
            note=first.note,
            doubt=first.doubt,
            nearly=first.nearly,
            pointed=first.pointed,
        )
        for first, second in zip(examined.profile.columns, again.profile.columns, strict=True)
    )
    return replace(again, profile=replace(again.profile, columns=columns))


def examine_as(
    dock: Dock,
    drop: Drop,
    parser: Parser,
    layout: Layout,
    checks: tuple[CheckedColumn, ...] = (),
    on_progress: OnProgress | None = None,
    on_batch: OnBatch | None = None,
) -> Examined:
    """Read the whole file once in that layout, of which nothing is taken for granted any more.

    Rows that `checks` refuse are rejects.
    """
    settings = dock.config.load
    try:
        profile = profile_file(
            drop.path,
            layout,
            parser,
            hash_algorithm=settings.hash_algorithm,
            max_record_bytes=settings.max_record_bytes,
            check=RowCheck(checks, layout, dock.target.refusal),
            hints=_hints(settings),
            on_progress=on_progress,
            on_batch=on_batch,
        )
    except (FileError, MisjudgedError):
        # What is wrong with a file that changes meanwhile is not its fault.
        check_version(drop.path, drop.version)
        raise
    check_version(drop.path, drop.version)
    return Examined(parser, replace(layout, seen_bytes=0), profile, checks)


def _hints(settings: LoadConfig) -> Hints:
    return Hints(settings.decimal_mark or "", settings.day_first)


def plan_beginning(
    dock: Dock,
    named: NamedDrop,
    parser: Parser,
    layout: Layout,
    batches: Sequence[Batch],
    reader: str,
) -> tuple[Plan, KnownTable | None] | None:
    """Return what would be done if the rest of the file is as its beginning; nobody has to decide.

    And the table that it was planned for. None where values of the table's columns would have to be
    looked at one by one. `batches` are the beginning as `reader` has read it.
    """
    with dock.target.read() as conn:
        known = look_up_table(dock, conn, named)
    profile = profile_batches(batches, layout, reader, _hints(dock.config.load))
    examined = Examined(parser, layout, profile)
    forced = replace(named, drop=replace(named.drop, force=True))
    plan = plan_load(dock, forced, examined, known)
    if known and find_checks(examined.profile, known.info, dock.target):
        return None
    return plan, known


def plan_load(dock: Dock, named: NamedDrop, examined: Examined, known: KnownTable | None) -> Plan:
    """Compare what was found with the table as it is and return what a load would do."""
    if named.error is not None:
        raise named.error
    request = Request(
        named.table,
        named.drop.load_type,
        force=named.drop.force,
        notes=(named.note,) if named.note else (),
    )
    return make_plan(
        request,
        examined.layout,
        examined.profile,
        known.info if known else None,
        dock.config.load,
        dock.target,
        _questions(dock, named.table),
        examined.checks,
        known.rules if known else TableRules(),
    )


def _questions(dock: Dock, table: TableName) -> Questions:
    """Return how a plan finds out what else it needs of the database: most ask nothing."""
    target, history = dock.target, dock.journal.history

    def ask(question: Callable[[sa.Connection], T]) -> T:
        with target.read() as conn:
            return question(conn)

    return Questions(
        measure=lambda column: ask(lambda conn: target.measure(conn, table, column)),
        count_rows=lambda: ask(lambda conn: target.count_rows(conn, table)),
        list_tables=lambda: ask(lambda conn: target.list_columns(conn, table.schema)),
        find_commas=lambda: ask(lambda conn: find_comma_columns(history.past_plans(conn, table))),
    )
