r"""The forms of text that a type gives back as they were written; RE2 and `re` read them alike.

- whole number: `0`, or digits without a leading zero, with or without a minus
- number: the same, or with a point and digits on both sides of it; no negative zero
- date: `YYYY-MM-DD`; timestamp: the same, a blank or `T`, `HH:MM:SS` and up to six digits of
  fraction; no zone
- timestamp with offset: the same and `Z` or `+HH:MM`, up to 14 hours
- time: `HH:MM:SS` and up to six digits of fraction; UUID: in groups of lower case digits
"""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

WHOLE = "(?:0|-?[1-9][0-9]*)"
NUMBER = r"(?:0(?:\.[0-9]+)?|-?[1-9][0-9]*(?:\.[0-9]+)?|-0\.[0-9]*[1-9][0-9]*)"
DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIMESTAMP = DATE + r"[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
OFFSET = (
    r"(?:Z|\+00:[0-5][0-9]|-00:(?:0[1-9]|[1-5][0-9])|[-+](?:0[1-9]|1[0-3]):[0-5][0-9]|[-+]14:00)"
)
"""Up to 14 hours, as far as databases keep them; -00:00 would come back as +00:00."""
TIMESTAMP_OFFSET = TIMESTAMP + OFFSET
CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
TIME = CLOCK + r"(?:\.[0-9]{1,6})?"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

FIRST_DAY = -719162
"""0001-01-01 in days from 1970: the first day that every target and Python can hold."""
LAST_DAY = 2932896
"""9999-12-31 in days from 1970: the last one."""
MAX_WHOLE_FLOAT = 2**53 - 1
"""Up to here every whole number has a float that no other whole number is rounded to."""
_TIME_CHARS = 15
"""The longest time of day; whatever is longer begins with a day."""
SURE_CHARS = 16
"""So many characters of a number with a point are at most 15 digits: a float gives them back."""


def all_match(values: pa.Array, pattern: str) -> bool:
    """Return whether every value that is not null has this form from end to end."""
    found = pc.all(pc.match_substring_regex(values, f"^{pattern}$"))
    return found.as_py() is not False


def count_matches(values: pa.Array, pattern: str) -> int:
    """Return how many values have this form from end to end."""
    return pc.sum(pc.match_substring_regex(values, f"^(?:{pattern})$")).as_py() or 0


def shortest_plain(value: float) -> str:
    """Return the shortest text that gives this float, never with an exponent."""
    return format(Decimal(repr(value)), "f")


def first_inexact(values: pa.Array) -> int | None:
    """Return the position of the first number that a float would not give back, None if it does.

    `values` have the form NUMBER. Only the value counts, not trailing zeros.
    """
    doubtful = pc.greater(pc.binary_length(values), SURE_CHARS)
    positions = pc.indices_nonzero(pc.fill_null(doubtful, False))
    if len(positions) == 0:
        return None
    texts = values.take(positions)
    # Most are settled here; the rest is where pyarrow prints an exponent.
    same = pc.equal(texts.cast(pa.float64()).cast(pa.string()), texts)
    for index in pc.indices_nonzero(pc.invert(same)).to_pylist():
        if not is_exact(texts[index].as_py()):
            return _as_int(positions[index])
    return None


def is_exact(text: str) -> bool:
    """Return whether a float gives back the value of a number of the form NUMBER."""
    if "." in text:
        return Decimal(repr(float(text))) == Decimal(text)
    return abs(int(text)) <= MAX_WHOLE_FLOAT


def all_spelled_as(values: pa.Array, model: str) -> pa.Array:
    """Return for each value whether it has the length, separator and last word of `model`.

    The values are times or timestamps; one says UTC by `Z`, another by digits.
    """
    same = pc.equal(pc.binary_length(values), len(model))
    if len(model) > _TIME_CHARS:
        separators = pc.utf8_slice_codeunits(values, 10, 11)
        same = pc.and_(same, pc.equal(separators, model[10]))
    return pc.and_(same, pc.equal(pc.ends_with(values, "Z"), model.endswith("Z")))


def longest_units(values: pa.Array, longest: int) -> int:
    """Return the units of UTF-16 of the longest value; `longest` is in characters."""
    if bounds(pc.binary_length(values))[1] == longest:
        return longest
    # Characters beyond the first 65,536 take two units; most texts have none.
    beyond = pc.count_substring_regex(values, "[\\x{10000}-\\x{10FFFF}]")
    return int(bounds(pc.add(pc.utf8_length(values), beyond))[1])


def first_true(mask: pa.Array) -> int:
    """Return the position of the first True."""
    return _as_int(pc.index(mask, True))


def bounds(values: pa.Array) -> tuple[Any, Any]:
    """Return the least and the greatest value."""
    found = pc.min_max(values)
    return found["min"].as_py(), found["max"].as_py()


def _as_int(scalar: Any) -> int:
    return int(scalar.as_py())
