"""Answer what is waiting and why, what is loading, and how it ended last."""

import heapq
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue

import sqlalchemy as sa

from dropload.config import ALWAYS_IGNORED
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.error_groups import find_repeated_failures
from dropload.errors import DroploadError, TransientError
from dropload.heartbeat import Heartbeat, read_heartbeat
from dropload.journal import HELD, RELEASED, WAITING, path_key, pending_scripts
from dropload.model import LoadRecord, Observation, TrackedFile
from dropload.progress import LoadProgress, judge_progress
from dropload.reasons import (
    Reason,
    Situation,
    WaitsFor,
    explain_wait,
    find_daemon_problem,
    make_situation,
)
from dropload.times import clock_time
from dropload.watcher import Scan, scan_inboxes

_SHOWN_LAST = 10
_REPEATED_SECONDS = 30.0
"""How often it is looked up whose files fail again and again."""
DATABASE_SECONDS = 5.0
"""So long the database may take to answer before the rest is told without it."""


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One file that stands in an inbox."""

    path: str
    area: str
    load_type: str
    size_bytes: int
    status: str
    why: Reason


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """One load under way, whoever's."""

    load: LoadRecord
    progress: LoadProgress
    is_abandoned: bool
    """Its worker is gone; another one takes it over."""


@dataclass(frozen=True, slots=True)
class PausedTable:
    """A table whose files wait for something that is wrong with it."""

    table: str
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """The whole answer."""

    daemon: Heartbeat | None
    daemon_problem: str
    files: tuple[FileStatus, ...]
    files_total: int
    """More than `files` has where only the first ones were asked for."""
    loads: tuple[LoadStatus, ...]
    last: tuple[LoadRecord, ...]
    strays: tuple[str, ...]
    stray_count: int
    lonely_companions: tuple[str, ...]
    folder_problems: tuple[str, ...]
    paused: tuple[PausedTable, ...] = ()
    database_problem: str = ""
    held_total: int = 0
    """More than `files` has where only the first ones were asked for."""
    repeated_failures: tuple[str, ...] = ()
    """Whose files fail again and again, a sentence each."""

    def problems(self) -> Iterator[str]:
        """Yield what is wrong, the worst first."""
        if self.daemon_problem:
            yield self.daemon_problem[0].upper() + self.daemon_problem[1:]
        yield from self.folder_problems
        beat = self.daemon
        if beat is not None and not self.daemon_problem:
            yield from _daemons_problems(beat)
        if self.database_problem and not (beat and beat.database_problem):
            yield f"database away: {self.database_problem}"
        for pause in self.paused:
            yield f"{pause.table} is paused until {clock_time(pause.until)}: {pause.reason}"
        yield from self.repeated_failures
        for path in self.lonely_companions:
            yield f"no file for the companion {path}"


