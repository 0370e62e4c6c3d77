"""Find a delimiter of several characters, such as `||`, `::` or `|~|`, where it is certain."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import dropwhile

from dropload.detection.cells import TYPED, classify_column
from dropload.detection.header import judge_header

# Marks that delimiters of several characters are made of; each of two or three is one.
_MARKS = "|~^¦§\x1e\x1f:#@$%&*!"
_LONGEST = 3
# Marks that stand in text and names, too: two cells in a row prove nothing.
_SELDOM_IN_TEXT = frozenset("|~^¦\x1e\x1f")
_FEWEST_LINES = 3
# Nearly all values of a column are numbers, days, ... where it is of them.
_TYPED_SHARE = 0.8
# So sure must be that names stand above texts.
_CLEAR_HEADER = 0.8

_RUN = re.compile(f"[{re.escape(_MARKS)}]{{2,}}")
_QUOTED = re.compile(r'"[^"]*+"')


def find_sequence(lines: Sequence[str]) -> str:
    """Return the sequence that cuts every line into equally many cells, or the empty string.

    Lines before the first that holds one of its marks may be a title; a single one right above a
    table without names is the name of the only column. A sequence of one character
    is no delimiter where that character also stands alone: then there are empty cells.
    """
    filled = [line for line in lines if line.strip()]
    # Quotes may enclose the delimiter, or mean inches.
    return _find_in(filled, lines) or _find_in([_QUOTED.sub("x", line) for line in filled], lines)


def _find_in(lines: list[str], file: Sequence[str]) -> str:
    """Return the sequence that cuts these lines of the file, quotes being text like any other."""
    for sequence in _rank_sequences(lines):
        table = list(dropwhile(set(sequence).isdisjoint, lines))
        if len(table) < _FEWEST_LINES or not _cuts_evenly(sequence, table):
            continue
        rows = [line.split(sequence) for line in table]
        is_below_name = len(table) == len(lines) - 1 and bool(file[1].strip())
        if _are_cells(rows, sequence, is_below_name=is_below_name):
            return sequence
    return ""


def _are_cells(rows: list[list[str]], sequence: str, *, is_below_name: bool) -> bool:
    """Return whether the sequence parts cells: common marks may be emphasis, or part of a name.

    What stands below a line that may name the only column must look like a table itself.
    """
    is_seldom = bool(set(sequence) & _SELDOM_IN_TEXT)
    if is_seldom and not is_below_name:
        return True
    columns = [list(column) for column in zip(*rows, strict=True)]
    if not is_seldom and not all(any(map(str.strip, column)) for column in columns):
        return False
    if _have_clear_header(rows):
        return True
    kinds = [classify_column(column[1:]) for column in columns]
    is_typed = any(kind in TYPED and share >= _TYPED_SHARE for kind, share in kinds)
    return is_typed and (is_seldom or not is_below_name)


def _have_clear_header(rows: list[list[str]]) -> bool:
    """Return whether the first row surely names the columns."""
    verdict = judge_header(rows)
    return verdict.header and verdict.confidence >= _CLEAR_HEADER


def _rank_sequences(lines: Sequence[str]) -> list[str]:
    """Return the sequences of the last line, the most frequent and longest first."""
    if len(lines) < _FEWEST_LINES:
        return []
    line = lines[-1]
    found = {
        run[start : start + length]
        for run in _RUN.findall(line)
        for length in range(2, _LONGEST + 1)
        for start in range(len(run) - length + 1)
    }
    counts = Counter({sequence: line.count(sequence) for sequence in found})
    return sorted(found, key=lambda sequence: (-counts[sequence], -len(sequence), sequence))


def _cuts_evenly(sequence: str, table: Sequence[str]) -> bool:
    """Return whether every row is cut into equally many cells, and by nothing else."""
    count = table[0].count(sequence)
    marks = set(sequence)
    if count < 2 and not marks & _SELDOM_IN_TEXT:
        return False
    if any(line.count(sequence) != count for line in table):
        return False
    if len(marks) == 1 and any(sequence[0] in line.replace(sequence, "") for line in table):
        return False
    return not any(_is_constant(mark, table) for mark in "\t;,|" if mark not in marks)


def _is_constant(mark: str, table: Sequence[str]) -> bool:
    """Return whether all rows hold a character equally often."""
    count = table[0].count(mark)
    return count > 0 and all(line.count(mark) == count for line in table)
