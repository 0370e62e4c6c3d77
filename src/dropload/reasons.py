"""Why a file still waits, for what, and until when: the first reason that holds, in one list."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil
from pathlib import Path

from dropload.config import Config
from dropload.durable import path_text
from dropload.heartbeat import AtGate, Heartbeat, PutOff, TableQueue
from dropload.journal import HELD, path_key
from dropload.model import LoadRecord, State, TrackedFile
from dropload.times import clock_time

_OVER = (State.COMMITTED, State.FAILED, State.DUPLICATE)


class WaitsFor(StrEnum):
    """What must happen before a file goes on; in the order in which people want to hear of it."""

    PERSON = "person"
    """It is held until somebody decides."""
    MOVE = "move"
    """Its load is over, and its folder keeps it from being moved."""
    LOAD = "load"
    """It is being loaded."""
    ROOM = "room"
    """The disk is nearly full."""
    RETRY = "retry"
    """It was put off."""
    DATABASE = "database"
    TABLE = "table"
    """Its table pauses, or another file is being loaded into it."""
    QUEUE = "queue"
    """It is complete, and others come before it."""
    GATE = "gate"
    """It is not known to be whole yet."""
    SCAN = "scan"
    """Nobody has seen it yet."""
    DAEMON = "daemon"
    """No daemon runs."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a file waits."""

    waits_for: WaitsFor
    text: str
    until: datetime | None = None
    """When it goes on, as far as that is known; UTC."""
    next_step: str = ""
    """What a person can do about it: a command."""
    load_id: int | None = None
    """The load that it waits for: its own, or the one before it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What folder, heartbeat and journal say."""

    config: Config
    now: datetime
    """This machine's clock, UTC."""
    heartbeat: Heartbeat | None
    daemon_problem: str
    """Why the heartbeat is not to be believed; empty when it is."""
    database_problem: str = ""
    """Why the journal could not be read; empty when it could."""
    journal_now: datetime | None = None
    """The database's clock."""
    loads: tuple[LoadRecord, ...] = ()
    """Loads that a living worker has."""
    at_gate: Mapping[str, AtGate] = field(default_factory=dict)
    put_off: Mapping[str, PutOff] = field(default_factory=dict)
    queued: Mapping[str, tuple[int, TableQueue]] = field(default_factory=dict)
    """Place in its queue, from 0, by path."""

    def load_of(self, key: str) -> LoadRecord | None:
        """Return the load of a path that is under way."""
        return next((load for load in self.loads if load.file_path == key), None)

    def load_into(self, table: str) -> LoadRecord | None:
        """Return the load that a table is busy with."""
        return next((load for load in self.loads if load.table == table), None)


def make_situation(
    config: Config, heartbeat: Heartbeat | None, daemon_problem: str, now: datetime
) -> Situation:
    """Return what the heartbeat says, made ready to be asked path by path."""
    believed = None if daemon_problem else heartbeat
    if believed is None:
        return Situation(config, now, heartbeat, daemon_problem)
    return Situation(
        config,
        now,
        heartbeat,
        daemon_problem,
        at_gate={note.path: note for note in believed.at_gate},
        put_off={note.path: note for note in believed.put_off},
        queued={
            path: (place, queue)
            for queue in believed.queues
            for place, path in enumerate(queue.files)
        },
    )


def explain_wait(situation: Situation, path: Path, row: TrackedFile | None) -> Reason:
    """Return the most telling reason why a file of an inbox is not loaded yet.

    `row` is what the journal says of this version of it, None when it says nothing.
    """
    return next(_reasons(situation, path, row))


def _reasons(situation: Situation, path: Path, row: TrackedFile | None) -> Iterator[Reason]:
    text, key = path_text(path), path_key(path)
    if row is not None and row.status == HELD:
        step = f"dropload release {row.load_id or shlex.quote(text)}"
        said = f"held: {row.reason}" if row.reason else "held"
        yield Reason(WaitsFor.PERSON, said, next_step=step, load_id=row.load_id)
    if row is not None and row.status in _OVER:
        said = f"its load is over ({row.status}); it is moved as soon as its folder allows"
        yield Reason(WaitsFor.MOVE, said, load_id=row.load_id)
    if load := situation.load_of(key):
        yield Reason(WaitsFor.LOAD, _being_loaded(load), load_id=load.load_id)
    if situation.daemon_problem:
        yield Reason(WaitsFor.DAEMON, situation.daemon_problem)
    if note := situation.put_off.get(text):
        yield _put_off(note)
    if waiting := situation.at_gate.get(text):
        yield _at_gate(situation, waiting)
    yield from _away(situation)
    if text in situation.queued:
        yield _queued(situation, *situation.queued[text])
    if situation.database_problem:
        yield Reason(WaitsFor.DATABASE, f"database away: {situation.database_problem}")
    if row is None:
        yield Reason(WaitsFor.SCAN, "new: the daemon will see it at its next scan")
        return
    yield _by_journal(situation, row)


