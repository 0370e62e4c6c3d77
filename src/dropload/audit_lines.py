"""A log of its own for what people do: one JSON line for each action, beside the audit table."""

import json
from contextlib import closing
from datetime import datetime
from typing import Any

from dropload.config import LogConfig
from dropload.errors import ConfigError
from dropload.logs import get_logger, mask_event, open_log
from dropload.model import DAEMON
from dropload.times import iso_time


class AuditLines:
    """Writes lines into `log.audit_file`; people act seldom, so it is opened for each.

    The table is the truth: a line that cannot be written is named in the log, and keeps nobody
    from what is being done. What the daemon does by itself is in the table only.
    """

    def __init__(self, settings: LogConfig | None = None) -> None:
        """Without settings nothing is written."""
        self._file = settings.audit_file if settings else None
        self._max_mb = settings.max_mb if settings else 0

    def check(self) -> None:
        """Raise ConfigError when the file cannot be opened."""
        self._write("")

    def tell(self, at: datetime, actor: str, action: str, **values: Any) -> None:
        """Write one line; `at` is UTC. Secrets are masked."""
        if self._file is None or actor == DAEMON:
            return
        line = {"timestamp": iso_time(at), "actor": actor, "action": action}
        masked = mask_event(None, action, line | values)
        try:
            self._write(json.dumps(masked, ensure_ascii=False) + "\n")
        except (ConfigError, OSError) as exc:
            get_logger().error("audit_line_not_written", reason=str(exc))

    def _write(self, line: str) -> None:
        if self._file is not None:
            with closing(open_log(self._file, "audit_file", self._max_mb)) as file:
                file.write(line)
