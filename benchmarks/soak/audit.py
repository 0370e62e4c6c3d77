"""Compare every row and every file with what was written: what is wrong, one sentence each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from benchmarks.soak.writers import MIXED_APPEND, MIXED_FULLLOAD, Promise, file_name
from dropload.accounts import account_for_files
from dropload.dock import Dock
from dropload.journal import HELD
from dropload.model import OPEN_STATES, Area, TableName

_REPLACING = ("fullload", MIXED_APPEND, MIXED_FULLLOAD)
Key = tuple[int, int, int]
"""Writer, file, version."""


def audit(dock: Dock, promises: Sequence[Promise]) -> Iterator[str]:
    """Yield what is not as it must be, when nothing is under way any more."""
    tables = sorted({promise.table for promise in promises})
    with dock.target.read() as conn:
        found = {key: rows for table in tables for key, rows in _count(dock, conn, table)}
        stages = dock.target.list_stages(conn)
        loads = dock.journal.history.latest(conn, None, 1_000_000)
        held = {row.file_name for row in dock.journal.tracking.with_status(conn, HELD)}
    yield from _audit_rows(promises, found, {load.file_name for load in loads if _died(load)})
    yield from _audit_fullloads(promises, found)
    yield from _audit_mixed(promises, found, held)
    for stage, load_id in stages:
        yield f"side table {stage} of load {load_id} is left over"
    for load in loads:
        if load.state in OPEN_STATES or load.worker:
            yield f"load {load.load_id} of {load.file_name} is still {load.state}"
    for missing in account_for_files(dock).missing:
        yield f"{missing.path}: {missing.reason}"


def _died(load: object) -> bool:
    return "died on this file" in (getattr(load, "error_message", None) or "")


def _count(dock: Dock, conn: sa.Connection, table: str) -> Iterator[tuple[Key, tuple[int, int]]]:
    """Yield how many rows there are of each version, and how many different ones."""
    name = TableName(dock.target.schema_of(Area.NON_REFERENCE), table)
    if not dock.target.has_table(conn, name):
        return
    columns = [dock.target.quoted_column(c) for c in ("writer", "file", "version", "row")]
    key, row = ", ".join(columns[:3]), columns[3]
    counts = f"count(*), count(DISTINCT {row})"
    query = f"SELECT {key}, {counts} FROM {dock.target.quoted(name)} GROUP BY {key}"
    for writer, file, version, rows, different in conn.exec_driver_sql(query):
        yield (writer, file, version), (rows, different)


def _audit_rows(
    promises: Iterable[Promise], found: dict[Key, tuple[int, int]], died: set[str]
) -> Iterator[str]:
    expected: dict[Key, int] = {}
    copies = Counter(p.same_as for p in promises if p.same_as)
    for promise in promises:
        if promise.kind in _REPLACING or promise.same_as:
            continue
        last = len(promise.rows) - 1
        for version, rows in enumerate(promise.rows):
            key = (promise.writer, promise.file, version)
            expected[key] = rows
            there, different = found.get(key, (0, 0))
            if promise.too_slow:
                continue
            if there not in (0, rows) or different != there:
                yield f"{promise.kind} {key}: {there:,} rows, {different:,} different, of {rows:,}"
            has_copy = bool(copies[promise.writer, promise.file])
            may_lack = has_copy or file_name(promise) in died
            if not there and version == last and promise.must_load and not may_lack:
                yield f"{promise.kind} {key}: its {rows:,} rows are not in {promise.table}"
    full = {(p.writer, p.file, 0) for p in promises if p.kind in _REPLACING}
    for key in set(found) - set(expected) - full:
        yield f"rows of {key} were never written as whole rows"


def _audit_fullloads(
    promises: Sequence[Promise], found: dict[Key, tuple[int, int]]
) -> Iterator[str]:
    """Yield tables that do not hold exactly the rows of the last file that replaced them."""
    for table in sorted({p.table for p in promises if p.kind == "fullload"}):
        written = [p for p in promises if p.table == table]
        last = max(written, key=lambda p: p.file)
        keys = [key for key in found if key[0] == last.writer]
        wanted = (last.writer, last.file, 0)
        if keys != [wanted] or found[wanted] != (last.rows[0], last.rows[0]):
            yield f"{table} holds {[(k, found[k]) for k in keys]} instead of {wanted}"


def _audit_mixed(
    promises: Sequence[Promise], found: dict[Key, tuple[int, int]], held: set[str]
) -> Iterator[str]:
    """Yield tables that do not hold the last fullload and what was appended after it.

    What came too late for its place is held, and a person decides.
    """
    for table in sorted({p.table for p in promises if p.kind == MIXED_FULLLOAD}):
        judged = [p for p in promises if p.table == table and file_name(p) not in held]
        last = max((p.file for p in judged if p.kind == MIXED_FULLLOAD), default=-1)
        for promise in judged:
            key = (promise.writer, promise.file, 0)
            rows = promise.rows[0] if promise.file >= last else 0
            if found.get(key, (0, 0)) != (rows, rows):
                what = f"{promise.kind} {key} of {table}, whose last fullload is {last}"
                yield f"{what}: {found.get(key)} instead of {rows:,} rows"
