"""Tell the lines that name the columns: none, one, a stack of them, or one with units below."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from dropload.detection.cells import BLANK, TYPED, CellKind, classify_cell, classify_column
from dropload.detection.header import Verdict, judge_header
from dropload.detection.preamble import find_full_rows_above, find_rows_above, is_comment

# Enough records below the header to judge it by.
_HEADER_ROWS = 400
# Nearly all values of a column of numbers or days are such; bad values occur.
_TYPED_SHARE = 0.8
# So sure must be that a row is a header which has fewer cells than the rows, or stands lower.
_CLEAR = 0.8
# A header that has one of these names the column that numbers the rows.
_KEYS = "id|nr|no|num|number|index|idx|key|code|pos|rank|row|lfd|#|n|i"
# Rows that number themselves are no accident from here on.
_COUNTED_ROWS = 3
# A block of fewer rows above the table is no table.
_LEAST_TABLE = 3
_QUOTED_CELLS = 60

_SCALED = r"[kmcµμnhMGT]?(?:m|g|s|l|L|V|A|W|Hz|Pa|J|N|Wh|bar|mol|Ω|eV|B)(?:[²³23]|\^-?\d|[-⁻]\d)?"
_PER = r"[/·* ](?:[kmcµμn]?(?:m|g|s|l|L|h|min|d|mol|kg|ha)[²³23]?|\d+\s?km)"
_UNIT = re.compile(
    rf"[\[(<{{].{{0,20}}[\])>}}]|[-–—.]|[%‰°€$£¥#]|°\s?[CFK]?|{_SCALED}(?:{_PER})?"
    r"|min|sec|h|d|hrs?|days?|deg|rad|mmHg|psi|ppm|ppb|kn|mi|ft|in|lbs?|oz|mph|kmh|pH|K|C|F"
    r"|EUR|USD|GBP|CHF|JPY|TEUR|Stk\.?|St\.?|pcs\.?|n/a|text|string|int(?:eger)?|float|double"
    r"|date(?:time)?|timestamp|bool(?:ean)?|varchar|char|numeric|decimal|number"
)
"""Units of measure, currencies, and words for types."""
_KEY_NAME = re.compile(rf"(?i)(?:.*[^a-z])?(?:{_KEYS})(?:[^a-z].*)?|.*(?:Id|ID|Nr|No)")


@dataclass(frozen=True, slots=True)
class Heading:
    """Where a table begins, and what its columns are called."""

    start: int
    """Index of the record that is the header or, without one, the first data."""
    verdict: Verdict
    names: tuple[str, ...]
    """A name for each column; empty strings for those without."""
    lines: int
    """Records that the header takes; 0 without one."""
    evidence: tuple[str, ...] = ()
    doubt: str = ""
    """Why nobody can be sure that all rows are read; empty when there is no such reason."""


Rows = Sequence[Sequence[str]]


def find_heading(rows: Rows, lines: Sequence[int], first: int, width: int) -> Heading:
    """Return how the table begins whose first full row is `rows[first]`.

    `lines` are the lines on which rows begin.
    """
    start = find_rows_above(rows, lines, first, width)
    verdict = _judge(rows, start, width)
    if not verdict.header:
        short = _find_short_header(rows, lines, start, width)
        if short is not None:
            return _name_by(rows, lines, short, *_judge_short(rows, short), width)
        if start:
            start = find_full_rows_above(rows, lines, start)
            start = _find_records_above(rows, lines, start)
    if not verdict.header and not start:
        stacked = _stack(rows, 0, 1, width)
        lower = _judge(rows, 1, width) if stacked else verdict
        if stacked and lower.header and lower.confidence >= _CLEAR:
            return _stacked_heading(rows, lines, 0, stacked, lower, width)
    if verdict.header and start and lines[start] - lines[start - 1] == 1:
        stacked = _stack(rows, start - 1, start, width)
        if stacked:
            return _stacked_heading(rows, lines, start - 1, stacked, verdict, width)
    return _name_by(rows, lines, start, verdict, (), width)


def _judge(rows: Rows, start: int, width: int) -> Verdict:
    body = rows[start : start + _HEADER_ROWS]
    return judge_header([body[0], *(row for row in body[1:] if _belongs(row, width))])


def _belongs(row: Sequence[str], width: int) -> bool:
    """Return whether a row below the first can speak for its columns."""
    return len(row) == width and any(cell.strip() for cell in row)


def _name_by(
    rows: Rows,
    lines: Sequence[int],
    start: int,
    verdict: Verdict,
    evidence: tuple[str, ...],
    width: int,
) -> Heading:
    """Return the heading that is a single record, or none."""
    doubt = _find_table_above(rows, lines, start)
    if not verdict.header:
        return Heading(start, verdict, ("",) * width, 0, evidence, doubt)
    body = rows[start : start + _HEADER_ROWS]
    names, why = _fit_names(body, width)
    if len(names) != width and not evidence:
        evidence = (f"the header has {len(names)} cells, most rows have {width}",)
    units = _find_units(body, width)
    second = (units,) if units else ()
    if not units and not doubt:
        doubt = _find_second_heading(body, lines[start], width)
    return Heading(start, verdict, names, 1 + len(second), (*evidence, *why, *second), doubt)


# --- a header of another width than the rows ----------------------------------------------


def _fit_names(rows: Rows, width: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the header's cells, one for each column where that is certain, and why.

    Unnamed columns that are empty in every row are added, nameless cells behind the last column
    dropped. Other missing names are not made up: nobody knows whether they are missing left or
    right.
    """
    first = rows[0]
    if len(first) >= width:
        surplus = "".join(first[width:]).strip()
        return tuple(first if surplus else first[:width]), ()
    tails = [row[len(first) :] for row in rows[1:] if len(row) <= width]
    if not any(cell.strip() for tail in tails for cell in tail):
        return (*first, *[""] * (width - len(first))), ()
    if (
        len(first) == width - 1
        and _count_rows(rows[1:], width)
        and not _KEY_NAME.fullmatch(first[0])
    ):
        why = (
            "the first cells of the rows count from 1 and the header has one name less: they are "
            "taken for row numbers without a name"
        )
        return ("", *first), (why,)
    return tuple(first), ()


