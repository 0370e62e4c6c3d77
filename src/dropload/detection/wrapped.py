"""Recognise tables that were printed with pipes and rules, or whose lines are quoted once more."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from dropload.detection.fit import FIRST_CLASS
from dropload.detection.sample import Sample
from dropload.detection.splitting import Dialect, Splitter
from dropload.wrapping import (
    Wrapping,
    is_rule,
    stands_between_pipes,
    stands_between_quotes,
    unwrap_line,
)

# Fewer lines between pipes may be rows whose first and last cells happen to be empty.
_FEWEST_LINES = 3
# Rows of a printed table; a title and a footer are not between pipes.
_MOSTLY = 0.8


def find_wrapping(lines: Sequence[str]) -> tuple[Wrapping, str]:
    """Return what is drawn around the lines, and the delimiter that this tells."""
    filled = [line for line in lines if line.strip()]
    if _stand_between_rules(filled):
        return Wrapping.RULES, "|"
    if delimiter := _find_ruled_header(filled):
        return Wrapping.RULES, delimiter
    if len(filled) >= _FEWEST_LINES and all(map(stands_between_pipes, filled)):
        return Wrapping.PIPES, "|"
    if delimiter := _find_quoted_lines(filled):
        return Wrapping.QUOTES, delimiter
    return Wrapping.NONE, ""


def unwrap_sample(sample: Sample, wrapping: Wrapping, delimiter: str) -> Sample:
    """Return the sample as it reads without what is drawn around its lines."""
    head, *stretches = (
        tuple(unwrap_line(line, wrapping, delimiter) for line in lines)
        for lines in (sample.head, *sample.stretches)
    )
    return replace(sample, head=head, stretches=tuple(stretches))


def _stand_between_rules(lines: Sequence[str]) -> bool:
    """Return whether rows between pipes are parted from their header, or others, by rules."""
    rows = [line for line in lines if not is_rule(line, "|")]
    between = [line for line in rows if stands_between_pipes(line) and line.count("|") > 2]
    return len(rows) < len(lines) and len(between) > 1 and len(between) >= _MOSTLY * len(rows)


def _find_ruled_header(lines: Sequence[str]) -> str:
    """Return the delimiter of a header that a rule of as many cells stands below."""
    for header, rule in pairwise(lines):
        crossing = _find_crossing(rule)
        delimiter = "|" if crossing == "+" else crossing
        if delimiter == " " and _stands_above(header, rule):
            return delimiter
        if delimiter.strip(" ") and _underlines(rule.split(crossing), header.split(delimiter)):
            return delimiter
        if delimiter:
            # Further down, dashes in all cells are missing values.
            return ""
    return ""


def _underlines(rule: list[str], header: list[str]) -> bool:
    """Return whether there are dashes for each name, and as many as its letters at least."""
    if len(rule) != len(header):
        return False
    pairs = zip(rule, header, strict=True)
    return all(len(dashes.strip(" ")) >= len(name.strip(" ")) for dashes, name in pairs)


def _find_crossing(rule: str) -> str:
    """Return the character that parts the dashes of a rule, or the empty string."""
    others = set(rule.strip(" ")) - {"-"}
    crossing = next((mark for mark in ("+", *FIRST_CLASS, " ") if mark in others), "")
    cells = [cell.strip(" ") for cell in rule.strip(" ").split(crossing)] if crossing else []
    drawn = [cell for cell in cells if cell or crossing != " "]
    is_drawn = "--" in rule and all(cell and set(cell) == {"-"} for cell in drawn)
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
    inside = [unwrap_line(line, Wrapping.QUOTES, "") for line in lines]
    for delimiter in FIRST_CLASS:
        records = Splitter(Dialect(delimiter)).split(inside)
        widths = set(map(len, records.cells))
        if len(widths) == 1 and widths != {1} and records.quoted and not records.broken:
            return delimiter
    return ""
