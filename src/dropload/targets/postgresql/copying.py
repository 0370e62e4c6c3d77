"""Rows sent by COPY: in its binary format where batches are large, else as CSV."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

import psycopg

from dropload.errors import TransientError
from dropload.model import Plan
from dropload.read_ahead import read_ahead
from dropload.targets.base import LINEAGE
from dropload.targets.row_stream import Rows
from dropload.write_behind import WriteBehind

if TYPE_CHECKING:
    import pyarrow as pa

_HAS_NUMPY = find_spec("numpy") is not None
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""Begins a COPY in the binary format: no flags, no further header."""
TRAILER = b"\xff\xff"
"""Ends it: a row of -1 fields."""
_LEAST_ROWS = 4000
"""Rows of a batch, for the binary format to be worth the while: with fewer, each column of each
costs more calls than the server saves (100,000 rows of 60 columns, 1,000 to a batch: 0.9 s of the
client instead of 0.07 s, measured)."""


def copy_rows(
    driver: psycopg.Connection,
    place: str,
    plan: Plan,
    batches: Rows,
    load_id: int,
    *,
    has_our_types: bool,
) -> int:
    """Send all by one COPY to a table and its columns, quoted; return how many rows it has taken.

    A thread encodes the next batch while the server takes the one before. `has_our_types`: the
    columns are declared as the plan has them.
    """
    form = _form_for(plan, batches, load_id, has_our_types=has_our_types)
    with driver.cursor() as cursor:
        with (
            cursor.copy(_statement(place, form)) as copy,
            read_ahead(_parts(form, batches)) as ahead,
        ):
            for part in ahead:
                copy.write(part)
        return cursor.rowcount


class CopyUnderWay:
    """A COPY that takes batches as they come: a thread sends one while the next is encoded."""

    def __init__(
        self,
        driver: psycopg.Connection,
        place: str,
        plan: Plan,
        first: Rows,
        load_id: int,
        *,
        has_our_types: bool,
    ) -> None:
        """Begin it; see `copy_rows`. `first`, which is yet to be added, says how large batches are.

        Raises RuntimeError where the machine allows no more threads.
        """
        self._form = _form_for(plan, first, load_id, has_our_types=has_our_types)
        self._given = 0
        self._cursor = driver.cursor()
        with ExitStack() as opened:
            copy = opened.enter_context(self._cursor.copy(_statement(place, self._form)))
            self._sender = WriteBehind(copy.write)
            self._sender.start()
            self._opened = opened.pop_all()
        if self._form.beginning:
            self._sender.put(self._form.beginning)

    def add(self, batches: Rows) -> None:
        """Take batches; raises what sending those before them has raised."""
        for records, source_rows in batches:
            if records.num_rows:
                self._sender.put(self._form.encode(records, source_rows))
                self._given += records.num_rows

    def finish(self) -> int:
        """Return how many rows the table has taken; raise TransientError if these are not all."""
        if self._form.end:
            self._sender.put(self._form.end)
        self._sender.finish()
        self._opened.close()
        taken = self._cursor.rowcount
        if taken != self._given:
            raise TransientError(f"PostgreSQL took {taken} of {self._given} rows.")
        return taken

    def abandon(self) -> None:
        """Break it off."""
        self._sender.stop()
        with suppress(_AbandonedError, psycopg.Error), self._opened:
            raise _AbandonedError


class _AbandonedError(Exception):
    """Nobody wants the rest of the rows."""


class _Form(ABC):
    """How rows are written for a COPY."""

    name: ClassVar[str]
    beginning: ClassVar[bytes] = b""
    end: ClassVar[bytes] = b""

    def __init__(self, plan: Plan, load_id: int) -> None:
        self._columns = plan.columns
        self._load_id = load_id

    @abstractmethod
    def encode(self, records: "pa.RecordBatch", source_rows: "pa.Array") -> memoryview:
        """Return columns of text, and lineage, as rows; there is at least one."""


class _Binary(_Form):
    name = "binary"
    beginning = SIGNATURE
    end = TRAILER

    def encode(self, records: "pa.RecordBatch", source_rows: "pa.Array") -> memoryview:
        from dropload.targets.postgresql.binary_rows import encode_rows  # noqa: PLC0415

        types = [column.type for column in self._columns]
        columns = [records.column(column.position) for column in self._columns]
        return encode_rows(columns, types, self._load_id, source_rows)


class _Csv(_Form):
    """Cell by cell, quoted by Arrow."""

    name = "csv"

    def encode(self, records: "pa.RecordBatch", source_rows: "pa.Array") -> memoryview:
        import pyarrow as pa  # noqa: PLC0415 - only what loads rows needs Arrow
        import pyarrow.csv as pacsv  # noqa: PLC0415

        arrays = [records.column(c.position) for c in self._columns]
        load_ids = pa.repeat(pa.scalar(self._load_id, pa.int64()), records.num_rows)
        names = [f"c{n}" for n in range(len(arrays) + len(LINEAGE))]
        batch = pa.RecordBatch.from_arrays([*arrays, load_ids, source_rows], names=names)
        out = io.BytesIO()
        pacsv.write_csv(batch, out, pacsv.WriteOptions(include_header=False))
        return out.getbuffer()


def _form_for(plan: Plan, batches: Rows, load_id: int, *, has_our_types: bool) -> _Form:
    is_binary = has_our_types and _are_large(batches) and _can_encode(plan)
    return (_Binary if is_binary else _Csv)(plan, load_id)


def _statement(place: str, form: _Form) -> bytes:
    return f"COPY {place} FROM STDIN (FORMAT {form.name})".encode()


def _parts(form: _Form, batches: Rows) -> Iterator[bytes | memoryview]:
    if form.beginning:
        yield form.beginning
    for records, source_rows in batches:
        if records.num_rows:
            yield form.encode(records, source_rows)
    if form.end:
        yield form.end


def _are_large(batches: Rows) -> bool:
    rows: int = sum(records.num_rows for records, _ in batches)
    return rows >= _LEAST_ROWS * len(batches)


def _can_encode(plan: Plan) -> bool:
    if not _HAS_NUMPY:  # somebody has brought psycopg in by another way than our extra
        return False
    from dropload.targets.postgresql.binary_rows import can_encode  # noqa: PLC0415 - needs NumPy

    return all(can_encode(column.type) for column in plan.columns)
