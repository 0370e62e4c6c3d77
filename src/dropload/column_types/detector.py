"""Decide the type of one column on all of its values, and say why when it is not the obvious."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import forms, plain
from dropload.column_types.families import (
    TEXT,
    AnyNotation,
    BooleanFamily,
    DateFamily,
    Decision,
    Family,
    NumberFamily,
    TimeFamily,
    TimestampFamily,
    TimestampOffsetFamily,
    UuidFamily,
    Values,
    first_misfit,
    quote,
)
from dropload.column_types.notations import COMMA, Hints, Marks
from dropload.model import Kind

_SAMPLE = 200
"""Values of the first batch that show what a person would take the column for."""
_MAX_EXCEPTIONS = 0.1
"""Beyond this share of other values nobody takes the column for numbers or dates."""

_FAMILIES: dict[str, Callable[[], Family]] = {
    forms.NUMBER: NumberFamily,
    forms.DATE: DateFamily,
    forms.TIMESTAMP: TimestampFamily,
    forms.TIMESTAMP_OFFSET: TimestampOffsetFamily,
    forms.TIME: TimeFamily,
    forms.UUID: UuidFamily,
    forms.BOOLEAN: BooleanFamily,
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
        self._note = ""
        self._exceptions: _Exceptions | None = None

    def observe(self, column: pa.Array, source_rows: pa.Array | None = None) -> None:
        """Take in the next values, a `pa.string()` array.

        `source_rows` are the record numbers that notes name; without them values are counted.
        """
        values = Values(column, source_rows, self._rows + 1)
        self._rows += len(column)
        self.nulls += column.null_count
        if len(values.texts) == 0:
            return
        shortest, longest = plain.bounds(pc.utf8_length(values.texts))
        self.max_length = max(self.max_length, longest)
        self.max_units = max(self.max_units, plain.longest_units(values.texts, longest))
        if self._group is None:
            self._expect(values.texts)
        if self._family is not None:
            self._judge(values, has_empty=shortest == 0)
        elif self._exceptions is not None:
            self._watch(values.texts)

    @property
    def marks(self) -> Marks:
        """Return what the values say of how the file writes numbers."""
        found = self._family.marks if self._family is not None else Marks()
        return replace(found, has_comma=found.has_comma or self._shows_comma)

    def decide(self, marks: Marks = Marks()) -> Decision:  # noqa: B008 - it cannot be changed
        """Return the column's type and why it is not the one that a person may expect.

        `marks` are those of all columns of the file.
        """
        found = Decision(TEXT, self._say()) if self._family is None else self._family.decide(marks)
        if found.type.kind is not Kind.TEXT:
            return found
        return replace(found, type=replace(TEXT, max_length=self.max_units))

    def _say(self) -> str:
        """Return why the column is text."""
        if self._group is None:
            return "no record has a value here" if self._rows else ""
        if self._exceptions is not None:
            return self._exceptions.describe(self._group, self._rows - self.nulls)
        return self._note

    def _expect(self, texts: pa.Array) -> None:
        sample = texts.slice(0, _SAMPLE).to_pylist()
        self._group = forms.majority_group(sample)
        if self._group == forms.NUMBER:
            self._shows_comma = any(re.fullmatch(COMMA, text) for text in sample)
        if self._group:
            self._family = self._make_family()

    def _make_family(self) -> AnyNotation:
        group = self._group or ""
        return AnyNotation(_FAMILIES[group](), group, self._hints)

    def _judge(self, values: Values, *, has_empty: bool) -> None:
        family = self._family
        if family is None or (not has_empty and family.observe(values)):
            return
        self._family = None
        index = first_misfit(partial(_accepts, self._make_family), values.texts)
        text = values.texts[index].as_py()
        form = forms.form_of(text)
        if not text:
            self._note = (
                f"looks like {self._group}, but record {values.row(index):,} holds an empty text "
                '(""), which only a text column keeps'
            )
        elif form is None or form.group != self._group:
            self._exceptions = _Exceptions(quote(text), values.row(index))
            self._watch(values.texts)
        elif _accepts(self._make_family, values.texts.slice(index, 1)):
            self._note = (
                f"{values.show(index)} is written in another way than the values before it: kept "
                "as text"
            )
        else:
            reason = form.reason or f"it {family.misfit}"
            self._note = f"{values.show(index)} is kept as text: {reason}"

    def _watch(self, texts: pa.Array) -> None:
        exceptions = self._exceptions
        if exceptions is None:
            return
        alike = pc.match_substring_regex(texts, f"^{forms.group_pattern(self._group or '')}$")
        exceptions.count += len(texts) - pc.sum(alike).as_py()
        if exceptions.count > _MAX_EXCEPTIONS * (self._rows - self.nulls):
            self._exceptions = None


def gather_marks(columns: Iterable[ColumnTypeDetector]) -> Marks:
    """Return what the columns of a file say together about how it writes numbers."""
    found = [column.marks for column in columns]
    settled = {marks.settled for marks in found if marks.settled}
    has_comma = any(marks.has_comma for marks in found)
    return Marks(has_comma, settled.pop() if len(settled) == 1 else "")


class _Exceptions:
    """How many values do not look like the others, and the first of them."""

    def __init__(self, first: str, row: int) -> None:
        self.count = 0
        self._first = first
        self._row = row

    def describe(self, group: str, values: int) -> str:
        return (
            f"looks like {group} in all but {self.count:,} of {values:,} values, the first of them "
            f"{self._first} in record {self._row:,}: kept as text"
        )


def _accepts(family: Callable[[], Family], texts: pa.Array) -> bool:
    return family().observe(Values(texts, None, 1))
