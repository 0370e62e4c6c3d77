"""How SQLite declares columns, what it keeps of their values, and how they read as text."""

import re
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dropload import column_types
from dropload.model import ColumnType, Kind

if TYPE_CHECKING:
    import pyarrow as pa

PRINT = "dropload_print"
"""The function of SQL that prints a stored value as text."""

_DDL = {
    Kind.TEXT: "TEXT",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INTEGER: "INTEGER",
    Kind.FLOAT: "REAL",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMP_OFFSET: "TIMESTAMP_OFFSET",
    Kind.TIME: "TIME",
    Kind.UUID: "UUID",
}

EXACT_DIGITS = 15
"""A REAL of SQLite gives back any decimal of up to 15 digits unchanged
(https://www.sqlite.org/floatingpoint.html); longer ones are kept as text."""

FRACTION = 6
"""Digits of a second that a file can have."""

_DECLARED = re.compile(r"^\s*(?P<word>[A-Za-z_ ]*?)\s*(?:\((?P<args>[\d\s,]+)\))?\s*$")

_KIND_OF_WORD = {
    "BOOLEAN": Kind.BOOLEAN,
    "BOOL": Kind.BOOLEAN,
    "INT": Kind.INTEGER,
    "INTEGER": Kind.INTEGER,
    "BIGINT": Kind.INTEGER,
    "SMALLINT": Kind.INTEGER,
    "DECIMAL": Kind.DECIMAL,
    "DECIMAL_TEXT": Kind.DECIMAL,
    "NUMERIC": Kind.DECIMAL,
    "REAL": Kind.FLOAT,
    "FLOAT": Kind.FLOAT,
    "DOUBLE": Kind.FLOAT,
    "DOUBLE PRECISION": Kind.FLOAT,
    "DATE": Kind.DATE,
    "TIMESTAMP": Kind.TIMESTAMP,
    "DATETIME": Kind.TIMESTAMP,
    "TIMESTAMP_OFFSET": Kind.TIMESTAMP_OFFSET,
    "TIME": Kind.TIME,
    "UUID": Kind.UUID,
}


def declaration(column_type: ColumnType) -> str:
    """Return a declaration whose affinity keeps the value (datatype3.html, section 3.1)."""
    if column_type.kind is not Kind.DECIMAL:
        return _DDL[column_type.kind]
    word = "DECIMAL" if column_type.precision <= EXACT_DIGITS else "DECIMAL_TEXT"
    return f"{word}({column_type.precision},{column_type.scale})"


@lru_cache(maxsize=512)
def parse_declared(declared: str) -> ColumnType:
    """Return our type for a declared one, as far as the column's affinity keeps its values.

    A word that we do not know gets the type of its affinity (datatype3.html, section 3.1): the
    affinity NUMERIC turns `007` into 7, so only numbers may go there.
    """
    match = _DECLARED.match(declared)
    word = match["word"].upper().strip() if match else declared.upper()
    kind = _KIND_OF_WORD.get(word) or _kind_of_affinity(word)
    args = [int(part) for part in (match["args"] or "").split(",") if part] if match else []
    if kind in column_types.WITH_FRACTION:
        return ColumnType(kind, precision=FRACTION)
    if kind is not Kind.DECIMAL:
        return ColumnType(kind)
    is_text = word == "DECIMAL_TEXT"
    if not args:  # NUMERIC without digits holds any number
        return ColumnType(Kind.TEXT if is_text else Kind.FLOAT)
    # The affinity TEXT keeps all digits, however few were declared.
    digits = max(args[0], EXACT_DIGITS + 1) if is_text else min(args[0], EXACT_DIGITS)
    return ColumnType(kind, precision=digits, scale=args[1] if len(args) > 1 else 0)


def _kind_of_affinity(word: str) -> Kind:
    if "INT" in word:
        return Kind.INTEGER
    if not word or any(part in word for part in ("CHAR", "CLOB", "TEXT", "BLOB")):
        return Kind.TEXT
    if word.startswith(("DATETIME", "TIMESTAMP")):
        return Kind.TIMESTAMP
    return Kind.FLOAT


def is_kept_as_text(column_type: ColumnType) -> bool:
    """Return whether values of a type are stored as they are written, not as numbers."""
    if column_type.kind is Kind.DECIMAL:
        return column_type.precision > EXACT_DIGITS
    return column_type.kind not in (Kind.BOOLEAN, Kind.INTEGER, Kind.FLOAT)


def stored_text(value: Any, column_type: ColumnType) -> str | None:
    """Return a stored value in its column's own form; None for NULL."""
    if value is None or isinstance(value, str):
        return value
    if column_type.kind is Kind.DECIMAL:
        # repr() gives a float's shortest digits, and with them the decimal that was stored.
        return column_types.canonical_text(Decimal(repr(value)), column_type)
    return column_types.canonical_text(value, column_type)


def print_value(value: Any, kind: str, decimals: int) -> str | None:
    """Return a stored value as text, as a function of SQL; SQLite's own CAST keeps 15 digits."""
    return stored_text(value, ColumnType(Kind(kind), scale=decimals))


def storable(column: "pa.Array", column_type: ColumnType) -> "pa.Array":
    """Return the values as SQLite should get them.

    Numbers, as far as the column keeps them as such: SQLite, where all rows pass through one
    thread, would take longer to read them than Arrow, and may read the last bit of a float's long
    digits otherwise. The values are those that the types have been found to hold; raises
    ConversionError for most others, not for all.
    """
    import pyarrow as pa  # noqa: PLC0415 - only what loads rows needs Arrow
    import pyarrow.compute as pc  # noqa: PLC0415

    if is_kept_as_text(column_type):
        return column
    if column_type.kind is Kind.FLOAT:
        return column_types.convert(column, column_type)
    if column_type.kind is Kind.BOOLEAN:
        return column_types.convert(column, column_type).cast("int8")
    kind = pa.int64() if column_type.kind is Kind.INTEGER else pa.float64()
    with suppress(pa.ArrowInvalid):
        numbers = column.cast(kind)
        # SQLite makes NULL of what is no number.
        if pc.all(pc.is_finite(numbers)).as_py() is not False:
            return numbers
    # Says which value it is.
    return column_types.convert(column, column_type).cast(kind)
