"""One judge for each family of types: reads a column's values, says which type gives them back."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import plain
from dropload.column_types.forms import NUMBER
from dropload.column_types.notations import (
    CODE,
    FULL_FORMS,
    MARK_COMMA,
    MARK_POINT,
    POINTED,
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
from dropload.model import ColumnType, Kind

MAX_DECIMAL_DIGITS = 38
"""What the targets and Arrow's decimal128 can hold."""

_SURE_WHOLE_CHARS = 15
"""So many characters of a whole number fit into everything."""


class Values:
    """A stretch of a column: the texts that are not null, and the records that they stand in."""

    def __init__(self, column: pa.Array, source_rows: pa.Array | None, first_row: int) -> None:
        self.texts = column.drop_null() if column.null_count else column
        self._written = self.texts
        self._column = column
        self._source_rows = source_rows
        self._first_row = first_row

    def row(self, index: int) -> int:
        """Return the record number of the value at `index` of `texts`."""
        if self._column.null_count:
            index = pc.indices_nonzero(self._column.is_valid())[index].as_py()
        if self._source_rows is not None:
            return int(self._source_rows[index].as_py())
        return self._first_row + index

    def show(self, index: int) -> str:
        """Return the value and where it stands, for people."""
        return f"{quote(self._written[index].as_py())} in record {self.row(index):,}"

    def rewritten(self, notation: Notation) -> "Values":
        """Return the values as a database prints them; they are still shown as written."""
        other = copy(self)
        other.texts = notation.rewrite(self.texts)
        return other


@dataclass(frozen=True, slots=True)
class Decision:
    """The type of a column, and why it is not the one that a person may expect."""

    type: ColumnType
    note: str = ""
    """Empty when there is nothing to say."""
    doubt: str = ""
    """The key of the configuration that would settle the type; empty when there is no doubt."""
    nearly: tuple[Kind, ...] = ()
    """Of a text: the kinds of column that nearly all values look made for."""


TEXT = ColumnType(Kind.TEXT)


class Family(Protocol):
    """Judges whether a whole column is of one family, batch by batch."""

    misfit: str
    """What a value is not that looks as if it were of the family."""

    def observe(self, values: Values) -> bool:
        """Take values in; return False when one of them is not of the family at all."""
        ...

    def decide(self) -> Decision:
        """Return the type that gives back all that was observed, or text and the reason."""
        ...


@dataclass(slots=True)
class NumberFamily:
    """Integers, decimals of one scale, and floats where scales are mixed."""

    misfit = "is not a number as a database would print it"

    has_whole: bool = False
    has_point: bool = False
    min_scale: int = 0
    max_scale: int = 0
    whole_digits: int = 0
    beyond_64_bits: str = ""
    """Each of these: the first value of the sort and where it stands; empty when there is none."""
    inexact: str = ""
    padded: str = ""
    bare_whole: str = ""
    dot_zero: str = ""
    pointed: str = ""
    """The first value with a point, while each of them can separate thousands: `1.234`."""

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        texts = values.texts
        if not plain.all_match(texts, plain.NUMBER):
            return False
        points = pc.find_substring(texts, ".")
        least, most = plain.bounds(points)
        if least < 0:
            self._observe_whole(values, pc.less(points, 0))
        if most >= 0:
            self._observe_decimals(values, points)
        return True

    def without_groups(self) -> Decision:
        """Return what the numbers come to when their points separate thousands."""
        return replace(self, has_point=False).decide()

    def decide(self) -> Decision:
        """See `Family.decide`."""
        if not self.has_point:
            return self._integer()
        if not self.has_whole and self.min_scale == self.max_scale:
            return self._decimal()
        return self._float()

    def _observe_whole(self, values: Values, is_whole: pa.Array) -> None:
        if not self.has_whole:
            self.bare_whole = values.show(plain.first_true(is_whole))
        self.has_whole = True
        if self.beyond_64_bits:
            return
        long = pc.and_(is_whole, pc.greater(pc.binary_length(values.texts), _SURE_WHOLE_CHARS))
        if not pc.any(long).as_py():
            return
        try:
            least, most = plain.bounds(values.texts.filter(long).cast(pa.int64()))
        except pa.ArrowInvalid:
            self.beyond_64_bits = _show_first_beyond(values, long, 2**63 - 1)
            most, least = 2**63, 0
        if not self.inexact and max(-least, most) > plain.MAX_WHOLE_FLOAT:
            self.inexact = _show_first_beyond(values, long, plain.MAX_WHOLE_FLOAT)

    def _observe_decimals(self, values: Values, points: pa.Array) -> None:
        texts = values.texts
        has_point = pc.greater_equal(points, 0)
        scales = pc.subtract(pc.subtract(pc.binary_length(texts), points), 1)
        least, most = plain.bounds(pc.if_else(has_point, scales, None))
        self._observe_pointed(values, has_point, (least, most))
        self.min_scale = min(self.min_scale, least) if self.has_point else least
        self.max_scale = max(self.max_scale, most)
        self.has_point = True
        signs = pc.cast(pc.starts_with(texts, "-"), pa.int32())
        self.whole_digits = max(self.whole_digits, plain.bounds(pc.subtract(points, signs))[1])
        self._observe_zeros(values, has_point, scales)
        if not self.inexact:
            index = plain.first_inexact(pc.if_else(has_point, texts, None))
            self.inexact = values.show(index) if index is not None else ""

    def _observe_pointed(
        self, values: Values, has_point: pa.Array, scales: tuple[int, int]
    ) -> None:
        if self.has_point and not self.pointed:
            return
        if scales != (3, 3) or not plain.all_match(values.texts.filter(has_point), POINTED):
            self.pointed = ""
        elif not self.has_point:
            self.pointed = values.show(plain.first_true(has_point))

    def _observe_zeros(self, values: Values, has_point: pa.Array, scales: pa.Array) -> None:
        if self.padded and self.dot_zero:
            return
        ends = pc.and_(has_point, pc.ends_with(values.texts, "0"))
        if not pc.any(ends).as_py():
            return
        one = pc.equal(scales, 1)
        dot_zero = plain.first_true(pc.and_(ends, one))
        padded = plain.first_true(pc.and_(ends, pc.invert(one)))
        if dot_zero >= 0 and not self.dot_zero:
            self.dot_zero = values.show(dot_zero)
        if padded >= 0 and not self.padded:
            self.padded = values.show(padded)

    def _integer(self) -> Decision:
        if self.beyond_64_bits:
            return Decision(
                TEXT,
                f"{self.beyond_64_bits} has more digits than an integer column holds: kept as text "
                "so that none is lost",
            )
        return Decision(ColumnType(Kind.INTEGER))

    def _decimal(self) -> Decision:
        digits = self.whole_digits + self.max_scale
        if digits > MAX_DECIMAL_DIGITS:
            return Decision(
                TEXT,
                f"the numbers need {digits} digits, more than a decimal column holds: kept as text "
                "so that none is lost",
            )
        return Decision(ColumnType(Kind.DECIMAL, precision=digits, scale=self.max_scale))

    def _float(self) -> Decision:
        if self.padded:
            return Decision(
                TEXT,
                "the numbers have different counts of decimals and some end in zeros "
                f"({self.padded}): kept as text so that they stay as written",
            )
        if self.has_whole and self.dot_zero:
            return Decision(
                TEXT,
                f"whole numbers are written in two ways ({self.bare_whole}, {self.dot_zero}): "
                "kept as text so that they stay as written",
            )
        if self.inexact:
            return Decision(
                TEXT,
                f"{self.inexact} has more digits than a floating-point column keeps: kept as text "
                "so that none is lost",
            )
        return Decision(ColumnType(Kind.FLOAT, spelling=".0" if self.dot_zero else ""))


