"""What texts look like to a person, and why some that look like numbers or dates stay text."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

from dropload.column_types import plain
from dropload.printable import printable

NUMBER = "a number"
DATE = "a date"
TIMESTAMP = "a date with time"
TIMESTAMP_OFFSET = "a date with time and offset"
TIME = "a time of day"
UUID = "a UUID"
BOOLEAN = "true or false"

_MAJORITY = 0.5
"""More than this share of a sample must look alike before the rest counts as the exception."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write something that a person takes for a number, a date, ..."""

    group: str
    pattern: str
    """From end to end; RE2 and `re` read it alike."""
    reason: str = ""
    """Why a column with such a value stays text; empty for the forms that a type gives back."""


_DAY = "[0-9]{1,2}[./-][0-9]{1,2}[./-](?:[0-9]{4}|[0-9]{2})"
_TIME = "[ T][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
_BLANK = "[ \t\u00a0\u202f]"
_GROUPED = f"[0-9]{{1,3}}(?:(?:[.,'’]|{_BLANK})[0-9]{{3}})+(?:[.,][0-9]+)?"

_ANY_NUMBER = f"[-+]?[0-9](?:(?:[0-9.,'’]|{_BLANK})*[0-9])?"
_CURRENCY = "(?:[€$£¥]|EUR|USD|GBP|CHF)"
_YES_OR_NO = "(?i:y|yes|n|no|j|ja|nein|oui|non|si|sí|sì|on|off|wahr|falsch|vrai|faux)"
_OTHER_DAY = "its year does not come first"

FORMS = (
    Form(NUMBER, plain.NUMBER),
    Form(DATE, plain.DATE),
    Form(TIMESTAMP, plain.TIMESTAMP),
    Form(TIMESTAMP_OFFSET, plain.TIMESTAMP_OFFSET),
    Form(TIME, plain.TIME),
    Form(UUID, plain.UUID),
    Form(BOOLEAN, "(?:true|false)"),
    Form(NUMBER, r"-0(?:\.0+)?", "a number column loses the minus before a zero"),
    Form(NUMBER, r"-?0[0-9]+(?:\.[0-9]+)?", "a number column loses the leading zeros"),
    Form(NUMBER, r"\+[0-9]+(?:[.,][0-9]+)?", "a number column loses the plus sign"),
    Form(NUMBER, r"-?(?:\.[0-9]+|[0-9]+\.)", "a number column puts digits around the point"),
    Form(
        NUMBER,
        r"[-+]?[0-9]+(?:[.,][0-9]+)?[eE][-+]?[0-9]+",
        "it has an exponent, and a number column writes it out",
    ),
    Form(
        NUMBER,
        "[-+]?[1-9][0-9]{0,2},[0-9]{3}",
        "the comma can be a decimal comma or a thousands separator",
    ),
    Form(NUMBER, "[-+]?[0-9]+,[0-9]+", "a number column does not keep the decimal comma"),
    Form(NUMBER, f"[-+]?{_GROUPED}", "a number column does not keep thousands separators"),
    Form(
        NUMBER,
        f"(?:{_BLANK}+{plain.NUMBER}{_BLANK}*|{plain.NUMBER}{_BLANK}+)",
        "a number column loses the blanks around it",
    ),
    Form(DATE, _DAY, _OTHER_DAY),
    Form(DATE, "[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}", "it is not written as YYYY-MM-DD"),
    Form(TIMESTAMP, f"{_DAY}{_TIME}(?: ?[AaPp][Mm])?", _OTHER_DAY),
    Form(
        TIMESTAMP,
        f"{plain.DATE}{_TIME}(?:Z|[-+][0-9]{{2}}:?(?:[0-9]{{2}})?)",
        "it names a time zone, which a timestamp column loses",
    ),
    Form(
        TIME,
        "[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp][Mm])?",
        "it is no time of day written as HH:MM:SS with up to six digits of fraction",
    ),
    Form(UUID, plain.UUID.replace("a-f", "a-fA-F"), "only lower-case digits come back so"),
    Form(
        TIMESTAMP,
        f"{plain.DATE}{_TIME}",
        "it is not written as YYYY-MM-DD HH:MM:SS with up to six digits of fraction",
    ),
    Form(BOOLEAN, "(?:True|False|TRUE|FALSE)", "only lower-case true and false come back so"),
    Form(BOOLEAN, _YES_OR_NO, "only true and false are read as such"),
    Form(NUMBER, f"{_ANY_NUMBER}{_BLANK}?%", "a number column loses the percent sign"),
    Form(
        NUMBER,
        f"(?:-?{_CURRENCY}{_BLANK}?{_ANY_NUMBER}|{_ANY_NUMBER}{_BLANK}?{_CURRENCY})",
        "a number column loses the currency",
    ),
    Form(NUMBER, f"\\({_ANY_NUMBER}\\)", "brackets can mean a minus, and are not read as one"),
    Form(NUMBER, "[0-9](?:[0-9.,]*[0-9])?-", "a minus behind a number is not read as one"),
    Form(
        NUMBER,
        r"-?[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?",
        "its separators do not stand between every three digits",
    ),
    Form(UUID, rf"\{{{plain.UUID.replace('a-f', 'a-fA-F')}\}}", "a UUID column loses the braces"),
)
"""The first that matches counts."""


