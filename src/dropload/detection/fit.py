"""Measure how well a dialect explains a sample: even rows, and cells that look like values."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat
from typing import TypeVar

from dropload.detection.cells import BLANK, TYPED, CellKind, classify_cell
from dropload.detection.sample import Sample
from dropload.detection.splitting import Dialect, Records, Splitter

T = TypeVar("T")

FIRST_CLASS = ",;\t|"
"""Delimiters that need no more evidence than that they fit."""

# Enough cells for a stable mean; classification is what costs time.
_JUDGED_ROWS = 100
_JUDGED_COLUMNS = 30

# How much a cell looks like a value, by kind.
_WORTH: dict[CellKind, float] = {
    CellKind.EMPTY: 0.72,
    CellKind.MISSING: 0.9,
    CellKind.NUMBER: 1.0,
    CellKind.DATE: 1.0,
    CellKind.TIME: 1.0,
    CellKind.BOOLEAN: 0.95,
    CellKind.ADDRESS: 1.0,
    CellKind.PHONE: 1.0,
    CellKind.KEY: 1.0,
    CellKind.PAIR: 0.95,
    CellKind.DOCUMENT: 0.9,
    CellKind.CODE: 0.75,
    CellKind.WORD: 0.75,
    CellKind.TEXT: 0.65,
}
# A cell that holds what looks like a delimiter was probably not cut where it should be.
_UNCUT_WORTH = 0.25
# What any delimiter has to beat: less than this is what prose comes to when cut at its commas.
_SINGLE_SCORE = 0.26
# Lines outside the table are believed to be a title or a footer only beside enough rows.
_LONELY_ROWS = 0.7
# Where more rows begin with the mark of comments, it is a part of the values.
_MOSTLY_ROWS = 0.5
# The first line is more often the header, cut like all others, than a title.
_UNCUT_HEADING = 0.85
# A piece of a sentence: what a comma within prose leaves behind.
_PROSE_WORTH = 0.3

_UNCUT = {
    ",": re.compile(r"[\t|^\x01\x1f]|\S~\S|:[^:\s]*:[^:\s]*:|^:|;(?! )|\";|;$"),
    ";": re.compile(r"[\t|^\x01\x1f]|\S~\S|:[^:\s]*:[^:\s]*:|^:|,(?=[^\s\d])|\",|,$"),
    "\t": re.compile(r"[\x01\x1f]"),
    "|": re.compile(r"[\t\x01\x1f]|;(?=\S+;)"),
}
_UNCUT_RARE = re.compile(r"[\t|;,]")
_PROSE = re.compile(r"\s[a-zß-ÿ]\w*[ ,].*\s|.*[.!?]$")


@dataclass(frozen=True, slots=True)
class Fit:
    """A dialect and what the sample says about it."""

    dialect: Dialect
    records: Records
    """Records of the head; those of the stretches only count for the numbers below."""
    width: int
    """Cells of a usual row."""
    even: float
    """Share of the table's rows that have that width."""
    covered: float
    """Share of the table's rows that are cut at all."""
    worth: float
    """How much the cells look like values, 0..1."""
    score: float
    rows: int
    broken: int
    """Cells that begin with a quote and do not end with one."""
    quoted: int
    escaped: int
    restored: int
    """Cells whose inner quotes are neither doubled nor escaped."""
    bare: int
    """Cells that hold quotes without being enclosed in them."""
    wholes: float = 0.0
    """One column only: share of lines that are one value as they stand: a time, a date."""


def measure_fit(dialect: Dialect, sample: Sample) -> Fit:
    """Return how well the dialect explains the sample."""
    head = Splitter(dialect).split(sample.head)
    # Where cells hold line breaks, a stretch may begin within a cell and say nothing about rows.
    further = () if head.joined else sample.stretches
    splits = [head, *(Splitter(dialect).split(lines) for lines in further)]
    rows = _without_comments(list(chain.from_iterable(split.cells for split in splits)))
    width = choose_width(rows)
    table, outside = _cut_table(rows, width)
    even = _measure_evenness(table, width)
    covered = sum(len(row) > 1 for row in table) / max(len(table), 1)
    worth = _measure_worth(table, width, dialect)
    broken = sum(split.broken for split in splits)
    score = _score(even, covered, worth, width)
    if outside:
        score *= (1 - 0.5 * outside / len(rows)) * len(table) / (len(table) + _LONELY_ROWS)
    if rows and len(rows[0]) < width:
        score *= _UNCUT_HEADING
    score *= 1 - min(0.5, broken / max(len(rows), 1))
    return Fit(
        dialect,
        splits[0],
        width,
        even,
        covered,
        worth,
        score if width > 1 else 0.0,
        len(table),
        broken,
        sum(split.quoted for split in splits),
        sum(split.escaped for split in splits),
        sum(split.restored for split in splits),
        sum(split.bare for split in splits),
    )


