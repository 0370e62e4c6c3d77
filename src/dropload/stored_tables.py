"""Look at the tables that files are loaded into: which there are, what they hold, their rows."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.errors import RefusedError
from dropload.journal import ReferenceRow
from dropload.model import (
    Area,
    ColumnType,
    Kind,
    LoadRecord,
    TableColumn,
    TableInfo,
    TableName,
)
from dropload.targets.base import LINEAGE, Target

_CHUNK = 10_000
"""Rows that are fetched at a time."""
_FINER_THAN_MICROSECONDS = re.compile(r"\.\d{7}")
"""Python's own reading of times cuts such digits off without a word."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One table of an area."""

    table: str
    """`schema.name`."""
    area: Area
    columns: tuple[str, ...]
    """Without the lineage columns."""
    last_load_id: int | None
    """The load that was committed last; None when no load stands."""
    last_committed_at: datetime | None


@dataclass(frozen=True, slots=True)
class TableDetails:
    """What is known of one table."""

    table: str
    area: Area
    columns: tuple[TableColumn, ...]
    """Without the lineage columns."""
    rows: int
    has_lineage: bool
    """Its rows say which load they are from: dropload made the table."""
    last_load: LoadRecord | None
    reference: ReferenceRow | None
    """Its row of Reference_Data_Cfg; None outside the reference area, or when it has none."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table, column by column."""

    columns: tuple[TableColumn, ...]
    values: tuple[list[Any], ...]
    """Of each column: int, Decimal, float, bool, date, datetime, time or str by its kind, None for
    null; what is of no such form is left as the database gives it."""


def list_tables(dock: Dock) -> list[TableSummary]:
    """Return the tables of both areas, by name, the journal's own left out."""
    with dock.target.read() as conn:
        found = _tables(dock, conn)
        last = dock.journal.listings.last_commits(conn)
    names = {_key(dock.target, name): name for name in last}
    summaries = []
    for table, (area, columns) in found.items():
        commit = last.get(names.get(_key(dock.target, table), table), (None, None))
        summaries.append(TableSummary(str(table), area, columns, *commit))
    return sorted(summaries, key=lambda summary: summary.table)


def describe_table(dock: Dock, name: str) -> TableDetails:
    """Return what is known of a table, said as `name` or `schema.name`.

    Raises RefusedError when there is none, or one in both areas.
    """
    with dock.target.read() as conn:
        table, area = _find(dock, conn, name)
        info = _reflect(dock, conn, table)
        count = dock.target.count_rows(conn, table)
        last = dock.journal.standing.last(conn, table)
        key = _key(dock.target, table)
        rows = dock.journal.reference.rows(conn) if area is Area.REFERENCE else []
        reference = next((row for row in rows if _key(dock.target, row.table) == key), None)
        load = dock.journal.history.row(conn, last.load_id) if last else None
    return TableDetails(str(table), area, info.columns, count, info.has_lineage, load, reference)


def read_rows(
    dock: Dock,
    name: str,
    *,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    lineage: bool = False,
) -> Rows:
    """Return rows of a table, in the order in which they were loaded where the table knows it.

    `columns` says which and in which order; `lineage` adds `_load_id` and `_source_row`. All rows
    are held in memory. Raises RefusedError for a table or column that is not there.
    """
    with dock.target.read() as conn:
        table, _ = _find(dock, conn, name)
        info = _reflect(dock, conn, table)
        wanted = _choose(info, columns, lineage=lineage)
        query = _query(dock.target, info, wanted).limit(limit)
        values: tuple[list[Any], ...] = tuple([] for _ in wanted)
        readers = [_reader(dock.target, column.type) for column in wanted]
        result = conn.execute(query, execution_options={"yield_per": _CHUNK})
        for chunk in result.partitions():
            for into, read, cells in zip(values, readers, zip(*chunk, strict=True), strict=True):
                into.extend(map(read, cells))
    return Rows(wanted, values)


# --- finding ---------------------------------------------------------------------------------


def _tables(dock: Dock, conn: sa.Connection) -> dict[TableName, tuple[Area, tuple[str, ...]]]:
    """Return the tables of both areas with the names of their columns."""
    target, own = dock.target, {name.lower() for name in dock.journal.reference.journal_names}
    found: dict[TableName, tuple[Area, tuple[str, ...]]] = {}
    for area in (Area.NON_REFERENCE, Area.REFERENCE):
        for table, columns in target.list_columns(conn, target.schema_of(area)).items():
            if target.physical_name(table)[1].lower() not in own:
                # Where both areas share a schema, a table counts as one of the first.
                found.setdefault(table, (area, tuple(columns)))
    return found


