"""The configuration: its sections, their keys, defaults and ranges."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from dropload.alert_config import ExpectedConfig, ExpectedFile, NotifyConfig, NotifyReceiver
from dropload.config_base import Days, Name, NamedPath, Positive, Seconds, Section, Share

ALWAYS_IGNORED = (
    ".*",
    "~$*",
    "*.tmp",
    "*.part",
    "*.filepart",
    "*.crdownload",
    "*.swp",
    "Thumbs.db",
    "desktop.ini",
)
"""Names that copy programs, editors and desktops leave behind (`.*` covers `.~lock*` and `._*`)."""


NEEDS_RESTART = ("paths", "database", "schemas")
"""Sections that a running daemon has read once: the tree and the database are open."""


class PathsConfig(Section):
    """Where the drop tree and the daemon's own files are."""

    dropoff: NamedPath = Path("dropoff")
    state: NamedPath | None = None
    """Heartbeat and other small files of the daemon; default: `.dropload` inside the drop tree."""


DEFAULT_URL = "sqlite:///data/dropload.db"
"""The embedded default: nothing to install."""


def _parts_of_url(url: str) -> dict[str, str | None]:
    """Return what a URL says beside its password; nothing of one that cannot be read."""
    try:
        parts = urlsplit(url)
        port = str(parts.port) if parts.port else None
    except ValueError:
        return {}  # said better when it is opened
    user = unquote(parts.username) if parts.username else None
    kind = parts.scheme.partition("+")[0] or None
    return {"type": kind, "host": parts.hostname, "port": port, "user": user}


class DatabaseConfig(Section):
    """The target: a URL, or the parts from which it is built."""

    url: SecretStr | None = None
    type: str | None = None
    """Name of the target (an entry point of the group `dropload.targets`), with the parts below."""
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    name: str | None = None
    user: str | None = None
    password: SecretStr | None = None
    password_file: NamedPath | None = None
    instance: str | None = None
    odbc_driver: str | None = None
    """Name or path of the ODBC driver; default: the best that is registered, else the wheel's."""
    encrypt: Literal["yes", "no", "strict"] = "yes"
    trust_server_certificate: bool = False
    trusted_connection: bool = False
    bulk: bool = True
    """Send rows by the bulk protocol where the driver for it is installed; else by INSERT."""
    authentication: str | None = None
    """Passed to the ODBC driver, for example `ActiveDirectoryMsi`."""
    busy_timeout_seconds: Seconds = 30
    """How long one statement waits for a lock before the step is tried again."""
    statement_timeout_seconds: Seconds = 1800
    """How long one statement may take before it is ended, and the step tried again.

    `retry.attempts` of them must fit into `workers.load_timeout_seconds`.
    """
    connect_timeout_seconds: Seconds = 10
    pool_size: Positive = 5
    """Connections that a process keeps open to a server."""
    pool_recycle_seconds: Annotated[int, Field(ge=-1)] = 1800
    """Age at which a connection is replaced, before a firewall drops it; -1: never."""

    @model_validator(mode="after")
    def _check_one_place(self) -> "DatabaseConfig":
        """Refuse two databases: which of them counts would differ from target to target."""
        if self.url is None:
            return self
        said = _parts_of_url(self.url.get_secret_value())
        for name, in_url in said.items():
            beside = getattr(self, name)
            if beside is not None and in_url is not None and str(beside) != in_url:
                raise ValueError(f"url and {name} name different ones: leave one of them out")
        return self


class SchemasConfig(Section):
    """Schema names in the target; on a target without schemas they are part of the table's name."""

    reference: Name = "ref"
    non_reference: str | None = None
    """Default: the target's own (`dbo`, `public`)."""
    backup: Name = "bkp"
    stage: Name = "stg"


class GateConfig(Section):
    """The stability check."""

    checks: Positive = 6
    interval_seconds: Seconds = 15


class WatchConfig(Section):
    """How the inboxes are looked at."""

    scan_interval_seconds: Seconds = 5
    events: bool = True
    """Use file system events as a hint to scan earlier; the scan finds everything without them."""
    ignore: tuple[str, ...] = ()
    """More names that are never touched, beside `ALWAYS_IGNORED`."""


class WorkersConfig(Section):
    """The processes that load."""

    count: Positive = Field(default_factory=lambda: max(1, min(4, os.cpu_count() or 1)))
    load_timeout_seconds: Seconds = 4 * 3600
    memory_limit_mb: Annotated[int, Field(ge=512)] = 2048
    lease_seconds: Seconds = 120
    """A claim that was not renewed for this long may be taken over by another daemon."""
    stop_timeout_seconds: Seconds = 30
    """How long running loads may go on after SIGTERM before they are cut off."""
    disk_reserve_mb: Annotated[int, Field(ge=0)] = 200
    """No load starts while less is free below the tree, the state folder or the embedded database;
    0: nobody looks."""


class LoadConfig(Section):
    """What a load may and must do."""

    batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 990
    max_rejected_rows: Annotated[int, Field(ge=0)] = 0
    hash_algorithm: Literal["sha256", "sha1", "blake2b", "md5"] = "sha256"
    reload_duplicates: bool = False
    """Load the same bytes into the same table again, as if every drop were forced."""
    min_matching_columns: Share = 0.7
    """Share of a known table's columns that a file must have."""
    min_confidence: Share = 0.0
    """A file whose layout is less sure than this is held; 0: none is."""
    max_shrink: Share = 0.5
    """A fullload that would shrink its table by more than this share is held."""
    max_record_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    """A longer record ends the reading: a quote that was never closed, or no line ends."""
    report_format: Literal["text", "json"] = "text"
    """Of the report beside a file that was refused, or loaded in part or with a changed table."""
    decimal_mark: Literal[",", "."] | None = None
    """Settles columns such as `1,234`; default: they stay text, and the plan says so."""
    day_first: bool | None = None
    """Settles columns such as `03/04/2024`; default: they stay text, and the plan says so."""


