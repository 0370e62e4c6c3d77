"""Judge whether the first row of a table names its columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, sqrt

from dropload.detection.cells import (
    TYPED,
    TYPED_SHARE,
    CellKind,
    classify_cell,
    classify_column,
    count_filled,
)
from dropload.detection.fit import pick_evenly
from dropload.detection.header_words import HEADER_WORDS
from dropload.detection.series import YEAR, counts_up

# More rows than these do not change a verdict; more columns only cost time.
_JUDGED_ROWS = 250
_JUDGED_COLUMNS = 120
# Three of four delimited files have a header; points are natural logarithms of odds.
_PRIOR = 0.8
# Values that are looked at for words of headings.
_NAMED_VALUES = 20
# Most headers hold at least one word that is known to name columns.
_NO_KNOWN_WORD = -0.7
# In a row of so many cells, all are filled in a header; below it hardly any need be.
_WIDE = 8
_NEARLY_EMPTY = 0.25
_FULL_ABOVE_EMPTY = 3.0
# Names of columns are short.
_LONG_NAME = 60

_NAME_STYLE = re.compile(
    r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[a-z]+[A-Z]\w*"
)
_WORDS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-zß-ÿ])(?=[A-Z])|_")
_DIGITS = re.compile(r"[0-9]+")
_CAPITALS = re.compile(r"[^\W\d_a-zß-öø-ÿ]+")
_SMALL_LETTERS = re.compile(r"[^\W\dA-ZÀ-ÖØ-Þ_]+")
_DATED = re.compile(r"\d{4}-\d\d-\d\d\b|\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\d\d:\d\d\b")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether there is a header, how sure that is and why."""

    header: bool
    confidence: float
    evidence: str


def judge_header(rows: Sequence[Sequence[str]]) -> Verdict:
    """Return whether the first row names the columns below it."""
    first, body = rows[0], rows[1:]
    if not any(cell.strip() for cell in first):
        return Verdict(False, 0.6, "the first row is empty: not taken for a header")
    if not body:
        return _judge_alone(first)
    sample = pick_evenly(body, _JUDGED_ROWS)
    # A cell above no column tells nothing of what is below it.
    width = min(len(first), max(map(len, sample)))
    places = pick_evenly(range(width), _JUDGED_COLUMNS)
    columns = [[row[place] for row in sample if place < len(row)] for place in places]
    names = [first[place] for place in places]
    return _weigh(names, columns)


def _judge_alone(first: Sequence[str]) -> Verdict:
    """Return the verdict for a table of a single row."""
    # Single letters name columns as well: "t" and "f" need not be truth values.
    if any(classify_cell(cell) in TYPED - {CellKind.BOOLEAN} for cell in first):
        return Verdict(False, 0.7, "the only row holds values, not names: no header")
    words = _score_row(list(first)) + sum(_score_name(cell) for cell in first)
    sure = 0.5 + min(0.3, max(words, 0) / 10)
    return Verdict(True, sure, "the only row holds no numbers: taken for a header without data")


def _judge_above_nothing(names: list[str]) -> Verdict:
    """Return the verdict where every row below is empty."""
    header = not any(classify_cell(name) in TYPED for name in names)
    verdict = "taken for the header" if header else "no header"
    return Verdict(header, 0.7, f"only the first row holds anything: {verdict}")


def _weigh(names: list[str], columns: list[list[str]]) -> Verdict:
    """Return the verdict from what each column and the row as a whole say."""
    if not any(cell.strip() for cells in columns for cell in cells):
        return _judge_above_nothing(names)
    if counts_up(names, columns):
        return Verdict(
            True, 0.9, "the first row counts up years, dates or numbers: taken for the header"
        )
    typed, texts = _score_columns(names, columns)
    points = _PRIOR + _score_row(names) + _damp(typed) + _damp(texts)
    points += _score_fullness(names, columns)
    if not typed and not any(_score_name(name) > 0 for name in names):
        points += _NO_KNOWN_WORD
    header = points > 0
    sure = 1 / (1 + exp(-abs(points)))
    return Verdict(header, sure, _explain(header, typed, names))


def _damp(points: list[float]) -> float:
    """Return the sum of the points, grown with the root of their number: columns are alike."""
    return sum(points) / sqrt(len(points)) if points else 0.0


