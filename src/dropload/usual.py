"""What is usual, and what is far outside: statistics that a few odd loads do not move.

The modified z-score of Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (ASQ 1993): the
distance from the median in units of the median absolute deviation, far beyond 3.5. It is taken of
logarithms, because times, rows and bytes are spread by factors: half as much and twice as much are
equally odd.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

MIN_VALUES = 8
"""Fewer say nothing about what is usual."""
_FAR = 3.5
"""Modified z-score beyond which a value is an outlier, by the source above."""
_NORMAL = 0.6745
"""Makes the median absolute deviation of normal values comparable with their standard deviation."""
_MIN_FACTOR = 2.0
"""Nearer than that nobody calls it unusual, however alike the values are otherwise."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What the values are, so that small differences between small ones do not count."""

    smallest: float
    """Smaller values are all alike."""
    min_difference: float
    """Nearer to the median than that is not worth a word."""


SECONDS = Unit(smallest=0.01, min_difference=1.0)
ROWS = Unit(smallest=1, min_difference=10)
BYTES = Unit(smallest=1, min_difference=1000)
TIMES = Unit(smallest=1, min_difference=1)


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual among some values."""

    median: float
    deviation: float
    """Median absolute deviation of the values' logarithms."""
    unit: Unit

    def is_far(self, value: float) -> bool:
        """Return whether a value is far outside, above or below."""
        if abs(value - self.median) < self.unit.min_difference:
            return False
        distance = abs(_log(value, self.unit) - _log(self.median, self.unit))
        is_odd = _NORMAL * distance > _FAR * self.deviation
        return is_odd and distance >= math.log(_MIN_FACTOR)

    def is_far_above(self, value: float) -> bool:
        """Return whether a value is far above what is usual."""
        return value > self.median and self.is_far(value)


def find_usual(values: Iterable[float], unit: Unit) -> Usual | None:
    """Return what is usual, None where there are too few values to say so."""
    found = list(values)
    if len(found) < MIN_VALUES:
        return None
    middle = median(found)
    deviations = (abs(_log(value, unit) - _log(middle, unit)) for value in found)
    return Usual(middle, median(deviations), unit)


def _log(value: float, unit: Unit) -> float:
    return math.log(max(value, 0.0) + unit.smallest)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of some sorted values lies, 0 to 1.

    Between two values it is interpolated, as spreadsheets do (PERCENTILE.INC).
    """
    place = share * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)