class RetentionConfig(Section):
    """How long things are kept."""

    backups_per_table: Annotated[int, Field(ge=0)] = 3
    backups_days: Days = 30
    """A backup that is older goes although it is among the newest of its table."""
    filed_days: Days = 90
    """Files in processed/ and error/, with their reports and rejects."""
    journal_days: Days = 400
    """Loads, their rejects, the audit log, and the paths of files that are gone."""
    log_files: Annotated[int, Field(ge=0)] = 30
    """Logs of earlier days, where `log.file` is set."""
    log_days: Days = 90


class RetryConfig(Section):
    """How trouble of the infrastructure is waited out."""

    attempts: Positive = 5
    """Tries of one step inside a worker before the file goes back to its inbox."""
    first_wait_seconds: Seconds = 0.5
    max_wait_seconds: Seconds = 300
    pause_seconds: Seconds = 60
    """How long a table's queue pauses after an error that the database owner must mend."""


_GRAVER = (
    ("heartbeat_warning_seconds", "heartbeat_critical_seconds"),
    ("waiting_warning_seconds", "waiting_critical_seconds"),
    ("failed_warning_share", "failed_critical_share"),
    ("min_free_critical_mb", "min_free_mb"),
)
"""Thresholds of which the first is crossed before the second, or not after it."""


class HealthConfig(Section):
    """Thresholds of the health check."""

    check_timeout_seconds: Seconds = 0.75
    """A database or a folder that has not answered by then is CRITICAL."""
    heartbeat_warning_seconds: Seconds = 60
    heartbeat_critical_seconds: Seconds = 300
    min_free_mb: Annotated[int, Field(ge=0)] = 500
    min_free_critical_mb: Annotated[int, Field(ge=0)] = 50
    min_free_inodes: Annotated[int, Field(ge=0)] = 10_000
    waiting_warning_seconds: Seconds = 3600
    """Age of the oldest file that waits and does not change."""
    waiting_critical_seconds: Seconds = 86_400
    held_warning_files: Positive = 1
    put_off_warning_times: Positive = 5
    load_warning_seconds: Seconds = 3600
    """A load that is under way for so long."""
    failed_warning_share: Share = 0.2
    """Share of the last hour's loads that failed."""
    failed_critical_share: Share = 0.8
    failed_min_loads: Positive = 5
    """Fewer loads in an hour say nothing about a share."""
    repeated_failures: Annotated[int, Field(ge=2)] = 3
    """So many files with names alike that failed for one reason, and none that loaded since."""
    clock_skew_warning_seconds: Seconds = 30

    @model_validator(mode="after")
    def _check_order(self) -> "HealthConfig":
        for first, second in _GRAVER:
            warning, critical = getattr(self, first), getattr(self, second)
            if warning > critical:
                raise ValueError(
                    f"{first} ({warning:g}) must not be more than {second} ({critical:g})"
                )
        return self


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, where an IPv6 address stands in brackets.

    Raises ValueError with what would be right.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError("write HOST:PORT, for example 127.0.0.1:10187")
    in_brackets = host.startswith("[") and host.endswith("]")
    if in_brackets == (":" not in host) or not host.strip("[]"):
        raise ValueError("write the host before the port, an IPv6 address in brackets: [::1]:10187")
    return host.strip("[]"), int(port)


def _check_address(text: str) -> str:
    if text:
        parse_address(text)
    return text


class MetricsConfig(Section):
    """What Prometheus may fetch from the daemon."""

    listen: Annotated[str, AfterValidator(_check_address)] = ""
    """Address and port, `127.0.0.1:10187`; empty: there are no metrics."""
    tables: Annotated[int, Field(ge=0)] = 100
    """So many tables are counted by name, those that come later together as `other`."""


class TracingConfig(Section):
    """Whether the way of each load is told to OpenTelemetry; where to is its environment's."""

    enabled: bool = False


class LogConfig(Section):
    """What is logged and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"
    """`auto`: text for people on a terminal, JSON lines elsewhere."""
    file: NamedPath | None = None
    max_mb: Annotated[int, Field(ge=0)] = 0
    """A log file of this size is put away before its day is over; 0: none is."""
    audit_file: NamedPath | None = None
    """A line of JSON for each action of a person, beside the journal's table; default: none."""


class Config(Section):
    """The whole configuration, checked and frozen."""

    paths: PathsConfig = PathsConfig()
    database: DatabaseConfig = DatabaseConfig()
    schemas: SchemasConfig = SchemasConfig()
    gate: GateConfig = GateConfig()
    watch: WatchConfig = WatchConfig()
    workers: WorkersConfig = WorkersConfig()
    load: LoadConfig = LoadConfig()
    retention: RetentionConfig = RetentionConfig()
    retry: RetryConfig = RetryConfig()
    health: HealthConfig = HealthConfig()
    metrics: MetricsConfig = MetricsConfig()
    tracing: TracingConfig = TracingConfig()
    notify: NotifyConfig = NotifyConfig()
    expected: ExpectedConfig = ExpectedConfig()
    log: LogConfig = LogConfig()

    @property
    def state_folder(self) -> Path:
        """Return the folder of the daemon's own small files."""
        return self.paths.state or self.paths.dropoff / ".dropload"


ENTRIES: Mapping[str, type[BaseModel]] = {
    "notify.receivers": NotifyReceiver,
    "expected.files": ExpectedFile,
}
"""Keys below which people name tables of their own, each with the keys of a class."""
