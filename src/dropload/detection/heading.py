"""Tell the lines that name the columns: none, one, a stack of them, or one with units below."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dropload.detection.cells import TYPED, TYPED_SHARE, CellKind, classify_cell, classify_column
from dropload.detection.header import Verdict, judge_header
from dropload.detection.preamble import find_full_rows_above, find_rows_above, is_comment
from dropload.detection.second_line import find_second_heading, find_units, is_measured, stack_names

# Enough records below the header to judge it by.
_HEADER_ROWS = 400
# So sure must be that a row is a header which has fewer cells than the rows, or stands lower.
_CLEAR = 0.8
# A header that has one of these names the column that numbers the rows.
_KEYS = (
    "id|nr|no|num|number|index|idx|key|code|pos|position|rank|place|row|line|item|page|chapter|lfd|#"
    "|n|i|week|day|month|quarter|year|period|round|step|lap|level|trial|run|turn|sample|frame|epoch"
    "|iteration|seq|woche|tag|monat|jahr|runde|zeile|seite|platz|rang"
)
# Rows that number themselves are no accident from here on.
_COUNTED_ROWS = 3
# A block of fewer rows above the table is no table; one of two columns, and of less than this share
# of the rows below, may be settings.
_LEAST_TABLE = 3
_SETTINGS_SHARE = 0.25
_QUOTED_CELLS = 60

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
    remarks: tuple[str, ...] = ()
    """The part of the evidence that people must know after each load: what is no row."""
    doubt: str = ""
    """Why nobody can be sure that all rows are read; empty when there is no such reason."""


@dataclass(frozen=True, slots=True)
class Block:
    """The first records of a file, cut into cells."""

    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    """The lines on which they begin, from 1."""
    width: int
    """Cells of a usual row."""

    def is_right_above(self, place: int, other: int) -> bool:
        """Return whether no blank line stands between two records that follow each other."""
        return self.lines[other] - self.lines[place] == 1


def find_heading(block: Block, first: int) -> Heading:
    """Return how the table begins whose first full row is `first`."""
    start = find_rows_above(block.rows, block.lines, first, block.width)
    verdict = _judge(block, start)
    if verdict.header:
        stacked = start and block.is_right_above(start - 1, start)
        names = stack_names(block.rows, start - 1, block.width) if stacked else ()
        return (
            _join_lines(block, start - 1, names, verdict) if names else _name(block, start, verdict)
        )
    short = _find_short_header(block, start)
    if short is not None:
        return _name_short(block, short)
    names = stack_names(block.rows, 0, block.width) if not start else ()
    lower = _judge(block, 1) if names else verdict
    if lower.header and lower.confidence >= _CLEAR:
        return _join_lines(block, 0, names, lower)
    if start:
        start = find_full_rows_above(block.rows, block.lines, start)
        start = _find_records_above(block, start)
    return Heading(start, verdict, ("",) * block.width, 0, doubt=_find_table_above(block, start))


def _judge(block: Block, start: int) -> Verdict:
    body = block.rows[start : start + _HEADER_ROWS]
    return judge_header([body[0], *(row for row in body[1:] if _belongs(row, block.width))])


def _belongs(row: Sequence[str], width: int) -> bool:
    """Return whether a row below the first can speak for its columns."""
    return len(row) == width and any(cell.strip() for cell in row)


def _name(block: Block, start: int, verdict: Verdict) -> Heading:
    """Return the heading that is the record at `start`, perhaps with units below it."""
    body = block.rows[start : start + _HEADER_ROWS]
    names, why = _fit_names(block, body)
    evidence = list(why)
    if len(names) != block.width:
        evidence.append(f"the header has {len(names)} cells, most rows have {block.width}")
    units = find_units(body, block.width)
    remarks = (*why, units) if units else why
    evidence += [units] if units else []
    doubt = _find_table_above(block, start)
    if not units and not doubt:
        doubt = find_second_heading(body, block.lines[start], block.width)
    lines = 2 if units else 1
    return Heading(start, verdict, names, lines, tuple(evidence), remarks, doubt)


def _join_lines(block: Block, upper: int, names: tuple[str, ...], verdict: Verdict) -> Heading:
    """Return the heading of two lines whose names were put together."""
    lines = block.lines
    said = f"lines {lines[upper]:,} and {lines[upper + 1]:,} name the columns together"
    units = find_units(block.rows[upper + 1 : upper + _HEADER_ROWS], block.width)
    remarks = (said, units) if units else (said,)
    doubt = _find_table_above(block, upper)
    return Heading(upper, verdict, names, 1 + len(remarks), remarks, remarks, doubt)


# --- a header of another width than the rows ----------------------------------------------


def _fit_names(
    block: Block, rows: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the header's cells, one for each column where that is certain, and why.

    Unnamed columns that are empty in every row are added, nameless cells behind the last column
    dropped. Other missing names are not made up: nobody knows whether they are missing left or
    right.
    """
    first, width = rows[0], block.width
    if len(first) >= width:
        surplus = "".join(first[width:]).strip()
        return tuple(first if surplus else first[:width]), ()
    tails = [row[len(first) :] for row in rows[1:] if len(row) <= width]
    if not any(cell.strip() for tail in tails for cell in tail):
        return (*first, *[""] * (width - len(first))), ()
    may_lack = len(first) == width - 1
    if may_lack and not _KEY_NAME.fullmatch(first[0]) and _count_rows(rows[1:], width):
        why = (
            "the first cells of the rows count from 1 and the header has one name less: they are "
            "taken for row numbers without a name"
        )
        return ("", *first), (why,)
    return tuple(first), ()