class DateFamily:
    """Days, written `YYYY-MM-DD`."""

    misfit = "is no day of the calendar"

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        if not plain.all_match(values.texts, plain.DATE):
            return False
        try:
            days = values.texts.cast(pa.date32()).cast(pa.int32())
        except pa.ArrowInvalid:
            return False
        return bool(plain.bounds(days)[0] >= plain.FIRST_DAY)

    def decide(self) -> Decision:
        """See `Family.decide`."""
        return Decision(ColumnType(Kind.DATE))


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
        if not plain.all_match(values.texts, self._pattern):
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

    def _is_in_range(self, converted: pa.Array) -> bool:
        first, last = plain.bounds(converted.cast(pa.date32()).cast(pa.int32()))
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
        same = plain.all_spelled_as(values.texts, self._first)
        index = plain.first_true(pc.invert(same))
        self._other = values.show(index) if index >= 0 else ""


class TimestampFamily(_OneSpelling):
    """Points in time without a zone."""


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
        read = {n: values.rewritten(n) for n in self._found if n.matches(values.texts)}
        self._found = {n: self._found[n] for n in read if self._found[n].observe(read[n])}
        self._compare_with_hints(values, wanted)
        readings = [read[notation].texts for notation in self._found]
        self._readings_agree &= all(texts.equals(readings[0]) for texts in readings)
        self._is_code &= not self._has_seen and plain.all_match(values.texts, CODE)
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
            return self._decide_pointed(marks) or self._plain.decide()
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
        index = max(
            first_misfit(partial(_reads, notation, family), values.texts) for notation in wanted
        )
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
        return plain.all_match(values.texts, plain.UUID)

    def decide(self) -> Decision:
        """See `Family.decide`."""
        return Decision(ColumnType(Kind.UUID))


class BooleanFamily:
    """`true` and `false` in lower case; another casing would not come back as written."""

    misfit = "is neither true nor false"

    _WORDS = pa.array(["true", "false"])

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        return bool(pc.all(pc.is_in(values.texts, self._WORDS)).as_py())

    def decide(self) -> Decision:
        """See `Family.decide`."""
        return Decision(ColumnType(Kind.BOOLEAN))


def first_misfit(accepts: Callable[[pa.Array], bool], texts: pa.Array) -> int:
    """Return the position of the first value that does not go with those before it.

    By halves, not by values. The first of all where it is the values of earlier batches that they
    do not go with.
    """
    start, stop = 0, len(texts)
    if accepts(texts):
        return 0
    while stop - start > 1:
        middle = (start + stop) // 2
        if accepts(texts.slice(0, middle)):
            start = middle
        else:
            stop = middle
    return start


def _reads(notation: Notation, make: Callable[[], Family], texts: pa.Array) -> bool:
    return notation.matches(texts) and make().observe(Values(notation.rewrite(texts), None, 1))


def quote(text: str) -> str:
    """Return a value as it is shown in notes: in quotes, shortened."""
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return f"'{shown}'"


def _show_first_beyond(values: Values, candidates: pa.Array, limit: int) -> str:
    for index in pc.indices_nonzero(candidates).to_pylist():
        number = int(values.texts[index].as_py())
        if number > limit or number < -limit - 1:
            return values.show(index)
    return ""
