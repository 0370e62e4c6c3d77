"""Check whether dropload can do its work, in the terms of monitoring systems."""

from dropload.health.answer import Check, Figure, Health, Level
from dropload.health.checks import check_health

__all__ = ["Check", "Figure", "Health", "Level", "check_health"]
