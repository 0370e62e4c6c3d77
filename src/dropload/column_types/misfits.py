"""Say of one value why a column cannot hold it unchanged."""

import re
from collections.abc import Callable
from datetime import date, datetime

from dropload.column_types import forms, plain
from dropload.column_types.forms import quote
from dropload.model import ColumnType, Kind

_WHOLE = re.compile(plain.WHOLE)
_NUMBER = re.compile(plain.NUMBER)
_DATE = re.compile(plain.DATE)
_TIMESTAMP = re.compile(plain.TIMESTAMP)
_TIMESTAMP_OFFSET = re.compile(plain.TIMESTAMP_OFFSET)
_TIME = re.compile(plain.TIME)
_UUID = re.compile(plain.UUID, re.IGNORECASE)
_BOOLEAN = re.compile("true|false|1|0")
_LARGEST = 2**63 - 1


def explain_misfit(text: str, type_: ColumnType) -> str:
    """Return why a column of the type cannot hold a text, the empty string when it can.

    It can when the text comes back equal in value: `12` from a column with two decimals, a day
    from a timestamp, a UUID in any case, `1` from a boolean.
    """
    return _EXPLAINERS[type_.kind](text, type_)


def units_of_utf16(text: str) -> int:
    """Return how many units of UTF-16 a text takes: two for characters beyond the first 65,536."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def significant_digits(text: str) -> int:
    """Return how many digits a number (of the form NUMBER) has without zeros at its ends."""
    return len(text.lstrip("-").replace(".", "").strip("0"))


def _text(text: str, type_: ColumnType) -> str:
    units = units_of_utf16(text)
    if type_.max_length == 0 or units <= type_.max_length:
        return ""
    return f"{quote(text)} is {units:,} characters long, the column holds {type_.max_length:,}"


def _boolean(text: str, _type: ColumnType) -> str:
    return "" if _BOOLEAN.fullmatch(text) else _is_not(text, "true or false")


def _integer(text: str, _type: ColumnType) -> str:
    if not _WHOLE.fullmatch(text):
        return _is_not(text, "a whole number")
    fits = plain.is_within(text, -_LARGEST - 1, _LARGEST)
    return "" if fits else f"{quote(text)} is too large a number"


def _decimal(text: str, type_: ColumnType) -> str:
    if not _NUMBER.fullmatch(text):
        return _is_not(text, "a number")
    whole, _, behind = text.lstrip("-").partition(".")
    if len(behind.rstrip("0")) > type_.scale:
        return f"{quote(text)} has more than {_decimals(type_.scale)}"
    if len(whole.lstrip("0")) > type_.precision - type_.scale:
        most = type_.precision - type_.scale
        return f"{quote(text)} has more than {most} digits before the point"
    return ""


def _float(text: str, _type: ColumnType) -> str:
    if not _NUMBER.fullmatch(text):
        return _is_not(text, "a number")
    return "" if plain.is_exact(text) else f"{quote(text)} has more digits than the column keeps"


def _date(text: str, _type: ColumnType) -> str:
    return _moment(text, _DATE, date.fromisoformat, "a day written YYYY-MM-DD")


def _timestamp(text: str, type_: ColumnType) -> str:
    if _DATE.fullmatch(text):
        return _date(text, type_)
    what = "a day and time written YYYY-MM-DD HH:MM:SS"
    found = _moment(text, _TIMESTAMP, _read_day_and_time, what)
    return found or _fraction(text, text, type_)


def _timestamp_offset(text: str, type_: ColumnType) -> str:
    what = "a day, time and offset written YYYY-MM-DD HH:MM:SS+HH:MM"
    found = _moment(text, _TIMESTAMP_OFFSET, _read_day_and_time, what)
    return found or _fraction(text, text.removesuffix("Z")[:26].rstrip("+-:"), type_)


def _time(text: str, type_: ColumnType) -> str:
    if not _TIME.fullmatch(text):
        return _is_not(text, "a time written HH:MM:SS")
    return _fraction(text, text, type_)


def _uuid(text: str, _type: ColumnType) -> str:
    return "" if _UUID.fullmatch(text) else _is_not(text, "a UUID")


def _moment(text: str, pattern: re.Pattern[str], parse: Callable[[str], object], what: str) -> str:
    if not pattern.fullmatch(text):
        return _is_not(text, what)
    try:
        parse(text)
    except ValueError:
        return f"{quote(text)} is not in the calendar"
    return ""


def _read_day_and_time(text: str) -> datetime:
    """Return the moment, or raise ValueError; Python takes 24:00:00 for the next day since 3.14."""
    if text[11:13] == "24":
        raise ValueError(text)
    return datetime.fromisoformat(text)


def _fraction(text: str, local: str, type_: ColumnType) -> str:
    """Refuse a fraction of the second with more digits than the column keeps."""
    fraction = re.search(r"\.([0-9]+)", local)
    if fraction is None or len(fraction[1].rstrip("0")) <= type_.precision:
        return ""
    return f"{quote(text)} has more than {_decimals(type_.precision)} of the second"


def _decimals(count: int) -> str:
    return f"{count} decimal{'' if count == 1 else 's'}"


def _is_not(text: str, what: str) -> str:
    reason = forms.explain_form(text)
    return f"{quote(text)} is not {what}{f' ({reason})' if reason else ''}"


_EXPLAINERS: dict[Kind, Callable[[str, ColumnType], str]] = {
    Kind.TEXT: _text,
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.FLOAT: _float,
    Kind.DATE: _date,
    Kind.TIMESTAMP: _timestamp,
    Kind.TIMESTAMP_OFFSET: _timestamp_offset,
    Kind.TIME: _time,
    Kind.UUID: _uuid,
}