def _count_rows(rows: Rows, width: int) -> bool:
    """Return whether the first column only numbers the rows: some exports leave it unnamed."""
    whole = [row for row in rows if len(row) == width]
    numbers = [row[0].strip() for row in whole]
    return len(whole) >= _COUNTED_ROWS and numbers == [str(n + 1) for n in range(len(whole))]


def _find_short_header(rows: Rows, lines: Sequence[int], start: int, width: int) -> int | None:
    """Return the place of a header right above the rows that has fewer cells than they have."""
    above = start - 1
    if above < 0 or lines[start] - lines[above] != 1 or is_comment(rows, above, width):
        return None
    if not 2 <= len(rows[above]) < width or not all(cell.strip() for cell in rows[above]):
        return None
    verdict, _ = _judge_short(rows, above)
    return above if verdict.header and verdict.confidence >= _CLEAR else None


def _judge_short(rows: Rows, place: int) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict for a header over the first cells of the rows below it, and a sentence."""
    names = rows[place]
    body = rows[place + 1 : place + _HEADER_ROWS]
    verdict = judge_header([names, *(row[: len(names)] for row in body if len(row) >= len(names))])
    widths = sorted({len(row) for row in body})
    said = f"the header has {len(names)} cells, the rows have {_either(widths)}"
    return verdict, (said,)


def _either(numbers: Sequence[int]) -> str:
    """Return numbers as people say them: `3`, `3 or 4`, `2 to 9`."""
    if len(numbers) > 2:
        return f"{numbers[0]} to {numbers[-1]}"
    return " or ".join(map(str, numbers))


# --- rows above ---------------------------------------------------------------------------


def _find_records_above(rows: Rows, lines: Sequence[int], first: int) -> int:
    """Return where records begin that lack cells and stand right above a table without a header.

    They are told from settings by their cells, which are what the cells below them are.
    """
    columns = list(zip(*_whole_rows(rows[first:], len(rows[first])), strict=True))
    kinds = [classify_column(list(cells)) for cells in columns]
    start = first
    while (
        start
        and lines[start] - lines[start - 1] == 1
        and len(rows[start - 1]) > 1
        and _is_alike(rows[start - 1], kinds)
    ):
        start -= 1
    return start


def _whole_rows(rows: Rows, width: int) -> list[Sequence[str]]:
    return [row for row in rows[:_HEADER_ROWS] if len(row) == width]


def _is_alike(row: Sequence[str], kinds: Sequence[tuple[CellKind, float]]) -> bool:
    """Return whether a row holds numbers where the others do, and nothing else there."""
    typed = [
        classify_cell(cell) is kind
        for cell, (kind, share) in zip(row, kinds, strict=False)
        if kind in TYPED and share >= _TYPED_SHARE and cell.strip()
    ]
    return bool(typed) and all(typed)


def _find_table_above(rows: Rows, lines: Sequence[int], start: int) -> str:
    """Return what there is to say where another table stands above this one."""
    block = start
    while block and len(rows[block - 1]) > 1:
        block -= 1
    width = len(rows[block]) if block < start else 0
    if start - block < _LEAST_TABLE or any(len(row) != width for row in rows[block:start]):
        return ""
    verdict = judge_header(rows[block:start])
    kinds = [classify_column([row[at] for row in rows[block + 1 : start]]) for at in range(width)]
    if not verdict.header or verdict.confidence < _CLEAR or kinds[0][0] not in TYPED:
        return ""
    return (
        f"lines {lines[block]:,} to {lines[start - 1]:,} look like another table above this one; "
        "they would not be loaded"
    )


# --- several lines of names ---------------------------------------------------------------


def _stack(rows: Rows, upper: int, lower: int, width: int) -> tuple[str, ...]:
    """Return the names from two lines that only together name all columns; empty if they do not.

    A name above several columns is written once, above the first of them.
    """
    if lower >= len(rows) or len(rows[upper]) != width or len(rows[lower]) != width:
        return ()
    above = [cell.strip() for cell in rows[upper]]
    below = [cell.strip() for cell in rows[lower]]
    is_whole = all(below) and len({name.casefold() for name in below}) == width
    if is_whole or sum(map(bool, above)) < 2 or any(classify_cell(c) in TYPED for c in below):
        return ()
    spread = accumulate(
        zip(above, below, strict=True), lambda left, cell: (cell[0] or left[0], cell[1])
    )
    names = [
        f"{group} {name}".strip() if name else own
        for (group, name), own in zip(spread, above, strict=True)
    ]
    if not above[0] and below[0]:
        names[0] = below[0]
    is_unique = len({name.casefold() for name in names}) == width
    return tuple(names) if is_unique and all(names) else ()


def _stacked_heading(
    rows: Rows,
    lines: Sequence[int],
    upper: int,
    names: tuple[str, ...],
    verdict: Verdict,
    width: int,
) -> Heading:
    said = f"lines {lines[upper]:,} and {lines[upper + 1]:,} name the columns together"
    body = [rows[upper + 1], *rows[upper + 2 : upper + _HEADER_ROWS]]
    units = _find_units(body, width)
    doubt = _find_table_above(rows, lines, upper)
    evidence = (said, units) if units else (said,)
    return Heading(upper, verdict, names, 1 + len(evidence), evidence, doubt)


def _find_units(rows: Rows, width: int) -> str:
    """Return what there is to say when the row below the header names units; else nothing."""
    if len(rows) < 3 or len(rows[1]) != width:
        return ""
    cells = [cell.strip() for cell in rows[1]]
    if not any(cells) or not all(_UNIT.fullmatch(cell) for cell in cells if cell):
        return ""
    if not any(cell for cell in _cells_above_values(rows, width)):
        return ""
    named = ", ".join(dict.fromkeys(cell for cell in cells if cell))[:_QUOTED_CELLS]
    return f"the line below the header names units and is no row: {named}"


def _find_second_heading(rows: Rows, line: int, width: int) -> str:
    """Return what there is to say when the first row below the header holds only words."""
    cells = _cells_above_values(rows, width)
    if sum(classify_cell(cell) not in BLANK for cell in cells) < 2:
        return ""
    shown = " | ".join(rows[1])[:_QUOTED_CELLS]
    return (
        f'the line below the header in line {line:,} ("{shown}") holds words where numbers or days '
        "follow: a second heading would make all columns text"
    )


def _cells_above_values(rows: Rows, width: int) -> list[str]:
    """Return the second row's cells above columns of numbers, days, …; none if one is such."""
    whole = _whole_rows(rows[2:], width)
    if len(rows) < 3 or len(rows[1]) != width or len(whole) < _COUNTED_ROWS - 1:
        return []
    found = []
    for cell, column in zip(rows[1], zip(*whole, strict=True), strict=True):
        kind, share = classify_column(list(column))
        if kind in TYPED and share >= _TYPED_SHARE:
            if classify_cell(cell) in TYPED - {CellKind.BOOLEAN}:
                return []
            found.append(cell.strip())
    return found
