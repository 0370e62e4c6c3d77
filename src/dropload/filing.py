"""Put a file whose load is over where it belongs, with its report, and note that in the journal."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from dropload.durable import explain_os_error, path_text, sync_folder
from dropload.errors import TransientError
from dropload.folders import DONE_SUFFIX, DropTree, choose_filed_path
from dropload.journal import Journal
from dropload.logs import get_logger
from dropload.model import Drop, Effort, FileVersion
from dropload.moving import move_file
from dropload.targets.base import Target


def plan_filing(tree: DropTree, drop: Drop, *, failed: bool) -> Path | None:
    """Return where the file will go, None for a file outside the tree: it is never moved.

    Chosen before the load is closed and written down with it, so that a move that was cut off can
    be finished.
    """
    inbox = tree.inbox_of(drop.path)
    if not drop.in_tree or inbox is None:
        return None
    folder = tree.error(inbox) if failed else tree.processed(inbox)
    return choose_filed_path(folder, drop.path.name, datetime.now(UTC))


Measure = Callable[[], Effort | None]
"""Returns what a load has cost until then, None where that is not known."""


def file_away(
    filing: "Filing",
    load_id: int,
    drop: Drop,
    filed_path: Path | None,
    report: Path | None = None,
    measure: Measure = lambda: None,
) -> Path | None:
    """Move the file and its companion, and have it noted; return where the file is now.

    The order matters: the load is over in the journal before anything is moved, and the move is
    durable before the journal says so. `measure` is asked in the end. Raises TransientError when
    the file cannot be moved.
    """
    moved = None
    if filed_path is not None:
        moved = move_file(drop.path, filed_path, drop.version, filing.sync)
        _move_companion(drop.path, moved)
    filing.note_move(load_id, moved, report, measure)
    return moved


class Filing(Protocol):
    """Makes a move durable, and has the journal say so."""

    def sync(self, folder: Path) -> None:
        """Make a rename in a folder durable."""
        ...

    def note_move(
        self, load_id: int, moved: Path | None, report: Path | None, measure: Measure
    ) -> None:
        """Have the journal know that the file of a load was moved."""
        ...


class FiledAlone:
    """Notes each move at once, in a transaction of its own."""

    def __init__(
        self, target: Target, journal: Journal, noting: AbstractContextManager[object] | None = None
    ) -> None:
        """Enter `noting` while it is noted."""
        self._target = target
        self._journal = journal
        self._noting = noting or nullcontext()

    def sync(self, folder: Path) -> None:
        """Make a rename in a folder durable."""
        sync_folder(folder)

    def note_move(
        self, load_id: int, moved: Path | None, report: Path | None, measure: Measure
    ) -> None:
        """Note that the file of a load was moved."""
        with self._noting, self._target.write() as conn:
            self._journal.loads.mark_filed(conn, load_id, moved, report, measure())


class FiledTogether:
    """Moved files that the journal is told of together: one transaction, each folder synced once.

    Until then their loads are over and not filed: what is cut off before, recovery finishes. Two
    threads may use it.
    """

    def __init__(self, target: Target, journal: Journal) -> None:
        self._target = target
        self._journal = journal
        self._lock = threading.Lock()
        self._folders: dict[Path, None] = {}
        """A move names where the file is now, then where it was: no folder stands before one of its
        own that files came into."""
        self._moved: list[tuple[int, Path | None, Path | None, Effort | None]] = []

    def sync(self, folder: Path) -> None:
        """Note that a rename has changed a folder."""
        with self._lock:
            self._folders.pop(folder, None)
            self._folders[folder] = None

    def is_noted(self, load_id: int) -> bool:
        """Return whether the journal knows that the file of a load was moved."""
        with self._lock:
            return all(load_id != moved[0] for moved in self._moved)

    def note_move(
        self, load_id: int, moved: Path | None, report: Path | None, measure: Measure
    ) -> None:
        """Note that the file of a load was moved."""
        with self._lock:
            self._moved.append((load_id, moved, report, measure()))

    def note(self) -> None:
        """Make the moves durable, then have the journal say so.

        Raises DroploadError when either cannot be done: nothing is noted then.
        """
        with self._lock:
            self._note()

    def _note(self) -> None:
        for folder in self._folders:
            try:
                sync_folder(folder)
            except OSError as exc:
                raise TransientError(explain_os_error(folder, exc), code="not_moved") from exc
        if self._moved:
            with self._target.write() as conn:
                for load_id, moved, report, effort in self._moved:
                    self._journal.loads.mark_filed(conn, load_id, moved, report, effort)
        self._folders, self._moved = {}, []


def _move_companion(source: Path, moved: Path) -> None:
    """Take the `.done` file along; one that cannot be moved is named by the scan and harms none."""
    companion = source.with_name(source.name + DONE_SUFFIX)
    try:
        version = FileVersion.from_stat(companion.lstat())
        move_file(companion, moved.with_name(moved.name + DONE_SUFFIX), version)
    except FileNotFoundError:
        return
    except (OSError, TransientError) as exc:
        get_logger().warning("companion_not_moved", file=path_text(companion), reason=str(exc))
