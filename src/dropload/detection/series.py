"""Tell headers that count up: years, dates and numbers name columns, too."""

import re
from itertools import pairwise

from dropload.detection.cells import CellKind, classify_cell

YEAR = re.compile(r"(?:1[89]|20|21)\d\d")
_WHOLE = re.compile(r"\d{1,6}")
_NUMBERED = re.compile(r"([^\W\d][^\d]*)(\d{1,6})")
# Rows that count like the names above them show that those are no names.
_COMPARED_ROWS = 3
_FRACTION = re.compile(r"-?\d*[.,]\d+")
# Fewer numbers may grow by chance.
_LEAST_SCALE = 3
# So many do not grow evenly by chance.
_SURE_SCALE = 50
_MOSTLY = 0.9


def counts_up(names: list[str], columns: list[list[str]]) -> bool:
    """Return whether the first row counts up years, dates or numbers and those below do not."""
    rules = (_is_year_row, _is_scale, _is_calendar, _is_numbered)
    return any(holds(names, columns) for holds in rules)


def _is_year_row(names: list[str], columns: list[list[str]]) -> bool:
    """Return whether the row's numbers count up, like years, and those below them do not."""
    places = [place for place, name in enumerate(names) if re.fullmatch(r"\d{1,4}", name.strip())]
    if not _is_series([names[place] for place in places], whole_row=len(places) == len(names)):
        return False
    below = [
        [columns[place][row] for place in places if row < len(columns[place])]
        for row in (0, 1)
        if any(columns)
    ]
    return not any(_grows_evenly(row) for row in below if row)


def _is_scale(names: list[str], columns: list[list[str]]) -> bool:
    """Return whether whole numbers, ever larger, stand beside a name and above fractions."""
    places = [place for place, name in enumerate(names) if _WHOLE.fullmatch(name.strip())]
    if not _LEAST_SCALE <= len(places) < len(names):
        return False
    steps = _steps([names[place] for place in places])
    below = [cell.strip() for place in places for cell in columns[place] if cell.strip()]
    fractions = sum(_FRACTION.fullmatch(cell) is not None for cell in below)
    return all(step > 0 for step in steps) and fractions >= _MOSTLY * max(len(below), 1)


def _is_calendar(names: list[str], columns: list[list[str]]) -> bool:
    """Return whether the row holds different dates above columns without a single date."""
    places = [place for place, name in enumerate(names) if classify_cell(name) is CellKind.DATE]
    if len(places) < 2 or len({names[place] for place in places}) < len(places):
        return False
    below = [cell for place in places for cell in columns[place]]
    return any(cell.strip() for cell in below) and not any(
        classify_cell(cell) is CellKind.DATE for cell in below
    )


def _is_numbered(names: list[str], columns: list[list[str]]) -> bool:
    """Return whether most names are one word and a number that counts, and no row below is so."""
    rows = [[cells[row] for cells in columns if row < len(cells)] for row in range(_COMPARED_ROWS)]
    return _counts_words(names) and not any(map(_counts_words, rows))


def _counts_words(cells: list[str]) -> bool:
    """Return whether most cells are one word and a number that counts."""
    found = [_NUMBERED.fullmatch(cell.strip()) for cell in cells]
    parts = [match.groups() for match in found if match]
    if len(parts) < _LEAST_SCALE or 2 * len(parts) <= len(cells):
        return False
    words, numbers = zip(*parts, strict=True)
    steps = _steps(list(numbers))
    # Of very many columns only some are looked at, at nearly even distances.
    even = {min(steps), min(steps) + 1} if len(parts) > _SURE_SCALE else {1}
    return len(set(words)) == 1 and min(steps) > 0 and steps <= even


def _is_series(numbers: list[str], *, whole_row: bool) -> bool:
    """Return whether the numbers are years in order, or count up one by one.

    Two are enough beside names, when they are years that follow each other.
    """
    if len(numbers) < 2 or (whole_row and len(numbers) == 3):
        return False
    steps = _steps(numbers)
    if all(YEAR.fullmatch(number.strip()) for number in numbers):
        if len(numbers) == 2:
            return not whole_row and steps <= {1, -1}
        return all(step > 0 for step in steps) or all(step < 0 for step in steps)
    return len(numbers) > 2 and steps == {1}


def _steps(numbers: list[str]) -> set[int]:
    """Return the differences between neighbours."""
    return {int(right) - int(left) for left, right in pairwise(numbers)}


def _grows_evenly(cells: list[str]) -> bool:
    """Return whether the cells are years, or whole numbers at one distance."""
    if not all(re.fullmatch(r"\d{1,6}", cell.strip()) for cell in cells):
        return False
    return len(_steps(cells)) == 1 or all(YEAR.fullmatch(cell.strip()) for cell in cells)
