"""Set structlog up once per process: text for people, JSON lines for machines, no secrets."""

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO, cast
from urllib.parse import quote

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from dropload.config import LogConfig
from dropload.errors import ConfigError
from dropload.log_file import LogFile

_MB = 1_000_000
_SHORTEST_SECRET = 4
"""A shorter password would have words masked that only look like it."""
_CREDENTIALS = re.compile(
    r"(://[^:/@\s]*:)[^@\s]+(@)|((?:password|pwd)\s*=\s*)[^;\s&]+", re.IGNORECASE
)


_hidden: tuple[str, ...] = ()
"""Secrets that no pattern knows, the longest first."""


def hide_secrets(secrets: Iterable[str]) -> None:
    """Have `mask_secrets` take these for secrets, too, in this process and for good."""
    global _hidden  # noqa: PLW0603 - see above
    _hidden = tuple(sorted({*_hidden, *secrets} - {""}, key=lambda s: (-len(s), s)))


def keep_secret(password: str) -> None:
    """Have a password masked from now on, as it is and as a URL has it."""
    forms = (password, quote(password, safe=""))
    hide_secrets(known for known in forms if len(known) >= _SHORTEST_SECRET)


def mask_secrets(text: str) -> str:
    """Return `text` with every secret replaced by `***`.

    Passwords in URLs and connection strings are known by their place, others by `hide_secrets`.
    """
    for secret in _hidden:
        text = text.replace(secret, "***")
    return _CREDENTIALS.sub(lambda m: f"{m[1]}***{m[2]}" if m[1] else f"{m[3]}***", text)


_file: LogFile | None = None
"""The log file that this process has open: the one before is closed when another is opened."""


class Sink(Protocol):
    """What lines can be written to: a stream, or a log file."""

    def write(self, text: str, /) -> int:
        """Write one line; raise OSError when it cannot be written."""

    def flush(self) -> None:
        """Pass on what was written."""

    def isatty(self) -> bool:
        """Return whether a person looks."""


def configure_logs(settings: LogConfig, stream: Sink | None = None) -> None:
    """Send every later log line of this process where `settings` says.

    Lines go to `settings.file` when there is one, else to `stream`, by default standard error.
    Raises ConfigError when the file cannot be opened; lines then go on to where they went.
    """
    global _file  # noqa: PLW0603 - see above
    before, file = _file, _open_file(settings)
    out = file or stream or sys.stderr
    structlog.configure(
        processors=_processors(settings, out),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _LossySink(out))),
        cache_logger_on_first_use=False,
    )
    _take_over_standard_logging()
    _file = file
    if before is not None:
        before.close()


def log_from_environment(environ: Mapping[str, str]) -> None:
    """Log to standard error where nothing is configured yet, at the level of `DROPLOAD_LOG__LEVEL`.

    What structlog does by itself shows the values of all variables beside a traceback: passwords.
    """
    if structlog.is_configured():
        return
    named = environ.get("DROPLOAD_LOG__LEVEL", "").lower()
    configure_logs(LogConfig(level="debug" if named == "debug" else "warning"))


def _open_file(settings: LogConfig) -> LogFile | None:
    return open_log(settings.file, "file", settings.max_mb) if settings.file else None


def open_log(file: Path, key: str, max_mb: int) -> LogFile:
    """Open a file that a key of `[log]` names; raise ConfigError when that cannot be."""
    try:
        return LogFile(file, max_mb * _MB)
    except OSError as exc:
        raise ConfigError(
            f"The log file {file} cannot be opened: {exc.strerror}.",
            hint=f"Give dropload's user the right to write there, or name another in [log] {key}.",
            code="log_file",
        ) from exc


def pass_on_to_logging() -> None:
    """Send log lines to Python's own logging, as a library should, unless they go somewhere."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            mask_event,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=_library_logger,
        cache_logger_on_first_use=False,
    )


def _library_logger(*_: Any) -> logging.Logger:
    return logging.getLogger("dropload")


class _LossySink:
    """Passes lines on; one that cannot be written is counted: a full disk must not stop a load."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self._lost = 0

    def write(self, text: str) -> int:
        """Write a line, or note that it is lost."""
        try:
            self._tell_losses()
            self._pass_on(text)
        except (OSError, ValueError):  # the latter when it was closed meanwhile
            self._lost += 1
            return 0
        return len(text)

    def _tell_losses(self) -> None:
        if self._lost:
            self._pass_on(f"{self._lost} log lines were lost: they could not be written\n")
            self._lost = 0

    def _pass_on(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def flush(self) -> None:
        """Do nothing: each line is written at once."""


class _Forwarder(logging.Handler):
    """Sends what libraries log through our own lines, secrets masked like everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one line of a library."""
        message = mask_secrets(record.getMessage())
        get_logger().log(record.levelno, "library_message", library=record.name, message=message)


def _take_over_standard_logging() -> None:
    logging.basicConfig(level=logging.WARNING, handlers=[_Forwarder()], force=True)
    # It complains of its own threads whenever it is stopped, which is no news; what has died is
    # noticed by the watcher.
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    # It warns of a COPY that cannot be ended in good order: the connection is gone, which is told.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def _processors(settings: LogConfig, out: Sink) -> list[Processor]:
    as_json = settings.format == "json" or (settings.format == "auto" and not out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Before the masking: a traceback quotes what the driver says.
        structlog.processors.format_exc_info,
        mask_event,
    ]
    if as_json:
        return [
            *shared,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    return [*shared, structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=24)]


def mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return an event with the secrets in it masked, however deep; last but for the rendering."""
    return {key: _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(inner) for inner in value]
    # Whatever else there is, a URL or an exception, is rendered as its text.
    return mask_secrets(str(value))


def get_logger() -> Any:
    """Return the logger; bind `load_id`, `file` and `table` with structlog's contextvars."""
    return structlog.get_logger()
