"""One judge for each family of types: reads a column's values, says which type gives them back."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import date
from functools import cache, partial

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import plain, whole_columns
from dropload.column_types.family import TEXT, Decision, Family
from dropload.column_types.forms import NUMBER
from dropload.column_types.notations import (
    CODE,
    FULL_FORMS,
    MARK_COMMA,
    MARK_POINT,
    Hints,
    Marks,
    Notation,
    describe_hint,
    explain_doubt,
    explain_pointed,
    notations_of,
    preferred,
    settling_key,
)
from dropload.column_types.numbers import NumberFamily
from dropload.column_types.values import Values
from dropload.model import ColumnType, Kind

_TO_SECONDS = len("2024-12-31 23:59:59")


class DateFamily:
    """Days, written `YYYY-MM-DD`."""

    misfit = "is no day of the calendar"

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        if values.short is not None:
            return values.all_match(plain.DATE) and all(map(_is_day, set(values.short)))
        try:
            # Arrow takes no other form for a day: no need to look for it before (see its test).
            days = values.texts.cast(pa.date32()).cast(pa.int32())
        except pa.ArrowInvalid:
            return False
        return bool(whole_columns.bounds(days)[0] >= plain.FIRST_DAY)

    def decide(self) -> Decision:
        """See `Family.decide`."""
        return Decision(ColumnType(Kind.DATE))


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


class _OneSpelling:
    """Points in time, all with one separator, one number of decimals and one way to say UTC."""

    misfit = "is no day and time of the calendar"

    _pattern = plain.TIMESTAMP
    _arrow_type: pa.DataType = pa.timestamp("us")
    _what = "date and time are"

    def __init__(self) -> None:
        self._first = ""
        self._first_shown = ""
        self._other = ""
        """The first value that is written in another way than the first of all."""

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        if not self._have_form(values):
            return False
        try:
            converted = values.texts.cast(self._arrow_type)
        except pa.ArrowInvalid:
            return False
        if not self._is_in_range(converted):
            return False
        self._observe_spelling(values)
        return True

    def decide(self) -> Decision:
        """See `Family.decide`."""
        if self._other:
            return Decision(
                TEXT,
                f"{self._what} written in two ways ({self._first_shown}, {self._other}): kept "
                "as text so that they stay as written",
            )
        return Decision(self._type_of(self._first))

    def _have_form(self, values: Values) -> bool:
        return values.all_match(self._pattern)

    def _is_in_range(self, converted: pa.Array) -> bool:
        first, last = whole_columns.bounds(converted.cast(pa.date32()).cast(pa.int32()))
        return bool(first >= plain.FIRST_DAY and last <= plain.LAST_DAY)

    def _type_of(self, first: str) -> ColumnType:
        spelling = "T" if first[10] == "T" else ""
        return ColumnType(Kind.TIMESTAMP, precision=max(0, len(first) - 20), spelling=spelling)

    def _observe_spelling(self, values: Values) -> None:
        if not self._first:
            self._first = values.texts[0].as_py()
            self._first_shown = values.show(0)
        if self._other:
            return
        same = whole_columns.all_spelled_as(values.texts, self._first)
        index = whole_columns.first_true(pc.invert(same))
        self._other = values.show(index) if index >= 0 else ""


class TimestampFamily(_OneSpelling):
    """Points in time without a zone."""

    def _have_form(self, values: Values) -> bool:
        # Arrow takes no other text of this length for a day and a time (see its test).
        if values.short is None and whole_columns.common_size_bytes(values.texts) == _TO_SECONDS:
            return True
        return super()._have_form(values)


class TimestampOffsetFamily(_OneSpelling):
    """Points in time with their offset from UTC, which may differ from value to value."""

    _pattern = plain.TIMESTAMP_OFFSET
    _arrow_type = pa.timestamp("us", "UTC")

    def _type_of(self, first: str) -> ColumnType:
        zone = "Z" if first.endswith("Z") else ""
        digits = max(0, len(first) - len(zone or "+00:00") - 20)
        spelling = f"{'T' if first[10] == 'T' else ''}{zone}"
        return ColumnType(Kind.TIMESTAMP_OFFSET, precision=digits, spelling=spelling)


class TimeFamily(_OneSpelling):
    """Times of day."""

    misfit = "is no time of day"

    _pattern = plain.TIME
    _arrow_type = pa.string()
    _what = "times are"

    def _is_in_range(self, converted: pa.Array) -> bool:  # noqa: ARG002 - no more in a day
        return True

    def _type_of(self, first: str) -> ColumnType:
        return ColumnType(Kind.TIME, precision=max(0, len(first) - 9))


class AnyNotation:
    """A family whose values are written as a database prints them, or all in another notation."""

    def __init__(self, family: Family, group: str, hints: Hints) -> None:
        self.misfit = family.misfit
        self._plain = family
        self._group = group
        self._hints = hints
        self._has_seen = False
        self._found: dict[Notation, Family] = {}
        """Notations in which all values can be written, with what they come to."""
        self._first_shown = ""
        self._against_hint = ""
        """The first value that cannot be read as the configuration says."""
        self._readings_agree = True
        self._is_code = group == NUMBER

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        if not self._found:
            if not self._is_for_the_hint(values) and self._plain.observe(values):
                self._has_seen = True
                return True
            starts = [n for n in notations_of(self._group) if self._may_begin(n)]
            self._found = {notation: copy(self._plain) for notation in starts}
            self._first_shown = values.show(0)
        wanted = preferred(list(self._found), self._hints)
        read = {n: values.rewritten(n) for n in self._found if values.all_match(n.pattern)}
        self._found = {n: self._found[n] for n in read if self._found[n].observe(read[n])}
        self._compare_with_hints(values, wanted)
        readings = [read[notation].texts for notation in self._found]
        self._readings_agree &= all(texts.equals(readings[0]) for texts in readings)
        self._is_code &= not self._has_seen and values.all_match(CODE)
        return bool(self._found)

    @property
    def marks(self) -> Marks:
        """Return what the values say of the file's numbers."""
        senses = {notation.sense for notation in self._found}
        first, family = next(iter(self._found.items()), (None, None))
        if first is None or not isinstance(family, NumberFamily) or not family.has_point:
            return Marks()
        mark = "," if first.sense == MARK_COMMA else "."
        # Points and commas in one column leave but one of the notations.
        settles = first.example in FULL_FORMS and len(self._found) == 1
        return Marks(senses == {MARK_COMMA}, mark if settles else "")

    def decide(self, marks: Marks = Marks()) -> Decision:  # noqa: B008 - it cannot be changed
        """See `Family.decide`; `marks` are those of the whole file."""
        if not self._found:
            return self._decide_pointed(marks) or self._decide_plain()
        if self._is_code:
            note = f"{self._first_shown} can be a code as well as a number: kept as text"
            return Decision(TEXT, note)
        possible = preferred(list(self._found), self._hints)
        if not self._mean_the_same(possible) and marks.settled:
            possible = preferred(possible, Hints(marks.settled))
        sense = next(iter(self._found)).sense
        if not possible:
            note = f"{self._against_hint} contradicts {describe_hint(self._hints, sense)}"
            return Decision(TEXT, f"{note}: kept as text", settling_key(sense))
        if not self._mean_the_same(possible):
            note = f"{self._first_shown} {explain_doubt(sense)}"
            return Decision(TEXT, note, settling_key(sense))
        notation = possible[0]
        decided = self._found[notation].decide()
        if decided.type.kind is Kind.TEXT:
            return decided
        type_ = replace(decided.type, notation=notation.example)
        return Decision(type_, f"written as {notation.example}")

    def _decide_plain(self) -> Decision:
        """Return what the values are as a database prints them, and whether points are in doubt."""
        found, family = self._plain.decide(), self._plain
        if not isinstance(family, NumberFamily) or self._hints.decimal_mark:
            return found
        return replace(found, pointed=family.pointed)

    def _decide_pointed(self, marks: Marks) -> Decision | None:
        """Return what `1.234` is in a file with decimal commas; None where that is no question."""
        family = self._plain
        if not isinstance(family, NumberFamily) or not family.pointed or self._hints.decimal_mark:
            return None
        if marks.settled == ",":
            found = family.without_groups()
            if found.type.kind is Kind.TEXT:
                return found
            type_ = replace(found.type, notation=FULL_FORMS[0])
            return Decision(type_, f"written as {FULL_FORMS[0]}, as in other columns")
        if marks.has_comma:
            note = f"{family.pointed} {explain_pointed()}"
            return Decision(TEXT, note, settling_key(MARK_POINT))
        return None

    def _mean_the_same(self, notations: list[Notation]) -> bool:
        """Return whether it makes no difference which of the notations the values are read in."""
        return self._readings_agree or len({notation.sense for notation in notations}) == 1

    def _compare_with_hints(self, values: Values, wanted: list[Notation]) -> None:
        """Remember the value with which the last notation that the hints allow falls away."""
        if not self._found or not wanted or preferred(list(self._found), self._hints):
            return
        family = type(self._plain)
        index = max(first_misfit(partial(_reads, notation, family), values) for notation in wanted)
        self._against_hint = values.show(index)

    def _is_for_the_hint(self, values: Values) -> bool:
        """Return whether the configuration may read `1.234` otherwise than a database."""
        if self._hints.decimal_mark != "," or self._group != NUMBER:
            return False
        return bool(pc.any(pc.match_substring(values.texts, ".")).as_py())

    def _may_begin(self, notation: Notation) -> bool:
        """Return whether the values so far, as a database prints them, are of that notation."""
        if not self._has_seen:
            return True
        if not isinstance(self._plain, NumberFamily):
            return False
        return not self._plain.has_point or notation.sense == MARK_POINT


