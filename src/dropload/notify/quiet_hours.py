"""Know whether it is a time at which people sleep, and when that is over."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from dropload.alert_config import NotifyConfig


def zone_of(settings: NotifyConfig) -> tzinfo | None:
    """Return the time zone that messages speak in; None is the machine's own."""
    return ZoneInfo(settings.time_zone) if settings.time_zone else None


def end_of_quiet(settings: NotifyConfig, now: datetime) -> datetime | None:
    """Return when the quiet hours end in which `now` lies, UTC; None when it lies in none."""
    begin, end = settings.quiet_from, settings.quiet_until
    if begin is None or end is None:
        return None
    zone = zone_of(settings)
    local = now.astimezone(zone)
    at = local.time()
    is_quiet = begin <= at < end if begin < end else at >= begin or at < end
    if not is_quiet:
        return None
    day = local.date() if at < end else local.date() + timedelta(days=1)
    until = datetime.combine(day, end)
    return (until.replace(tzinfo=zone) if zone else until.astimezone()).astimezone(UTC)
