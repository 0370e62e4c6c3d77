"""Write batches where a load's rows go, as much in a transaction as is worth a commit."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from dropload.column_types import ConversionError
from dropload.errors import FileError
from dropload.model import Plan, TableName
from dropload.parsers.base import Batch
from dropload.targets.base import Target
from dropload.targets.row_stream import RowStream

_FIRST_BYTES = 1 << 20
"""The first transaction is no larger, so that the database soon has something to do."""
NoteRows = Callable[[sa.Connection, int], None]
"""Writes to the journal, in the transaction of some rows, how many of the file are staged now."""


class StageWriter:
    """Collects the good records of a file until a transaction is worth its commit.

    As a context it leaves nothing behind that is still writing.
    """

    def __init__(
        self,
        target: Target,
        load_id: int,
        plan: Plan,
        batch_rows: int,
        note_rows: NoteRows,
        last_row: int = 0,
        stream: RowStream | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`last_row`: the rows up to this record of the file are in the side table already.

        `stream` takes the rows where it is not the target's own to that side table.
        """
        self._target = target
        self._load_id = load_id
        self._plan = plan
        self._batch_rows = batch_rows
        self._note_rows = note_rows
        self._stage = target.stage_name(plan.table, load_id)
        self._stream = stream or target.stream_rows(plan, self._stage, load_id)
        self._pending: list[tuple[pa.RecordBatch, pa.Array]] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._enough_bytes = min(_FIRST_BYTES, target.commit_bytes) if self._stream.gathers else 0
        self._last_row = last_row
        self._written = 0
        self._clock = clock
        self._settle_at = clock() + target.settle_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    @property
    def rows_taken(self) -> int:
        """Return the rows read again, those written, and those still to be written."""
        return self._written + self._pending_rows

    def add(self, batch: Batch) -> None:
        """Take the good records of a batch that are not staged yet."""
        records, source_rows = batch.records, batch.source_rows
        if records.num_rows and source_rows[0].as_py() <= self._last_row:
            is_new = pc.greater(source_rows, self._last_row)
            records, source_rows = records.filter(is_new), source_rows.filter(is_new)
            self._written += batch.records.num_rows - records.num_rows
        if records.num_rows:
            self._pending.append((records, source_rows))
            self._pending_rows += records.num_rows
            self._pending_bytes += records.nbytes
        if self._pending and self._pending_bytes >= self._enough_bytes:
            self._flush(self._note_rows)
            self._enough_bytes = min(2 * self._enough_bytes, self._target.commit_bytes)

    def finish(self, note_rows: NoteRows) -> None:
        """Write what is left; `note_rows` says in the same transaction that these are all."""
        self._flush(note_rows, is_last=True)

    def abandon(self) -> None:
        """Stop writing; after `finish` there is nothing to stop."""
        self._stream.abandon()

    def settle(self) -> None:
        """Have committed what may go ahead of the journal's word: no more comes for a while."""
        if self._pending and self._send():
            self._forget_pending()
        self._stream.settle()

    def _flush(self, note_rows: NoteRows, *, is_last: bool = False) -> None:
        """Write and commit what was collected, with the journal's word in the same transaction."""
        staged = self.rows_taken
        is_written = not self._pending or self._send()
        if is_last or not is_written or self._clock() >= self._settle_at:
            self._stream.settle()
            with self._target.write(synced=False) as conn:
                if not is_written:
                    self._write(conn)
                note_rows(conn, staged)
            self._settle_at = self._clock() + self._target.settle_seconds
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._written = self.rows_taken
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _send(self) -> bool:
        with naming_the_value(self._plan.table):
            return self._stream.send(self._pending)

    def _write(self, conn: sa.Connection) -> None:
        with naming_the_value(self._plan.table):
            self._target.write_batches(
                conn, self._plan, self._stage, self._pending, self._load_id, self._batch_rows
            )


@contextmanager
def naming_the_value(table: TableName) -> Iterator[None]:
    """Make a value that its column's type cannot hold the file's fault."""
    try:
        yield
    except ConversionError as exc:
        raise FileError(
            f"{exc.value!r} cannot be stored unchanged in {table}: {exc}.",
            hint="Correct the value, or ask the database owner for a wider column.",
            code="type_mismatch",
        ) from exc
