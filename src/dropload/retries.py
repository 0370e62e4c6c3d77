"""How trouble of the infrastructure is waited out: the one place with the policies."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

import tenacity

from dropload.config import RetryConfig
from dropload.errors import ClaimLostError, FileChangedError, StalePlanError, TransientError
from dropload.logs import get_logger

T = TypeVar("T")
_LONGEST_WAIT_SECONDS = 300.0
"""Between two tries of what may be tried for hours."""


def call_with_retries(
    action: Callable[[], T],
    settings: RetryConfig,
    on_retry: Callable[[BaseException, float], None] = lambda _error, _seconds: None,
) -> T:
    """Return what `action` returns; call it again when it raises a TransientError.

    `on_retry` gets the error and the seconds to wait before each further try. Waits grow
    exponentially with jitter, so that several workers do not come back in step. What calling again
    cannot mend (a changed file, a lost claim, an outdated plan) passes through.
    """

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error, seconds = _error_and_wait(state)
        # The first try says that something is wrong; the others would only say it again.
        log = get_logger().warning if state.attempt_number == 1 else get_logger().debug
        log("step_retried", reason=str(error), wait_seconds=round(seconds, 2))
        on_retry(error, seconds)

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(settings.attempts),
        wait=tenacity.wait_random_exponential(
            multiplier=settings.first_wait_seconds, max=settings.max_wait_seconds
        ),
        retry=tenacity.retry_if_exception(_is_worth_repeating),
        before_sleep=before_sleep,
        reraise=True,
    )
    found = retrying(action)
    tries = retrying.statistics.get("attempt_number", 1)
    if tries > 1:
        get_logger().info("step_recovered", tries=tries)
    return found


def call_until(
    action: Callable[[], T], stop: threading.Event, *, first_seconds: float, give_up_seconds: float
) -> T:
    """Return what `action` returns; call it again, ever more rarely, when it raises TransientError.

    Raises its error when `stop` is set or so much time is over. Nobody waits for this.
    """
    retrying = tenacity.Retrying(
        stop=tenacity.stop_any(
            tenacity.stop_before_delay(give_up_seconds), tenacity.stop_when_event_set(stop)
        ),
        wait=tenacity.wait_exponential(multiplier=first_seconds, max=_LONGEST_WAIT_SECONDS),
        retry=tenacity.retry_if_exception_type(TransientError),
        sleep=tenacity.sleep_using_event(stop),
        before_sleep=_log_put_off,
        reraise=True,
    )
    return retrying(action)


def _log_put_off(state: tenacity.RetryCallState) -> None:
    error, seconds = _error_and_wait(state)
    log = get_logger().warning if state.attempt_number == 1 else get_logger().debug
    log("notification_retried", reason=str(error), wait_seconds=round(seconds, 1))


def _error_and_wait(state: tenacity.RetryCallState) -> tuple[BaseException, float]:
    """Return why a try has failed, and the seconds until the next."""
    error = state.outcome.exception() if state.outcome else None
    assert error is not None  # noqa: S101 - nothing else is tried again
    return error, state.next_action.sleep if state.next_action else 0.0


def back_off_seconds(failures: int, settings: RetryConfig) -> float:
    """Return how long to leave something alone after `failures` failures in a row (from 1).

    Between half and all of a time that doubles: many that wait do not come back in step.
    """
    doubled = settings.first_wait_seconds * 2.0 ** min(failures, 30)
    return min(doubled, settings.max_wait_seconds) * random.uniform(0.5, 1)  # noqa: S311 - no secret


def _is_worth_repeating(exc: BaseException) -> bool:
    passing = (FileChangedError, ClaimLostError, StalePlanError)
    return isinstance(exc, TransientError) and not isinstance(exc, passing)
