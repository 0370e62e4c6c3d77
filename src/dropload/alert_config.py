"""The sections of the configuration that say who is told what, and which files are expected."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from dropload.config_base import (
    EntryName,
    Name,
    NamedPath,
    Positive,
    Seconds,
    Section,
    TimeOfDay,
    ZoneName,
)


class Severity(StrEnum):
    """How much a notification matters; later ones matter more."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return its place in the order."""
        return tuple(Severity).index(self)


class Event(StrEnum):
    """What a notification may be about."""

    FILE_FAILED = "file_failed"
    FILE_HELD = "file_held"
    REPEATED_FAILURES = "repeated_failures"
    MISSING_FILE = "missing_file"
    TABLE_PAUSED = "table_paused"
    DATABASE_AWAY = "database_away"
    DISK_RESERVE = "disk_reserve"
    FOLDER_UNUSABLE = "folder_unusable"
    WORKERS_DOWN = "workers_down"
    TURN_FAILED = "turn_failed"
    ERROR_RATE = "error_rate"
    FILES_WAITING = "files_waiting"
    FILES_PUT_OFF = "files_put_off"
    FILES_NOT_MOVED = "files_not_moved"
    LATE_WRITE = "late_write"
    LOAD_SLOW = "load_slow"
    LOAD_UNUSUAL = "load_unusual"


class NotifyReceiver(Section):
    """One place that is told, by a URL of Apprise, and what it wants to hear."""

    url: SecretStr | None = None
    url_file: NamedPath | None = None
    """A file that holds the URL; default: the systemd credential `notify_NAME`."""
    min_severity: Severity = Severity.WARNING
    tables: tuple[Name, ...] = ()
    """Only what concerns these tables (`dbo.sales`, `sales_*`); empty: everything."""
    events: tuple[Event, ...] = ()
    """Only these; empty: all."""
    ignore_quiet_hours: bool = False

    @model_validator(mode="after")
    def _check_url(self) -> "NotifyReceiver":
        if self.url is not None and self.url_file is not None:
            raise ValueError("give the URL once: as url or by url_file")
        return self


class NotifyConfig(Section):
    """Who is told when something is wrong, and when it is right again."""

    receivers: dict[EntryName, NotifyReceiver] = Field(default_factory=dict)
    window_seconds: Seconds = 60
    """So long is waited for more of the same, which then is one message."""
    gap_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 600
    """The least time between two messages to one receiver, unless one is critical."""
    recovery: bool = True
    """Also tell when something is over."""
    quiet_from: TimeOfDay | None = None
    quiet_until: TimeOfDay | None = None
    quiet_lets_through: Severity | Literal["nothing"] = Severity.CRITICAL
    """From this severity on, messages are sent in the quiet hours, too."""
    time_zone: ZoneName = ""
    timeout_seconds: Seconds = 30
    """What one try to send may take."""
    give_up_seconds: Seconds = 3600
    """A message that cannot be sent for so long is lost."""

    def __hash__(self) -> int:
        """Return the same for equal sections: a mapping has no hash of its own."""
        return hash((tuple(self.receivers.items()), self.window_seconds, self.quiet_from))

    @model_validator(mode="after")
    def _check_hours(self) -> "NotifyConfig":
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("quiet hours need both quiet_from and quiet_until")
        if self.quiet_from is not None and self.quiet_from == self.quiet_until:
            raise ValueError("quiet_from and quiet_until are the same time: leave both out")
        return self


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ALL_DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ExpectedFile(Section):
    """A file that comes at known times, by its table or by its name."""

    table: Name | None = None
    """`sales` or `dbo.sales`."""
    pattern: Name | None = None
    """Of the file's name: `sales_*.csv`."""
    by: TimeOfDay
    after: TimeOfDay = Field(default="00:00", validate_default=True)
    """What came before this time is not it; later than `by`: of the evening before."""
    weekdays: tuple[Weekday, ...] = ALL_DAYS
    time_zone: ZoneName | None = None
    """Default: that of the section."""

    @model_validator(mode="after")
    def _check_what(self) -> "ExpectedFile":
        if (self.table is None) == (self.pattern is None):
            raise ValueError("say what is expected: either table or pattern")
        if not self.weekdays:
            raise ValueError(f"name at least one weekday: {', '.join(ALL_DAYS)}")
        return self


class ExpectedConfig(Section):
    """Files that should be here by a time of day."""

    files: dict[EntryName, ExpectedFile] = Field(default_factory=dict)
    time_zone: ZoneName = ""
    learn: bool = False
    """Expect also what came on the same weekday of each of the last weeks."""
    learn_weeks: Annotated[int, Field(ge=2, le=12)] = 4
    learn_margin_minutes: Positive = 60
    """So long after the latest time of those weeks a file is missing."""

    def __hash__(self) -> int:
        """Return the same for equal sections: a mapping has no hash of its own."""
        return hash((tuple(self.files.items()), self.time_zone, self.learn))
