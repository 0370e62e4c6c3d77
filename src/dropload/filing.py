"""Put a file whose load is over where it belongs, with its report, and note that in the journal."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from dropload.durable import path_text
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


def file_away(
    target: Target,
    journal: Journal,
    load_id: int,
    drop: Drop,
    filed_path: Path | None,
    report: Path | None = None,
    measure: Callable[[], Effort] | None = None,
    noting: AbstractContextManager[object] | None = None,
) -> Path | None:
    """Move the file and its companion, then note it; return where the file is now.

    `noting` is entered while it is noted.

    The order matters: the load is over in the journal before anything is moved, and the move is
    durable before the journal says so. `measure` is asked in the end for what the load has cost.
    Raises TransientError when the file cannot be moved.
    """
    moved = None
    if filed_path is not None:
        moved = move_file(drop.path, filed_path, drop.version)
        _move_companion(drop.path, moved)
    with noting or nullcontext(), target.write() as conn:
        journal.loads.mark_filed(conn, load_id, moved, report, measure() if measure else None)
    return moved


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
