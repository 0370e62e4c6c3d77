"""The values of a column as COPY's binary format has them: one field for each row.

See `_recv` of each type in `src/backend/utils/adt/`. All numbers are big-endian.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dropload import column_types
from dropload.column_types.ordering import MAX_DECIMAL_DIGITS
from dropload.model import ColumnType, Kind

_EPOCH_DAY = 10_957
_EPOCH_MICROSECONDS = _EPOCH_DAY * 86_400_000_000
"""2000-01-01, from which PostgreSQL counts, from 1970-01-01, from which Arrow does."""
_BASE, _BASE_DIGITS = 10_000, 4
"""A numeric is written in digits of this base."""
_NEGATIVE = 0x4000
"""The sign of a numeric below zero."""
_UNSIGNED_END = 2**64
_LIMB = 2**32 - 1
"""The part of a long number that is divided at once."""
_NO_UUID = "0" * 32

Values: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
"""One big-endian value for each row, whatever it is where the row has none."""


def can_encode(column_type: ColumnType) -> bool:
    """Return whether values of a type have one size, by the column, and can be written so."""
    if column_type.kind is Kind.DECIMAL:
        return 0 <= column_type.scale <= column_type.precision <= MAX_DECIMAL_DIGITS
    return column_type.kind in _ENCODERS


def encode(column: pa.Array, column_type: ColumnType) -> Values:
    """Return the fields of a `pa.string()` column, without their lengths.

    Raises ConversionError for most values that are none of the type, not for all: they are those
    that it has been found to hold.
    """
    try:
        return _ENCODERS[column_type.kind](column, column_type)
    except (pa.ArrowInvalid, ValueError) as exc:
        for position, text in enumerate(column.to_pylist()):
            if text is not None and column_types.explain_misfit(text, column_type):
                raise column_types.ConversionError(position, text, column_type) from exc
        raise


def numbers_of(column: pa.Array, dtype: str) -> Values:
    """Return the numbers of an Arrow array, without a copy, in the machine's order of bytes."""
    start = column.offset * np.dtype(dtype).itemsize
    return np.frombuffer(column.buffers()[1], dtype, len(column), start)


def _encode_booleans(column: pa.Array, _: ColumnType) -> Values:
    return numbers_of(column.cast("bool").cast("uint8"), "u1")


def _encode_integers(column: pa.Array, _: ColumnType) -> Values:
    return numbers_of(column.cast("int64"), "=i8").astype(">i8")


def _encode_floats(column: pa.Array, _: ColumnType) -> Values:
    return numbers_of(column.cast("float64"), "=f8").astype(">f8")


def _encode_dates(column: pa.Array, _: ColumnType) -> Values:
    return (numbers_of(column.cast("date32"), "=i4") - _EPOCH_DAY).astype(">i4")


def _microseconds(column: pa.Array) -> Values:
    return numbers_of(column.cast("timestamp[us]"), "=i8")


def _encode_timestamps(column: pa.Array, _: ColumnType) -> Values:
    return (_microseconds(column) - _EPOCH_MICROSECONDS).astype(">i8")


def _encode_times(column: pa.Array, _: ColumnType) -> Values:
    # Arrow reads no times of day: they are those of its first day.
    return _microseconds(pc.binary_join_element_wise("1970-01-01", column, " ")).astype(">i8")


def _encode_uuids(column: pa.Array, _: ColumnType) -> Values:
    digits = pc.replace_substring(column.fill_null(_NO_UUID), "-", "").to_pylist()
    # Read as one text, in which two of the wrong length could make up for each other.
    if any(len(each) != len(_NO_UUID) for each in digits):
        raise ValueError("a UUID has 32 digits")
    return np.frombuffer(bytes.fromhex("".join(digits)), "V16")


def _encode_decimals(column: pa.Array, column_type: ColumnType) -> Values:
    """Return as many digits of base 10,000 for each row as the longest one has.

    The server leaves out those that are zero at either end.
    """
    typed = column_types.cast_decimals(column.fill_null("0"), column_type)
    _, high = _words_of(typed)
    digits, decimals = _digits_of(pc.abs(typed), column_type)
    count = len(digits)
    head = [("count", ">i2"), ("weight", ">i2"), ("sign", ">u2"), ("scale", ">i2")]
    rows = np.empty(len(column), [*head, ("digits", ">i2", (count,))])
    rows["count"], rows["weight"] = count, count - decimals - 1
    rows["scale"] = column_type.scale
    rows["sign"] = np.where(high.view("=i8") < 0, _NEGATIVE, 0)
    for place, digit in enumerate(reversed(digits)):
        rows["digits"][:, place] = digit
    return rows


def _words_of(decimals: pa.Array) -> tuple[Values, Values]:
    """Return the low and the high 64 bits of each."""
    words = np.frombuffer(decimals.buffers()[1], "=u8")[2 * decimals.offset :]
    return words[0 : 2 * len(decimals) : 2], words[1 : 2 * len(decimals) : 2]


def _digits_of(magnitudes: pa.Array, column_type: ColumnType) -> tuple[list[Values], int]:
    """Return the digits of decimals, none of them negative, the last one first.

    And how many of them stand behind the point.
    """
    low, high = _words_of(magnitudes)
    decimals = _digits_needed(column_type.scale)
    # Whole digits of the base behind the point: so many zeros are put there.
    factor = 10 ** (decimals * _BASE_DIGITS - column_type.scale)
    most = int(low.max())
    if not high.any() and most * factor < _UNSIGNED_END:
        count = max(decimals + 1, _digits_needed(len(str(most * factor))))
        return list(_peel(low * np.uint64(factor), count)), decimals
    count = decimals + max(1, _digits_needed(column_type.precision - column_type.scale))
    return list(_peel_long(low, high, factor, count)), decimals


def _peel(numbers: Values, count: int) -> Iterator[Values]:
    for _ in range(count):
        yield numbers % _BASE
        numbers = numbers // _BASE


def _peel_long(low: Values, high: Values, factor: int, count: int) -> Iterator[Values]:
    """Divide numbers of five limbs of 32 bits as it is done by hand."""
    limbs = [low & _LIMB, low >> 32, high & _LIMB, high >> 32, np.zeros_like(low)]
    carry: Any = 0
    for place, limb in enumerate(limbs):
        product = limb * np.uint64(factor) + carry
        limbs[place], carry = product & _LIMB, product >> 32
    for _ in range(count):
        rest: Any = 0
        for place in reversed(range(len(limbs))):
            dividend = (rest << 32) + limbs[place]
            limbs[place], rest = dividend // _BASE, dividend % _BASE
        yield rest


def _digits_needed(decimal_digits: int) -> int:
    return -(-decimal_digits // _BASE_DIGITS)


_ENCODERS: Mapping[Kind, Callable[[pa.Array, ColumnType], Values]] = {
    Kind.BOOLEAN: _encode_booleans,
    Kind.INTEGER: _encode_integers,
    Kind.FLOAT: _encode_floats,
    Kind.DECIMAL: _encode_decimals,
    Kind.DATE: _encode_dates,
    Kind.TIMESTAMP: _encode_timestamps,
    Kind.TIME: _encode_times,
    Kind.UUID: _encode_uuids,
}
