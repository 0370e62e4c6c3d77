"""What types that only databases have can hold: whole numbers by bytes, floats of four bytes."""

import struct

from dropload.column_types import explain_misfit, significant_digits
from dropload.model import ColumnType, Kind, TableColumn

REAL_DIGITS = 6
"""A number with no more digits comes back from a float of four bytes as it was."""
_LEAST_REAL, _LARGEST_REAL = 2.0**-126, (2 - 2.0**-23) * 2.0**127
"""Between these (and at zero) it has all its digits: the normal numbers of IEEE 754's binary32."""


def word_of(column: TableColumn) -> str:
    """Return the first words of a declared type, without what stands in parentheses."""
    return column.declared.partition("(")[0].strip()


def holds_whole(values: ColumnType, largest: int) -> bool:
    """Return whether whole numbers of that many digits are all below a limit."""
    return (
        values.kind is Kind.INTEGER and values.precision > 0 and 10**values.precision - 1 <= largest
    )


def explain_bounds(text: str, least: int, largest: int, word: str) -> str:
    """Return why a type does not hold a number, the empty string when it does."""
    misfit = explain_misfit(text, ColumnType(Kind.INTEGER))
    if misfit or least <= int(text) <= largest:
        return misfit
    return f"'{text}' is outside of {word} ({least:,} to {largest:,})"


def explain_real(text: str) -> str:
    """Return why a float of four bytes does not give a number back, the empty string if it does."""
    misfit = explain_misfit(text, ColumnType(Kind.FLOAT))
    if misfit:
        return misfit
    number = float(text)
    is_normal = number == 0 or _LEAST_REAL <= abs(number) <= _LARGEST_REAL
    if (is_normal and significant_digits(text) <= REAL_DIGITS) or _is_exact_real(number):
        return ""
    return f"'{text}' has more digits than real keeps"


def _is_exact_real(number: float) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", number))[0] == number)
    except OverflowError:
        return False
