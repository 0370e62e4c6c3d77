"""What a person does to a load or its file: cancel it, try it again, let it through."""

import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.durable import explain_os_error, path_text
from dropload.errors import RefusedError
from dropload.folders import find_path, strip_filed_prefix
from dropload.journal import HELD, RELEASE, RELEASED, WAITING, path_key
from dropload.logs import get_logger
from dropload.model import Inbox, LoadRecord, State, TableName, TrackedFile
from dropload.moving import move_back
from dropload.retries import call_with_retries


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A load that a person has stopped."""

    load: LoadRecord
    """As it was before."""
    message: str
    is_ending: bool
    """A worker had it, and ends within seconds."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A file that is back in its inbox."""

    load: LoadRecord
    path: Path


# --- cancel


def cancel_load(dock: Dock, load_id: int, actor: str, reason: str = "") -> Cancelled:
    """End a load that is not committed yet; its file is held in its inbox.

    Raises RefusedError when there is nothing to end.
    """

    def cancel_once() -> Cancelled:
        with dock.target.write() as conn:
            return _cancel(dock, conn, load_id, actor, reason)

    cancelled = call_with_retries(cancel_once, dock.config.retry)
    get_logger().info("load_cancelled", load_id=load_id, reason=cancelled.message)
    return cancelled


def _cancel(dock: Dock, conn: sa.Connection, load_id: int, actor: str, reason: str) -> Cancelled:
    message = f"Cancelled by {actor}{f': {reason}' if reason else ''}."
    dock.journal.history.existing(conn, load_id)
    row = dock.journal.claims.cancel(conn, load_id, message)
    if row is None:
        # Read anew: its worker may have ended it in between.
        raise _nothing_to_cancel(dock.journal.history.existing(conn, load_id))
    is_ending = row.worker is not None and not dock.journal.claims.is_abandoned(conn, row)
    if not is_ending:
        # Nobody writes into it; else its worker drops it, or the next recovery.
        table = TableName(row.schema_name, row.table_name)
        dock.target.drop_table(conn, dock.target.stage_name(table, load_id))
    dock.journal.audit.add(conn, actor, "cancel", load_id, f"{row.state}. {reason}".rstrip())
    return Cancelled(row, message, is_ending)


def _nothing_to_cancel(row: LoadRecord) -> RefusedError:
    number = f"Load {row.load_id} of {row.file_name}"
    if row.state in (State.COMMITTED, State.FILED):
        return RefusedError(
            f"{number} is committed: its rows are in {row.table}.",
            hint=f"`dropload undo {row.load_id}` takes them back.",
            code="not_cancelled",
        )
    said = f" {row.error_message}" if row.state is State.CANCELLED and row.error_message else ""
    return RefusedError(
        f"{number} is over ({row.state}).{said}", hint="Nothing to do.", code="not_cancelled"
    )


# --- retry


def retry_load(dock: Dock, load_id: int, actor: str, reason: str = "") -> Returned:
    """Put the file of a failed load back into its inbox, under the name it was dropped with.

    There it is a new drop; the load, its report and its rejects file stay as they are. Raises
    RefusedError when the file is gone or its place is taken.
    """
    with dock.target.write() as conn:
        row = dock.journal.history.existing(conn, load_id)
        source = _find_failed_file(row)
        wanted = _inbox_of(dock, row).path / _dropped_name(row, source)
        _note_waiting(dock, conn, row, wanted, actor)
        moved = f"{path_text(source)} to {path_text(wanted)}. {reason}".rstrip()
        dock.journal.audit.add(conn, actor, "retry", load_id, moved)
        # Last: what the journal refuses to hold has moved no file.
        _move(source, wanted)
    get_logger().info("file_returned", load_id=load_id, file=path_text(wanted))
    return Returned(row, wanted)


