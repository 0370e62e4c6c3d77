"""What a health check answers, and how the monitoring-plugin convention writes it."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """Exit codes of the monitoring-plugin convention."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_BY_WEIGHT = (Level.OK, Level.WARNING, Level.UNKNOWN, Level.CRITICAL)
"""What is certainly broken outweighs what could not be looked at."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number for performance data, `label=value[unit];[warning];[critical]`.

    The thresholds are ranges: `500:` alerts below 500, `60` above 60
    (https://www.monitoring-plugins.org/doc/guidelines.html).
    """

    name: str
    value: float
    unit: str = ""
    warning: str = ""
    critical: str = ""

    def __str__(self) -> str:
        """Return the figure as monitoring systems read it."""
        ends = f";{self.warning};{self.critical}" if self.warning or self.critical else ""
        return f"{self.name}={self.value:.10g}{self.unit}{ends}".rstrip(";")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    message: str
    figures: tuple[Figure, ...] = ()
    subject: str = ""
    """What it is about, where several checks have one name: a table, a folder."""
    table: str = ""
    """Whose files it is about, where it is those of one table."""


@dataclass(frozen=True, slots=True)
class Health:
    """All checks."""

    checks: tuple[Check, ...]

    @property
    def level(self) -> Level:
        """Return the level that weighs most."""
        return max((check.level for check in self.checks), key=_BY_WEIGHT.index)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return the figures of all checks."""
        return tuple(figure for check in self.checks for figure in check.figures)

    def summary(self) -> str:
        """Return the one line that monitoring systems read, performance data behind the bar."""
        bad = [check for check in self.by_weight() if check.level is not Level.OK]
        said = "; ".join(f"{check.name}: {check.message}" for check in bad)
        text = _on_one_line(said or f"{len(self.checks)} checks passed")
        figures = " ".join(map(str, self.figures))
        return f"DROPLOAD {self.level.name} - {text} | {figures}".rstrip(" |")

    def details(self) -> list[str]:
        """Return a line for each check, the worst first."""
        return [
            f"{check.level.name:<8} {check.name}: {_on_one_line(check.message)}"
            for check in self.by_weight()
        ]

    def by_weight(self) -> list[Check]:
        """Return the checks, the worst first."""
        return sorted(self.checks, key=lambda check: -_BY_WEIGHT.index(check.level))


def graded(value: float, warning: float, critical: float | None = None) -> Level:
    """Return the level of a value that should not reach its thresholds."""
    if critical is not None and value >= critical:
        return Level.CRITICAL
    return Level.WARNING if value >= warning else Level.OK


def _on_one_line(text: str) -> str:
    # A bar begins the performance data, wherever it stands.
    return " ".join(text.replace("|", "/").split())
