"""The health of the database and of what the journal tells."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from dropload.config import Config, HealthConfig
from dropload.dock import Dock, open_dock
from dropload.error_groups import find_repeated_failures, find_worst_sender
from dropload.errors import LockedError
from dropload.health.answer import Check, Figure, Level, graded
from dropload.health.lanes import Lane, Say
from dropload.health.places import check_disk
from dropload.journal import (
    HELD,
    RELEASED,
    WAITING,
    journal_versions,
    pending_scripts,
    prove_writable,
)
from dropload.model import LoadRecord
from dropload.reports import count_of

_LATE_SHOWN = timedelta(days=1)
"""So long a file that was written to after its load is a warning."""
_RATE_OVER = timedelta(hours=1)
_NAMED = 3
_LOCK_SHARE = 0.3
"""Share of the time for all that goes into waiting for a lock: a load may hold it."""


def database_lane(config: Config) -> Lane:
    """Return the lane that asks the database."""
    return Lane("database", "the database", lambda say: _check_database(config, say))


def _check_database(config: Config, say: Say) -> Iterator[Check]:
    dock = open_dock(_impatient(config))
    try:
        say(f"the database, {dock.target.place}")
        missing = pending_scripts(dock.target)
        if missing:
            names = ", ".join(path.name for path in missing)
            said = f"not prepared ({names}): run `dropload init`"
            yield Check("database", Level.CRITICAL, said)
            return
        yield _check_version(dock)
        yield from _check_clock(dock)
        say(f"the database when it is to write, {dock.target.place}")
        yield _check_writing(dock)
        say(f"the journal, {dock.target.place}")
        try:
            yield from check_journal(dock)
        except LockedError:
            # Where readers wait for writers: a load that publishes holds its rows of the journal.
            yield Check("journal", Level.OK, "busy: a load has it just now")
        if dock.target.file is not None:
            yield check_disk("database", dock.target.file.absolute().parent, config.health)
    finally:
        dock.target.close()


def _impatient(config: Config) -> Config:
    """Return the configuration with as much patience with the database as a check may have."""
    limit, own = config.health.check_timeout_seconds, config.database
    database = own.model_copy(
        update={
            "busy_timeout_seconds": min(own.busy_timeout_seconds, limit * _LOCK_SHARE),
            "connect_timeout_seconds": min(own.connect_timeout_seconds, limit),
            "statement_timeout_seconds": min(own.statement_timeout_seconds, limit),
        }
    )
    return config.model_copy(update={"database": database})


def _check_version(dock: Dock) -> Check:
    has, knows = journal_versions(dock.target)
    said = f"{dock.target.describe()}, journal version {has}"
    if has > knows:
        said += f": a newer dropload made it, this one knows {knows}; upgrade this one"
    return Check("database", Level.WARNING if has > knows else Level.OK, said)


def _check_clock(dock: Dock) -> Iterator[Check]:
    began = datetime.now(UTC)
    with dock.target.read() as conn:
        told = dock.target.now(conn)
        asked = datetime.now(UTC)
    skew = _seconds_outside(told, began, asked)
    limit = dock.config.health.clock_skew_warning_seconds
    said = f"this machine and the database agree to {skew:.0f} s"
    if skew >= limit:
        said = f"the clocks of this machine and of the database are {skew:.0f} s apart: see to NTP"
    yield Check(
        "clock", graded(skew, limit), said, (Figure("clock_skew", skew, "s", f"{limit:g}"),)
    )


def _seconds_outside(told: datetime, began: datetime, asked: datetime) -> float:
    """Return how far a time lies outside the time in which it was asked for."""
    outside = max(began - told, told - asked, timedelta())
    return round(outside.total_seconds(), 1)


def _check_writing(dock: Dock) -> Check:
    try:
        prove_writable(dock.target)
    except LockedError:
        # A load that publishes; the daemon itself says when this lasts too long.
        return Check("writing", Level.OK, "busy: somebody writes just now")
    return Check("writing", Level.OK, "a change was made and taken back")


def check_journal(dock: Dock) -> Iterator[Check]:
    """Yield what the journal says of files and loads."""
    with dock.target.read() as conn:
        now = dock.target.now(conn)
        yield from _check_files(dock, conn, now)
        yield from _check_moves(dock, conn)
        yield from _check_loads(dock, conn, now)
        yield from _check_repeated(dock, conn, now)


def _check_files(dock: Dock, conn: sa.Connection, now: datetime) -> Iterator[Check]:
    settings = dock.config.health
    standing = dock.journal.tracking.standing(conn, dock.tree.root)
    waiting = [standing[state] for state in (WAITING, RELEASED) if state in standing]
    count = sum(found for found, _ in waiting)
    since = min((at for _, at in waiting if at is not None), default=now)
    yield _check_waiting(count, max(0.0, (now - since).total_seconds()), settings)
    held, _ = standing.get(HELD, (0, None))
    limit = settings.held_warning_files
    said = f"{count_of(held, 'file')} held: see `dropload status`" if held else "no file is held"
    yield Check("held", graded(held, limit), said, (Figure("held", held, "", f"{limit - 1}"),))


def _check_waiting(count: int, age: float, settings: HealthConfig) -> Check:
    warning, critical = settings.waiting_warning_seconds, settings.waiting_critical_seconds
    figures = (
        Figure("waiting", count),
        Figure("oldest_waiting", round(age), "s", f"{warning:g}", f"{critical:g}"),
    )
    said = count_of(count, "file") if count else "no file waits"
    if count:
        said += f", the oldest unchanged for {_duration(age)}: `dropload status` says why"
    return Check("waiting", graded(age, warning, critical), said, figures)


def _check_moves(dock: Dock, conn: sa.Connection) -> Iterator[Check]:
    unfiled = [
        row
        for row in dock.journal.history.unfiled(conn)
        if row.in_tree and dock.journal.claims.is_abandoned(conn, row)
    ]
    said = "every finished file was moved"
    if unfiled:
        said = f"{count_of(len(unfiled), 'file')} not moved: {_names(unfiled)}"
    level = Level.CRITICAL if unfiled else Level.OK
    yield Check("moves", level, said, (Figure("unmoved", len(unfiled), "", "0", "0"),))
    late = dock.journal.history.late_writes(conn, _LATE_SHOWN)
    if late:
        said = f"{count_of(len(late), 'file')} written to after being loaded: {_names(late)}"
        yield Check("late writers", Level.WARNING, said)


def _check_loads(dock: Dock, conn: sa.Connection, now: datetime) -> Iterator[Check]:
    settings = dock.config.health
    loads = [row for row in dock.journal.history.open(conn) if row.worker]
    limit = timedelta(seconds=settings.load_warning_seconds)
    long = [row for row in loads if now - row.claimed_at > limit]
    said = f"{len(loads)} under way"
    if long:
        age = (now - long[0].claimed_at).total_seconds()
        said = f"load {long[0].load_id} of {long[0].file_name} under way for {_duration(age)}"
    level = Level.WARNING if long else Level.OK
    yield Check("loads", level, said, (Figure("loading", len(loads)),))
    yield _check_failures(dock, conn, now)


def _check_failures(dock: Dock, conn: sa.Connection, now: datetime) -> Check:
    settings = dock.config.health
    ended, failed = dock.journal.history.count_ended(conn, _RATE_OVER)
    share = failed / ended if ended >= settings.failed_min_loads else 0.0
    level = graded(share, settings.failed_warning_share, settings.failed_critical_share)
    said = f"{failed} of {ended} loads failed in the last hour"
    if failed and level is not Level.OK:
        worst = find_worst_sender(dock, conn, now - _RATE_OVER)
        if worst is not None and worst.count > 1:
            count = "all" if worst.count >= failed else f"{worst.count} of them"
            said += f", {count} like {worst.file_pattern}"
        said += ": see `dropload history --errors`"
    figures = (Figure("ended_last_hour", ended), Figure("failed_last_hour", failed))
    return Check("failures", level if failed else Level.OK, said, figures)


def _check_repeated(dock: Dock, conn: sa.Connection, now: datetime) -> Iterator[Check]:
    """Yield what one sender does wrong again and again."""
    for group in find_repeated_failures(dock, conn, now):
        said = (
            f"{group.repeated}; the last, load {group.last_load_id}: {group.last_message} "
            "Tell the sender: the format has changed"
        )
        yield Check(
            "repeated failures",
            Level.WARNING,
            said,
            # Not with the table: the next file's name may lead to another.
            subject=group.file_pattern,
            table=group.table,
        )


def _names(rows: list[LoadRecord]) -> str:
    return ", ".join(row.file_name for row in rows[:_NAMED])


def _duration(seconds: float) -> str:
    """Return a time as people say it: `40 s`, `12 min`, `3 h`, `2 days`."""
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s"
