"""Decide the type of one column on all of its values, and say why when it is not the obvious."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import pyarrow as pa

from dropload.column_types import forms
from dropload.column_types.families import (
    AnyNotation,
    BooleanFamily,
    DateFamily,
    TimeFamily,
    TimestampFamily,
    TimestampOffsetFamily,
    UuidFamily,
    first_misfit,
)
from dropload.column_types.family import TEXT, Decision, Family
from dropload.column_types.notations import COMMA, Hints, Marks
from dropload.column_types.numbers import NumberFamily
from dropload.column_types.values import Values
from dropload.model import Kind

_SAMPLE = 200
"""Values of the first batch that show what a person would take the column for."""
_FEW = 0.1
"""Up to this share of other values, or one, they are slips in a column of numbers or dates."""

_FAMILIES: dict[str, Callable[[], Family]] = {
    forms.NUMBER: NumberFamily,
    forms.DATE: DateFamily,
    forms.TIMESTAMP: TimestampFamily,
    forms.TIMESTAMP_OFFSET: TimestampOffsetFamily,
    forms.TIME: TimeFamily,
    forms.UUID: UuidFamily,
    forms.BOOLEAN: BooleanFamily,
}

_KINDS: dict[str, tuple[Kind, ...]] = {
    forms.NUMBER: (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT),
    forms.DATE: (Kind.DATE, Kind.TIMESTAMP),
    forms.TIMESTAMP: (Kind.TIMESTAMP, Kind.DATE),
    forms.TIMESTAMP_OFFSET: (Kind.TIMESTAMP_OFFSET,),
    forms.TIME: (Kind.TIME,),
    forms.UUID: (Kind.UUID,),
    forms.BOOLEAN: (Kind.BOOLEAN,),
}


class ColumnTypeDetector:
    """Sees every value of a column once, batch by batch; keeps numbers only, never values.

    The first values say which family of types is possible at all. The column is of that family as
    long as every value is; afterwards it is text, and only lengths and nulls are still looked at.
    """

    def __init__(self, hints: Hints = Hints()) -> None:  # noqa: B008 - it cannot be changed
        self._hints = hints
        self.nulls = 0
        self.max_length = 0
        """Characters of the longest value as written."""
        self.max_units = 0
        """Units of UTF-16 of the longest value."""
        self._rows = 0
        self._group: str | None = None
        self._family: AnyNotation | None = None
        self._shows_comma = False
        """Whether the first values have decimal commas, whatever comes later."""
        self._misfits: _Misfits | None = None

    def observe(
        self,
        column: pa.Array,
        source_rows: pa.Array | None = None,
        short: list[str] | None = None,
    ) -> None:
        """Take in the next values, a `pa.string()` array.

        `source_rows` are the record numbers that notes name; without them values are counted.
        `short` are the texts of a column of few values, without nulls: see `texts_of_columns`.
        """
        values = Values(column, source_rows, self._rows + 1, short)
        self._rows += len(column)
        self.nulls += column.null_count
        if len(values) == 0:
            return
        characters, units = values.longest(self.max_length)
        self.max_length = max(self.max_length, characters)
        self.max_units = max(self.max_units, units)
        if self._group is None:
            self._expect(values)
        if self._family is not None:
            self._judge(values)
        elif self._misfits is not None:
            self._misfits.watch(values, self._rows - self.nulls)

    @property
    def is_text(self) -> bool:
        """Return whether the values so far are of no other type; True before the first value."""
        return self._family is None

    @property
    def marks(self) -> Marks:
        """Return what the values say of how the file writes numbers."""
        found = self._family.marks if self._family is not None else Marks()
        return replace(found, has_comma=found.has_comma or self._shows_comma)

    def decide(self, marks: Marks = Marks()) -> Decision:  # noqa: B008 - it cannot be changed
        """Return the column's type and why it is not the one that a person may expect.

        `marks` are those of all columns of the file.
        """
        found = self._family.decide(marks) if self._family is not None else self._explain()
        if found.type.kind is not Kind.TEXT:
            return found
        nearly = found.nearly if self._family is None else _KINDS[self._group or ""]
        return replace(found, type=replace(TEXT, max_length=self.max_units), nearly=nearly)

    def _explain(self) -> Decision:
        """Return why the column is text."""
        if self._misfits is not None:
            return self._misfits.decide(self._rows - self.nulls)
        is_empty = self._group is None and self._rows
        return Decision(TEXT, "no record has a value here" if is_empty else "")

    def _expect(self, values: Values) -> None:
        sample = values.head(_SAMPLE)
        self._group = forms.majority_group(sample)
        if self._group == forms.NUMBER:
            self._shows_comma = any(re.fullmatch(COMMA, t) for t in sample if "," in t)
        if self._group:
            self._family = self._make_family()

    def _make_family(self) -> AnyNotation:
        group = self._group or ""
        return AnyNotation(_FAMILIES[group](), group, self._hints)

    def _judge(self, values: Values) -> None:
        family = self._family
        if family is None or (not values.has_empty and family.observe(values)):
            return
        self._family = None
        index = first_misfit(partial(_accepts, self._make_family), values)
        self._misfits = self._describe(values, index)
        self._misfits.watch(values, self._rows - self.nulls)

    def _describe(self, values: Values, index: int) -> "_Misfits":
        """Return what is wrong with the first misfit."""
        text = values.text(index)
        shown = values.show(index)
        group = self._group or ""
        form = forms.form_of(text)
        if not text:
            reason = (
                f"looks like {group}, but record {values.row(index):,} holds an empty text "
                '(""), which only a text column keeps'
            )
            return _Misfits(group, shown, reason, "")
        if form is None or form.group != group:
            return _Misfits(group, shown)
        if _accepts(self._make_family, values.part(index, 1)):
            reason = f"{shown} is written in another way than the values before it: kept as text"
            return _Misfits(group, shown, reason)
        reason = forms.explain_form(text) or f"it {_FAMILIES[group]().misfit}"
        is_number = group == forms.NUMBER
        pattern = form.pattern if form.reason and is_number else None
        return _Misfits(group, shown, f"{shown} is kept as text: {reason}", pattern)


def gather_marks(columns: Iterable[ColumnTypeDetector]) -> Marks:
    """Return what the columns of a file say together about how it writes numbers."""
    found = [column.marks for column in columns]
    settled = {marks.settled for marks in found if marks.settled}
    has_comma = any(marks.has_comma for marks in found)
    return Marks(has_comma, settled.pop() if len(settled) == 1 else "")


class _Misfits:
    """The first value that does not go with the others, and how many there are."""

    def __init__(
        self, group: str, first: str, reason: str = "", pattern: str | None = None
    ) -> None:
        """Start with the first; without a reason it does not even look like the group.

        `pattern` is that of all that are wrong for the same reason; without one they cannot be
        told from the good values, and the first stands for them.
        """
        self._group = group
        self._first = first
        self._reason = reason
        self._pattern = pattern
        self._count = 0
        self._are_many = False

    def watch(self, values: Values, total: int) -> None:
        """Take in the next of so many values in all; once there are many, no more are looked at."""
        if self._are_many:
            return
        self._count += self._count_in(values)
        self._are_many = not (self._are_few(total) if self._reason else self._count < total / 2)

    def _count_in(self, values: Values) -> int:
        if not self._reason:
            return len(values) - values.count_matches(forms.group_pattern(self._group))
        return 0 if self._pattern is None else values.count_matches(self._pattern)

    def decide(self, values: int) -> Decision:
        """Return why a column with so many values is text."""
        nearly = _KINDS[self._group] if self._are_few(values) and not self._are_many else ()
        return Decision(TEXT, self._say(values), nearly=nearly)

    def _are_few(self, values: int) -> bool:
        return self._count <= max(1, _FEW * values) and self._count < values

    def _say(self, values: int) -> str:
        if self._reason or self._are_many:
            return self._reason
        return (
            f"looks like {self._group} in all but {self._count:,} of {values:,} values, the first "
            f"of them {self._first}: kept as text"
        )


def _accepts(family: Callable[[], Family], values: Values) -> bool:
    return family().observe(values)
