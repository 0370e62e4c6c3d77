"""What columns hold that a database owner has declared, with types that dropload never chooses."""

import re
from types import MappingProxyType

import sqlalchemy as sa

from dropload.column_types import explain_misfit, fits
from dropload.model import ColumnType, Kind, Plan, TableColumn
from dropload.targets.native import (
    REAL_DIGITS,
    explain_bounds,
    explain_real,
    holds_whole,
    word_of,
)

_WHOLE = MappingProxyType(
    {"smallint": (-(2**15), 2**15 - 1), "integer": (-(2**31), 2**31 - 1)},
)
_ROUNDED = ("timestamp with time zone", "time with time zone", "interval")
"""Types that round a fraction of a second to as many digits as are declared, without a word."""
_FRACTION = re.compile(r"(?:[0-9]:[0-9]{2}|T[0-9]{6})\.([0-9]+)")
_MOST_FRACTION = 6
_CUT_BYTES = MappingProxyType({"name": 63, '"char"': 1})
"""Types to which a text is cut, without a word
(https://www.postgresql.org/docs/current/datatype-character.html)."""
_OURS = frozenset(
    {
        *("text", "boolean", "bigint", "double precision", "date", "uuid", "numeric"),
        *("timestamp without time zone", "time without time zone"),
    }
)
"""Types that dropload chooses: each is stored in the one form that COPY's binary format has."""
_MONEY_SCALE = 2
"""Digits behind the point of an amount, unless the server's locale has others."""


def declared_type(row: sa.RowMapping) -> str:
    """Return a column's type as it is declared."""
    word = str(row["type"])
    if word == "numeric" and row["precision"] is not None:
        return f"numeric({row['precision']},{row['scale'] or 0})"
    if word in _ROUNDED and row["fraction"] is not None:
        return f"{word}({row['fraction']})"
    if row["length"]:
        return f"{word}({row['length']})"
    return word


def has_our_types(plan: Plan) -> bool:
    """Return whether the columns of a known table that a file fills have types of dropload's."""
    columns = {column.name: column for column in plan.table_before or ()}
    return all(word_of(columns[c.name]) in _OURS for c in plan.columns if c.name in columns)


def holds(column: TableColumn, values: ColumnType) -> bool:
    """Return whether the column holds every value of that type, for certain."""
    word = word_of(column)
    is_number = values.kind in (Kind.INTEGER, Kind.DECIMAL)
    if word in _WHOLE:
        return holds_whole(values, _WHOLE[word][1])
    if word == "real":
        return is_number and 0 < values.precision <= REAL_DIGITS
    if word == "money":
        return is_number and values.scale <= _MONEY_SCALE
    if word in _ROUNDED or word in _CUT_BYTES:
        return False
    return fits(values, column.type)


def refusal(column: TableColumn, text: str) -> str:
    """Return why the column cannot hold a value unchanged, the empty string when it can."""
    word = word_of(column)
    if word in _WHOLE:
        return explain_bounds(text, *_WHOLE[word], word)
    if word == "real":
        return explain_real(text)
    if word in _CUT_BYTES:
        return _explain_bytes(text, _CUT_BYTES[word])
    if word == "money":
        return _explain_decimals(text, text.partition(".")[2], _MONEY_SCALE)
    if word in _ROUNDED:
        found = _FRACTION.search(text)
        return _explain_decimals(text, found[1] if found else "", _declared_fraction(column))
    return _explain_misfit(column, text)


def _explain_misfit(column: TableColumn, text: str) -> str:
    most = column.type.max_length
    if column.type.kind is Kind.TEXT and most and len(text) <= most:
        return ""  # PostgreSQL counts characters
    return explain_misfit(text, column.type)


def _declared_fraction(column: TableColumn) -> int:
    digits = column.declared.partition("(")[2].rstrip(")")
    return int(digits) if digits else _MOST_FRACTION


def _explain_decimals(text: str, decimals: str, most: int) -> str:
    if len(decimals.rstrip("0")) <= most:
        return ""
    return f"'{text}' has more than {most} decimal{'' if most == 1 else 's'}"


def _explain_bytes(text: str, most: int) -> str:
    size = len(text.encode())
    return "" if size <= most else f"'{text}' is {size:,} bytes long, the column holds {most}"
