"""Turn text into typed values without damage, and typed values back into the text as written."""

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import plain, whole_columns
from dropload.column_types.ordering import MAX_DECIMAL_DIGITS
from dropload.model import ColumnType, Kind

_CHECKED_TEXT = (Kind.TIME, Kind.UUID, Kind.TIMESTAMP_OFFSET)


class ConversionError(ValueError):
    """A value cannot be stored in the column's type without damage."""

    def __init__(self, position: int, value: str, type_: ColumnType) -> None:
        super().__init__(f"value {value!r} at position {position} is no {type_}")
        self.position = position
        """Index in the column that was to be converted, from 0."""
        self.value = value


def convert(column: pa.Array, type_: ColumnType) -> pa.Array:
    """Return a `pa.string()` column as values of the type; nulls stay null.

    Arrow types: int64, decimal128, float64, bool, date32, timestamp[us]; text stays as it is, and
    so do UUIDs, times of day and timestamps with an offset, which no Arrow type gives back whole.
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
    """Return the text that a file with this type held for a Python value that is not None.

    A text is what the file wrote: some databases keep some types so.
    """
    if isinstance(value, str):
        return value.lower() if type_.kind is Kind.UUID else value
    write = _WRITERS.get(type_.kind)
    return write(value, type_) if write else str(value)


def _float_text(value: float, type_: ColumnType) -> str:
    text = plain.shortest_plain(value)
    return text if type_.spelling == ".0" else text.removesuffix(".0")


def _timestamp_text(value: datetime, type_: ColumnType) -> str:
    text = value.isoformat(sep="T" if "T" in type_.spelling else " ", timespec="microseconds")
    return _cut_fraction(text, len("2024-12-31 23:59:59"), type_)


def _offset_text(value: datetime, type_: ColumnType) -> str:
    return "Z" if "Z" in type_.spelling else value.isoformat()[-6:]


def _cut_fraction(text: str, seconds_end: int, type_: ColumnType) -> str:
    return text[: seconds_end + 1 + type_.precision] if type_.precision else text[:seconds_end]


def _try_convert(column: pa.Array, type_: ColumnType) -> pa.Array | None:
    """Return the converted column, None when some value does not fit."""
    if not whole_columns.all_match(column, _pattern(type_)):
        return None
    if type_.kind is Kind.BOOLEAN:
        return pc.if_else(column.is_valid(), pc.is_in(column, pa.array(["true", "1"])), None)
    try:
        if type_.kind is Kind.DECIMAL:
            return cast_decimals(column, type_)
        converted = column.cast(_ARROW_TYPES[type_.kind])
    except pa.ArrowInvalid:
        return None
    if not _is_undamaged(column, converted, type_):
        return None
    return column if type_.kind in _CHECKED_TEXT else converted


def cast_decimals(column: pa.Array, type_: ColumnType) -> pa.Array:
    """Return numbers, a `pa.string()` column, as decimals; zeros beyond the scale change nothing.

    Raises ArrowInvalid for one that does not fit. Arrow's own cast refuses, or takes for another
    number, what has more than 38 digits, filled up to the scale (measured with PyArrow 26).
    """
    longest = whole_columns.bounds(pc.binary_length(column))[1] or 0
    if longest + type_.scale > MAX_DECIMAL_DIGITS:
        column = _without_excess_zeros(column, type_.scale)
        _refuse_excess_digits(column, type_)
    return column.cast(pa.decimal128(type_.precision, type_.scale))


def _without_excess_zeros(column: pa.Array, scale: int) -> pa.Array:
    points = pc.find_substring(column, ".")
    decimals = pc.subtract(pc.subtract(pc.binary_length(column), points), 1)
    is_long = pc.and_(pc.greater_equal(points, 0), pc.greater(decimals, scale))
    stripped = pc.utf8_rtrim(pc.utf8_rtrim(pc.if_else(is_long, column, None), "0"), ".")
    return pc.if_else(is_long, stripped, column)


def _refuse_excess_digits(column: pa.Array, type_: ColumnType) -> None:
    digits = pc.utf8_ltrim(column, "-0")
    points, lengths = pc.find_substring(digits, "."), pc.binary_length(digits)
    is_whole = pc.less(points, 0)
    before = pc.if_else(is_whole, lengths, points)
    behind = pc.if_else(is_whole, 0, pc.subtract(pc.subtract(lengths, points), 1))
    most_before, most_behind = (whole_columns.bounds(part)[1] or 0 for part in (before, behind))
    if most_before > type_.precision - type_.scale or most_behind > type_.scale:
        raise pa.ArrowInvalid(f"a number has more digits than {type_}")


def _is_undamaged(column: pa.Array, converted: pa.Array, type_: ColumnType) -> bool:
    if type_.kind is Kind.FLOAT:
        return _fits_float(column)
    if type_.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_OFFSET):
        first, last = whole_columns.bounds(converted.cast(pa.date32()).cast(pa.int32()))
        return first is None or (first >= plain.FIRST_DAY and last <= plain.LAST_DAY)
    return True


def _fits_float(column: pa.Array) -> bool:
    whole = pc.less(pc.find_substring(column, "."), 0)
    numbers = pc.abs(column.cast(pa.float64()))
    _, most = whole_columns.bounds(pc.if_else(whole, numbers, None))
    if most is not None and most > plain.MAX_WHOLE_FLOAT:
        return False
    return whole_columns.first_inexact(column) is None


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
    if type_.kind is Kind.TIMESTAMP:
        return f"{plain.DATE}(?:[ T]{_time_pattern(type_)})?"
    if type_.kind is Kind.TIMESTAMP_OFFSET:
        return f"{plain.DATE}[ T]{_time_pattern(type_)}{plain.OFFSET}"
    if type_.kind is Kind.TIME:
        return _time_pattern(type_)
    return _PATTERNS.get(type_.kind, plain.NUMBER)


def _time_pattern(type_: ColumnType) -> str:
    # Some databases keep seven digits, but no more than six can be read from files.
    digits = min(type_.precision, 6)
    # Zeros behind the last digit that the column keeps change nothing.
    zeros = f"0{{0,{6 - digits}}}"
    return plain.CLOCK + (rf"(?:\.[0-9]{{1,{digits}}}{zeros})?" if digits else r"(?:\.0{1,6})?")


_WRITERS: dict[Kind, Callable[[Any, ColumnType], str]] = {
    Kind.BOOLEAN: lambda value, _: "true" if value else "false",
    Kind.DECIMAL: lambda value, type_: format(Decimal(value), f".{type_.scale}f"),
    Kind.FLOAT: lambda value, type_: _float_text(float(value), type_),
    Kind.DATE: lambda value, _: date.isoformat(value),
    Kind.TIMESTAMP: _timestamp_text,
    Kind.TIMESTAMP_OFFSET: lambda value, type_: (
        _timestamp_text(value.replace(tzinfo=None), type_) + _offset_text(value, type_)
    ),
    Kind.TIME: lambda value, type_: _cut_fraction(
        time.isoformat(value, timespec="microseconds"), len("23:59:59"), type_
    ),
    Kind.UUID: lambda value, _: str(value).lower(),
}
_PATTERNS = {
    Kind.INTEGER: plain.WHOLE,
    # A known table's column takes 1 and 0 too, as databases write them.
    Kind.BOOLEAN: "(?:true|false|1|0)",
    Kind.DATE: plain.DATE,
    Kind.UUID: plain.UUID,
}
_ARROW_TYPES = {
    Kind.INTEGER: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIMESTAMP_OFFSET: pa.timestamp("us", "UTC"),
    Kind.TIME: pa.string(),
    Kind.UUID: pa.string(),
}