def _score_columns(names: list[str], columns: list[list[str]]) -> tuple[list[float], list[float]]:
    """Return the points from columns of numbers, dates, ... and from columns of text."""
    typed: list[float] = []
    texts: list[float] = []
    for place, (name, cells) in enumerate(zip(names, columns, strict=True)):
        kind, share = classify_column(cells)
        trust = len(cells) / (len(cells) + 0.6)
        if kind is CellKind.EMPTY:
            texts.append(0.3 if name.strip() else 0.0)
        elif kind in TYPED and share >= TYPED_SHARE:
            typed.append(trust * _score_typed(name, kind, cells, place))
        else:
            filled = count_filled(cells)
            texts.append(filled / (filled + 0.6) * _score_text(name, cells))
    return typed, texts


def _explain(header: bool, typed: list[float], names: list[str]) -> str:
    """Return the sentence that says why."""
    if header and any(points > 1 for points in typed):
        return "first row holds no numbers where the columns below do: taken for the header"
    if not header and any(points < -1 for points in typed):
        return "first row holds values like the rows below: no header"
    outcome = "its form looks like names" if header else "it looks like the rows below"
    verdict = "taken for the header" if header else "no header"
    known = [name for name in names if _score_name(name) >= 1][:3]
    words = f" ({', '.join(known)})" if known and header else ""
    scope = "" if typed else "all columns are text; "
    return f"{scope}first row: {outcome}{words}: {verdict}"


# --- the row as a whole -----------------------------------------------------------------------


def _score_row(names: list[str]) -> float:
    """Return the points of the first row by itself: names are there, differ and are short."""
    filled = [name.strip() for name in names if name.strip()]
    points = -2.0 * (len(names) - len(filled)) / len(names)
    folded = [name.casefold() for name in filled]
    repeated = len(folded) - len(set(folded))
    points += -1.5 * min(1.0, 2 * repeated / len(folded)) if repeated else 0.25
    long = sum(len(name) > _LONG_NAME for name in filled)
    return points - 1.5 * long / len(filled)


def _score_fullness(names: list[str], columns: list[list[str]]) -> float:
    """Return the points of a full first row above rows that are nearly empty, as in check-lists."""
    cells = sum(map(len, columns))
    sparse = len(names) >= _WIDE and count_filled(names) == len(names)
    filled = sum(map(count_filled, columns)) / max(cells, 1)
    return _FULL_ABOVE_EMPTY if sparse and filled <= _NEARLY_EMPTY else 0.0


# --- columns of numbers, dates, addresses -----------------------------------------------------


def _score_typed(name: str, kind: CellKind, cells: list[str], place: int) -> float:
    """Return the points of a first cell above a column of one type."""
    own = classify_cell(name)
    if own is CellKind.EMPTY:
        # An unnamed row number in front is common; elsewhere an empty cell is a missing value.
        return 0.5 if place == 0 else -0.4
    if own is CellKind.MISSING:
        return -0.8
    if own is kind:
        return _score_same_kind(name, cells)
    if own in TYPED:
        return -1.0
    return 3.0 if own is not CellKind.TEXT or len(name) <= _LONG_NAME else 1.5


def _score_same_kind(name: str, cells: list[str]) -> float:
    """Return the points of a first cell of the column's own type: years head columns, too."""
    value = name.strip()
    if YEAR.fullmatch(value) and not any(YEAR.fullmatch(cell.strip()) for cell in cells[:50]):
        return -0.5
    if classify_cell(name) is CellKind.BOOLEAN and len(value) == 1:
        return -0.5
    return -6.0


# --- columns of text --------------------------------------------------------------------------


def _score_text(name: str, cells: list[str]) -> float:
    """Return the points of a first cell above a column of text."""
    value = name.strip()
    values = [cell.strip() for cell in cells if cell.strip()]
    if not value or not values:
        return -0.6 if values else 0.0
    if classify_cell(name) in TYPED and classify_cell(name) is not CellKind.BOOLEAN:
        return -2.0
    if _DATED.match(value):
        return -2.0
    points = _score_repeats(value, values) + _score_length(value, values)
    points += _score_shape(value, values) + _score_traits(value, values)
    # Words of headings count as far as the values below do not hold such words as well.
    points += _score_name(value) - _mean([*map(_score_name, pick_evenly(values, _NAMED_VALUES))])
    return max(-3.0, min(3.0, points))


