"""Turn what happens to files, and what health finds, into notifications: each is told once."""

from dropload.alarms.alarms import Alarms

__all__ = ["Alarms"]