def _find(dock: Dock, conn: sa.Connection, name: str) -> tuple[TableName, Area]:
    """Return the table that a person names; only tables that are there come into a statement."""
    tables = _tables(dock, conn)
    named = {table: (str(table), table.name) for table in tables}
    for same in (_is_equal, _is_equal_without_case):
        found = [table for table, names in named.items() if any(same(name, n) for n in names)]
        if len(found) == 1:
            return found[0], tables[found[0]][0]
        if found:
            listed = " and ".join(sorted(map(str, found)))
            raise RefusedError(
                f"{name!r} may be {listed}.", hint="Say which: schema.name.", code="no_table"
            )
    nearest = difflib.get_close_matches(name, [n for names in named.values() for n in names], 1)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else "`tables` lists those that are there."
    raise RefusedError(f"There is no table {name!r}.", hint=hint, code="no_table")


def _is_equal(one: str, other: str) -> bool:
    return one == other


def _is_equal_without_case(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _reflect(dock: Dock, conn: sa.Connection, table: TableName) -> TableInfo:
    info = dock.target.reflect(conn, table)
    if info is None:
        raise RefusedError(f"{table} was dropped in this moment.", code="no_table")
    return info


def _key(target: Target, table: TableName) -> tuple[str, str]:
    """Return what two names of one table have in common, however they are written."""
    schema, name = target.physical_name(table)
    return (schema or "").lower(), name.lower()


# --- reading ---------------------------------------------------------------------------------


def _choose(
    info: TableInfo, columns: Sequence[str] | None, *, lineage: bool
) -> tuple[TableColumn, ...]:
    known = {column.name: column for column in info.columns}
    known |= {name: TableColumn(name, ColumnType(Kind.TEXT)) for name in info.computed}
    if info.has_lineage:
        numbers = {name: TableColumn(name, ColumnType(Kind.INTEGER)) for name in LINEAGE}
    else:
        numbers = {}
    everything = known | numbers
    wanted = [*(known if columns is None else columns), *(numbers if lineage else ())]
    missing = [name for name in wanted if name not in everything]
    if missing:
        nearest = difflib.get_close_matches(missing[0], everything, 1)
        hint = f"Did you mean {nearest[0]!r}?" if nearest else f"It has {', '.join(known)}."
        raise RefusedError(
            f"{info.table} has no column {missing[0]!r}.", hint=hint, code="no_table"
        )
    if not wanted:
        raise RefusedError(
            "No column is asked for.", hint="Leave `columns` out to read all.", code="no_table"
        )
    return tuple(everything[name] for name in dict.fromkeys(wanted))


def _query(target: Target, info: TableInfo, columns: Iterable[TableColumn]) -> sa.Select[Any]:
    schema, name = target.physical_name(info.table)
    table = sa.table(sa.quoted_name(name, quote=True), schema=schema)
    names: list[sa.ColumnElement[Any]] = [
        sa.column(sa.quoted_name(column.name, quote=True)) for column in columns
    ]
    query = sa.select(*names).select_from(table)
    return query.order_by(*map(sa.column, LINEAGE)) if info.has_lineage else query


def _reader(target: Target, column_type: ColumnType) -> Callable[[Any], Any]:
    """Return what makes the Python value of a cell; a value of another form stays as it is."""
    make = _MAKERS.get(column_type.kind)
    as_text = column_type.kind in (Kind.DECIMAL, Kind.UUID)

    def read(value: Any) -> Any:
        if value is None or make is None:
            return value
        try:
            return make(target.text_of(value, column_type) if as_text else value)
        except (ValueError, TypeError, InvalidOperation):
            return value

    return read


def _make_float(value: Any) -> float:
    if isinstance(value, int) and int(float(value)) == value:
        return float(value)
    if not isinstance(value, float):
        raise TypeError(value)
    return value


def _make_boolean(value: Any) -> bool:
    if value in (0, 1) and isinstance(value, int):
        return bool(value)
    raise ValueError(value)


def _make_decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(value)


def _make_date(value: Any) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _make_datetime(value: Any) -> datetime:
    return datetime.fromisoformat(_checked(value)) if isinstance(value, str) else value


def _make_time(value: Any) -> time:
    return time.fromisoformat(_checked(value)) if isinstance(value, str) else value


def _checked(text: str) -> str:
    if _FINER_THAN_MICROSECONDS.search(text):
        raise ValueError(text)
    return text


_MAKERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOLEAN: _make_boolean,
    Kind.DECIMAL: _make_decimal,
    Kind.FLOAT: _make_float,
    Kind.DATE: _make_date,
    Kind.TIMESTAMP: _make_datetime,
    Kind.TIMESTAMP_OFFSET: _make_datetime,
    Kind.TIME: _make_time,
    Kind.UUID: str,
}
