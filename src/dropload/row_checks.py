"""Look at each value of columns that may not hold it, and refuse the rows of those that do not."""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import rewrite_text
from dropload.model import CheckedColumn, Layout, Reject, TableColumn
from dropload.parsers.base import Batch, UnfaithfulError

Refusal = Callable[[TableColumn, str], str]
"""Returns why a column of the table cannot hold a value, the empty string when it can."""


class RowCheck:
    """Parts the records that a known table can take from those that it cannot."""

    def __init__(self, columns: Sequence[CheckedColumn], layout: Layout, refusal: Refusal) -> None:
        self._columns = columns
        self._names = layout.header_names
        self._refusal = refusal

    def sift(self, batch: Batch) -> Batch:
        """Return the batch with the misfits among its rejects.

        Raises UnfaithfulError when there are some and the reader has not counted lines: people
        are to be told on which line a bad value stands.
        """
        found: dict[int, tuple[CheckedColumn, str]] = {}
        for checked in self._columns:
            for row, reason in self._misfits(checked, batch.records.column(checked.position)):
                found.setdefault(row, (checked, reason))
        if not found:
            return batch
        if batch.lines is None:
            raise UnfaithfulError("the reader has not counted lines")
        rejects = [self._reject(batch, row, *found[row]) for row in sorted(found)]
        good = pa.array([row not in found for row in range(batch.records.num_rows)])
        return Batch(
            batch.records.filter(good),
            batch.source_rows.filter(good),
            tuple(sorted((*batch.rejects, *rejects), key=lambda reject: reject.source_row)),
            batch.lines.filter(good),
        )

    def _misfits(self, checked: CheckedColumn, values: pa.Array) -> Iterator[tuple[int, str]]:
        """Yield row and reason; every different value is looked at once."""
        column = checked.column
        encoded = values.dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        if checked.notation:
            texts = [rewrite_text(text, checked.notation) for text in texts]
        reasons = [self._refusal(column, text) for text in texts]
        unfit = [index for index, reason in enumerate(reasons) if reason]
        if unfit:
            bad = pc.is_in(encoded.indices, pa.array(unfit, encoded.indices.type))
            for row in pc.indices_nonzero(bad).to_pylist():
                yield row, reasons[encoded.indices[row].as_py()]
        if not column.nullable and values.null_count:
            for row in pc.indices_nonzero(values.is_null()).to_pylist():
                yield row, "is empty, and the table needs a value here"

    def _reject(self, batch: Batch, row: int, checked: CheckedColumn, reason: str) -> Reject:
        assert batch.lines is not None  # noqa: S101 - the caller has looked
        fields = tuple(column[row].as_py() for column in batch.records.columns)
        value = fields[checked.position]
        return Reject(
            source_row=batch.source_rows[row].as_py(),
            line=batch.lines[row].as_py(),
            column=self._names[checked.position] or checked.column.name,
            value=value or "",
            code="null_value" if value is None else "misfit",
            message=reason,
            fields=fields,
        )
