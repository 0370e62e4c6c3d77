"""Put a file whose load is over where it belongs, with its report, and note that in the journal."""

from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from dropload.durable import path_text
from dropload.errors import TransientError
from dropload.folders import DONE_SUFFIX, DropTree, choose_filed_path
from dropload.journal import Journal
from dropload.logs import get_logger
from dropload.model import Drop, FileVersion, Layout, Profile, Reject
from dropload.moving import move_file, write_text_beside
from dropload.parsers.base import Parser
from dropload.profiling import open_hashed
from dropload.reports import Findings, rejects_path, render_report, report_path, write_rejects
from dropload.row_checks import RowCheck
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
) -> Path | None:
    """Move the file and its companion, then note it; return where the file is now.

    The order matters: the load is over in the journal before anything is moved, and the move is
    durable before the journal says so. Raises TransientError when the file cannot be moved.
    """
    moved = None
    if filed_path is not None:
        moved = move_file(drop.path, filed_path, drop.version)
        _move_companion(drop.path, moved)
    with target.write() as conn:
        journal.loads.mark_filed(conn, load_id, moved, report)
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


def write_report(findings: Findings, filed_path: Path | None) -> Path | None:
    """Write the report where the file will stand; return its path, None when that is impossible."""
    if filed_path is None:
        return None
    try:
        return write_text_beside(report_path(filed_path), render_report(findings))
    except (OSError, TransientError) as exc:
        get_logger().error("report_not_written", file=str(filed_path), reason=str(exc))
        return None


def write_all_rejects(
    source: Path,
    filed_path: Path | None,
    layout: Layout,
    profile: Profile,
    parser: Parser,
    max_record_bytes: int,
    check: RowCheck | None = None,
) -> Path | None:
    """Read the file once more and write every refused record beside where it will stand."""
    if filed_path is None or not profile.rejected_rows:
        return None
    path = rejects_path(filed_path)
    with closing(_all_rejects(source, layout, profile, parser, max_record_bytes, check)) as rejects:
        try:
            write_rejects(path, layout, rejects)
        except OSError as exc:
            get_logger().error("rejects_not_written", file=str(path), reason=str(exc))
            return None
    return path


def _all_rejects(
    source: Path,
    layout: Layout,
    profile: Profile,
    parser: Parser,
    max_record_bytes: int,
    check: RowCheck | None,
) -> Generator[Reject]:
    with open_hashed(source, profile.hash_algorithm) as stream:
        for batch in parser.read(stream, layout, profile.reader, max_record_bytes=max_record_bytes):
            rejects = (batch if check is None else check.sift(batch)).rejects
            # What comes behind the last row is the footer.
            yield from (reject for reject in rejects if reject.source_row <= profile.rows)
