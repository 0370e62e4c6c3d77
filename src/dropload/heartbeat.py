"""The daemon's sign of life: one small file that is replaced after every scan."""

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dropload.identity import is_dead_worker, person_name, worker_name

FILE_NAME = "heartbeat.json"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the daemon says of itself; times are ISO 8601, UTC."""

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
    waiting_reasons: dict[str, str] = field(default_factory=dict)
    """Why files wait at the gate, by path, of the first ones only."""
    workers_problem: str = ""
    """Why no worker can be started."""
    turn_problem: str = ""
    """What nobody foresaw in the daemon's last turn."""
    put_off: dict[str, int] = field(default_factory=dict)
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
        return Heartbeat(**values)
    except (OSError, ValueError, TypeError):
        return None


def remove_heartbeat(folder: Path) -> None:
    """Take the file away at a clean stop, so that nobody waits for a daemon that was stopped."""
    (folder / FILE_NAME).unlink(missing_ok=True)
