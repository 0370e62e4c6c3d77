r"""The forms of text that a type gives back as they were written; RE2 and `re` read them alike.

- whole number: `0`, or digits without a leading zero, with or without a minus
- number: the same, or with a point and digits on both sides of it; no negative zero
- date: `YYYY-MM-DD`; timestamp: the same, a blank or `T`, `HH:MM:SS` and up to six digits of
  fraction; no zone
"""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

WHOLE = "(?:0|-?[1-9][0-9]*)"
NUMBER = r"(?:0(?:\.[0-9]+)?|-?[1-9][0-9]*(?:\.[0-9]+)?|-0\.[0-9]*[1-9][0-9]*)"
DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIMESTAMP = DATE + r"[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"

FIRST_DAY = -719162
"""0001-01-01 in days from 1970: the first day that every target and Python can hold."""
MAX_WHOLE_FLOAT = 2**53 - 1
"""Up to here every whole number has a float that no other whole number is rounded to."""
_SURE_CHARS = 16
"""So many characters of a number with a point are at most 15 digits: a float gives them back."""


def all_match(values: pa.Array, pattern: str) -> bool:
    """Return whether every value that is not null has this form from end to end."""
    found = pc.all(pc.match_substring_regex(values, f"^{pattern}$"))
    return found.as_py() is not False


def shortest_plain(value: float) -> str:
    """Return the shortest text that gives this float, never with an exponent."""
    return format(Decimal(repr(value)), "f")


def first_inexact(values: pa.Array) -> int | None:
    """Return the position of the first number that a float would not give back, None if it does.

    `values` have the form NUMBER. Only the value counts, not trailing zeros.
    """
    doubtful = pc.greater(pc.binary_length(values), _SURE_CHARS)
    positions = pc.indices_nonzero(pc.fill_null(doubtful, False))
    if len(positions) == 0:
        return None
    texts = values.take(positions)
    # Most are settled here; the rest is where pyarrow prints an exponent.
    same = pc.equal(texts.cast(pa.float64()).cast(pa.string()), texts)
    for index in pc.indices_nonzero(pc.invert(same)).to_pylist():
        if not _is_exact(texts[index].as_py()):
            return _as_int(positions[index])
    return None


def _is_exact(text: str) -> bool:
    if "." in text:
        return Decimal(repr(float(text))) == Decimal(text)
    return abs(int(text)) <= MAX_WHOLE_FLOAT


def first_true(mask: pa.Array) -> int:
    """Return the position of the first True."""
    return _as_int(pc.index(mask, True))


def bounds(values: pa.Array) -> tuple[Any, Any]:
    """Return the least and the greatest value."""
    found = pc.min_max(values)
    return found["min"].as_py(), found["max"].as_py()


def _as_int(scalar: Any) -> int:
    return int(scalar.as_py())
