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
from dropload.column_types.plain import SURE_CHARS
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
_FLOAT_DIGITS = 15
"""Numbers of so many decimal digits are told apart by floats."""
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
    texts = column.fill_null("0")
    is_short = column_type.precision <= _FLOAT_DIGITS and _longest(texts) <= SURE_CHARS
    read = _digits_by_floats if is_short else _digits_by_decimals
    digits, is_negative = read(texts, column_type)
    count = len(digits)
    head = [("count", ">i2"), ("weight", ">i2"), ("sign", ">u2"), ("scale", ">i2")]
    rows = np.empty(len(column), [*head, ("digits", ">i2", (count,))])
    rows["count"] = count
    rows["weight"] = count - _digits_needed(column_type.scale) - 1
    rows["scale"] = column_type.scale
    rows["sign"] = np.where(is_negative, _NEGATIVE, 0)
    for place, digit in enumerate(reversed(digits)):
        rows["digits"][:, place] = digit
    return rows


def _longest(texts: pa.Array) -> int:
    return int(pc.max(pc.binary_length(texts)).as_py())


def _digits_by_floats(texts: pa.Array, column_type: ColumnType) -> tuple[list[Values], Values]:
    """Return the digits of base 10,000, the last one first, and which numbers are below zero.

    Of numbers of up to 15 digits, which no float confuses; Arrow reads those in half the time.
    """
    numbers = numbers_of(texts.cast("float64"), "=f8")
    power = 10.0**column_type.scale
    whole = np.rint(numbers * power)
    magnitudes = np.abs(whole)
    # Divided again it is the same float, unless there were more decimals, or no number at all.
    if not ((whole / power == numbers).all() and magnitudes.max() < 10.0**column_type.precision):
        raise ValueError(f"not all are {column_type}")
    return _digits_of_whole(magnitudes.astype("=u8"), column_type), whole < 0


def _digits_by_decimals(texts: pa.Array, column_type: ColumnType) -> tuple[list[Values], Values]:
    """Return the same of numbers of any length."""
    typed = column_types.cast_decimals(texts, column_type)
    is_negative = _words_of(typed)[1].view("=i8") < 0
    low, high = _words_of(pc.abs(typed))
    if not high.any() and int(low.max()) * _factor(column_type) < _UNSIGNED_END:
        return _digits_of_whole(low, column_type), is_negative
    count = _digits_needed(column_type.scale)
    count += max(1, _digits_needed(column_type.precision - column_type.scale))
    return list(_peel_long(low, high, _factor(column_type), count)), is_negative


def _words_of(decimals: pa.Array) -> tuple[Values, Values]:
    """Return the low and the high 64 bits of each."""
    words = np.frombuffer(decimals.buffers()[1], "=u8")[2 * decimals.offset :]
    return words[0 : 2 * len(decimals) : 2], words[1 : 2 * len(decimals) : 2]


def _factor(column_type: ColumnType) -> int:
    """Return how many times the digits behind the point are to be taken to be whole ones."""
    scale = column_type.scale
    return int(10 ** (_digits_needed(scale) * _BASE_DIGITS - scale))


def _digits_of_whole(magnitudes: Values, column_type: ColumnType) -> list[Values]:
    """Return the digits of whole numbers of the last decimal; times `_factor`, 64 bits hold them.

    Half as many bits are divided ten times as fast (measured).
    """
    factor = _factor(column_type)
    most = int(magnitudes.max()) * factor
    count = max(_digits_needed(column_type.scale) + 1, _digits_needed(len(str(most))))
    kind: Any = np.uint32 if most <= _LIMB else np.uint64
    return list(_peel(magnitudes.astype(kind) * kind(factor), count))


def _peel(numbers: Values, count: int) -> Iterator[Values]:
    for _ in range(count):
        rest = numbers // _BASE
        yield numbers - rest * _BASE
        numbers = rest


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
