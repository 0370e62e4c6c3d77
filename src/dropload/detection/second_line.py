"""Tell what the line below a header is: units, the rest of the names, or a row like any other."""

import re
from collections.abc import Sequence
from itertools import accumulate, compress

from dropload.detection.cells import (
    BLANK,
    TYPED,
    TYPED_SHARE,
    CellKind,
    classify_cell,
    classify_column,
)

Rows = Sequence[Sequence[str]]

# Rows below the line that are needed, and that are looked at.
_LEAST_ROWS = 2
_COMPARED_ROWS = 400
_QUOTED_CHARS = 60

_SCALED = r"[kmcµμnhMGT]?(?:m|g|s|l|L|V|A|W|Hz|Pa|J|N|Wh|bar|mol|Ω|eV|B)(?:[²³23]|\^-?\d|[-⁻]\d)?"
_PER = r"[/·* ](?:[kmcµμn]?(?:m|g|s|l|L|h|min|d|mol|kg|ha)[²³23]?|\d+\s?km)"
_UNIT = re.compile(
    rf"[\[(][^\[()\]]{{1,20}}[\])]|[%‰°€$£¥]|°\s?[CFK]|{_SCALED}(?:{_PER})?"
    r"|min|sec|h|d|hrs?|days?|deg|rad|mmHg|psi|ppm|ppb|kn|mi|ft|in|lbs?|oz|mph|kmh|pH|K|C|F"
    r"|EUR|USD|GBP|CHF|JPY|TEUR|Stk\.?|St\.?|pcs\.?|string|int(?:eger)?|float|double"
    r"|datetime|timestamp|bool(?:ean)?|varchar|char|numeric|decimal"
)
"""Units of measure, currencies, and words for types."""
MEASURED = frozenset({CellKind.NUMBER, CellKind.DATE, CellKind.TIME})
"""What units and second headings stand above."""
_NO_VALUE = re.compile(
    r"(?i)n\.\s?[dabv]\.?|k\.\s?a\.?|tb[dac]|dn[sfq]|closed|open|geschlossen|unknown|unbekannt"
    r"|no(?:ne)? \w+|not \w+|missing|fehlt|offline|error|fehler|lod|loq|[<>]=?\s?[\d.,]*\w*|bdl"
    r"|none|trace"
)
"""What people write where a value was not measured."""


def stack_names(rows: Rows, upper: int, width: int) -> tuple[str, ...]:
    """Return the names from two lines that only together name all columns; empty if they do not.

    A name above several columns is written once, above the first of them.
    """
    if upper + 1 >= len(rows) or len(rows[upper]) != width or len(rows[upper + 1]) != width:
        return ()
    above = [cell.strip() for cell in rows[upper]]
    below = [cell.strip() for cell in rows[upper + 1]]
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


def find_units(rows: Rows, width: int) -> str:
    """Return what there is to say when the row below the header names units; else nothing.

    Above columns of text there is nothing then, or a unit in brackets; a value is no unit where it
    comes again in its column.
    """
    columns = _columns_below(rows, width)
    if not columns:
        return ""
    cells = [cell.strip() for cell in rows[1]]
    filled = [at for at, cell in enumerate(cells) if classify_cell(cell) not in BLANK]
    units = [at for at in filled if _UNIT.fullmatch(cells[at])]
    if units != filled:
        return ""
    measured = list(map(is_measured, columns))
    loose = [at for at in filled if not measured[at] and cells[at][0] not in "[("]
    above = {cells[at] for at in units if measured[at]}
    again = any(cells[at] in map(str.strip, columns[at]) for at in filled)
    if loose or again or not any(len(unit) > 1 for unit in above):
        return ""
    named = ", ".join(dict.fromkeys(cells[at] for at in filled))[:_QUOTED_CHARS]
    return f"the line below the header names units and is no row: {named}"


def find_second_heading(rows: Rows, line: int, width: int) -> str:
    """Return what there is to say when the first row below the header can hardly be a row.

    It holds words, all different, where numbers and days follow, and nothing that looks like the
    texts below it.
    """
    columns = _columns_below(rows, width)
    cells = [cell.strip() for cell in rows[1]] if columns else []
    measured = list(map(is_measured, columns))
    above = list(compress(cells, measured))
    if len(above) < 2 or len(set(above)) < len(above) or any(map(_is_value, above)):
        return ""
    texts = [(cells[at], column) for at, column in enumerate(columns) if not measured[at]]
    if any(cell and _is_like_those_below(cell, column) for cell, column in texts):
        return ""
    shown = " | ".join(rows[1])[:_QUOTED_CHARS]
    return (
        f'line {line + 1:,} ("{shown}"), below the header, holds words where numbers or days '
        "follow; a second heading would make all columns text"
    )


def is_measured(cells: Sequence[str]) -> bool:
    """Return whether nearly all cells of a column are numbers, days or times."""
    kind, share = classify_column(list(cells))
    return kind in MEASURED and share >= TYPED_SHARE


def _columns_below(rows: Rows, width: int) -> list[tuple[str, ...]]:
    """Return the columns below the line in question; empty where they are too short to judge."""
    whole = [row for row in rows[2:_COMPARED_ROWS] if len(row) == width]
    if len(rows) < 3 or len(rows[1]) != width or len(whole) < _LEAST_ROWS:
        return []
    return list(zip(*whole, strict=True))


def _is_value(cell: str) -> bool:
    """Return whether a cell may be that of a row: a number, a day, or a word for none."""
    kind = classify_cell(cell)
    return kind in MEASURED | BLANK or _NO_VALUE.fullmatch(cell) is not None


def _is_like_those_below(cell: str, column: Sequence[str]) -> bool:
    """Return whether a text has the shape of most of those below it, or is one of them."""
    shapes = [_shape(other) for other in column if other.strip()]
    return cell in column or (bool(shapes) and shapes.count(_shape(cell)) * 2 >= len(shapes))


def _shape(text: str) -> str:
    return re.sub(r"[0-9]+", "9", re.sub(r"[^\W\d_]+", "a", text.strip()))
