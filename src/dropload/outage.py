"""Know whether the database answers, say each change once, and when to ask again."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from dropload.config import RetryConfig
from dropload.dock import Dock
from dropload.errors import ConfigError, DroploadError
from dropload.journal import apply_scripts
from dropload.logs import get_logger
from dropload.retries import back_off_seconds


class Outage:
    """The daemon's view of its database: nothing is started while it is away."""

    def __init__(self, dock: Dock, clock: Callable[[], float] = time.monotonic) -> None:
        self._dock = dock
        self._clock = clock
        self._settings: RetryConfig = dock.config.retry
        self._failures = 0
        self._next_try = 0.0
        self._prepared = False
        self._answered = False
        self.problem = "not asked yet"
        """Why nothing is started; empty when the database answers."""
        self.next_try_at: datetime | None = None

    def configure(self, settings: RetryConfig) -> None:
        """Wait as other settings say, from the next failure on."""
        self._settings = settings

    @property
    def is_over(self) -> bool:
        """Return whether the database answered when it was last asked."""
        return not self.problem

    def probe(self, *, at_once: bool = False) -> bool:
        """Ask the database when it is time to; return whether it can be used.

        Raises ConfigError when it has never answered and the configuration is why.
        """
        if self.is_over and not at_once:
            return True
        if self._clock() < self._next_try and not at_once:
            return False
        try:
            self._ask()
        except ConfigError as exc:
            if not self._answered:
                raise  # wrong from the start: refuse to start
            self.begin(exc)
            return False
        except DroploadError as exc:
            self.begin(exc)
            return False
        self._end()
        return True

    def begin(self, error: DroploadError) -> None:
        """Note that the database did not answer; one log line per outage, not per try."""
        self._failures += 1
        # A database that comes back may be another one: an older backup, or a new file.
        self._prepared = False
        wait = back_off_seconds(self._failures, self._settings)
        self._next_try = self._clock() + wait
        self.next_try_at = datetime.now(UTC) + timedelta(seconds=wait)
        if self.is_over or self._failures == 1:
            get_logger().error("database_away", reason=str(error), next_try_seconds=round(wait, 1))
        self.problem = str(error)

    def _ask(self) -> None:
        if not self._prepared:
            applied = apply_scripts(self._dock.target)
            self._prepared = True
            if applied:
                get_logger().info("journal_created", scripts=applied)
        with self._dock.target.read() as conn:
            conn.execute(sa.select(1))

    def _end(self) -> None:
        if self._failures:
            get_logger().info("database_back", tries=self._failures)
        self._answered = True
        self._failures, self.problem, self.next_try_at = 0, "", None
