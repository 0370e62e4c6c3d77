"""Types of columns: ours as SQL Server declares them, and its own as ours."""

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from dropload.errors import TransientError
from dropload.model import ColumnType, Kind, Plan, PlannedColumn
from dropload.targets.base import LINEAGE

if TYPE_CHECKING:
    import pyarrow as pa

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
_STAGED_WIDTHS = (255, MAX_WIDTH)
"""Widths of text columns of a side table: few, so that the beginning of a file mostly has the same
as the whole; what is no text takes the first, however it was written."""
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


def staged_ddl(plan: Plan, column: PlannedColumn) -> str:
    """Return the type of a column in a side table of text: declared no wider than it need be.

    A value that may be of any size is sent and kept as a stream, however short it is.
    """
    width = _staged_width(plan, column)
    return f"nvarchar({width or 'max'})"


def check_room(plan: Plan, records: "pa.RecordBatch") -> None:
    """Raise TransientError when a value is longer than those by which its side table was made.

    That was of the beginning of the file then: the whole file will say how long they are.
    """
    import pyarrow.compute as pc  # noqa: PLC0415 - only what loads rows needs Arrow

    for column in plan.columns:
        width, texts = _staged_width(plan, column), records.column(column.position)
        # Each character takes one byte or more of UTF-8, and one or two units of UTF-16.
        if not width or (pc.max(pc.binary_length(texts)).as_py() or 0) <= width:
            continue
        if 2 * pc.max(pc.utf8_length(texts)).as_py() > width:
            raise TransientError(f"A value of {column.name} is longer than those before it.")


def _staged_width(plan: Plan, column: PlannedColumn) -> int:
    """Return how many units of UTF-16 have room; 0 for any number."""
    longest = 2 * plan.profile.columns[column.position].max_length
    return next((width for width in _STAGED_WIDTHS if width >= longest), 0)


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
