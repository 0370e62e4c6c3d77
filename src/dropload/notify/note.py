"""One thing that happened and that somebody may want to hear of."""

from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import fnmatch
from typing import Any

from dropload.alert_config import Event, NotifyReceiver, Severity
from dropload.naming import file_pattern

Key = tuple[str, str, str, str, bool]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that went wrong, or that is over."""

    event: Event
    severity: Severity
    headline: str
    """What happened, in a few words without a full stop: `the database is away`."""
    text: str
    """What exactly, where, and what to do."""
    at: datetime
    table: str = ""
    file_name: str = ""
    subject: str = ""
    """What tells it from others of its event: a folder, the name of an expected file."""
    is_over: bool = False

    @property
    def key(self) -> Key:
        """Return what those have in common that become one item of a message.

        Files named alike are of one sender, although numbers in names may lead to several tables.
        """
        pattern = file_pattern(self.file_name)
        return (
            self.event.value,
            "" if pattern else self.table,
            pattern,
            self.subject,
            self.is_over,
        )

    def concerns(self, receiver: NotifyReceiver) -> bool:
        """Return whether somebody wants to hear of it."""
        if self.severity.rank < receiver.min_severity.rank:
            return False
        if receiver.events and self.event not in receiver.events:
            return False
        return not receiver.tables or self._is_of_one(receiver.tables)

    def _is_of_one(self, tables: tuple[str, ...]) -> bool:
        full = self.table.lower()
        names = (full, full.rpartition(".")[2])
        wanted = [pattern.lower() for pattern in tables]
        return bool(full) and any(fnmatch(name, pattern) for name in names for pattern in wanted)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self) | {"at": self.at.isoformat()}


def note_from_json(values: dict[str, Any]) -> Note:
    """Return a note that was kept; raises ValueError, TypeError or KeyError when it is none."""
    known = {
        "event": Event(values["event"]),
        "severity": Severity(values["severity"]),
        "at": datetime.fromisoformat(values["at"]),
    }
    return Note(**(values | known))