def _daemons_problems(beat: Heartbeat) -> Iterator[str]:
    """Yield what the daemon itself finds wrong."""
    if beat.database_problem:
        at = beat.database_next_try
        tried = f", next try {clock_time(datetime.fromisoformat(at))}" if at else ""
        yield f"database away{tried}: {beat.database_problem}"
    if beat.disk_problem:
        yield beat.disk_problem
    if beat.workers_problem:
        yield beat.workers_problem
    if beat.turn_problem:
        yield f"the daemon's turn fails: {beat.turn_problem}"
    yield from beat.missing_files
    if beat.notify_problem:
        yield beat.notify_problem


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the journal says."""

    now: datetime | None = None
    tracked: Mapping[str, TrackedFile] = field(default_factory=dict)
    loads: tuple[LoadStatus, ...] = ()
    last: tuple[LoadRecord, ...] = ()
    problem: str = ""
    held: frozenset[str] = frozenset()
    """Keys of the paths that wait for a person."""
    repeated_failures: tuple[str, ...] = ()


class StatusReader:
    """Reads the status, again and again; keeps its patience with the database short."""

    def __init__(self, dock: Dock, *, most_files: int | None = None) -> None:
        """`most_files`: no more are listed, those first that need somebody; None: all are."""
        self._dock = dock
        self._most_files = most_files
        self._asking: threading.Thread | None = None
        self._repeated: tuple[str, ...] = ()
        self._next_repeated = float("-inf")

    def read(self) -> Status:
        """Look at tree, heartbeat and journal; works, with less to tell, without a database."""
        config = self._dock.config
        heartbeat = read_heartbeat(config.state_folder)
        problem = find_daemon_problem(config, heartbeat)
        situation = make_situation(config, heartbeat, problem, datetime.now(UTC))
        scan = scan_inboxes(self._dock.tree, (*ALWAYS_IGNORED, *config.watch.ignore))
        try:
            chosen, answer = self._ask(lambda: self._read_journal(scan, situation))
        except DroploadError as exc:
            chosen, answer = self._choose(scan, situation, set()), _Answer(problem=str(exc))
        situation = replace(
            situation,
            database_problem=answer.problem,
            journal_now=answer.now,
            loads=tuple(found.load for found in answer.loads if not found.is_abandoned),
        )
        files = _describe_files(situation, chosen, answer)
        return Status(
            daemon=heartbeat,
            daemon_problem=problem,
            files=files,
            files_total=len(scan.observations),
            loads=answer.loads,
            last=answer.last,
            strays=tuple(path_text(path) for path in scan.strays),
            stray_count=scan.stray_count,
            lonely_companions=tuple(path_text(path) for path in scan.companions_without_file),
            folder_problems=self._folder_problems(scan),
            paused=() if problem else _paused_tables(heartbeat),
            database_problem=answer.problem,
            held_total=_count_held(scan, files, answer.held),
            repeated_failures=answer.repeated_failures,
        )

    def _folder_problems(self, scan: Scan) -> tuple[str, ...]:
        if len(scan.failed) == len(self._dock.tree.inboxes):
            missing = self._dock.tree.explain_missing()
            if missing:
                return (missing,)
        return tuple(scan.failed.values())

    # --- the journal

    def _ask(
        self, action: Callable[[], tuple[Sequence[Observation], _Answer]]
    ) -> tuple[Sequence[Observation], _Answer]:
        """Return what the action returns, unless it takes too long: drivers may hang for long."""
        unanswered = TransientError(f"it has not answered within {DATABASE_SECONDS:g} s.")
        if self._asking is not None and self._asking.is_alive():
            raise unanswered
        answers: SimpleQueue[tuple[Sequence[Observation], _Answer] | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(action())
            except Exception as exc:  # noqa: BLE001 - raised again where it was asked for
                answers.put(exc)

        self._asking = threading.Thread(target=ask, name="status", daemon=True)
        self._asking.start()
        try:
            answer = answers.get(timeout=DATABASE_SECONDS)
        except Empty:
            raise unanswered from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _read_journal(
        self, scan: Scan, situation: Situation
    ) -> tuple[Sequence[Observation], _Answer]:
        dock = self._dock
        if missing := pending_scripts(dock.target):
            names = ", ".join(path.name for path in missing)
            raise TransientError(
                f"it is not prepared ({names}).",
                hint="`dropload init` or the daemon's next start does it.",
                code="not_prepared",
            )
        with dock.target.read() as conn:
            now = dock.target.now(conn)
            loads = tuple(
                LoadStatus(
                    row, judge_progress(row, now), dock.journal.claims.is_abandoned(conn, row)
                )
                for row in dock.journal.history.under_way(conn)
            )
            held = {row.file_path for row in dock.journal.tracking.with_status(conn, HELD)}
            special = held | self._find_special(conn) | {found.load.file_path for found in loads}
            chosen = self._choose(scan, situation, special)
            tracked = dock.journal.tracking.at_paths(conn, [seen.path for seen in chosen])
            last = tuple(dock.journal.history.outcomes(conn, _SHOWN_LAST))
            repeated = self._find_repeated(conn, now)
        held_paths = frozenset(held)
        return chosen, _Answer(
            now, tracked, loads, last, held=held_paths, repeated_failures=repeated
        )

    def _find_repeated(self, conn: sa.Connection, now: datetime) -> tuple[str, ...]:
        """Return whose files fail again and again; not looked up anew at every look."""
        if time.monotonic() >= self._next_repeated:
            groups = find_repeated_failures(self._dock, conn, now)
            self._repeated = tuple(
                f"{group.repeated}: `dropload show {group.last_load_id}` says why the last"
                for group in groups
            )
            self._next_repeated = time.monotonic() + _REPEATED_SECONDS
        return self._repeated

    def _find_special(self, conn: sa.Connection) -> set[str]:
        """Return the paths that somebody has to look at."""
        if self._most_files is None:
            return set()
        journal = self._dock.journal
        released = journal.tracking.with_status(conn, RELEASED)
        unmoved = journal.history.unfiled(conn)
        return {row.file_path for row in released} | {load.file_path for load in unmoved}

    def _choose(self, scan: Scan, situation: Situation, special: set[str]) -> Sequence[Observation]:
        """Return the files to tell of: what is special, then the first in turn."""
        most = self._most_files
        if most is None or len(scan.observations) <= most:
            return scan.observations
        known = (special, situation.put_off, situation.at_gate, situation.queued)

        def rank(seen: Observation) -> tuple[int, int, str]:
            # Not path_text(): there may be 100,000 files.
            text = f"{seen.inbox.path}/{seen.name}"
            place = next((place for place, paths in enumerate(known) if text in paths), len(known))
            return place, seen.mtime_ns, seen.name

        ranked = [(rank(seen), seen) for seen in scan.observations]
        first = [pair for pair in ranked if pair[0][0] == 0]
        others = [pair for pair in ranked if pair[0][0] != 0]
        # However many need somebody, of the others some are told of, too.
        room = max(most - len(first), min(len(others), most // 2))
        kept = [*heapq.nsmallest(most - room, first), *heapq.nsmallest(room, others)]
        return [seen for _, seen in kept]


def read_status(dock: Dock, *, most_files: int | None = None) -> Status:
    """Return the status once."""
    return StatusReader(dock, most_files=most_files).read()


def _paused_tables(heartbeat: Heartbeat | None) -> tuple[PausedTable, ...]:
    queues = heartbeat.queues if heartbeat else []
    return tuple(
        PausedTable(queue.table, queue.reason, datetime.fromtimestamp(queue.until, UTC))
        for queue in queues
        if queue.reason
    )


def _count_held(scan: Scan, files: Sequence[FileStatus], held: frozenset[str]) -> int:
    """Return how many files wait for a person, those that are not described included."""
    shown = sum(file.why.waits_for is WaitsFor.PERSON for file in files)
    if len(files) == len(scan.observations) or len(held) <= shown:
        return shown
    described = {file.path for file in files}
    texts = (f"{seen.inbox.path}/{seen.name}" for seen in scan.observations)
    return shown + sum(text in held and text not in described for text in texts)


def _describe_files(
    situation: Situation, chosen: Sequence[Observation], answer: _Answer
) -> tuple[FileStatus, ...]:
    order = {waits_for: place for place, waits_for in enumerate(WaitsFor)}
    described = [(seen, _describe_file(situation, seen, answer.tracked)) for seen in chosen]

    def rank(pair: tuple[Observation, FileStatus]) -> tuple[int, int, float, int, str]:
        seen, file = pair
        place, _ = situation.queued.get(file.path, (0, None))
        until = file.why.until.timestamp() if file.why.until else 0.0
        return order[file.why.waits_for], place, until, seen.mtime_ns, file.path

    return tuple(file for _, file in sorted(described, key=rank))


def _describe_file(
    situation: Situation, seen: Observation, tracked: Mapping[str, TrackedFile]
) -> FileStatus:
    path: Path = seen.path
    row = tracked.get(path_key(path))
    if row is not None and not row.is_version(seen.version):
        row = None
    return FileStatus(
        path_text(path),
        seen.inbox.area.value,
        seen.inbox.load_type.value,
        seen.size_bytes,
        row.status if row else WAITING,
        explain_wait(situation, path, row),
    )
