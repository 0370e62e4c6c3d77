"""When a fast way of writing that failed is tried again."""

import time
from collections.abc import Callable

from dropload.logs import get_logger

_FAILURES = 2
"""Failures in a row after which the slow way is taken."""
_REST_SECONDS = 1800
"""How long it is, before the fast way has another chance."""


class Resting:
    """Lets a way rest when it never worked, or failed several times in a row.

    A connection that was cut once is no reason: the next one will do.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._has_worked = False
        self._failures = 0
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        """Return whether the way may be tried."""
        return self._clock() >= self._until

    def note_success(self) -> None:
        """Note that the way worked."""
        self._has_worked, self._failures = True, 0

    def note_failure(self, error: BaseException) -> None:
        """Note that it did not, and say so in the log when it rests from now on."""
        self._failures += 1
        if self._has_worked and self._failures < _FAILURES:
            return
        self._until = self._clock() + _REST_SECONDS
        self._failures = 0
        reason = f"{type(error).__name__}: {error}"
        get_logger().warning("bulk_given_up", reason=reason, rests_seconds=_REST_SECONDS)