def _find_failed_file(row: LoadRecord) -> Path:
    number = f"Load {row.load_id} of {row.file_name}"
    if row.state is not State.FAILED:
        raise RefusedError(
            f"{number} is {row.state}; only the file of a failed load is tried again.",
            hint="`dropload history` lists the loads.",
            code="not_retried",
        )
    if not row.in_tree:
        raise RefusedError(
            f"{number} came from outside the drop tree: its file stands where it was.",
            hint=f"`dropload load {row.file_path}` loads it again.",
            code="not_retried",
        )
    if row.filed_at is None:
        raise RefusedError(
            f"{number} has failed, but its file has not been moved to error/ yet.",
            hint="Try again in a moment; `dropload health` says what keeps it.",
            code="not_retried",
        )
    source = find_path(row.filed_path or "")
    if not row.filed_path or not source.is_file() or source.is_symlink():
        raise RefusedError(
            f"The file of load {row.load_id} is not there any more: {row.filed_path or 'unknown'}.",
            hint="Drop the original again.",
            code="not_retried",
        )
    return source


def _inbox_of(dock: Dock, row: LoadRecord) -> Inbox:
    for inbox in dock.tree.inboxes:
        is_reference = inbox.area == "reference"
        if (inbox.load_type, is_reference) == (row.load_type, row.is_reference_data):
            return inbox
    raise AssertionError("the tree has an inbox for each load type and area")


def _dropped_name(row: LoadRecord, source: Path) -> str:
    r"""Return the name that the file was dropped with.

    The journal shows bytes that are not UTF-8 as `\xNN`; the file in error/ still has them.
    """
    own = strip_filed_prefix(source.name)
    return own if path_text(own) != own else row.file_name


def _note_waiting(dock: Dock, conn: sa.Connection, row: LoadRecord, path: Path, actor: str) -> None:
    """Have the inbox's row say that the file is new there, or it would count as over."""
    tracked = dock.journal.tracking.find(conn, path_key(path))
    if tracked is not None and tracked.load_id == row.load_id:
        reason = f"load {row.load_id} is tried again by {actor}"
        dock.journal.tracking.set_status(conn, tracked.id, WAITING, reason=reason)


def _move(source: Path, wanted: Path) -> None:
    try:
        move_back(source, wanted)
    except FileExistsError as exc:
        raise RefusedError(
            f"A file stands in its place already: {path_text(wanted)}.",
            hint="Wait until that one is loaded, or move it away.",
            code="not_retried",
        ) from exc
    except FileNotFoundError as exc:
        if os.path.lexists(source):
            raise _refused_by_folder(wanted, exc) from exc
        raise RefusedError(
            f"{path_text(source)} was taken away in this moment.", code="not_retried"
        ) from exc
    except OSError as exc:
        raise _refused_by_folder(wanted, exc) from exc


def _refused_by_folder(wanted: Path, exc: OSError) -> RefusedError:
    return RefusedError(
        f"{path_text(wanted.name)} was not moved. " + explain_os_error(wanted.parent, exc),
        code="not_retried",
    )


# --- release


def release_file(dock: Dock, path: Path, actor: str, reason: str = "") -> TrackedFile:
    """Let a held file load after all; return its row as it was.

    The release counts for the version that was held. Raises RefusedError when the file is not held.
    """

    def release_once() -> TrackedFile:
        with dock.target.write() as conn:
            return _release(dock, conn, path, actor, reason)

    released = call_with_retries(release_once, dock.config.retry)
    get_logger().info("file_released", file=released.file_name, load_id=released.load_id)
    return released


def _release(dock: Dock, conn: sa.Connection, path: Path, actor: str, reason: str) -> TrackedFile:
    row = dock.journal.tracking.find(conn, path_key(path.absolute()))
    if row is None or row.status != HELD:
        raise RefusedError(
            f"{path_text(path)} is not held.",
            hint="`dropload status` lists the files that are.",
            code="not_held",
        )
    dock.journal.tracking.set_status(conn, row.id, RELEASED, reason=f"released by {actor}")
    dock.journal.audit.add(conn, actor, RELEASE, row.load_id, reason)
    return row
