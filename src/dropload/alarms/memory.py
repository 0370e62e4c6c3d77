"""What the alarms know across a restart: what has been told of, and what still has to be sent."""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dropload.alert_config import Event, Severity

FILE_NAME = "alarms.json"
_MOST_HELD = 1000
"""Held files that are remembered; of those beyond, one is told of again after a restart."""


@dataclass(frozen=True, slots=True)
class Open:
    """Trouble that has been told of and is not over."""

    event: Event
    severity: Severity
    headline: str
    over: str
    text: str
    since: datetime
    table: str = ""
    subject: str = ""


@dataclass(slots=True)
class Memory:
    """Everything that is kept in one file of the state folder."""

    open: dict[str, Open] = field(default_factory=dict)
    failing: dict[str, datetime] = field(default_factory=dict)
    """Tables whose last file failed, and since when."""
    held: dict[str, str] = field(default_factory=dict)
    """Held files that were told of: path, and which version of it."""
    unsent: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Notes by receiver."""

    def note_held(self, path: str, version: str) -> bool:
        """Keep that a held file is told of; return whether it was not yet."""
        is_new = self.held.get(path) != version
        self.held.pop(path, None)
        self.held[path] = version
        while len(self.held) > _MOST_HELD:
            del self.held[next(iter(self.held))]
        return is_new

    def to_text(self) -> str:
        """Return it as it is kept."""
        return json.dumps(asdict(self), default=_to_json)


def _to_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def write_memory(folder: Path, text: str) -> None:
    """Replace the file; a reader sees the old one or the new, never half."""
    folder.mkdir(mode=0o750, exist_ok=True)
    temporary = folder / f".{FILE_NAME}.{os.getpid()}"
    # What went wrong with whose files is not for everybody.
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(folder / FILE_NAME)


def read_memory(folder: Path) -> Memory:
    """Return what was kept; an empty one where there is none, or none that can be read."""
    try:
        values = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        return Memory(
            open={key: _open(entry) for key, entry in values["open"].items()},
            failing={table: datetime.fromisoformat(at) for table, at in values["failing"].items()},
            held=dict(values["held"]),
            unsent=dict(values["unsent"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Memory()


def _open(values: dict[str, Any]) -> Open:
    known = {
        "event": Event(values["event"]),
        "severity": Severity(values["severity"]),
        "since": datetime.fromisoformat(values["since"]),
    }
    return Open(**(values | known))