def form_of(text: str) -> Form | None:
    """Return the form that a text has, None when it looks like nothing but text."""
    found = _any_form().fullmatch(text)
    return FORMS[int(str(found.lastgroup)[1:])] if found else None


def explain_form(text: str) -> str:
    """Return why a column with this value stays text; empty when its form is no reason."""
    form = form_of(text)
    if form is None:
        return ""
    return _explain_day(text) if form.reason is _OTHER_DAY else form.reason


def _explain_day(text: str) -> str:
    """Return what is the matter with a day, or day and time, that does not begin with the year."""
    day, _, clock = text.replace("T", " ").partition(" ")
    one, two, year = re.split("[./-]", day)
    if len(year) == 2:
        return "its year has two digits"
    readings = {
        reading
        for reading in ((int(year), int(two), int(one)), (int(year), int(one), int(two)))
        if _is_day(*reading)
    }
    if not readings:
        return "it is no day of the calendar"
    if clock and not _is_time(clock):
        return "it has no time that a clock shows"
    return "it can be read as day or month first" if len(readings) > 1 else _OTHER_DAY


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _is_time(clock: str) -> bool:
    hour, *rest = (int(part) for part in re.findall("[0-9]+", clock)[:3])
    hours = range(1, 13) if clock[-1] in "Mm" else range(24)
    return hour in hours and max(rest) < 60


def majority_group(sample: Sequence[str]) -> str:
    """Return what most of the texts look like, the empty string when there is no such thing."""
    first = form_of(sample[0]) if sample else None
    if first and not first.reason and all(map(re.compile(first.pattern).fullmatch, sample)):
        return first.group
    counts = Counter[str]()
    texts = 0
    for text in sample:
        form = form_of(text)
        if form is not None:
            counts[form.group] += 1
        else:
            texts += 1
            # Words need not be looked at to the last.
            if texts >= (1 - _MAJORITY) * len(sample):
                return ""
    group, count = counts.most_common(1)[0] if counts else ("", 0)
    return group if count > _MAJORITY * len(sample) else ""


@cache
def group_pattern(group: str) -> str:
    """Return the pattern of everything that looks like the group."""
    return f"(?:{'|'.join(form.pattern for form in FORMS if form.group == group)})"


@cache
def _any_form() -> re.Pattern[str]:
    """Return one pattern for all forms: each text is looked at once, not once for each of them."""
    return re.compile("|".join(f"(?P<_{at}>{form.pattern})" for at, form in enumerate(FORMS)))


def quote(text: str) -> str:
    """Return a value as it is shown in notes: in quotes, shortened."""
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return f"'{printable(shown)}'"
