"""The daemon's sign of life: one small file that is replaced after every scan."""

import contextlib
import json
import os
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dropload.identity import is_dead_worker, person_name, worker_name

FILE_NAME = "heartbeat.json"


@dataclass(frozen=True, slots=True)
class AtGate:
    """A file that is not known to be whole yet; times are seconds since 1970, UTC."""

    path: str
    checks_done: int
    change: str
    """How it differed from what was seen before: `appeared`, `grew`, `shrank` or `changed`."""
    changed_at: float
    whole_at: float
    """When the last check is due, if nothing changes."""


@dataclass(frozen=True, slots=True)
class TableQueue:
    """The files of one table that wait for their turn."""

    table: str
    count: int
    files: list[str]
    """Paths of the first ones, in their order."""
    running: str = ""
    """Path of the file that is being loaded into the table by this daemon; empty: none."""
    reason: str = ""
    """Why it pauses; empty when it does not."""
    until: float = 0.0
    """When it goes on, in seconds since 1970; 0 when it does not pause."""


@dataclass(frozen=True, slots=True)
class PutOff:
    """A file that is tried again later; those behind it do not wait for it."""

    path: str
    reason: str
    until: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the daemon says of itself; times are ISO 8601, UTC, where they are no numbers.

    Of files that wait the first ones are named, and all are counted.
    """

    scanned_at: str
    started_at: str
    scan_seconds: float
    scan_interval_seconds: float
    """The next scan comes no later than so long after this one."""
    gate_checks: int
    gate_interval_seconds: float
    waiting: int
    queued: int
    running: list[str] = field(default_factory=list)
    database_problem: str = ""
    database_next_try: str = ""
    paused_tables: dict[str, str] = field(default_factory=dict)
    folder_problems: list[str] = field(default_factory=list)
    at_gate: list[AtGate] = field(default_factory=list)
    queues: list[TableQueue] = field(default_factory=list)
    put_off: list[PutOff] = field(default_factory=list)
    put_off_count: int = 0
    held: int = 0
    """Files that wait for a person, as far as this daemon has met them."""
    workers_problem: str = ""
    """Why no worker can be started."""
    metrics_problem: str = ""
    """Why nobody can fetch the metrics; empty also where they are off."""
    disk_problem: str = ""
    """Why no load starts for want of room; empty while there is enough."""
    missing_files: list[str] = field(default_factory=list)
    """What was expected by now and is not here, each in a sentence."""
    notify_problem: str = ""
    """Which notifications did not arrive; empty also where none are sent."""
    rivals: list[str] = field(default_factory=list)
    """What is said of other daemons that work on the tree under other rules."""
    turn_problem: str = ""
    """What nobody foresaw in the daemon's last turn."""
    failures: dict[str, int] = field(default_factory=dict)
    """How often files that are tried again have been put off, by path."""
    config_digests: dict[str, str] = field(default_factory=dict)
    """Digest of each section of the configuration in force, without secrets."""
    strays: int = 0
    pid: int = field(default_factory=os.getpid)
    process: str = field(default_factory=worker_name)
    """The process in a form that tells whether it is still alive."""
    user: str = field(default_factory=person_name)
    host: str = field(default_factory=socket.gethostname)

    @property
    def age_seconds(self) -> float:
        """Return how long ago the scan was, by this machine's clock."""
        scanned = datetime.fromisoformat(self.scanned_at)
        return (datetime.now(UTC) - scanned).total_seconds()

    @property
    def is_of_dead_process(self) -> bool:
        """Return whether the daemon ran on this machine and is certainly gone."""
        return is_dead_worker(self.process)


def write_heartbeat(folder: Path, heartbeat: Heartbeat) -> None:
    """Replace the heartbeat file; a reader sees the old one or the new, never half."""
    # Not its parents: a drop tree that was taken away must not come back as an empty folder.
    folder.mkdir(mode=0o750, exist_ok=True)
    temporary = folder / f".{FILE_NAME}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(heartbeat)), encoding="utf-8")
    temporary.replace(folder / FILE_NAME)


def read_heartbeat(folder: Path) -> Heartbeat | None:
    """Return the last heartbeat, None when there is none or it cannot be read."""
    try:
        values: dict[str, Any] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        return _heartbeat(values)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _heartbeat(values: dict[str, Any]) -> Heartbeat:
    # The daemon may be of a later version, and say more.
    known = _known(Heartbeat, [values])[0]
    lists: dict[str, type] = {"at_gate": AtGate, "queues": TableQueue, "put_off": PutOff}
    for name, kind in lists.items():
        known[name] = [kind(**entry) for entry in _known(kind, known.get(name, []))]
    return Heartbeat(**known)


def _known(kind: type, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {entry.name for entry in fields(kind)}
    return [{key: value for key, value in entry.items() if key in names} for entry in entries]


def remove_heartbeat(folder: Path) -> None:
    """Take the file away at a clean stop, so that nobody waits for a daemon that was stopped."""
    # A folder that cannot be used has none.
    with contextlib.suppress(OSError):
        (folder / FILE_NAME).unlink()
