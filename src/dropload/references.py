"""Compare the reference configuration with the tables that are there, and put it right.

| found                                            | repair                                 |
|--------------------------------------------------|----------------------------------------|
| a row whose table is gone                        | deletes the row                        |
| a table of the reference schema without a row    | adds the row, with the table's columns |
| a row whose columns are not those of its table   | writes the table's columns into it     |

No table is ever touched: only rows of `Reference_Data_Cfg` are written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.journal import NO_LOAD, AuditAction, ReferenceRow
from dropload.model import Area, TableColumn, TableName
from dropload.refusals import noted_refusal
from dropload.reports import count_of


class Flaw(StrEnum):
    """How row and table can differ."""

    NO_TABLE = "no table"
    NO_ROW = "no row"
    OTHER_COLUMNS = "other columns"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reference table whose row is not right."""

    table: TableName
    flaw: Flaw
    differences: tuple[str, ...]
    """How the columns differ, one sentence part each; empty for the other flaws."""
    repair: str
    """What a repair does, or did."""


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """One row of the configuration and whether it is right."""

    row: ReferenceRow
    finding: Finding | None


def list_references(dock: Dock) -> list[ReferenceTable]:
    """Return every row of the configuration, with what is wrong with it."""
    with dock.target.read() as conn:
        rows = dock.journal.reference.rows(conn)
        return [ReferenceTable(row, _judge_row(dock, conn, row)) for row in rows]


def check_references(dock: Dock) -> list[Finding]:
    """Return everything in which configuration and tables differ; writes nothing."""
    with dock.target.read() as conn:
        return list(_find_flaws(dock, conn))


def repair_references(dock: Dock, actor: str) -> list[Finding]:
    """Put every row right, each in a transaction with its audit; return what was done."""
    with noted_refusal(dock, actor, AuditAction.REFERENCE_REPAIR):
        done = (_repair(dock, finding.table, actor) for finding in check_references(dock))
        return [finding for finding in done if finding is not None]


def _repair(dock: Dock, table: TableName, actor: str) -> Finding | None:
    with dock.target.write() as conn:
        # A load may publish into the table, and write its row, in this moment: looked at again.
        dock.target.lock_queue(conn, table)
        rows = {_key(dock, row.table): row for row in dock.journal.reference.rows(conn)}
        row = rows.get(_key(dock, table))
        finding = _judge_row(dock, conn, row) if row else _judge_unlisted(dock, conn, table)
        if finding is None:
            return None
        _write_row(dock, conn, finding)
        detail = f"{table}: {finding.repair}"
        dock.journal.audit.add(conn, actor, AuditAction.REFERENCE_REPAIR, None, detail)
    return finding


def _write_row(dock: Dock, conn: sa.Connection, finding: Finding) -> None:
    reference = dock.journal.reference
    if finding.flaw is Flaw.NO_TABLE:
        reference.delete(conn, finding.table)
        return
    columns = _columns_of(dock, conn, finding.table)
    last = {_key(dock, name): load for name, load in reference.last_loads(conn).items()}
    load_id = last.get(_key(dock, finding.table), NO_LOAD)
    reference.write(conn, finding.table, columns or (), load_id)


def _find_flaws(dock: Dock, conn: sa.Connection) -> Iterator[Finding]:
    rows = dock.journal.reference.rows(conn)
    for row in rows:
        finding = _judge_row(dock, conn, row)
        if finding is not None:
            yield finding
    known = {_key(dock, row.table) for row in rows}
    for table in _reference_tables(dock, conn):
        finding = None if _key(dock, table) in known else _judge_unlisted(dock, conn, table)
        if finding is not None:
            yield finding


def _reference_tables(dock: Dock, conn: sa.Connection) -> list[TableName]:
    """Return the tables of the reference schema that are not the journal's own.

    Where both areas share a schema, these are the tables that a reference inbox has filled.
    """
    target, reference = dock.target, dock.journal.reference
    schema = target.schema_of(Area.REFERENCE)
    own = {name.lower() for name in reference.journal_names}
    found = [
        table
        for table in target.list_columns(conn, schema)
        if target.physical_name(table)[1].lower() not in own
    ]
    if schema != target.schema_of(Area.NON_REFERENCE):
        return found
    filled = {_key(dock, name) for name in reference.last_loads(conn)}
    return [table for table in found if _key(dock, table) in filled]


def _judge_row(dock: Dock, conn: sa.Connection, row: ReferenceRow) -> Finding | None:
    columns = _columns_of(dock, conn, row.table)
    if columns is None:
        return Finding(row.table, Flaw.NO_TABLE, (), "deletes the row: its table is gone")
    differences = tuple(_differences(dict(row.columns), columns))
    if not differences:
        return None
    said = "writes the table's columns into the row"
    return Finding(row.table, Flaw.OTHER_COLUMNS, differences, said)


def _judge_unlisted(dock: Dock, conn: sa.Connection, table: TableName) -> Finding | None:
    columns = _columns_of(dock, conn, table)
    if columns is None:
        return None
    said = f"adds a row with the table's {count_of(len(columns), 'column')}"
    return Finding(table, Flaw.NO_ROW, (), said)


def _differences(written: dict[str, str], columns: tuple[TableColumn, ...]) -> Iterator[str]:
    there = {column.name: str(column.type) for column in columns}
    for name, kind in there.items():
        if name not in written:
            yield f"column {name!r} ({kind}) is new"
        elif written[name] != kind:
            yield f"column {name!r} was {written[name]} and is {kind}"
    for name, kind in written.items():
        if name not in there:
            yield f"column {name!r} ({kind}) is gone"


def _columns_of(
    dock: Dock, conn: sa.Connection, table: TableName
) -> tuple[TableColumn, ...] | None:
    info = dock.target.reflect(conn, table)
    return None if info is None else info.columns


def _key(dock: Dock, table: TableName) -> tuple[str, str]:
    """Return what two names of one table have in common, however they are written."""
    schema, name = dock.target.physical_name(table)
    return (schema or "").lower(), name.lower()
