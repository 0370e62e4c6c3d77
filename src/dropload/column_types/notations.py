"""Other ways to write numbers, days and times than a database prints them, rewritten to its own.

A column is rewritten only when all its values agree on one notation, and no other notation would
give other values: `03.04.2024` alone may be in March or in April, `1,234` one or a thousand.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import forms, plain


@dataclass(frozen=True, slots=True)
class Hints:
    """What the configuration says about columns that could be read in two ways."""

    decimal_mark: str = ""
    """`,` or `.`; empty: nothing is said."""
    day_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """What all columns of a file say together about how it writes numbers."""

    has_comma: bool = False
    """Whether a column has decimal commas."""
    settled: str = ""
    """The decimal mark, where a column has both it and separated thousands (`1.500,50`)."""


@dataclass(frozen=True, slots=True)
class Notation:
    """One way to write values of a group."""

    example: str
    """How it looks; also its name."""
    pattern: str
    """From end to end; RE2 and `re` read it alike."""
    rewrite: Callable[[pa.Array], pa.Array]
    """Returns matching texts as a database prints them."""
    sense: str = ""
    """What it says that another notation of the same text denies."""


def notations_of(group: str) -> tuple[Notation, ...]:
    """Return the notations of a group, the more usual ones first."""
    return _NOTATIONS.get(group, ())


def rewrite(column: pa.Array, example: str) -> pa.Array:
    """Return a column of one notation as a database prints its values; nulls stay null."""
    notation = _by_example()[example]
    if not column.null_count:
        return notation.rewrite(column)
    written = notation.rewrite(column.drop_null())
    return pc.replace_with_mask(column, column.is_valid(), written)


def rewrite_columns(records: pa.RecordBatch, notations: Mapping[int, str]) -> pa.RecordBatch:
    """Return the records with some columns, named by position, as a database prints them."""
    if not notations:
        return records
    columns = records.columns
    for position, example in notations.items():
        columns[position] = rewrite(columns[position], example)
    return pa.RecordBatch.from_arrays(columns, names=records.schema.names)


def rewrite_text(text: str, example: str) -> str:
    """Return one value as a database prints it; what is not of the notation stays as it is."""
    notation = _by_example()[example]
    if re.fullmatch(notation.pattern, text) is None:
        return text
    return str(notation.rewrite(pa.array([text], pa.string()))[0].as_py())


def has_decimal_comma(example: str) -> bool:
    """Return whether a notation, named by its example, is one of numbers with a decimal comma."""
    notation = _by_example().get(example)
    return notation is not None and notation.sense == MARK_COMMA


def preferred(found: list[Notation], hints: Hints) -> list[Notation]:
    """Return the notations that the hints do not speak against."""
    wanted = {
        MARK_COMMA: hints.decimal_mark in ("", ","),
        MARK_POINT: hints.decimal_mark in ("", "."),
        DAY_FIRST: hints.day_first is not False,
        MONTH_FIRST: hints.day_first is not True,
    }
    return [notation for notation in found if wanted.get(notation.sense, True)]


def explain_pointed() -> str:
    """Return in which two ways `1.234` can be read in a file with decimal commas."""
    return (
        "can have a decimal point or a thousands separator, and other columns have decimal "
        'commas: kept as text; load.decimal_mark = "," or "." settles it'
    )


def describe_hint(hints: Hints, sense: str) -> str:
    """Return the line of configuration that speaks against a sense."""
    if sense in (MARK_COMMA, MARK_POINT):
        return f'load.decimal_mark = "{hints.decimal_mark}"'
    return f"load.day_first = {str(hints.day_first).lower()}"


def settling_key(sense: str) -> str:
    """Return the key of the configuration that says whether a sense is meant."""
    return "load.decimal_mark" if sense in (MARK_COMMA, MARK_POINT) else "load.day_first"


def explain_doubt(sense: str) -> str:
    """Return in which two ways a text can be read, and the line of configuration that says."""
    if sense in (MARK_COMMA, MARK_POINT):
        return (
            "can have a decimal comma or a thousands separator: kept as text; "
            'load.decimal_mark = "," or "." settles it'
        )
    return (
        "can be read as day or month first: kept as text; load.day_first = true or false settles it"
    )


# --- numbers

MARK_COMMA = "decimal comma"
MARK_POINT = "decimal point"
_BLANK = "[ \u00a0\u202f]"


POINTED = r"-?[1-9][0-9]{0,2}\.[0-9]{3}"
"""One point that can separate the decimals or the thousands."""
COMMA = r"-?(?:[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+),(?:[0-9]{1,2}|[0-9]{4,})"
"""A comma that separates decimals for certain."""
CODE = f"[0-9]{{3}}(?:(?:[.]|{_BLANK})[0-9]{{3}})+"
"""Groups of three all through: addresses (192.168.178.101) and registers write so, too."""


def _number(example: str, separator: str, mark: str) -> Notation:
    whole = f"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:{separator}[0-9]{{3}})+)"

    def write(texts: pa.Array) -> pa.Array:
        bare = pc.replace_substring_regex(texts, separator, "")
        return pc.replace_substring(bare, ",", ".") if mark == "," else bare

    sense = MARK_COMMA if mark == "," else MARK_POINT
    return Notation(example, f"-?{whole}(?:{re.escape(mark)}[0-9]+)?", write, sense)


FULL_FORMS = ("1.234,5", "1,234.5")
"""The notations that each read the other's thousands as decimals."""
_NUMBERS = (
    _number("1.234,5", r"\.", ","),
    _number("1 234,5", _BLANK, ","),
    _number("1'234,5", "['’]", ","),
    _number("1,234.5", ",", "."),
    _number("1 234.5", _BLANK, "."),
    _number("1'234.5", "['’]", "."),
)

