"""What each finding of the health check is called in a notification, and when it is over."""

from dataclasses import dataclass

from dropload.alert_config import Event, Severity
from dropload.health import Level


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of trouble that lasts."""

    event: Event
    headline: str
    """`{}` is what it is about: a table, a folder."""
    over: str
    """Empty: nobody is told when it ends."""
    severity: Severity | None = None
    """Default: as grave as the health check has it."""


OF_DAEMON = {
    "daemon's database": Kind(Event.DATABASE_AWAY, "the database is away", "the database is back"),
    "disk reserve": Kind(
        Event.DISK_RESERVE,
        "the disk is nearly full, no load starts",
        "there is room on the disk again",
    ),
    "daemon's folders": Kind(
        Event.FOLDER_UNUSABLE, "a folder cannot be used", "the folder can be used again"
    ),
    "workers": Kind(Event.WORKERS_DOWN, "no worker can be started", "workers start again"),
    "turns": Kind(Event.TURN_FAILED, "an error in dropload itself", "dropload works without error"),
    "put off": Kind(
        Event.FILES_PUT_OFF, "files are put off again and again", "no file is put off any more"
    ),
}
"""By the names of checks that the daemon answers by itself."""

OF_JOURNAL = {
    "waiting": Kind(
        Event.FILES_WAITING, "files wait for too long", "no file waits for too long any more"
    ),
    "moves": Kind(Event.FILES_NOT_MOVED, "files cannot be moved", "the files have been moved"),
    "late writers": Kind(Event.LATE_WRITE, "files were written to after they had been loaded", ""),
    "loads": Kind(Event.LOAD_SLOW, "a load takes very long", "no load takes very long any more"),
    "failures": Kind(Event.ERROR_RATE, "many loads fail", "loads no longer fail as often"),
    "repeated failures": Kind(
        Event.REPEATED_FAILURES,
        "{} fails again and again",
        "{} no longer fails",
        Severity.ERROR,
    ),
}
"""By the names of checks that the journal answers."""

PAUSED = Kind(Event.TABLE_PAUSED, "{} is paused", "{} loads again", Severity.ERROR)
MISSING = Kind(Event.MISSING_FILE, "{} is not here", "{} is here after all", Severity.ERROR)

_BY_LEVEL = {Level.WARNING: Severity.WARNING, Level.UNKNOWN: Severity.WARNING}


def severity_of(kind: Kind, level: Level) -> Severity:
    """Return how grave a finding is to those who are told."""
    return kind.severity or _BY_LEVEL.get(level, Severity.CRITICAL)
