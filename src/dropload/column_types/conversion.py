"""Turn text into typed values without damage, and typed values back into the text as written."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import plain
from dropload.model import ColumnType, Kind


class ConversionError(ValueError):
    """A value cannot be stored in the column's type without damage."""

    def __init__(self, position: int, value: str, type_: ColumnType) -> None:
        super().__init__(f"value {value!r} at position {position} is no {type_}")
        self.position = position
        """Index in the column that was to be converted, from 0."""
        self.value = value


def convert(column: pa.Array, type_: ColumnType) -> pa.Array:
    """Return a `pa.string()` column as values of the type; nulls stay null.

    Arrow types: int64, decimal128, float64, bool, date32, timestamp[us]; text stays as it is.
    Raises ConversionError for the first value that the type does not hold unchanged: nothing is
    rounded; leading zeros, plus signs and blanks are not taken off; days must be in the calendar.
    """
    if type_.kind is Kind.TEXT:
        return column
    converted = _try_convert(column, type_)
    if converted is None:
        position = _first_unfit(column, type_)
        raise ConversionError(position, column[position].as_py(), type_)
    return converted


def canonical_text(value: Any, type_: ColumnType) -> str:
    """Return the text that a file with this type held for a Python value that is not None."""
    match type_.kind:
        case Kind.BOOLEAN:
            return "true" if value else "false"
        case Kind.DECIMAL:
            return format(Decimal(value), f".{type_.scale}f")
        case Kind.FLOAT:
            return _float_text(float(value), type_)
        case Kind.DATE:
            return date.isoformat(value)
        case Kind.TIMESTAMP:
            return _timestamp_text(value, type_)
        case _:
            return str(value)


def _float_text(value: float, type_: ColumnType) -> str:
    text = plain.shortest_plain(value)
    return text if type_.spelling == ".0" else text.removesuffix(".0")


def _timestamp_text(value: datetime, type_: ColumnType) -> str:
    text = value.isoformat(sep="T" if type_.spelling == "T" else " ", timespec="microseconds")
    return text[: 20 + type_.precision] if type_.precision else text[:19]


def _try_convert(column: pa.Array, type_: ColumnType) -> pa.Array | None:
    """Return the converted column, None when some value does not fit."""
    if not plain.all_match(column, _pattern(type_)):
        return None
    if type_.kind is Kind.BOOLEAN:
        return pc.equal(column, "true")
    try:
        converted = column.cast(_arrow_type(type_))
    except pa.ArrowInvalid:
        return None
    return converted if _is_undamaged(column, converted, type_) else None


def _is_undamaged(column: pa.Array, converted: pa.Array, type_: ColumnType) -> bool:
    if type_.kind is Kind.FLOAT:
        return _fits_float(column)
    if type_.kind in (Kind.DATE, Kind.TIMESTAMP):
        first, _ = plain.bounds(converted.cast(pa.date32()).cast(pa.int32()))
        return first is None or first >= plain.FIRST_DAY
    return True


def _fits_float(column: pa.Array) -> bool:
    whole = pc.less(pc.find_substring(column, "."), 0)
    numbers = pc.abs(column.cast(pa.float64()))
    _, most = plain.bounds(pc.if_else(whole, numbers, None))
    if most is not None and most > plain.MAX_WHOLE_FLOAT:
        return False
    return plain.first_inexact(column) is None


def _first_unfit(column: pa.Array, type_: ColumnType) -> int:
    start, stop = 0, len(column)
    while stop - start > 1:
        middle = (start + stop) // 2
        if _try_convert(column.slice(start, middle - start), type_) is None:
            stop = middle
        else:
            start = middle
    return start


def _pattern(type_: ColumnType) -> str:
    match type_.kind:
        case Kind.INTEGER:
            return plain.WHOLE
        case Kind.BOOLEAN:
            return "(?:true|false)"
        case Kind.DATE:
            return plain.DATE
        case Kind.TIMESTAMP:
            fraction = rf"(?:\.[0-9]{{1,{type_.precision}}})?" if type_.precision else ""
            time = f"[ T][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}{fraction}"
            return f"{plain.DATE}(?:{time})?"
        case _:
            return plain.NUMBER


def _arrow_type(type_: ColumnType) -> pa.DataType:
    match type_.kind:
        case Kind.INTEGER:
            return pa.int64()
        case Kind.DECIMAL:
            return pa.decimal128(type_.precision, type_.scale)
        case Kind.FLOAT:
            return pa.float64()
        case Kind.DATE:
            return pa.date32()
        case _:
            return pa.timestamp("us")