def _without_comments(rows: list[list[str]]) -> list[list[str]]:
    """Return the rows that are not comments; all of them where most rows begin so."""
    others = [row for row in rows if len(row) != 1 or not row[0].lstrip().startswith("#")]
    return others if len(others) >= _MOSTLY_ROWS * len(rows) else rows


def measure_single(quotechar: str, sample: Sample) -> Fit:
    """Return how well the sample is explained by one column."""
    dialect = Dialect("", quotechar)
    records = Splitter(dialect).split(sample.head)
    values = [row[0] for row in records.cells[1:] or records.cells][:_JUDGED_ROWS]
    whole = sum(_is_whole(value) for value in values) / max(len(values), 1)
    counts = (records.broken, records.quoted, records.escaped, records.restored, records.bare)
    return Fit(
        dialect, records, 1, 1.0, 1.0, 0.5, _SINGLE_SCORE, len(records), *counts, wholes=whole
    )


def choose_width(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of cells that most rows have; wide rows count more than narrow ones."""
    counts = Counter(map(len, rows))
    counts.pop(1, None)
    if not counts:
        return 1
    return max(counts, key=lambda width: (counts[width] * (1 - 1 / width), width))


def _cut_table(rows: list[list[str]], width: int) -> tuple[list[list[str]], int]:
    """Return the rows from the first to the last of the usual width, and how many lie outside."""
    places = [place for place, row in enumerate(rows) if len(row) == width]
    if not places:
        return rows, 0
    table = rows[places[0] : places[-1] + 1]
    return table, len(rows) - len(table)


def _measure_evenness(table: list[list[str]], width: int) -> float:
    """Return the share of rows with the usual width; nearly that wide counts a little."""
    points = 0.0
    for row in table:
        gap = abs(len(row) - width)
        points += 1.0 if gap == 0 else 0.35 if gap == 1 and width > 3 else 0.0
    return points / max(len(table), 1)


def _score(even: float, covered: float, worth: float, width: int) -> float:
    """Return one number for the fit, 0..1."""
    shape = covered**2 * (0.3 + 0.7 * even)
    return shape * worth * (1 - 0.12 / max(width - 1, 1))


def _measure_worth(table: list[list[str]], width: int, dialect: Dialect) -> float:
    """Return how much the cells look like values, and each column's like each other."""
    rows = pick_evenly(table, _JUDGED_ROWS)
    columns = pick_evenly(range(width), _JUDGED_COLUMNS)
    worths, likeness = 0.0, 0.0
    count = 0
    for column in columns:
        cells = [row[column] for row in rows if column < len(row)]
        worths += sum(map(_cell_worth, cells, repeat(dialect.delimiter)))
        count += len(cells)
        likeness += _measure_likeness(cells)
    return (worths / max(count, 1)) * (0.7 + 0.3 * likeness / max(len(columns), 1))


def _measure_likeness(cells: list[str]) -> float:
    """Return the share of the most frequent kind among the cells that are not blank."""
    kinds = Counter[CellKind]()
    for kind, count in Counter(map(classify_cell, cells)).items():
        if kind not in BLANK:
            kinds[_FAMILY.get(kind, kind)] += count
    return max(kinds.values()) / kinds.total() if kinds else 1.0


# Words, codes and texts stand in one column quite naturally.
_FAMILY = {CellKind.WORD: CellKind.TEXT, CellKind.CODE: CellKind.TEXT}


@lru_cache(maxsize=16384)
def _cell_worth(cell: str, delimiter: str) -> float:
    """Return how much a cell looks like a value."""
    kind = classify_cell(cell)
    if kind in BLANK or kind in TYPED:
        return _WORTH[kind]
    if _UNCUT.get(delimiter, _UNCUT_RARE).search(cell):
        return _UNCUT_WORTH
    if delimiter == "," and kind is CellKind.TEXT and _PROSE.match(cell):
        return _PROSE_WORTH
    return _WORTH[kind]


def _is_whole(value: str) -> bool:
    """Return whether a line is one value although it holds what may be a delimiter."""
    if _CUT_MARKS.search(value):
        return False
    kind = classify_cell(value)
    return kind in TYPED and kind not in _NOT_WHOLE


# Cut there, whatever the pieces look like together.
_CUT_MARKS = re.compile(r"[\t;|]|,\"|\",|,\Z")
# Such lines may as well be two columns, or say nothing.
_NOT_WHOLE = (CellKind.BOOLEAN, CellKind.PAIR, CellKind.DOCUMENT)


def pick_evenly(items: Sequence[T], count: int) -> list[T]:
    """Return up to `count` items, spread evenly, the first among them."""
    if len(items) <= count:
        return list(items)
    step = len(items) / count
    return [items[int(place * step)] for place in range(count)]