def _being_loaded(load: LoadRecord) -> str:
    """Return what is told of a load under way; why it waits, where it does."""
    return load.error_message or "being loaded"


def _put_off(note: PutOff) -> Reason:
    until = _moment(note.until)
    said = note.reason.rstrip(".")
    return Reason(WaitsFor.RETRY, f"put off, next try {clock_time(until)}: {said}", until)


def _at_gate(situation: Situation, note: AtGate) -> Reason:
    now, heartbeat = situation.now.timestamp(), situation.heartbeat
    assert heartbeat is not None  # noqa: S101 - the note is out of it
    needed, interval = heartbeat.gate_checks, heartbeat.gate_interval_seconds
    until, left = _moment(note.whole_at), max(0.0, note.whole_at - now)
    if note.checks_done == 0 and note.change != "appeared":
        said = f"{note.change} {span(now - note.changed_at)} ago, {span(left)} left if it stays so"
        return Reason(WaitsFor.GATE, said, until)
    # Checks that have come due since the heartbeat was written count as done.
    done = min(max(note.checks_done, needed - ceil(left / interval)), needed)
    return Reason(WaitsFor.GATE, f"check {done} of {needed}, {span(left)} left", until)


def _away(situation: Situation) -> Iterator[Reason]:
    heartbeat = situation.heartbeat
    if heartbeat is None:
        return
    if heartbeat.database_problem:
        until, said = None, "database away"
        if heartbeat.database_next_try:
            until = datetime.fromisoformat(heartbeat.database_next_try)
            said += f", next try {clock_time(until)}"
        yield Reason(WaitsFor.DATABASE, said, until)
    if heartbeat.disk_problem:
        yield Reason(WaitsFor.ROOM, heartbeat.disk_problem)


def _queued(situation: Situation, place: int, queue: TableQueue) -> Reason:
    if queue.reason:
        until = _moment(queue.until)
        said = f"{queue.table} is paused until {clock_time(until)}: {queue.reason.rstrip('.')}"
        return Reason(WaitsFor.TABLE, said, until)
    behind = f", {place:,} more before it" if place else ""
    if busy := situation.load_into(queue.table):
        said = f"table busy: load {busy.load_id} of {busy.file_name}{behind}"
        return Reason(WaitsFor.TABLE, said, load_id=busy.load_id)
    if queue.running:
        return Reason(WaitsFor.TABLE, f"table busy: {Path(queue.running).name}{behind}")
    said = f"queued, {place:,} before it" if place else "queued, the next of its table"
    return Reason(WaitsFor.QUEUE, said)


def _by_journal(situation: Situation, row: TrackedFile) -> Reason:
    gate = situation.config.gate
    now = situation.journal_now or situation.now
    age = (now - (row.changed_at or row.created_at)).total_seconds()
    left = gate.checks * gate.interval_seconds - age
    if left > 0:
        checks = max(0, int(age // gate.interval_seconds))
        said = f"check {checks} of {gate.checks}, {span(left)} left"
        return Reason(WaitsFor.GATE, said, situation.now + timedelta(seconds=left))
    if row.load_id is not None and row.reason:
        return Reason(WaitsFor.RETRY, str(row.reason), load_id=row.load_id)
    return Reason(WaitsFor.QUEUE, "complete, its turn comes after the files before it")


# --- the daemon ----------------------------------------------------------------------------


def find_daemon_problem(config: Config, heartbeat: Heartbeat | None) -> str:
    """Return why nobody looks after the tree; the empty string when a daemon does."""
    if heartbeat is None:
        return "no daemon is running: start it with `dropload run`"
    if heartbeat.is_of_dead_process:
        return "the daemon was killed: start it with `dropload run`"
    if heartbeat.age_seconds > config.health.heartbeat_critical_seconds:
        return "the daemon hangs or was killed: see `dropload health`"
    return ""


# --- words ---------------------------------------------------------------------------------


def span(seconds: float) -> str:
    """Return a length of time as people say it."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
