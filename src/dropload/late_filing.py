"""Move the files whose loads are over and that stand where they were dropped, with their answers.

For an answer a file may be read again, so this is done in a worker, and not where `recovery` is.
"""

from pathlib import Path

from dropload.answers import repeat_answer
from dropload.dock import Dock
from dropload.errors import FileChangedError
from dropload.filing import FiledAlone, file_away, plan_filing
from dropload.folders import find_path
from dropload.identity import worker_name
from dropload.journal import drop_from_record
from dropload.logs import get_logger
from dropload.model import Drop, LoadRecord, State
from dropload.recovery import Recovered, find_unfiled, settle_claims


def recover(dock: Dock) -> Recovered:
    """Do one whole pass over the journal; safe at any time, beside running workers too."""
    return file_late(dock) + settle_claims(dock)


def file_late(dock: Dock, *, in_short: bool = False) -> Recovered:
    """Move the files whose loads are over, with their answers.

    That takes as long as reading and copying them does: it is done in a worker. `in_short` no file
    is read again for its answer.
    """
    moved = [_try_filing(dock, row, in_short=in_short) for row in find_unfiled(dock)]
    return Recovered(moved=moved.count(True), stuck=moved.count(False))


def _try_filing(dock: Dock, row: LoadRecord, *, in_short: bool) -> bool:
    """Finish one filing; a folder that refuses must not keep the other files from theirs."""
    try:
        return _finish_filing(dock, row, in_short=in_short)
    except Exception as exc:  # noqa: BLE001 - one file must not keep the others from theirs
        log = get_logger().bind(load_id=row.load_id, file=row.file_name)
        log.warning("file_not_moved", reason=str(exc))
        return False


def _finish_filing(dock: Dock, row: LoadRecord, *, in_short: bool) -> bool:
    """Move a file whose load is over; return whether it is filed now."""
    with dock.target.write() as conn:
        if not dock.journal.claims.take_unfiled(conn, row, worker_name("filing")):
            return True  # another daemon was faster
    try:
        return _file_claimed(dock, row, in_short=in_short)
    finally:
        with dock.target.write() as conn:
            dock.journal.claims.leave_unfiled(conn, row.load_id, worker_name("filing"))


def _file_claimed(dock: Dock, row: LoadRecord, *, in_short: bool) -> bool:
    drop = drop_from_record(row)
    filed_path = (
        find_path(row.filed_path) if row.filed_path else _choose_filed_path(dock, row, drop)
    )
    report = repeat_answer(dock, row, filed_path, in_short=in_short)
    log = get_logger().bind(load_id=row.load_id, file=row.file_name)
    try:
        moved = file_away(
            FiledAlone(dock.target, dock.journal), row.load_id, drop, filed_path, report
        )
    except FileChangedError as exc:
        # Another version stands there now, or none: the bytes that were loaded are gone.
        log.warning("file_replaced_before_filing", reason=str(exc))
        with dock.target.write() as conn:
            dock.journal.loads.mark_gone(conn, row.load_id, report)
        return True
    log.info("file_moved_late", filed_path=str(moved))
    return True


def _choose_filed_path(dock: Dock, row: LoadRecord, drop: Drop) -> Path | None:
    """Return where a file goes that was gone and is back, None for one outside the tree."""
    chosen = plan_filing(dock.tree, drop, failed=row.state is State.FAILED)
    with dock.target.write() as conn:
        dock.journal.loads.note_filed_path(conn, row.load_id, chosen)
    return chosen
