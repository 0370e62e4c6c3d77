"""Set structlog up once per process: text for people, JSON lines for machines, no secrets."""

import logging
import os
import re
import sys
from pathlib import Path
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from dropload.config import LogConfig

_CREDENTIALS = re.compile(
    r"(://[^:/@\s]*:)[^@\s]+(@)|((?:password|pwd)\s*=\s*)[^;\s&]+", re.IGNORECASE
)


def mask_secrets(text: str) -> str:
    """Return `text` with passwords in URLs and connection strings replaced by `***`."""
    return _CREDENTIALS.sub(lambda m: f"{m[1]}***{m[2]}" if m[1] else f"{m[3]}***", text)


def configure_logs(settings: LogConfig, stream: TextIO | None = None) -> TextIO:
    """Send every later log line of this process where `settings` says; return that stream.

    Lines go to `settings.file` when there is one (opened for appending, one write per line, so
    that several processes can share it), else to `stream`, by default standard error.
    """
    out = stream or sys.stderr
    if settings.file is not None:
        settings.file.parent.mkdir(parents=True, exist_ok=True)
        out = _open_log(settings.file)
    structlog.configure(
        processors=_processors(settings, out),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(
            cast("TextIO", _LossyStream(out, settings.file))
        ),
        cache_logger_on_first_use=False,
    )
    _take_over_standard_logging()
    return out


def _open_log(file: Path) -> TextIO:
    return file.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)


class _LossyStream:
    """Passes lines on; one that cannot be written is counted: a full disk must not stop a load."""

    def __init__(self, out: TextIO, file: Path | None) -> None:
        self._out = out
        self._file = file
        self._lost = 0

    def write(self, text: str) -> int:
        """Write a line, or note that it is lost."""
        try:
            self._follow_name()
            self._tell_losses()
            written = self._out.write(text)
            self._out.flush()
        except OSError:
            self._lost += 1
            return 0
        return written

    def _follow_name(self) -> None:
        """Open the log anew when somebody has moved it away: the day's first cleanup, logrotate."""
        if self._file is None:
            return
        try:
            found = self._file.stat()
        except FileNotFoundError:
            found = None
        if found is None or not os.path.samestat(found, os.fstat(self._out.fileno())):
            with _open_log(self._file) as fresh:
                # The stream stays the same for whoever has it; nothing is waiting in its buffer.
                os.dup2(fresh.fileno(), self._out.fileno(), inheritable=False)

    def _tell_losses(self) -> None:
        if self._lost:
            self._out.write(f"{self._lost} log lines were lost: they could not be written\n")
            self._out.flush()
            self._lost = 0

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
    # It warns about its own threads whenever it is stopped, which is no news.
    logging.getLogger("watchdog").setLevel(logging.ERROR)


def _processors(settings: LogConfig, out: TextIO) -> list[Processor]:
    as_json = settings.format == "json" or (settings.format == "auto" and not out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask_event,
    ]
    if as_json:
        return [
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    return [*shared, structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=24)]


def _mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: mask_secrets(v) if isinstance(v, str) else v for key, v in event.items()}


def get_logger() -> Any:
    """Return the logger; bind `load_id`, `file` and `table` with structlog's contextvars."""
    return structlog.get_logger()
