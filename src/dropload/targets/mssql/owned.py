"""What columns hold that a database owner has declared, with types that dropload never chooses."""

import codecs
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

import sqlalchemy as sa

from dropload.column_types import explain_misfit, fits
from dropload.model import ColumnType, Kind, TableColumn
from dropload.targets.native import (
    REAL_DIGITS,
    explain_bounds,
    explain_real,
    holds_whole,
    word_of,
)

_WHOLE = MappingProxyType(
    {"tinyint": (0, 255), "smallint": (-(2**15), 2**15 - 1), "int": (-(2**31), 2**31 - 1)}
)
_MONEY = MappingProxyType({"money": 2**63 - 1, "smallmoney": 2**31 - 1})
"""The largest amount, in ten-thousandths."""
_NOT_UNICODE = ("varchar", "char", "text")
_UNWRITABLE = (
    "binary",
    "varbinary",
    "image",
    "sql_variant",
    "hierarchyid",
    "geometry",
    "geography",
    "vector",
)
"""Types for which a text is no value."""
_DATETIME_FROM, _SMALLDATETIME = datetime(1753, 1, 1), (datetime(1900, 1, 1), datetime(2079, 6, 6))
_DATETIME_ENDS = ("0", "3", "7")
"""datetime counts in steps of 1/300 s: its milliseconds end so."""
_UTF8_CODE_PAGE = 65001


def declared_type(row: sa.RowMapping) -> str:
    """Return a column's type as it is declared."""
    word = str(row["type"])
    if word in ("decimal", "numeric"):
        return f"{word}({row['precision']},{row['scale'] or 0})"
    if word in ("time", "datetime2", "datetimeoffset"):
        return f"{word}({row['fraction']})"
    if word in ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary"):
        return f"{word}({row['length'] if row['length'] and row['length'] > 0 else 'max'})"
    return word


def encoding_of(row: sa.RowMapping) -> str:
    """Return the Python codec of a column that is not Unicode; ASCII where it is not known."""
    if row["type"] not in _NOT_UNICODE:
        return ""
    if row["code_page"] == _UTF8_CODE_PAGE:
        return "utf-8"
    try:
        return codecs.lookup(f"cp{row['code_page']}").name
    except LookupError:
        return "ascii"


def holds(column: TableColumn, values: ColumnType) -> bool:
    """Return whether the column holds every value of that type, for certain."""
    word = word_of(column)
    if word in _WHOLE:
        return word != "tinyint" and holds_whole(values, _WHOLE[word][1])
    if word in _MONEY:
        digits = len(str(_MONEY[word])) - 1
        return fits(values, ColumnType(Kind.DECIMAL, precision=digits, scale=4))
    if word == "real":
        return values.kind in (Kind.INTEGER, Kind.DECIMAL) and 0 < values.precision <= REAL_DIGITS
    if column.encoding or word in (*_UNWRITABLE, "datetime", "smalldatetime"):
        return False
    return fits(values, column.type)


def refusal(column: TableColumn, text: str) -> str:
    """Return why the column cannot hold a value unchanged, the empty string when it can."""
    word = word_of(column)
    if word in _UNWRITABLE:
        return f"goes into a column of type {word}, which dropload does not write"
    if word in _WHOLE:
        return explain_bounds(text, *_WHOLE[word], word)
    if word == "real":
        return explain_real(text)
    if column.encoding:
        return _explain_encoding(column, text)
    return explain_misfit(text, column.type) or _explain_range(text, word)


def _explain_range(text: str, word: str) -> str:
    """Return why an amount or a moment is out of the range of its type."""
    if word in _MONEY and abs(Decimal(text)) * 10_000 > _MONEY[word]:
        return f"'{text}' is too large for {word}"
    if word in ("datetime", "smalldatetime"):
        return _explain_old_datetime(text, word)
    return ""


def _explain_encoding(column: TableColumn, text: str) -> str:
    try:
        size = len(text.encode(column.encoding))
    except UnicodeEncodeError as exc:
        return f"{text[exc.start]!r} is not among the characters of {column.declared}"
    most = column.type.max_length
    if most and size > most:
        return f"takes {size:,} bytes, the column holds {most:,}"
    return ""


def _explain_old_datetime(text: str, word: str) -> str:
    moment = datetime.fromisoformat(text)
    if word == "smalldatetime":
        first, last = _SMALLDATETIME
        if not first <= moment <= last:
            return f"'{text}' is outside of smalldatetime (1900-01-01 to 2079-06-06)"
        return f"'{text}' has seconds, which smalldatetime drops" if moment.second else ""
    if moment < _DATETIME_FROM:
        return f"'{text}' is before 1753, where datetime begins"
    milliseconds = f"{moment.microsecond // 1000:03}"
    if moment.microsecond % 1000 or milliseconds[-1] not in _DATETIME_ENDS:
        return f"'{text}' would be rounded: datetime keeps steps of 1/300 s"
    return ""