def _mean(numbers: Sequence[float]) -> float:
    # That of `statistics` reckons with fractions, which takes a tenth of a small file's detection.
    return sum(numbers) / len(numbers)


def _score_repeats(value: str, values: list[str]) -> float:
    """Return the points for the first cell's value coming again, or not, where values do."""
    again = values.count(value)
    if again:
        return -2.5 if again > 1 or len(values) > 5 else -1.5
    variety = len(set(values)) / len(values)
    if len(values) >= 5 and variety < 0.5:
        return 1.6 - 1.6 * variety
    return 0.0


def _score_length(value: str, values: list[str]) -> float:
    """Return the points for a length unlike, or like, the lengths below."""
    lengths = [len(item) for item in values]
    if len(lengths) < 3:
        return 0.0
    middle = _mean(lengths)
    spread = sqrt(_mean([(length - middle) ** 2 for length in lengths]))
    if spread == 0:
        return 1.4 if len(value) != middle else -0.9
    far = abs(len(value) - middle) / max(spread, 0.08 * middle)
    return 0.5 if far > 2 else 0.15 if far > 1.2 else -0.2


def _score_shape(value: str, values: list[str]) -> float:
    """Return the points for a shape (capitals, digits, marks) that the values share or not."""
    shapes = [_shape(item) for item in values]
    usual = max(set(shapes), key=shapes.count)
    share = shapes.count(usual) / len(shapes)
    if share < 0.75 or len(values) < 2:
        return 0.0
    # Capitalised names and capitalised headings are alike: that says little.
    plain = usual in ("Aa", "a", "Aa Aa")
    if _shape(value) == usual:
        return -0.3 if plain else -1.0
    return share * (0.7 if plain else 1.2)


def _shape(value: str) -> str:
    """Return the value with runs of capitals, small letters and digits as A, a and 9."""
    shape = _DIGITS.sub("9", value[:80])
    shape = _CAPITALS.sub("A", shape)
    return _SMALL_LETTERS.sub("a", shape)


def _score_traits(value: str, values: list[str]) -> float:
    """Return the points for digits, capitals and blanks: traits that most values have or lack."""
    points = 0.0
    for has_trait, present, absent, shared in _TRAITS:
        share = sum(map(has_trait, values)) / len(values)
        if share >= 0.8:
            points += shared if has_trait(value) else absent
        elif share <= 0.05 and has_trait(value):
            points += present
    return points


def _has_digit(value: str) -> bool:
    if value.isascii():
        return _DIGITS.search(value) is not None
    return any(char.isdigit() for char in value)


def _starts_upper(value: str) -> bool:
    return value[:1].isupper()


def _has_blank(value: str) -> bool:
    return " " in value


def _starts_with_mark(value: str) -> bool:
    return value[:1] in _LEADING_MARKS


def _has_sentence_mark(value: str) -> bool:
    return value[-1:] in ".!?" or "," in value


# What paths, handles, options and addresses begin with.
_LEADING_MARKS = tuple("/\\@#$&+-<[{(~.*:")
# Trait, and the points when only the first cell has it, only the first cell lacks it, all have it.
_TRAITS = (
    (_has_digit, -0.5, 0.9, -0.5),
    (_starts_upper, 0.3, 0.7, 0.0),
    (_has_blank, 0.0, 0.4, -0.1),
    (_has_sentence_mark, -0.5, 0.5, -0.2),
    (_starts_with_mark, -0.3, 0.9, -0.8),
)


@lru_cache(maxsize=1024)
def _score_name(value: str) -> float:
    """Return the points for looking like a column name whatever stands below."""
    name = value.strip()
    if name[:1] in ("/", "\\", "@", "<") or name.count("/") > 1:
        return -0.6
    if _NAME_STYLE.fullmatch(name):
        return 1.0
    words = [word.casefold() for part in _CAMEL.split(name) for word in _WORDS.findall(part)]
    known = sum(word in HEADER_WORDS and (len(word) > 1 or len(name) == 1) for word in words)
    if known:
        return 1.5 if known == len(words) else 0.8
    return -0.6 if len(name) > _LONG_NAME or name[-1:] in (".", "!") else 0.0
