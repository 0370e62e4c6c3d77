"""Tell what a single cell looks like: a number, a date, a name, prose."""

import re
from collections import Counter
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache


class CellKind(IntEnum):
    """What a cell looks like, whatever column it stands in."""

    EMPTY = 0
    MISSING = 1
    """A word for no value: NA, null, a dash."""
    NUMBER = 2
    DATE = 3
    """A date, with or without a time."""
    TIME = 4
    BOOLEAN = 5
    ADDRESS = 6
    """A mail or web address, an IP address."""
    PHONE = 7
    KEY = 8
    """A UUID or another long hexadecimal key."""
    PAIR = 12
    """Two numbers that belong together, as coordinates do."""
    DOCUMENT = 13
    """A JSON object or list."""
    CODE = 9
    """One token with digits: A320, 4-11-b."""
    WORD = 10
    """One token without digits."""
    TEXT = 11
    """Several words."""


BLANK = frozenset({CellKind.EMPTY, CellKind.MISSING})
TYPED = frozenset(
    {
        CellKind.NUMBER,
        CellKind.DATE,
        CellKind.TIME,
        CellKind.BOOLEAN,
        CellKind.ADDRESS,
        CellKind.PHONE,
        CellKind.KEY,
        CellKind.PAIR,
        CellKind.DOCUMENT,
    }
)
"""Kinds that a column name never has."""
TYPED_SHARE = 0.8
"""A column counts as typed when nearly all its values are of one kind; bad values occur."""

_MONTH = (
    r"(?:jan|feb|m[aä]r|mar|apr|mai|may|ma[iy]o|jun|jul|aug|ago|sep|o[kc]t|nov|de[czs]|ene|abr|"
    r"janv|f[eé]v|avr|juin|juil|ao[uû]t)[a-zéûä]{0,8}\.?"
)
_TIME = r"[0-2]?\d[:.h][0-5]\d(?:[:.][0-5]\d(?:[.,]\d{1,9})?)?(?:\s?[ap]\.?m\.?)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?))?"
_DAY = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})|\d{4}-\d\d|"
    rf"\d{{1,2}}(?:st|nd|rd|th)?[-\s./]{{1,2}}{_MONTH}(?:[-\s./,]{{1,2}}\d{{2,4}})?|"
    rf"{_MONTH}[-\s]\d{{1,2}}(?:,?\s\d{{4}})?|{_MONTH}[-\s]\d{{4}}|\d{{4}}年\d{{1,2}}月\d{{1,2}}日)"
)
_CURRENCY = r"(?:[$€£¥₹]|USD|EUR|GBP|CHF|Rs\.?|R\$|kr)"
# Letters right before whole digits are codes and names, as "rs123", "kr5" and "EUR2023"; a year
# behind them heads a column.
_CURRENCY_BEFORE = (
    r"(?:[$€£¥₹]|R\$|Rs\.|(?:USD|EUR|GBP|CHF|Rs|kr)"
    r"(?:\s(?!(?:19|20)\d\d$)|(?=[-+\d.,'’]*[.,]\d\d?$)))"
)
_DIGITS = r"(?:\d{1,3}(?:([,.'’ \u00a0\u202f])\d{3})(?:\1\d{3})*|\d+)"

_PATTERNS: tuple[tuple[CellKind, str], ...] = (
    (
        CellKind.MISSING,
        r"n/?a|null|none|nan|nil|-+|={2,}|_{2,}|\.{1,3}|\\n|\?|#n/a|\(null\)|<na>|–|—",
    ),
    (CellKind.BOOLEAN, r"true|false|yes|no|y|n|t|f|ja|nein|oui|non|wahr|falsch|vrai|faux"),
    (
        CellKind.NUMBER,
        (
            rf"[-+−(]?\s?{_CURRENCY_BEFORE}?\s?[-+]?(?:{_DIGITS}(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d{{1,3}})?\)?"
            rf"\s?(?:%|‰|{_CURRENCY}|-)?|[-+]?inf(?:inity)?|0x[0-9a-f]+"
        ),
    ),
    (
        CellKind.DATE,
        rf"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s)?{_DAY}(?:,?[T\s]{{1,2}}{_TIME}{_ZONE})?",
    ),
    (CellKind.TIME, rf"{_TIME}{_ZONE}|[-+]?\d{{1,3}}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?"),
    (
        CellKind.ADDRESS,
        (
            r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+|(?:https?|s?ftp|file|s3)://\S+|www\.\S+\.\S+|"
            r"(?:\d{1,3}\.){3}\d{1,3}(?:[:/]\d{1,5})?|(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}"
        ),
    ),
    (
        CellKind.KEY,
        r"\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?|(?=[a-f]*\d)[0-9a-f]{16,128}",
    ),
    (
        CellKind.PHONE,
        (
            r"(?=(?:\D*\d){7,15}\D*$)(?:(?:\+\s?|00|\(?0(?=\d)|\((?=\d))\d{1,4}\)?"
            r"(?:[-\s./]{1,3}\(?\d{1,7}\)?){1,6}|\d{3}[-.\s]\d{3}[-.\s]\d{4})(?:\s?(?:x|ext\.?)\s?\d+)?"
        ),
    ),
    (CellKind.PAIR, r"\(?[-+]?\d{1,3}\.\d+(?:[,;]\s?|\s)[-+]?\d{1,3}\.\d+\)?"),
    (CellKind.DOCUMENT, r"\{\s*(?:\\?\"[^{}]*\"\s*:.*)?\}|\[(?:[\s\d.,]*|\s*[\"{\[].*)\]"),
)
_KNOWN = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PATTERNS)
_TOKEN = re.compile(r"\S+")
_DIGIT = re.compile(r"\d")
# No number, date or address that matters is longer, and patterns on long text cost time.
_LONGEST_TYPED = 100


@lru_cache(maxsize=16384)
def classify_cell(cell: str) -> CellKind:
    """Return what the cell looks like; blanks around it do not count."""
    value = cell.strip()
    if not value:
        return CellKind.EMPTY
    if len(value) <= _LONGEST_TYPED:
        for kind, pattern in _KNOWN:
            if pattern.fullmatch(value):
                return kind
    if not _TOKEN.fullmatch(value):
        return CellKind.TEXT
    return CellKind.CODE if _DIGIT.search(value) else CellKind.WORD


def classify_column(cells: list[str]) -> tuple[CellKind, float]:
    """Return the most frequent kind of the cells that are not blank, and its share among them."""
    counts = Counter(map(classify_cell, cells))
    for blank in BLANK:
        counts.pop(blank, None)
    if not counts:
        return CellKind.EMPTY, 1.0
    kind = max(counts, key=counts.__getitem__)
    return kind, counts[kind] / counts.total()


def count_filled(cells: Sequence[str]) -> int:
    """Return how many of the cells are not blank."""
    return sum(map(bool, map(str.strip, cells)))
