"""Types of columns: ours as SQL Server declares them, and its own as ours."""

from dataclasses import replace

import sqlalchemy as sa

from dropload.model import ColumnType, Kind, Plan
from dropload.targets.base import LINEAGE

_DDL = {
    Kind.BOOLEAN: "bit",
    Kind.INTEGER: "bigint",
    Kind.FLOAT: "float(53)",
    Kind.DATE: "date",
    Kind.UUID: "uniqueidentifier",
}
_DDL_WITH_FRACTION = {
    Kind.TIMESTAMP: "datetime2",
    Kind.TIMESTAMP_OFFSET: "datetimeoffset",
    Kind.TIME: "time",
}
_KIND_OF_TYPE = {
    "bit": Kind.BOOLEAN,
    "bigint": Kind.INTEGER,
    "int": Kind.INTEGER,
    "smallint": Kind.INTEGER,
    "tinyint": Kind.INTEGER,
    "real": Kind.FLOAT,
    "smalldatetime": Kind.TIMESTAMP,
    "decimal": Kind.DECIMAL,
    "numeric": Kind.DECIMAL,
    "float": Kind.FLOAT,
    "date": Kind.DATE,
    "datetime2": Kind.TIMESTAMP,
    "datetime": Kind.TIMESTAMP,
    "money": Kind.DECIMAL,
    "smallmoney": Kind.DECIMAL,
    "datetimeoffset": Kind.TIMESTAMP_OFFSET,
    "time": Kind.TIME,
    "uniqueidentifier": Kind.UUID,
}
_WIDTHS = (50, 100, 255, 500, 1000, 2000, 4000)
"""Widths of new text columns: the first with room for values twice as long as those seen."""
MAX_WIDTH = 4000
"""Longest declared width of nvarchar; longer values need nvarchar(max)."""
_ROW_BYTES = 8060
"""What SQL Server keeps of a row in one page
(https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server)."""
_POINTER_BYTES = 24
"""What stays in the row of a text that is kept elsewhere because it is long."""
_DECIMAL_ROOM = 19
_FRACTION = 6
"""Digits of a second that a file can have; a seventh would take no other room."""


def with_room(column_type: ColumnType) -> ColumnType:
    """Return a type with room to spare."""
    if column_type.kind is Kind.DECIMAL:
        return replace(column_type, precision=max(column_type.precision, _DECIMAL_ROOM))
    if column_type.kind in _DDL_WITH_FRACTION:
        return replace(column_type, precision=_FRACTION)
    if column_type.kind is Kind.TEXT:
        # Twice as long: room to grow, and for characters that take two units of UTF-16.
        wanted = max(column_type.max_length * 2, _WIDTHS[0])
        return replace(column_type, max_length=next((w for w in _WIDTHS if w >= wanted), 0))
    return column_type


def fits_as_text(plan: Plan) -> bool:
    """Return whether every row of the file fits into a side table of text columns."""
    longest = (plan.profile.columns[column.position].max_length for column in plan.columns)
    texts = sum(min(2 * length, _POINTER_BYTES) + 2 for length in longest)
    others = 8 * len(LINEAGE) + len(plan.columns) // 8 + 16
    return texts + others <= _ROW_BYTES


def column_ddl(column_type: ColumnType) -> str:
    """Return the type as SQL Server declares it."""
    if column_type.kind is Kind.TEXT:
        width = column_type.max_length
        return f"nvarchar({width if 0 < width <= MAX_WIDTH else 'max'})"
    if column_type.kind is Kind.DECIMAL:
        return f"decimal({column_type.precision},{column_type.scale})"
    if column_type.kind in _DDL_WITH_FRACTION:
        return f"{_DDL_WITH_FRACTION[column_type.kind]}({column_type.precision})"
    return _DDL[column_type.kind]


def parse_type(row: sa.RowMapping) -> ColumnType:
    """Return our type; what we do not know takes text, and the server judges it."""
    kind = _KIND_OF_TYPE.get(row["type"], Kind.TEXT)
    if kind is Kind.DECIMAL:
        return ColumnType(kind, precision=row["precision"], scale=row["scale"] or 0)
    if kind in _DDL_WITH_FRACTION:
        return ColumnType(kind, precision=row["fraction"] or 0)
    if kind is Kind.TEXT:
        return ColumnType(kind, max_length=max(row["length"] or 0, 0))
    return ColumnType(kind)
