"""A stretch of one column, looked at by Arrow where it is long and by Python where it is short."""

import re
from copy import copy
from functools import cache, cached_property
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import whole_columns
from dropload.column_types.forms import quote
from dropload.column_types.notations import Notation

MOST_SHORT = 1000
"""Values of a short stretch: fewer are told apart faster than Arrow is called (measured)."""
_BETWEEN = "\x1f"
"""Stands between texts while they are one; a column that holds it is left to Arrow."""


class Values:
    """A stretch of a column: the texts that are not null, and the records that they stand in."""

    def __init__(
        self,
        column: pa.Array,
        source_rows: pa.Array | None,
        first_row: int,
        short: list[str] | None = None,
    ) -> None:
        """Take a `pa.string()` array; `short` are its texts without nulls, where they are few."""
        self.short = short
        self._written = short
        self._column = column
        self._source_rows = source_rows
        self._first_row = first_row

    def __len__(self) -> int:
        return int(len(self._column) - self._column.null_count)

    @cached_property
    def texts(self) -> pa.Array:
        """The texts."""
        return self._present

    @cached_property
    def _present(self) -> pa.Array:
        return self._column.drop_null() if self._column.null_count else self._column

    def text(self, index: int) -> str:
        """Return one of the texts."""
        return str(self.texts[index].as_py()) if self.short is None else self.short[index]

    def head(self, count: int) -> list[str]:
        """Return the first texts."""
        if self.short is not None:
            return self.short[:count]
        return [str(text) for text in self.texts.slice(0, count).to_pylist()]

    def part(self, start: int, count: int) -> "Values":
        """Return some of the texts, for a second look: their records are not known."""
        if self.short is None:
            return Values(self.texts.slice(start, count), None, 1)
        short = self.short[start : start + count]
        return Values(pa.array(short, pa.string()), None, 1, short)

    def row(self, index: int) -> int:
        """Return the record number of the value at `index` of `texts`."""
        if self._column.null_count:
            index = pc.indices_nonzero(self._column.is_valid())[index].as_py()
        if self._source_rows is not None:
            return int(self._source_rows[index].as_py())
        return self._first_row + index

    def show(self, index: int) -> str:
        """Return the value and where it stands, for people."""
        text = self._present[index].as_py() if self._written is None else self._written[index]
        return f"{quote(text)} in record {self.row(index):,}"

    def all_match(self, pattern: str) -> bool:
        """Return whether every text has this form from end to end."""
        if self.short is None:
            return whole_columns.all_match(self.texts, pattern)
        # One match over all of them takes half the time of one for each.
        return bool(_repeated(pattern).fullmatch(f"{_BETWEEN.join(self.short)}{_BETWEEN}"))

    def count_matches(self, pattern: str) -> int:
        """Return how many texts have this form from end to end."""
        if self.short is None:
            return whole_columns.count_matches(self.texts, pattern)
        return sum(map(bool, map(re.compile(pattern).fullmatch, self.short)))

    @cached_property
    def has_empty(self) -> bool:
        """Whether a text is empty."""
        if self.short is None:
            return bool(whole_columns.bounds(pc.binary_length(self.texts))[0] == 0)
        return "" in self.short

    def longest(self, known: int) -> tuple[int, int]:
        """Return the characters of the longest text, and most units of UTF-16.

        Neither where no text is longer than `known` bytes, which has no more characters, nor units.
        """
        if self.short is not None:
            units = len if all(map(str.isascii, self.short)) else _units
            return max(map(len, self.short)), max(map(units, self.short))
        is_longer = pc.greater(pc.binary_length(self.texts), known)
        if not pc.any(is_longer).as_py():
            return 0, 0
        longer = self.texts.filter(is_longer)
        characters = whole_columns.bounds(pc.utf8_length(longer))[1]
        return characters, whole_columns.longest_units(longer, characters)

    def rewritten(self, notation: Notation) -> "Values":
        """Return the values as a database prints them; they are still shown as written."""
        other = copy(self)
        other.texts = notation.rewrite(self.texts)
        other.short = None if self.short is None else other.texts.to_pylist()
        return other


def texts_of_columns(records: pa.RecordBatch) -> list[list[str] | None]:
    """Return the texts of each column without nulls; None for a column that Arrow must look at.

    All columns go through Arrow as one: a call for each of ten thousand would take seconds.
    """
    if records.num_rows > MOST_SHORT or not records.num_columns:
        return [None] * records.num_columns
    columns = records.columns
    counts = [len(column) - column.null_count for column in columns]
    ends = pa.array(accumulate(counts, initial=0), pa.int32())
    lists = pa.ListArray.from_arrays(ends, pa.concat_arrays(columns).drop_null())
    joined = pc.binary_join(lists, _BETWEEN).to_pylist()
    return [_split(text, count) for text, count in zip(joined, counts, strict=True)]


@cache
def _repeated(pattern: str) -> re.Pattern[str]:
    # Atomic: where a text does not match, those before it are not matched in other ways again.
    return re.compile(f"(?>(?:{pattern}){_BETWEEN})*+")


def _split(joined: str, count: int) -> list[str] | None:
    texts = joined.split(_BETWEEN) if count else []
    return texts if len(texts) == count else None


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
