"""The health of the daemon, as its sign of life tells it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from dropload.config import NEEDS_RESTART, Config, HealthConfig
from dropload.config_digest import digest_sections
from dropload.durable import path_text
from dropload.health.answer import Check, Figure, Level, graded
from dropload.health.lanes import Lane
from dropload.heartbeat import FILE_NAME, Heartbeat, read_heartbeat
from dropload.identity import person_name
from dropload.reports import count_of
from dropload.times import clock_time

_SET_BACK_SECONDS = 5.0
"""A scan so far in the future is no matter of rounding."""
_NAMED = 3


def daemon_lane(config: Config) -> Lane:
    """Return the lane that reads the sign of life."""
    folder = config.state_folder.absolute()
    return Lane(
        "daemon",
        f"the folder of the daemon's sign of life, {path_text(folder)}",
        lambda _say: _check_daemon(config, folder),
    )


def _check_daemon(config: Config, folder: Path) -> Iterator[Check]:
    try:
        (folder / FILE_NAME).open("rb").close()
    except PermissionError:
        said = f"{person_name()} may not read {path_text(folder)}: ask as the service's user"
        yield Check("daemon", Level.UNKNOWN, said)
        return
    except OSError:
        yield Check("daemon", Level.CRITICAL, "not running: start it with `dropload run`")
        return
    heartbeat = read_heartbeat(folder)
    if heartbeat is None:
        said = f"{path_text(folder / FILE_NAME)} is of another version of dropload: restart it"
        yield Check("daemon", Level.UNKNOWN, said)
        return
    yield _check_scan(heartbeat, config.health)
    yield from check_problems(heartbeat, config.health)
    yield _check_configuration(heartbeat, config)


def _check_scan(heartbeat: Heartbeat, settings: HealthConfig) -> Check:
    age = heartbeat.age_seconds
    # Scans that are meant to be far apart, or take long, are not late.
    usual = max(0.0, heartbeat.scan_interval_seconds - settings.heartbeat_warning_seconds / 2)
    warning = settings.heartbeat_warning_seconds + usual
    critical = settings.heartbeat_critical_seconds + usual
    figure = Figure("scan_age", round(max(0.0, age), 1), "s", f"{warning:g}", f"{critical:g}")
    level, message = graded(age, warning, critical), f"last scan {age:.0f} s ago"
    if heartbeat.is_of_dead_process:
        level, message = Level.CRITICAL, f"{message}, and process {heartbeat.pid} is gone"
    elif level is Level.CRITICAL:
        message += ": it hangs or was killed"
    elif age < -_SET_BACK_SECONDS:
        level = Level.WARNING
        message = f"last scan {-age:.0f} s in the future: the clock was set back, or differs here"
    if heartbeat.user != person_name():
        message += f" (by {heartbeat.user}; {person_name()} asks, whose rights may differ)"
    return Check("daemon", level, message, (figure,))


def check_problems(heartbeat: Heartbeat, settings: HealthConfig) -> Iterator[Check]:
    """Yield what the daemon itself finds wrong; silence is health."""
    if heartbeat.workers_problem:
        yield Check("workers", Level.CRITICAL, heartbeat.workers_problem)
    if heartbeat.turn_problem:
        yield Check("turns", Level.CRITICAL, f"the daemon's turn fails: {heartbeat.turn_problem}")
    if heartbeat.database_problem:
        said = f"the daemon starts no load: {heartbeat.database_problem}"
        if heartbeat.database_next_try:
            said += (
                f" Next try at {clock_time(datetime.fromisoformat(heartbeat.database_next_try))}."
            )
        yield Check("daemon's database", Level.CRITICAL, said)
    if heartbeat.metrics_problem:
        yield Check("metrics", Level.WARNING, heartbeat.metrics_problem)
    for rival in heartbeat.rivals:
        yield Check("other daemons", Level.CRITICAL, rival)
    if heartbeat.disk_problem:
        yield Check("disk reserve", Level.CRITICAL, heartbeat.disk_problem)
    if heartbeat.notify_problem:
        yield Check("notifications", Level.WARNING, heartbeat.notify_problem)
    yield from _check_files(heartbeat)
    yield from _check_put_off(heartbeat, settings)


def _check_files(heartbeat: Heartbeat) -> Iterator[Check]:
    for problem in heartbeat.folder_problems:
        yield Check("daemon's folders", Level.CRITICAL, problem, subject=problem)
    for table, reason in heartbeat.paused_tables.items():
        yield Check("queue", Level.WARNING, f"{table} pauses: {reason}", subject=table)
    for missing in heartbeat.missing_files:
        yield Check("expected files", Level.WARNING, missing)


def _check_put_off(heartbeat: Heartbeat, settings: HealthConfig) -> Iterator[Check]:
    often = [path for path, n in heartbeat.failures.items() if n >= settings.put_off_warning_times]
    if often:
        names = ", ".join(Path(path).name for path in often[:_NAMED])
        number = count_of(len(often), "file")
        said = f"{number} put off again and again: {names}; see `dropload status`"
        yield Check("put off", Level.WARNING, said)


def _check_configuration(heartbeat: Heartbeat, config: Config) -> Check:
    here, there = digest_sections(config), heartbeat.config_digests
    differing = [name for name in here if here[name] != there.get(name)]
    if not differing:
        return Check("configuration", Level.OK, "the daemon runs with it")
    restart = any(name in NEEDS_RESTART for name in differing)
    what = "restart the daemon" if restart else "reload the daemon (SIGHUP)"
    sections = ", ".join(f"[{name}]" for name in differing)
    said = f"{sections} differs from what the daemon runs with: {what}, or ask with its environment"
    return Check("configuration", Level.WARNING, said)
