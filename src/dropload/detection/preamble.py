"""Find where the table begins: behind titles, comments, blank lines and rows of empty cells."""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median

from dropload.detection.cells import TYPED, classify_column, count_filled
from dropload.detection.header import judge_header

# Longer preambles were not met; a table that begins later than this is not found.
_LONGEST_PREAMBLE = 200
# Share of the usual number of filled cells that a row of the table has at least.
_LEAST_FILLED = 0.5

# Rows that are filled to this share at most may be settings above the table, where its rows
# have at least so many filled cells.
_SPARSE = 0.67
_LEAST_USUAL = 3

# So many rows of one width, and nearly all above the table, are rows and no settings.
_LEAST_ROWS = 3
_MOSTLY = 0.8
_COMPARED_ROWS = 200

# A width that so many rows have is no accident in a ragged table.
_USUAL_SHARE = 0.15

# So sure must be that a header follows before a line like "#id,name" is taken for a comment.
_CLEAR_HEADER = 0.85

_COMMENT = re.compile(r"\s*(?:#|//|%%|--\s)")


def find_first_row(rows: Sequence[Sequence[str]], width: int) -> int:
    """Return the index of the record that is the header or, without one, the first data."""
    if width < 2:
        return _skip_comments(rows)
    usual = _usual_filled(rows, width)
    first = _find_row_of(rows, width, width - 1 if width > 3 else width, usual)
    narrow = _narrowest_width(rows[first:], width)
    if narrow != width:
        return min(first, _find_row_of(rows, narrow, narrow, _usual_filled(rows, narrow)))
    return _skip_sparse_block(rows, first, usual)


def find_rows_above(
    rows: Sequence[Sequence[str]], lines: Sequence[int], first: int, width: int
) -> int:
    """Return where rows of the table begin that have fewer cells and stand right above the others.

    Somebody added a column half way: those rows must not pass for a preamble, and be lost. `lines`
    are the lines on which rows begin; a blank line ends what belongs together.
    """
    block = first
    while block and lines[block] - lines[block - 1] == 1 and len(rows[block - 1]) > 1:
        block -= 1
    widths = Counter(len(row) for row in rows[block:first])
    if not widths:
        return first
    usual, count = widths.most_common(1)[0]
    if count < _LEAST_ROWS or count < _MOSTLY * (first - block):
        return first
    start = next(place for place in range(block, first) if len(rows[place]) == usual)
    same = usual == width - 1 or _begin_alike(rows[start + 1 : first], rows[first:])
    return start if same else first


def find_full_rows_above(rows: Sequence[Sequence[str]], lines: Sequence[int], first: int) -> int:
    """Return where rows begin that have all their cells, few of them filled, right above `first`.

    Where no header follows, nothing says that they are no rows of the table.
    """
    start = first
    while (
        start
        and lines[start] - lines[start - 1] == 1
        and len(rows[start - 1]) == len(rows[first])
        and count_filled(rows[start - 1])
        and not _COMMENT.match(rows[start - 1][0])
    ):
        start -= 1
    return start


def _begin_alike(above: Sequence[Sequence[str]], below: Sequence[Sequence[str]]) -> bool:
    """Return whether both begin with numbers, or days, or the like."""
    upper, lower = (
        classify_column([row[0] for row in part[:_COMPARED_ROWS] if row]) for part in (above, below)
    )
    return upper[0] is lower[0] and upper[0] in TYPED and min(upper[1], lower[1]) >= _MOSTLY


def _skip_sparse_block(rows: Sequence[Sequence[str]], first: int, usual: float) -> int:
    """Return the index of a clear header below rows that are too empty to be of its table.

    Settings above a table are often filled up with delimiters: "Account;DE12;;;".
    """
    if usual < _LEAST_USUAL or count_filled(rows[first]) > _SPARSE * usual:
        return first
    full = (
        place
        for place in range(first + 1, min(len(rows), first + _LONGEST_PREAMBLE))
        if count_filled(rows[place]) > _SPARSE * usual
    )
    below = next(full, None)
    if below is None or len(rows) - below < 2 or below - first >= len(rows) - below:
        return first
    upper, lower = judge_header(rows[first:]), judge_header(rows[below:])
    return below if lower.header and (lower.confidence > upper.confidence) else first


def _find_row_of(rows: Sequence[Sequence[str]], width: int, least_width: int, usual: float) -> int:
    """Return the index of the first row that could belong to a table of that width."""
    for place, row in enumerate(rows[:_LONGEST_PREAMBLE]):
        if len(row) < least_width or is_comment(rows, place, width):
            continue
        if _is_full(row, width, usual):
            return place
    return 0


def _narrowest_width(rows: Sequence[Sequence[str]], width: int) -> int:
    """Return the smallest number of cells that many rows have: the header may be as short."""
    counts = Counter(len(row) for row in rows)
    usual = [cells for cells, count in counts.items() if count >= _USUAL_SHARE * len(rows)]
    return min([width, *(cells for cells in usual if cells > 1)])


def _usual_filled(rows: Sequence[Sequence[str]], width: int) -> float:
    """Return how many cells of a usual row are not empty."""
    counts = [count_filled(row) for row in rows if len(row) == width]
    return median(counts or [width])


def _is_full(row: Sequence[str], width: int, usual: float) -> bool:
    """Return whether a row is about as full as the rows of the table."""
    filled = count_filled(row)
    if width == 2:
        return filled > 0
    return filled >= max(_LEAST_FILLED * usual, 1) and (filled > 1 or usual <= 1.5)


def is_comment(rows: Sequence[Sequence[str]], place: int, width: int) -> bool:
    """Return whether a row is a comment; the last one before the data may be the header."""
    row = rows[place]
    if not row or not _COMMENT.match(row[0]):
        return False
    following = next((row for row in rows[place + 1 :] if count_filled(row)), None)
    if following is None:
        return False
    if _COMMENT.match(following[0]):
        # Rows of the table may begin with the mark themselves: "#1", "#2", ...
        return len(row) != width or not all(_COMMENT.match(other[0]) for other in rows if other)
    if not width <= len(row) <= width + 1:
        return True
    # "#id,name" right above the data is the header; above another header it is a comment.
    verdict = judge_header(rows[place + 1 :])
    return verdict.header and verdict.confidence >= _CLEAR_HEADER


def _skip_comments(rows: Sequence[Sequence[str]]) -> int:
    """Return the index of the first record that is no comment; 0 when comments go on below."""
    marks = [bool(_COMMENT.match(row[0])) for row in rows if row]
    first = marks.index(False) if False in marks else 0
    return 0 if any(marks[first:]) else first