# --- days and times

DAY_FIRST = "day first"
MONTH_FIRST = "month first"
_ORDERS = {DAY_FIRST: "dmy", MONTH_FIRST: "mdy", "": "ymd"}
_PARTS = {"d": "(?P<d>[0-9]{1,2})", "m": "(?P<m>[0-9]{1,2})", "y": "(?P<y>[0-9]{4})"}
_CLOCK = r"(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?P<S>:[0-9]{2}(?:\.[0-9]{1,6})?)?"
_HALF = " ?(?P<half>[AaPp])[Mm]"


def _date(example: str, sense: str, separator: str) -> Notation:
    pattern = re.escape(separator).join(_PARTS[part] for part in _ORDERS[sense])
    return Notation(
        example, _bare(pattern), lambda texts: _write_day(_parts(texts, pattern)), sense
    )


def _timestamp(example: str, sense: str, separator: str) -> Notation:
    day = re.escape(separator).join(_PARTS[part] for part in _ORDERS[sense])
    half = _HALF if example.endswith("M") else ""
    pattern = f"{day}[ T]{_CLOCK}{half}"

    def write(texts: pa.Array) -> pa.Array:
        found = _parts(texts, pattern)
        return _joined(_write_day(found), _write_clock(found, has_half=bool(half)), " ")

    return Notation(example, _bare(pattern), write, sense)


def _bare(pattern: str) -> str:
    """Return the pattern without names of groups."""
    return re.sub(r"\(\?P<\w+>", "(?:", pattern)


def _parts(texts: pa.Array, pattern: str) -> pa.StructArray:
    return pc.extract_regex(texts, f"^{pattern}$")


def _write_day(found: pa.StructArray) -> pa.Array:
    padded = [pc.utf8_lpad(found.field(part), 2, "0") for part in ("m", "d")]
    return _joined(_joined(found.field("y"), padded[0], "-"), padded[1], "-")


def _write_clock(found: pa.StructArray, *, has_half: bool) -> pa.Array:
    hours = pc.utf8_lpad(found.field("H"), 2, "0")
    if has_half:
        number = found.field("H").cast(pa.int32())
        afternoon = pc.is_in(found.field("half"), pa.array(["P", "p"]))
        # 12 AM is midnight, 12 PM noon; an hour that no clock has stays one that no day has.
        in_day = pc.if_else(pc.equal(number, 12), 0, pc.if_else(pc.greater(number, 12), 99, number))
        in_day = pc.if_else(afternoon, pc.add(in_day, 12), in_day)
        hours = pc.utf8_lpad(in_day.cast(pa.string()), 2, "0")
    seconds = pc.if_else(pc.equal(found.field("S"), ""), ":00", found.field("S"))
    return pc.binary_join_element_wise(_joined(hours, found.field("M"), ":"), seconds, "")


def _joined(left: pa.Array, right: pa.Array, between: str) -> pa.Array:
    return pc.binary_join_element_wise(left, right, between)


_SEPARATORS = (".", "/", "-")
_EXAMPLES = {DAY_FIRST: "31{0}12{0}2024", MONTH_FIRST: "12{0}31{0}2024", "": "2024{0}12{0}31"}
_DATES = tuple(
    _date(example.format(separator), sense, separator)
    for separator in _SEPARATORS
    for sense, example in _EXAMPLES.items()
)
_TIMESTAMPS = tuple(
    _timestamp(f"{example.format(separator)} {clock}", sense, separator)
    for separator in _SEPARATORS
    for sense, example in _EXAMPLES.items()
    for clock in ("23:59", "11:59 PM")
)

_NOTATIONS = {
    forms.NUMBER: _NUMBERS,
    forms.DATE: _DATES,
    forms.TIMESTAMP: _TIMESTAMPS,
    forms.UUID: (Notation("UPPER", plain.UUID.replace("a-f", "A-F"), pc.utf8_lower),),
    forms.BOOLEAN: (
        Notation("True", "(?:True|False)", pc.utf8_lower),
        Notation("TRUE", "(?:TRUE|FALSE)", pc.utf8_lower),
    ),
}


@cache
def _by_example() -> dict[str, Notation]:
    return {notation.example: notation for found in _NOTATIONS.values() for notation in found}
