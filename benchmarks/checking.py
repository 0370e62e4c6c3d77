"""Whether what a peer has loaded is what stands in the file, cell by cell."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.csv

from benchmarks.data import DataSet

SAME, NULLS_LOST = "same", "same, but '' is NULL or NULL ''"

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Checksum:
    """Of rows in whatever order."""

    rows: int
    exact: int
    without_nulls: int
    """With NULL taken for an empty text."""


def expected_rows(data: DataSet) -> Iterator[Row]:
    """Yield what stands in the file, by a reader that is none of the peers'."""
    names = [column.name for column in data.columns]
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    for batch in pyarrow.csv.open_csv(data.path, convert_options=convert):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def plain_rows(data: DataSet, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows in the one form in which they are compared.

    Values that mean the same are the same: 7.5 is 7.50, a day is its text, whatever type it has.
    """
    makers = [_MAKERS[column.kind] for column in data.columns]
    for row in rows:
        yield tuple(
            value if value is None or value == "" else make(value)
            for make, value in zip(makers, row, strict=True)
        )


def checksum(data: DataSet, rows: Iterable[Row]) -> Checksum:
    count = exact = without_nulls = 0
    for row in plain_rows(data, rows):
        count += 1
        exact += _hash(row)
        without_nulls += _hash(_without_nulls(row))
    return Checksum(count, exact, without_nulls)


def judge(expected: Checksum, found: Checksum) -> str:
    """Say whether the rows are the same; empty when they are not."""
    if found == expected:
        return SAME
    same = (found.rows, found.without_nulls) == (expected.rows, expected.without_nulls)
    return NULLS_LOST if same else ""


def describe_difference(data: DataSet, rows: Iterable[Row]) -> str:
    """Say how many rows are others than in the file."""
    wanted = Counter(map(_without_nulls, plain_rows(data, expected_rows(data))))
    wanted.subtract(Counter(map(_without_nulls, plain_rows(data, rows))))
    missing, added = sum((+wanted).values()), sum((-wanted).values())
    shown = next(iter(+wanted), next(iter(-wanted), ()))
    print(f"  other rows than in the file, the first: {shown!r:.300}", file=sys.stderr)
    return f"{max(missing, added):,} of {data.rows:,} differ"


def _hash(row: Row) -> int:
    """Hash all of a row as one text.

    The hash of a tuple is a mixture of those of its cells that is weak enough for a sum to stay
    the same, now and then, where two rows have swapped a cell.
    """
    return hash(repr(row))


def _without_nulls(row: Row) -> Row:
    return tuple("" if value is None else value for value in row)


def _number(value: Any) -> Any:
    try:
        return float(value)
    except ValueError:
        return value


def _timestamp(value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)
    return str(value)[:19].replace("T", " ")


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "date": lambda value: str(value)[:10],
    "timestamp": _timestamp,
    "text": str,
}
