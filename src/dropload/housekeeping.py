"""Run the daily cleanup piece by piece, between the daemon's other work."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from dropload.cleanup import Cleaned, note_done, remove_old, take_turn
from dropload.dock import Dock
from dropload.errors import DroploadError
from dropload.logs import get_logger
from dropload.model import DAEMON
from dropload.old_files import Left, Removed

_DAY = timedelta(days=1)
_LONGEST_WAIT_SECONDS = 3600.0
"""So often the journal is asked again: the clocks of two machines may differ, or be set."""
_SHARE_SECONDS = 0.5
"""What one turn of the daemon may take for it: the scan must not wait long."""


class Housekeeper:
    """Knows when the next cleanup is due, and how far the present one is."""

    def __init__(self, dock: Dock, clock: Callable[[], float] = time.monotonic) -> None:
        self._dock = dock
        self._clock = clock
        self._next_ask = float("-inf")
        self._under_way: Iterator[Removed | Left] | None = None
        self._cleaned = Cleaned()
        self._is_ours = False
        """The turn is taken and the cleanup was cut off by trouble: it is begun again."""

    def configure(self, dock: Dock) -> None:
        """Go by other settings, from the next cleanup on."""
        self._dock = dock

    @property
    def is_busy(self) -> bool:
        """Return whether a cleanup is under way."""
        return self._under_way is not None

    def work(self) -> None:
        """Begin a cleanup when one is due, or go on with it for a short time.

        Raises DroploadError when the database goes away; it is begun again an hour later.
        """
        try:
            if self._under_way is None and self._clock() >= self._next_ask:
                self._begin_when_due()
            if self._under_way is not None:
                self._go_on(self._under_way)
        except DroploadError as exc:
            self._under_way = None
            get_logger().warning("cleanup_put_off", reason=str(exc))
            raise

    def _begin_when_due(self) -> None:
        self._next_ask = self._clock() + _LONGEST_WAIT_SECONDS
        if not self._is_ours:
            wait = take_turn(self._dock, DAEMON, _DAY)
            if wait:
                self._next_ask = self._clock() + min(wait.total_seconds(), _LONGEST_WAIT_SECONDS)
                return
        self._is_ours = True
        self._cleaned = Cleaned()
        self._under_way = remove_old(self._dock)

    def _go_on(self, under_way: Iterator[Removed | Left]) -> None:
        end = self._clock() + _SHARE_SECONDS
        for found in under_way:
            self._cleaned.add(found)
            if isinstance(found, Left):
                get_logger().warning("old_file_not_removed", file=found.name, reason=found.reason)
            if self._clock() >= end:
                return
        self._under_way, self._is_ours = None, False
        note_done(self._dock, DAEMON, self._cleaned)
        if self._cleaned.summary:
            get_logger().info("cleaned_up", removed=self._cleaned.summary)
