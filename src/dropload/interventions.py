"""What a person does to a load or its file: cancel it, try it again, let it through."""

import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.durable import explain_os_error, path_text
from dropload.errors import ConstraintError, RefusedError, TransientError
from dropload.folders import find_path, strip_filed_prefix
from dropload.intake import drop_of_path, name_drop
from dropload.journal import HELD, RELEASED, WAITING, AuditAction, ClaimRefused, Done, path_key
from dropload.logs import get_logger
from dropload.model import STANDING, FileVersion, Inbox, LoadRecord, State, TableName, TrackedFile
from dropload.moving import move_back
from dropload.refusals import noted_refusal
from dropload.reports import count_of
from dropload.retries import call_with_retries
from dropload.times import spoken_time


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A load that a person has stopped."""

    load: LoadRecord
    """As it was before."""
    was: str
    """Its state before, `waiting` where it had none."""
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

    with noted_refusal(dock, actor, AuditAction.CANCEL, load_id, reason):
        cancelled = call_with_retries(cancel_once, dock.config.retry)
    get_logger().info("load_cancelled", load_id=load_id, reason=cancelled.message)
    return cancelled


def _cancel(dock: Dock, conn: sa.Connection, load_id: int, actor: str, reason: str) -> Cancelled:
    message = _by(actor, reason)
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
    said = f"the load was {row.state}"
    dock.journal.audit.add(conn, actor, AuditAction.CANCEL, load_id, said, reason=reason)
    return Cancelled(row, row.state.value, message, is_ending)


def cancel_file(dock: Dock, path: Path, actor: str, reason: str = "") -> Cancelled:
    """Hold a file that waits in its inbox, or end the load that it has.

    Raises RefusedError when it is in no inbox, or there is nothing to stop.
    """

    def cancel_once() -> Cancelled:
        try:
            with dock.target.write() as conn:
                return _cancel_waiting(dock, conn, path, actor, reason)
        except ConstraintError as exc:
            # The daemon told the journal of the file in the same moment.
            raise TransientError("Somebody else noted the file in the same moment.") from exc

    with noted_refusal(dock, actor, AuditAction.CANCEL, reason=reason):
        cancelled = call_with_retries(cancel_once, dock.config.retry)
    get_logger().info("file_cancelled", file=path_text(path.name), reason=cancelled.message)
    return cancelled


def _cancel_waiting(
    dock: Dock, conn: sa.Connection, path: Path, actor: str, reason: str
) -> Cancelled:
    if dock.tree.inbox_of(path.absolute()) is None:
        raise RefusedError(
            f"{path_text(path)} is in no inbox: nothing loads it.",
            hint="Name a file of an inbox, or the number of a load.",
        )
    drop = drop_of_path(path, dock.tree, None, None, force=False, requested_by=actor)
    key = path_key(drop.path)
    for load in dock.journal.history.open(conn):
        if load.file_path == key:
            return _cancel(dock, conn, load.load_id, actor, reason)
    message = _by(actor, reason)
    table = name_drop(drop, dock.target).table
    load_id = dock.journal.claims.cancel_waiting(conn, drop, table, message)
    if isinstance(load_id, ClaimRefused):
        raise RefusedError(
            f"{path_text(path)} is not waiting: {load_id.reason.rstrip('.')}.",
            hint="`dropload status` says how it stands.",
        )
    said = "the file was waiting"
    dock.journal.audit.add(conn, actor, AuditAction.CANCEL, load_id, said, reason=reason)
    load = dock.journal.history.existing(conn, load_id)
    return Cancelled(load, WAITING, message, is_ending=False)


def _by(actor: str, reason: str) -> str:
    return f"Cancelled by {actor}{f': {reason}' if reason else ''}."


def _nothing_to_cancel(row: LoadRecord) -> RefusedError:
    number = f"Load {row.load_id} of {row.file_name}"
    if row.state in STANDING:
        return RefusedError(
            f"{number} is committed: its rows are in {row.table}.",
            hint=f"`dropload undo {row.load_id}` takes them back.",
            code="not_cancelled",
        )
    said = f" {row.error_message}" if row.state is State.CANCELLED and row.error_message else ""
    return RefusedError(
        f"{number} is over ({row.outcome}).{said}", hint="Nothing to do.", code="not_cancelled"
    )


# --- retry


def retry_load(dock: Dock, load_id: int, actor: str, reason: str = "") -> Returned:
    """Put the file of a failed load back into its inbox, under the name it was dropped with.

    There it is a new drop; the load, its report and its rejects file stay as they are. Raises
    RefusedError when the file is gone or its place is taken.
    """
    returning = _Returning(dock, load_id, actor, reason)
    with noted_refusal(dock, actor, AuditAction.RETRY, load_id, reason):
        row, wanted = call_with_retries(returning.try_once, dock.config.retry)
    get_logger().info("file_returned", load_id=load_id, file=path_text(wanted))
    return Returned(row, wanted)


class _Returning:
    """One file on its way back; each try is a transaction that moves it, or finds it moved.

    It moves before the COMMIT: what the journal refuses to hold has moved no file. Where the COMMIT
    was lost, the next try writes down what is not there yet; so does another command later, as long
    as the file stands in its inbox.
    """

    def __init__(self, dock: Dock, load_id: int, actor: str, reason: str) -> None:
        self._dock = dock
        self._load_id = load_id
        self._actor = actor
        self._reason = reason
        self._moved: tuple[Path, Path] | None = None
        """From where to where an earlier try has moved it."""
        self._done_before: Done | None = None
        """Who had retried the load before this command."""

    def try_once(self) -> tuple[LoadRecord, Path]:
        """Return the load and where its file stands now."""
        dock = self._dock
        with dock.target.write() as conn:
            row = dock.journal.history.existing(conn, self._load_id)
            done = dock.journal.listings.last_done(conn, self._load_id, AuditAction.RETRY)
            if self._moved is None:
                self._done_before = done
                self._moved = None if done else self._find_moved(row)
            if self._moved is None:
                source = _find_failed_file(dock, conn, row)
                places = source, _inbox_of(dock, row).path / _dropped_name(row, source)
                self._write(conn, row, *places)
                _move(*places)
                self._moved = places
            elif done == self._done_before:
                self._write(conn, row, *self._moved)
            return row, self._moved[1]

    def _find_moved(self, row: LoadRecord) -> tuple[Path, Path] | None:
        """Return what a command has moved that was cut off before it could write it down."""
        if row.state is not State.FAILED or not row.in_tree or not row.filed_path:
            return None
        source = find_path(row.filed_path)
        wanted = _inbox_of(self._dock, row).path / _dropped_name(row, source)
        is_moved = not os.path.lexists(source) and _is_there(wanted, row)
        return (source, wanted) if is_moved else None

    def _write(self, conn: sa.Connection, row: LoadRecord, source: Path, wanted: Path) -> None:
        _note_waiting(self._dock, conn, row, wanted, self._actor)
        moved = f"{path_text(source)} to {path_text(wanted)}"
        self._dock.journal.audit.add(
            conn, self._actor, AuditAction.RETRY, row.load_id, moved, reason=self._reason
        )


def _is_there(path: Path, row: LoadRecord) -> bool:
    """Return whether the very file of a load stands somewhere: a move keeps its version."""
    try:
        return FileVersion.from_stat(path.lstat()) == row.version
    except OSError:
        return False


def _find_failed_file(dock: Dock, conn: sa.Connection, row: LoadRecord) -> Path:
    number = f"Load {row.load_id} of {row.file_name}"
    if row.state is not State.FAILED:
        raise RefusedError(
            f"{number} is {row.outcome}; only the file of a failed load is tried again.",
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
        raise _gone_from_error(dock, conn, row)
    return source


def _gone_from_error(dock: Dock, conn: sa.Connection, row: LoadRecord) -> RefusedError:
    """Say why the file is not in error/: it is back in its inbox, was kept long enough, or went."""
    done = dock.journal.listings.last_done(conn, row.load_id, AuditAction.RETRY)
    if done is not None:
        again = f"Load {row.load_id} was retried already, by {done.actor}, {spoken_time(done.at)}"
        inbox = _inbox_of(dock, row).path / row.file_name
        if os.path.lexists(inbox):
            message = f"{again}: its file stands in its inbox: {path_text(inbox)}."
            hint = "Nothing to do; `dropload status` says what it waits for."
        else:
            message = f"{again}: its file went back to its inbox and has left it since."
            hint = "`dropload history` says what came of it: that load can be retried."
    elif row.filed_path:
        message = f"The file of load {row.load_id} is not there any more: {row.filed_path}."
        hint = "Drop the original again."
    else:
        days = count_of(dock.config.retention.filed_days, "day")
        message = (
            f"The file of load {row.load_id} is not kept any more: the cleanup takes files from "
            f"error/ after {days} (retention.filed_days)."
        )
        hint = "Drop the original again."
    return RefusedError(message, hint=hint, code="not_retried")


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


def release_file(dock: Dock, held: Path | int, actor: str, reason: str = "") -> TrackedFile:
    """Let a held file load after all, named by its path or its load; return its row as it was.

    The release counts for the version that was held. Raises RefusedError when the file is not held.
    """

    def release_once() -> TrackedFile:
        with dock.target.write() as conn:
            return _release(dock, conn, held, actor, reason)

    load_id = held if isinstance(held, int) else None
    with noted_refusal(dock, actor, AuditAction.RELEASE, load_id, reason):
        released = call_with_retries(release_once, dock.config.retry)
    get_logger().info("file_released", file=released.file_name, load_id=released.load_id)
    return released


def _release(
    dock: Dock, conn: sa.Connection, held: Path | int, actor: str, reason: str
) -> TrackedFile:
    row = _find_held(dock, conn, held)
    dock.journal.tracking.set_status(conn, row.id, RELEASED, reason=f"released by {actor}")
    if row.load_id is not None:
        dock.journal.claims.note_released(conn, row.load_id)
    dock.journal.audit.add(conn, actor, AuditAction.RELEASE, row.load_id, reason=reason)
    return row


def _find_held(dock: Dock, conn: sa.Connection, held: Path | int) -> TrackedFile:
    hint = "`dropload status` lists the files that are."
    if isinstance(held, Path):
        row = dock.journal.tracking.find(conn, path_key(held.absolute()))
        if row is None or row.status != HELD:
            raise RefusedError(f"{path_text(held)} is not held.", hint=hint, code="not_held")
        return row
    load = dock.journal.history.existing(conn, held)
    row = dock.journal.tracking.find(conn, load.file_path)
    if row is None or row.status != HELD:
        message = f"The file of load {held} is not held: {load.file_path}."
        raise RefusedError(message, hint=hint, code="not_held")
    if row.load_id != held:
        raise RefusedError(
            f"Load {held} is of an older version of {load.file_name} than the one that is held.",
            hint=f"`dropload release {row.load_id or load.file_path}` lets that one load.",
            code="not_held",
        )
    return row