class UuidFamily:
    """UUIDs in lower case; another casing would not come back as written."""

    misfit = "is no UUID"

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        return values.all_match(plain.UUID)

    def decide(self) -> Decision:
        """See `Family.decide`."""
        return Decision(ColumnType(Kind.UUID))


@cache
def _truth_words() -> pa.Array:
    # Made when it is needed: Arrow imports pandas with its first array, where that is installed.
    return pa.array(["true", "false"])


class BooleanFamily:
    """`true` and `false` in lower case; another casing would not come back as written."""

    misfit = "is neither true nor false"

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        return bool(pc.all(pc.is_in(values.texts, _truth_words())).as_py())

    def decide(self) -> Decision:
        """See `Family.decide`."""
        return Decision(ColumnType(Kind.BOOLEAN))


def first_misfit(accepts: Callable[[Values], bool], values: Values) -> int:
    """Return the position of the first value that does not go with those before it.

    By halves, not by values. The first of all where it is the values of earlier batches that they
    do not go with.
    """
    start, stop = 0, len(values)
    if accepts(values.part(0, stop)):
        return 0
    while stop - start > 1:
        middle = (start + stop) // 2
        if accepts(values.part(0, middle)):
            start = middle
        else:
            stop = middle
    return start


def _reads(notation: Notation, make: Callable[[], Family], values: Values) -> bool:
    return values.all_match(notation.pattern) and make().observe(values.rewritten(notation))
