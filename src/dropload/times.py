"""The one clock of everything that is said: UTC, with its name, for programs and for people.

Machines, databases and readers may be in different zones; filed names, log, journal and screens
speak of the same moment by the same digits. Times within dropload know their zone, always.
"""

from datetime import UTC, datetime

ZONE = "UTC"


def iso_time(moment: datetime) -> str:
    """Return a time for programs: `2026-11-20T10:15:00.250Z`, always as long, sorted as text."""
    return f"{_utc(moment).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def column_time(moment: datetime) -> str:
    """Return a time for a column whose header names the zone: `2026-11-20 10:15:00`."""
    return f"{_utc(moment):%Y-%m-%d %H:%M:%S}"


def spoken_time(moment: datetime) -> str:
    """Return a time for a sentence: `2026-11-20 10:15:00 UTC`."""
    return f"{column_time(moment)} {ZONE}"


def clock_time(moment: datetime) -> str:
    """Return a time of today by its clock alone, `10:15:00 UTC`, any other with its day."""
    is_today = _utc(moment).date() == datetime.now(UTC).date()
    return f"{_utc(moment):%H:%M:%S} {ZONE}" if is_today else spoken_time(moment)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"a time without its zone: {moment}")
    return moment.astimezone(UTC)
