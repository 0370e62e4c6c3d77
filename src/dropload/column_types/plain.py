r"""The forms of text that a type gives back as they were written; RE2 and `re` read them alike.

- whole number: `0`, or digits without a leading zero, with or without a minus
- number: the same, or with a point and digits on both sides of it; no negative zero
- date: `YYYY-MM-DD`; timestamp: the same, a blank or `T`, `HH:MM:SS` and up to six digits of
  fraction; no zone
- timestamp with offset: the same and `Z` or `+HH:MM`, up to 14 hours
- time: `HH:MM:SS` and up to six digits of fraction; UUID: in groups of lower case digits
"""

from decimal import Decimal

WHOLE = "(?:0|-?[1-9][0-9]*)"
NUMBER = r"(?:0(?:\.[0-9]+)?|-?[1-9][0-9]*(?:\.[0-9]+)?|-0\.0*[1-9][0-9]*)"
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
_MOST_CHARS = 20
"""No whole number of 64 bits takes more, its sign included."""
SURE_CHARS = 16
"""So many characters of a number with a point are at most 15 digits: a float gives them back."""


def shortest_plain(value: float) -> str:
    """Return the shortest text that gives this float, never with an exponent."""
    return format(Decimal(repr(value)), "f")


def is_within(text: str, least: int, largest: int) -> bool:
    """Return whether a number of the form WHOLE is one of 64 bits from `least` to `largest`.

    One of more than 4,300 digits Python itself refuses to read.
    """
    return len(text) <= _MOST_CHARS and least <= int(text) <= largest


def is_exact(text: str) -> bool:
    """Return whether a float gives back the value of a number of the form NUMBER."""
    if "." in text:
        return Decimal(repr(float(text))) == Decimal(text)
    return is_within(text, -MAX_WHOLE_FLOAT, MAX_WHOLE_FLOAT)