def _count_rows(rows: Sequence[Sequence[str]], width: int) -> bool:
    """Return whether the first column only numbers the rows: some exports leave it unnamed.

    Where the last column has gaps, it is a remark at the end that has no name.
    """
    whole = [row for row in rows if len(row) == width]
    numbers = [row[0].strip() for row in whole]
    is_full = all(row[-1].strip() for row in whole)
    counted = numbers == [str(n + 1) for n in range(len(whole))]
    return len(whole) >= _COUNTED_ROWS and is_full and counted


def _find_short_header(block: Block, start: int) -> int | None:
    """Return the place of a header right above the rows that has fewer cells than they have."""
    rows, above = block.rows, start - 1
    if above < 0 or not block.is_right_above(above, start) or is_comment(rows, above, block.width):
        return None
    if not 2 <= len(rows[above]) < block.width or not all(cell.strip() for cell in rows[above]):
        return None
    verdict = _judge_short(block, above)
    return above if verdict.header and verdict.confidence >= _CLEAR else None


def _judge_short(block: Block, place: int) -> Verdict:
    """Return the verdict for a header over the first cells of the rows below it."""
    names = block.rows[place]
    body = block.rows[place + 1 : place + _HEADER_ROWS]
    return judge_header([names, *(row[: len(names)] for row in body if len(row) >= len(names))])


def _name_short(block: Block, place: int) -> Heading:
    """Return the heading that has fewer cells than the rows below it."""
    body = block.rows[place : place + _HEADER_ROWS]
    names, why = _fit_names(block, body)
    widths = sorted({len(row) for row in body[1:]})
    said = f"the header has {len(body[0])} cells, the rows have {_either(widths)}"
    doubt = _find_table_above(block, place)
    return Heading(place, _judge_short(block, place), names, 1, (said, *why), why, doubt)


def _either(numbers: Sequence[int]) -> str:
    """Return numbers as people say them: `3`, `3 or 4`, `2 to 9`."""
    if len(numbers) > 2:
        return f"{numbers[0]} to {numbers[-1]}"
    return " or ".join(map(str, numbers))


# --- rows above ---------------------------------------------------------------------------


def _find_records_above(block: Block, first: int) -> int:
    """Return where records begin that lack cells and stand right above a table without a header.

    They are told from settings by their cells, which are what the cells below them are.
    """
    rows = block.rows
    columns = list(zip(*_whole_rows(rows[first:], len(rows[first])), strict=True))
    kinds = [classify_column(list(cells)) for cells in columns]
    start = first
    while (
        start
        and block.is_right_above(start - 1, start)
        and len(rows[start - 1]) > 1
        and _is_alike(rows[start - 1], kinds)
    ):
        start -= 1
    return start


def _whole_rows(rows: Sequence[Sequence[str]], width: int) -> list[Sequence[str]]:
    return [row for row in rows[:_HEADER_ROWS] if len(row) == width]


def _is_alike(row: Sequence[str], kinds: Sequence[tuple[CellKind, float]]) -> bool:
    """Return whether a row holds numbers where the others do, at least as often as it does not."""
    typed = [
        classify_cell(cell) is kind
        for cell, (kind, share) in zip(row, kinds, strict=False)
        if kind in TYPED and share >= TYPED_SHARE and cell.strip()
    ]
    return bool(typed) and sum(typed) * 2 >= len(typed)


def _find_table_above(block: Block, start: int) -> str:
    """Return what there is to say where another table stands above this one."""
    rows, top = block.rows, start
    while top and len(rows[top - 1]) > 1:
        top -= 1
    width = len(rows[top]) if top < start else 0
    if start - top < _LEAST_TABLE or any(len(row) != width for row in rows[top:start]):
        return ""
    if width == 2 and start - top < _SETTINGS_SHARE * (len(rows) - start):
        return ""
    verdict = judge_header(rows[top:start])
    columns = ([row[at] for row in rows[top + 1 : start]] for at in range(width))
    if not verdict.header or verdict.confidence < _CLEAR or not any(map(is_measured, columns)):
        return ""
    return (
        f"lines {block.lines[top]:,} to {block.lines[start - 1]:,} look like another table above "
        "this one; they would not be loaded"
    )
