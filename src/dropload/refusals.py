"""Write down what somebody wanted to do and was not done: refused, or failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from dropload.dock import Dock
from dropload.errors import DroploadError, RefusedError
from dropload.journal import MAX_LOAD_ID, AuditAction, AuditResult
from dropload.logs import get_logger


@contextmanager
def noted_refusal(
    dock: Dock, actor: str, action: AuditAction, load_id: int | None = None, reason: str = ""
) -> Iterator[None]:
    """Run an action, which writes down what it does; write down here why it could not be done."""
    try:
        yield
    except DroploadError as exc:
        note_refusal(dock, actor, action, exc, load_id, reason)
        raise


def note_refusal(
    dock: Dock,
    actor: str,
    action: AuditAction,
    error: DroploadError,
    load_id: int | None = None,
    reason: str = "",
) -> None:
    """Add to the audit log that an action was refused, or has failed; without a journal, to none.

    Of trouble only the category is kept: a database's own words may quote values of cells.
    """
    is_refused = isinstance(error, RefusedError)
    result = AuditResult.REFUSED if is_refused else AuditResult.FAILED
    detail = error.message if is_refused else error.category
    known = load_id if load_id is not None and 0 < load_id <= MAX_LOAD_ID else None
    try:
        with dock.target.write() as conn:
            dock.journal.audit.add(conn, actor, action, known, detail, reason=reason, result=result)
    except DroploadError as exc:
        get_logger().warning("refusal_not_audited", action=action.value, reason=str(exc))
