"""Recognise tables that were printed with pipes and rules, or whose lines are quoted once more."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, takewhile

from dropload.detection.cells import TYPED, CellKind, classify_cell
from dropload.detection.fit import FIRST_CLASS
from dropload.detection.sample import Sample
from dropload.detection.splitting import Dialect, Splitter
from dropload.errors import FileError
from dropload.wrapping import (
    Unwrapper,
    Wrapping,
    is_rule,
    stands_between_pipes,
    stands_between_quotes,
)

# The upper end of a frame, in letters or in characters for drawing.
_FRAME = re.compile(r"\s*[+┌╔╭┏][-=+─═━┬╤╦┳]{2,}[+┐╗╮┓]\s*")

# Fewer lines between pipes may be rows whose first and last cells happen to be empty.
_FEWEST_LINES = 3
# Lines above and below a printed table, such as "2 rows in set".
_MOST_REMARKS = 3
# Nobody writes so many dashes for a missing value.
_LONG_DASHES = 5
# Rows of a printed table; a title and a footer are not between pipes.
_MOSTLY = 0.8


def find_wrapping(lines: Sequence[str]) -> tuple[Wrapping, str]:
    """Return what is drawn around the lines, and the delimiter that this tells."""
    filled = [line for line in lines if line.strip()]
    if _stand_between_rules(filled):
        return Wrapping.RULES, "|"
    if ruled := _find_ruled_header(filled):
        return ruled
    if len(filled) >= _FEWEST_LINES and all(map(stands_between_pipes, filled)):
        return Wrapping.PIPES, "|"
    if delimiter := _find_quoted_lines(filled):
        return Wrapping.QUOTES, delimiter
    return Wrapping.NONE, ""


def refuse_uncut_table(lines: Sequence[str], wrapping: Wrapping, delimiter: str) -> None:
    """Raise FileError when a table is drawn that the delimiter does not cut as it is drawn."""
    filled = [line for line in lines if line.strip()]
    if not delimiter and any(_FRAME.fullmatch(line) for line in filled[: _MOST_REMARKS + 1]):
        raise _uncut_table("its frame cannot be taken off")
    if wrapping is not Wrapping.RULES or delimiter not in ("", " "):
        return
    if not delimiter or _shifts_cells(lines):
        raise _uncut_table("blanks part its columns and stand within values, too")


def _uncut_table(reason: str) -> FileError:
    return FileError(
        f"This is a printed table, and {reason}.",
        hint="Export the table as CSV and drop it again.",
        code="not_delimited",
    )


def _shifts_cells(lines: Sequence[str]) -> bool:
    """Return whether words of a row would come into other columns than they stand in."""
    spans, rows = _find_ruled_rows(lines)
    gaps = [end for _, end in spans[:-1]]
    if any(line[gap : gap + 1].strip() for line in rows for gap in gaps):
        # The rule says nothing of where columns stand.
        return False
    return any(_shifts(line, spans) for line in rows)


def _shifts(row: str, spans: list[tuple[int, int]]) -> bool:
    """Return whether words would move into empty cells beside them.

    Blanks behind the last cell that is filled stand for an empty one, as they should.
    """
    *cells, last = (row[slice(*span)].strip() for span in spans)
    return not all(cells) or (not last and len(row.split()) == len(spans))


def is_cut_by_blanks(lines: Sequence[str]) -> bool:
    """Return whether each row below a rule has one word for each group of dashes."""
    spans, rows = _find_ruled_rows(lines)
    return bool(rows) and all(len(row.split()) == len(spans) for row in rows)


def _find_ruled_rows(lines: Sequence[str]) -> tuple[list[tuple[int, int]], list[str]]:
    """Return where groups of dashes stand in the first rule, and the rows up to a blank line."""
    place = next((place for place, line in enumerate(lines) if _find_crossing(line)), len(lines))
    spans = [group.span() for rule in lines[place : place + 1] for group in re.finditer("-+", rule)]
    return spans, list(takewhile(str.strip, lines[place + 1 :]))


def unwrap_sample(sample: Sample, wrapping: Wrapping, delimiter: str) -> Sample:
    """Return the sample as it reads without what is drawn around its lines."""
    unwrap = Unwrapper(wrapping, delimiter).unwrap_line
    head, *stretches = (
        tuple(unwrap(line) for line in lines) for lines in (sample.head, *sample.stretches)
    )
    return replace(sample, head=head, stretches=tuple(stretches))


def _stand_between_rules(lines: Sequence[str]) -> bool:
    """Return whether rows between pipes are parted from their header, or others, by rules."""
    first = next((place for place, line in enumerate(lines) if is_rule(line, "|")), len(lines))
    if first == len(lines):
        return False
    rows = [line for line in lines if not is_rule(line, "|")]
    between = [line for line in rows if _is_row_between_pipes(line)]
    above = [line for line in lines[:first] if _is_row_between_pipes(line)]
    # Further down, or below values, dashes between pipes are missing values.
    is_top = len(above) <= 1 and not any(map(_holds_only_values, above))
    is_drawn = is_top and len(between) > 1
    return is_drawn and len(between) >= _MOSTLY * len(_without_remarks(rows))


def _holds_only_values(row: str) -> bool:
    """Return whether all cells between the pipes are numbers, days or other values."""
    return all(classify_cell(cell) in TYPED for cell in row.strip(" ")[1:-1].split("|"))


def _without_remarks(rows: Sequence[str]) -> Sequence[str]:
    """Return the rows without a few lines above and below that are not between pipes."""
    places = [place for place, line in enumerate(rows) if stands_between_pipes(line)]
    if not places:
        return rows
    start, end = places[0], places[-1] + 1
    few = start <= _MOST_REMARKS and len(rows) - end <= _MOST_REMARKS
    return rows[start:end] if few else rows


def _is_row_between_pipes(line: str) -> bool:
    """Return whether a line between pipes has more than one cell."""
    return stands_between_pipes(line) and line.count("|") > 2


def _find_ruled_header(lines: Sequence[str]) -> tuple[Wrapping, str] | None:
    """Return how the table is drawn that begins with names above a rule of as many cells."""
    for place, (header, rule) in enumerate(pairwise(lines)):
        crossing = _find_crossing(rule)
        if not crossing:
            continue
        delimiter = "|" if crossing == "+" else crossing
        # Below rows, dashes in all cells are missing values.
        if _has_rows(lines[:place], rule, crossing) or not _names_columns(header, delimiter):
            return None
        return _judge_rule(header, rule, crossing)
    return None


def _has_rows(above: Sequence[str], rule: str, crossing: str) -> bool:
    """Return whether lines above the header are cut as the rule is."""
    if crossing == " ":
        return any(_stands_above(line, rule) for line in above)
    cut = "|" if crossing == "+" else crossing
    return any(line.count(cut) == rule.count(crossing) for line in above)


def _names_columns(header: str, delimiter: str) -> bool:
    """Return whether none of the cells is a number, a day or another value."""
    cells = header.split() if delimiter == " " else header.split(delimiter)
    return not any(classify_cell(cell) in TYPED - {CellKind.BOOLEAN} for cell in cells)


def _judge_rule(header: str, rule: str, crossing: str) -> tuple[Wrapping, str] | None:
    """Return how the table is drawn if the rule fits its header."""
    if crossing == " ":
        return (Wrapping.RULES, " ") if _stands_above(header, rule) else None
    delimiter = "|" if crossing == "+" else crossing
    dashes, names = rule.split(crossing), header.split(delimiter)
    if not _underlines(dashes, names):
        return None
    if delimiter == "|":
        return Wrapping.RULES, delimiter
    if not _is_ruler(dashes, names):
        return None
    is_padded = any(name != name.strip(" ") for name in names)
    return (Wrapping.RULES if is_padded else Wrapping.RULER), delimiter


def _is_ruler(dashes: list[str], names: list[str]) -> bool:
    """Return whether dashes are as wide as names or columns; missing values are all alike."""
    widths = set(map(len, dashes))
    if len(widths) > 1 or min(widths) >= _LONG_DASHES:
        return True
    return all(len(name) in widths for name in names[:-1]) and len(names[-1].strip(" ")) in widths


def _underlines(rule: list[str], header: list[str]) -> bool:
    """Return whether there are dashes for each name, and as many as its letters at least."""
    if len(rule) != len(header):
        return False
    pairs = zip(rule, header, strict=True)
    return all(len(dashes.strip(" ")) >= len(name.strip(" ")) for dashes, name in pairs)


def _find_crossing(rule: str) -> str:
    """Return the character that parts the dashes of a rule, or the empty string."""
    if "--" not in rule:
        return ""
    others = set(rule.strip(" ")) - {"-"}
    crossing = next((mark for mark in ("+", *FIRST_CLASS, " ") if mark in others), "")
    cells = [cell.strip(" ") for cell in rule.strip(" ").split(crossing)] if crossing else []
    drawn = [cell for cell in cells if cell or crossing != " "]
    is_drawn = all(cell and set(cell) == {"-"} for cell in drawn)
    return crossing if is_drawn else ""


def _stands_above(header: str, rule: str) -> bool:
    """Return whether a name begins above each group of dashes."""
    starts = [group.start() for group in re.finditer("-+", rule)]
    padded = f" {header:<{len(rule)}}"
    return all(padded[start].isspace() and not padded[start + 1].isspace() for start in starts)


def _find_quoted_lines(lines: Sequence[str]) -> str:
    """Return the delimiter that cuts all lines evenly once the quotes around each are gone.

    Quotes must be left then that enclose cells: without them the lines are quoted texts.
    """
    if len(lines) < _FEWEST_LINES or not all(map(stands_between_quotes, lines)):
        return ""
    inside = [Unwrapper(Wrapping.QUOTES, "").unwrap_line(line) for line in lines]
    for delimiter in FIRST_CLASS:
        records = Splitter(Dialect(delimiter)).split(inside)
        widths = set(map(len, records.cells))
        if len(widths) == 1 and widths != {1} and records.quoted and not records.broken:
            return delimiter
    return ""
