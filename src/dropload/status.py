"""Answer what is waiting and why, what is loading, and how it ended last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dropload.config import ALWAYS_IGNORED
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import DroploadError
from dropload.heartbeat import Heartbeat, read_heartbeat
from dropload.journal import HELD, WAITING, path_key
from dropload.model import OPEN_STATES, LoadRecord, Observation, State, TrackedFile
from dropload.watcher import scan_inboxes

_SHOWN_LAST = 10
_OVER = (State.COMMITTED, State.FAILED, State.DUPLICATE)


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One file that stands in an inbox."""

    path: str
    area: str
    load_type: str
    size_bytes: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """One load under way."""

    load_id: int
    file_name: str
    table: str
    state: str
    rows_staged: int
    rows_read: int | None
    """None until the file has been read once."""
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """The whole answer."""

    daemon: Heartbeat | None
    files: tuple[FileStatus, ...]
    loads: tuple[LoadStatus, ...]
    last: tuple[LoadRecord, ...]
    strays: tuple[str, ...]
    folder_problems: tuple[str, ...]
    database_problem: str = ""


def read_status(dock: Dock) -> Status:
    """Look at the tree and the journal; works, with less to tell, while the database is away."""
    heartbeat = read_heartbeat(dock.config.state_folder)
    scan = scan_inboxes(dock.tree, (*ALWAYS_IGNORED, *dock.config.watch.ignore))
    problem = ""
    tracked: dict[str, TrackedFile] = {}
    loads: list[LoadStatus] = []
    last: list[LoadRecord] = []
    try:
        with dock.target.read() as conn:
            paths = [seen.path for seen in scan.observations]
            tracked = dock.journal.tracking.at_paths(conn, paths)
            loads = [_load_status(row) for row in dock.journal.history.open(conn) if row.worker]
            last = dock.journal.history.latest(conn, None, _SHOWN_LAST)
    except DroploadError as exc:
        problem = str(exc)
    files = [_file_status(dock, seen, tracked, heartbeat, problem) for seen in scan.observations]
    return Status(
        daemon=heartbeat,
        files=tuple(sorted(files, key=lambda file: (file.status, file.path))),
        loads=tuple(loads),
        last=tuple(last),
        strays=tuple(path_text(path) for path in scan.strays),
        folder_problems=tuple(scan.failed.values()),
        database_problem=problem,
    )


def _load_status(row: LoadRecord) -> LoadStatus:
    return LoadStatus(
        load_id=row.load_id,
        file_name=row.file_name,
        table=f"{row.schema_name}.{row.table_name}",
        state=row.state,
        rows_staged=row.rows_staged or 0,
        rows_read=row.rows_read,
        started_at=row.claimed_at,
    )


def _file_status(
    dock: Dock,
    seen: Observation,
    tracked: Mapping[str, TrackedFile],
    heartbeat: Heartbeat | None,
    problem: str,
) -> FileStatus:
    row = tracked.get(path_key(seen.path))
    if row is not None and not row.is_version(seen.version):
        row = None
    status = row.status if row else WAITING
    reason = next(_reasons(dock, path_text(seen.path), row, heartbeat, problem))
    return FileStatus(
        path_text(seen.path),
        seen.inbox.area.value,
        seen.inbox.load_type.value,
        seen.size_bytes,
        status,
        reason,
    )


def _reasons(
    dock: Dock, path: str, row: TrackedFile | None, heartbeat: Heartbeat | None, problem: str
) -> Iterator[str]:
    """Yield why a file is not loaded yet, the most telling reason first."""
    if row is not None and row.status == HELD:
        yield row.reason or "held"
    if heartbeat is None:
        yield "no daemon is running: start it with `dropload run`"
    elif heartbeat.age_seconds > dock.config.health.heartbeat_critical_seconds:
        yield "the daemon hangs or was killed: see `dropload health`"
    if problem:
        yield f"database away: {problem}"
    if heartbeat is not None and path in heartbeat.waiting_reasons:
        yield heartbeat.waiting_reasons[path]
    if row is None:
        yield "new: the daemon will see it at its next scan"
        return
    if row.status in _OVER:
        yield f"its load is over ({row.status}); it is moved as soon as its folder allows"
    paused = heartbeat.paused_tables.get(row.table_name or "") if heartbeat else None
    if paused:
        yield f"the table's queue pauses: {paused}"
    if row.status in OPEN_STATES:
        yield f"being loaded ({row.status})"
    yield _gate_reason(dock, row)


def _gate_reason(dock: Dock, row: TrackedFile) -> str:
    gate = dock.config.gate
    now = datetime.now(UTC).replace(tzinfo=None)
    age = (now - (row.changed_at or row.created_at)).total_seconds()
    checks = min(gate.checks, int(age // gate.interval_seconds))
    if checks < gate.checks:
        left = gate.checks * gate.interval_seconds - age
        return f"check {checks} of {gate.checks}, {left:.0f} s left"
    if row.load_id is not None and row.reason:
        return str(row.reason)
    return "complete, its turn comes after the files before it"
