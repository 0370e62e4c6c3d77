"""Check whether dropload can do its work, in the terms of monitoring systems."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import DroploadError
from dropload.heartbeat import Heartbeat, read_heartbeat
from dropload.journal import HELD, WAITING, pending_scripts

_LATE_SHOWN = timedelta(days=1)
"""So long a file that was written to after its load is a warning."""


class Level(IntEnum):
    """Exit codes of the monitoring-plugin convention."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class Health:
    """All checks, and figures for performance data."""

    checks: tuple[Check, ...]
    figures: tuple[tuple[str, int], ...]

    @property
    def level(self) -> Level:
        """Return the worst level of all checks."""
        return max(check.level for check in self.checks)

    def summary(self) -> str:
        """Return the one line that monitoring systems read, performance data behind the bar."""
        bad = [check for check in self.checks if check.level is not Level.OK]
        said = "; ".join(f"{check.name}: {check.message}" for check in bad)
        text = said or f"{len(self.checks)} checks passed"
        figures = " ".join(f"{name}={value}" for name, value in self.figures)
        return f"DROPLOAD {self.level.name} - {text} | {figures}".rstrip(" |")


def check_health(dock: Dock) -> Health:
    """Run every check; none raises."""
    heartbeat = read_heartbeat(dock.config.state_folder)
    database = _guarded("database", lambda: _check_database(dock))
    checks = [
        *_check_folders(dock),
        _check_daemon(dock, heartbeat),
        _check_disk(dock),
        database,
        *_check_pauses(heartbeat),
    ]
    figures: list[tuple[str, int]] = []
    if database.level is Level.OK:
        try:
            figures, more = _read_journal(dock)
            checks += more
        except DroploadError as exc:
            checks.append(Check("journal", Level.CRITICAL, str(exc)))
    return Health(tuple(checks), tuple(figures))


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except DroploadError as exc:
        return Check(name, Level.CRITICAL, str(exc))


def _check_folders(dock: Dock) -> Iterator[Check]:
    problems = dock.tree.check()
    for problem in problems:
        yield Check("folders", Level.CRITICAL, problem.message)
    if problems:
        return
    open_to_all = dock.tree.world_writable()
    for folder in open_to_all:
        yield Check("folders", Level.WARNING, f"everybody may write into {path_text(folder)}")
    if not open_to_all:
        yield Check("folders", Level.OK, f"all folders of {dock.tree.root} are usable")


def _check_daemon(dock: Dock, heartbeat: Heartbeat | None) -> Check:
    if heartbeat is None:
        return Check("daemon", Level.CRITICAL, "not running: start it with `dropload run`")
    settings, age = dock.config.health, heartbeat.age_seconds
    message = f"last scan {age:.0f} s ago"
    if age > settings.heartbeat_critical_seconds:
        return Check("daemon", Level.CRITICAL, f"{message}: it hangs or was killed")
    if age > settings.heartbeat_warning_seconds:
        return Check("daemon", Level.WARNING, message)
    return Check("daemon", Level.OK, message)


def _check_disk(dock: Dock) -> Check:
    try:
        free_mb = shutil.disk_usage(dock.tree.root).free // 2**20
    except OSError as exc:
        return Check("disk", Level.UNKNOWN, f"{dock.tree.root}: {exc.strerror}")
    level = Level.WARNING if free_mb < dock.config.health.min_free_mb else Level.OK
    return Check("disk", level, f"{free_mb:,} MB free below {dock.tree.root}")


def _check_database(dock: Dock) -> Check:
    missing = pending_scripts(dock.target)
    if missing:
        names = ", ".join(path.name for path in missing)
        return Check("database", Level.CRITICAL, f"not prepared ({names}): run `dropload init`")
    return Check("database", Level.OK, dock.target.describe())


def _check_pauses(heartbeat: Heartbeat | None) -> Iterator[Check]:
    if heartbeat is not None and heartbeat.workers_problem:
        yield Check("workers", Level.CRITICAL, heartbeat.workers_problem)
    for table, reason in (heartbeat.paused_tables if heartbeat else {}).items():
        yield Check("queue", Level.WARNING, f"{table} pauses: {reason}")


def _read_journal(dock: Dock) -> tuple[list[tuple[str, int]], list[Check]]:
    with dock.target.read() as conn:
        counts = dock.journal.tracking.counts(conn)
        late = dock.journal.history.late_writes(conn, _LATE_SHOWN)
        unfiled = [
            row
            for row in dock.journal.history.unfiled(conn)
            if row.in_tree and dock.journal.claims.is_abandoned(conn, row)
        ]
    checks = [Check("moves", Level.OK, "every finished file was moved")]
    if unfiled:
        names = ", ".join(row.file_name for row in unfiled[:3])
        checks = [Check("moves", Level.CRITICAL, f"{len(unfiled)} files not moved: {names}")]
    if late:
        names = ", ".join(row.file_name for row in late[:3])
        said = f"{len(late)} files were written to after they had been loaded: {names}"
        checks.append(Check("late writers", Level.WARNING, said))
    held = counts.get(HELD, 0)
    if held:
        checks.append(Check("held", Level.WARNING, f"{held} files are held: see `dropload status`"))
    figures = [("waiting", counts.get(WAITING, 0)), ("held", held), ("unmoved", len(unfiled))]
    return figures, checks
