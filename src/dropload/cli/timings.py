"""Where the time of a load went, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dropload.cli.output import Listing
from dropload.model import Outcome, Step

_OVER_ROWS = frozenset({*Step, "publishing", "total"})
"""Steps that take the longer the more rows there are; of others rows a second mean nothing."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one step took, or all of them."""

    step: str
    seconds: float
    share: float
    """Of the whole time, 0 to 1."""
    rows_per_second: float | None
    """Rows of the file, good and bad; None for a step that does not go over them."""


def as_listing(outcome: Outcome) -> Listing:
    """Return the steps of a load as people read them, and their sum."""
    rows = [
        (
            timing.step,
            f"{timing.seconds:.3f}",
            f"{timing.share:.1%}",
            "" if timing.rows_per_second is None else round(timing.rows_per_second),
        )
        for timing in (*_timings(outcome), _whole(outcome))
    ]
    return Listing(("step", "seconds", "share", "rows/s"), rows)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the steps of a load, in their order, and their sum."""
    whole = _whole(outcome)
    steps = [
        {
            "step": timing.step,
            "seconds": round(timing.seconds, 6),
            "share": round(timing.share, 4),
            "rows_per_second": timing.rows_per_second and round(timing.rows_per_second, 1),
        }
        for timing in _timings(outcome)
    ]
    return {"seconds": round(whole.seconds, 6), "timings": steps}


def _timings(outcome: Outcome) -> Iterator[Timing]:
    whole = sum(outcome.step_seconds.values())
    for step, seconds in outcome.step_seconds.items():
        yield _timing(outcome, step, seconds, whole)


def _whole(outcome: Outcome) -> Timing:
    whole = sum(outcome.step_seconds.values())
    return _timing(outcome, "total", whole, whole)


def _timing(outcome: Outcome, step: str, seconds: float, whole: float) -> Timing:
    counts = step in _OVER_ROWS and outcome.rows_read and seconds
    rate = outcome.rows_read / seconds if counts else None
    return Timing(step, seconds, seconds / whole if whole else 0.0, rate)
