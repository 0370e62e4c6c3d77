"""Finish what stands between: moves that are due, claims of the dead, stages left over.

| state found                                   | what is done                                  |
|-----------------------------------------------|-----------------------------------------------|
| claimed, staging, publishing; holder alive    | nothing: somebody works on it                 |
| the same; holder gone, file there             | the claim is freed; the gate offers the file  |
| the same; holder gone, file gone or replaced  | cancelled, stage dropped                      |
| the same, of a file outside the tree          | cancelled, stage dropped                      |
| committed, failed, duplicate; not filed       | the file is moved, then the journal says so:  |
|                                               | `late_filing`, in a worker                    |
| a stage whose load is not open                | dropped                                       |
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import timedelta

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import TargetError
from dropload.folders import find_path
from dropload.journal import LATE_WRITE, path_of_key
from dropload.logs import get_logger
from dropload.model import OPEN_STATES, FileVersion, LoadEnd, LoadRecord, TableName

_LATE = timedelta(minutes=10)
"""So long after it was moved a file is looked at for a writer that had only paused."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What one pass did."""

    moved: int = 0
    stuck: int = 0
    """Files that could not be moved; the next pass tries again."""
    freed: int = 0
    cancelled: int = 0
    stages_dropped: int = 0

    def __add__(self, other: "Recovered") -> "Recovered":
        """Return what two passes did together."""
        return Recovered(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def is_filing_due(dock: Dock) -> bool:
    """Return whether a file stands where it was dropped although its load is over."""
    return bool(find_unfiled(dock))


def find_unfiled(dock: Dock) -> list[LoadRecord]:
    """Return the loads that are over and whose files stand where they were dropped."""
    with dock.target.read() as conn:
        unfiled = dock.journal.history.unfiled(conn)
        return [row for row in unfiled if _is_ours(dock, conn, row)]


def _is_ours(dock: Dock, conn: sa.Connection, row: LoadRecord) -> bool:
    """Return whether nobody works on a load, and its file is not in the tree of another daemon."""
    below = f"{path_text(dock.tree.root)}/"
    is_elsewhere = row.in_tree and not row.file_path.startswith(below)
    return not is_elsewhere and dock.journal.claims.is_abandoned(conn, row)


def settle_claims(dock: Dock, on_file: Callable[[], None] = lambda: None) -> Recovered:
    """Free or end what dead workers had, drop what they left over, and note late writers.

    `on_file` is called after each file that was looked after: there may be very many.
    """
    with dock.target.read() as conn:
        dead = [row for row in dock.journal.history.open(conn) if _is_ours(dock, conn, row)]
    freed = [_settle_open(dock, row) for row in _each(dead, on_file)]
    _note_late_writes(dock)
    return Recovered(
        freed=freed.count(True),
        cancelled=freed.count(False),
        stages_dropped=_sweep_stages(dock),
    )


def _each(rows: Sequence[LoadRecord], on_file: Callable[[], None]) -> Iterator[LoadRecord]:
    for row in rows:
        yield row
        on_file()


def _settle_open(dock: Dock, row: LoadRecord) -> bool | None:
    """Free a dead worker's claim (True) or end a load that cannot go on (False)."""
    ends = _reason_to_end(row)
    if not ends and row.worker is None:
        return None
    log = get_logger().bind(load_id=row.load_id, file=row.file_name)
    with dock.target.write() as conn:
        if ends:
            dock.journal.claims.cancel_abandoned(conn, row.load_id, ends)
            log.info("load_cancelled", reason=ends)
        elif row.worker is not None:
            dock.journal.claims.free_abandoned(conn, row.load_id, row.worker)
            log.info("claim_freed", worker=row.worker)
    return not ends


def _reason_to_end(row: LoadRecord) -> str:
    if not row.in_tree:
        return "the command that loaded it ended before it was done"
    try:
        found = FileVersion.from_stat(path_of_key(row.file_path).lstat())
    except (FileNotFoundError, NotADirectoryError):
        return "the file left the inbox before it was loaded"
    except OSError:
        return ""  # a folder that is closed to us just now says nothing about the file
    return "" if found == row.version else "the file was replaced before it was loaded"


def _note_late_writes(dock: Dock) -> None:
    """Say of files that were moved a short time ago when somebody still writes into them.

    Their writer paused for longer than the gate waits: what came later is not in the table.
    """
    with dock.target.read() as conn:
        filed = dock.journal.history.filed_lately(conn, _LATE)
    for load in filed:
        if load.error_category == LATE_WRITE or not load.filed_path:
            continue
        try:
            size = find_path(load.filed_path).lstat().st_size
        except OSError:
            continue  # taken away, or a folder that is closed to us just now
        if size != load.file_size:
            _note_late_write(dock, load, size)


def _note_late_write(dock: Dock, load: LoadEnd, size: int) -> None:
    message = (
        f"{load.file_name} was written to after it had been loaded: it had "
        f"{load.file_size:,} bytes and has {size:,}. What came later is not in the table. Whoever "
        "writes it pauses for longer than the gate waits: have it write under another name and "
        "rename, raise gate.checks, or drop the whole file again."
    )
    get_logger().error("file_written_late", load_id=load.load_id, reason=message)
    with dock.target.write() as conn:
        dock.journal.loads.note_late_write(conn, load.load_id, message)


def _sweep_stages(dock: Dock) -> int:
    with dock.target.read() as conn:
        stages = list(dock.target.list_stages(conn))
    return sum(_sweep_stage(dock, stage, load_id) for stage, load_id in stages)


def _sweep_stage(dock: Dock, stage: TableName, load_id: int) -> bool:
    """Drop a side table whose load is over; one that cannot be dropped keeps nobody waiting."""
    log = get_logger().bind(table=str(stage))
    try:
        with dock.target.write() as conn:
            row = dock.journal.history.row(conn, load_id)
            if row is None or not _is_stage_of(dock, row, stage):
                # Another's table, or another journal's side table: not ours to drop.
                log.warning("table_unknown")
                return False
            if row.state in OPEN_STATES:
                return False
            dock.target.drop_table(conn, stage)
    except TargetError as exc:
        log.warning("stage_not_dropped", reason=str(exc))
        return False
    return True


def _is_stage_of(dock: Dock, row: LoadRecord, stage: TableName) -> bool:
    own = dock.target.stage_name(TableName(row.schema_name, row.table_name), row.load_id)
    return dock.target.physical_name(own) == dock.target.physical_name(stage)
