"""Rows sent by COPY: in its binary format where batches are large, else as CSV."""

import io
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import psycopg

from dropload.model import Plan
from dropload.read_ahead import read_ahead
from dropload.targets.base import LINEAGE
from dropload.targets.row_stream import Rows

if TYPE_CHECKING:
    import pyarrow as pa

_HAS_NUMPY = find_spec("numpy") is not None
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
    is_binary = has_our_types and _are_large(batches) and _can_encode(plan)
    parts = _as_binary(plan, batches, load_id) if is_binary else _as_csv(plan, batches, load_id)
    statement = f"COPY {place} FROM STDIN (FORMAT {'binary' if is_binary else 'csv'})"
    with driver.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy, read_ahead(parts) as ahead:
            for part in ahead:
                copy.write(part)
        return cursor.rowcount


def _are_large(batches: Rows) -> bool:
    rows: int = sum(records.num_rows for records, _ in batches)
    return rows >= _LEAST_ROWS * len(batches)


def _can_encode(plan: Plan) -> bool:
    if not _HAS_NUMPY:  # somebody has brought psycopg in by another way than our extra
        return False
    from dropload.targets.postgresql.binary_rows import can_encode  # noqa: PLC0415 - needs NumPy

    return all(can_encode(column.type) for column in plan.columns)


def _as_binary(plan: Plan, batches: Rows, load_id: int) -> Iterator[bytes | memoryview]:
    from dropload.targets.postgresql import binary_rows  # noqa: PLC0415

    types = [column.type for column in plan.columns]
    yield binary_rows.SIGNATURE
    for records, source_rows in batches:
        if not records.num_rows:
            continue
        columns = [records.column(column.position) for column in plan.columns]
        yield binary_rows.encode_rows(columns, types, load_id, source_rows)
    yield binary_rows.TRAILER


def _as_csv(plan: Plan, batches: Rows, load_id: int) -> Iterator[memoryview]:
    """Yield columns of text, and lineage, as CSV that Arrow has quoted, cell by cell."""
    for records, source_rows in batches:
        yield _batch_as_csv(plan, records, source_rows, load_id)


def _batch_as_csv(
    plan: Plan, records: "pa.RecordBatch", source_rows: "pa.Array", load_id: int
) -> memoryview:
    import pyarrow as pa  # noqa: PLC0415 - only what loads rows needs Arrow
    import pyarrow.csv as pacsv  # noqa: PLC0415

    arrays = [records.column(c.position) for c in plan.columns]
    load_ids = pa.repeat(pa.scalar(load_id, pa.int64()), records.num_rows)
    batch = pa.RecordBatch.from_arrays(
        [*arrays, load_ids, source_rows], names=[f"c{n}" for n in range(len(arrays) + len(LINEAGE))]
    )
    out = io.BytesIO()
    pacsv.write_csv(batch, out, pacsv.WriteOptions(include_header=False))
    return out.getbuffer()
