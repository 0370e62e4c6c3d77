"""Know which files should be here by now and are not: from the configuration, or learned."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dropload.alert_config import ALL_DAYS, ExpectedConfig, ExpectedFile
from dropload.dock import Dock
from dropload.intake import name_drop
from dropload.journal import HELD, RELEASED, WAITING, Arrival, path_of_key
from dropload.model import Drop, FileVersion
from dropload.times import spoken_time

_DAY = timedelta(days=1)
_WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Deadline:
    """One file that should be here by one moment; all times are UTC."""

    name: str
    expected: ExpectedFile
    by: datetime
    since: datetime
    """What came before is not it."""
    zone: tzinfo | None
    is_learned: bool = False

    @property
    def key(self) -> str:
        """Return what tells it from those of other days."""
        return f"{self.name}:{self.by.astimezone(self.zone):%Y-%m-%d}"

    @property
    def what(self) -> str:
        """Return what is expected, for people."""
        wanted = self.expected
        return f"a file for {wanted.table}" if wanted.table else f"a file named {wanted.pattern}"

    def describe(self) -> str:
        """Return a sentence that says what is missing, since when, and why it is expected."""
        by = spoken_time(self.by)
        why = f"expected.files.{self.name}"
        if self.is_learned:
            why = "learned from the last weeks"
        return f"{self.what} was expected by {by} and is not here ({why}). Ask its sender"


class ExpectedFiles:
    """Looks for what is due, in the journal: whatever came counts, also what failed or is held."""

    def __init__(self, dock: Dock) -> None:
        self._dock = dock
        self._learned: Mapping[str, ExpectedFile] = {}
        self._learned_on: date | None = None
        self.missing: tuple[Deadline, ...] = ()
        self.arrived: frozenset[str] = frozenset()
        """Keys of those that are due and are here."""

    def configure(self, dock: Dock) -> None:
        """Expect other files from now on."""
        self._dock = dock
        self._learned, self._learned_on = {}, None
        self.missing, self.arrived = (), frozenset()

    @property
    def is_needed(self) -> bool:
        """Return whether anything is expected at all."""
        return bool(self._dock.config.expected.files) or self._dock.config.expected.learn

    def look(self, now: datetime) -> None:
        """Find what is missing at a moment; raises DroploadError when the journal does not tell."""
        if not self.is_needed:
            return
        with self._dock.target.read() as conn:
            self._learn_daily(conn, now)
            due = {deadline.key: deadline for deadline in self._due(now)}
            # What is here stays so: it is not looked for again.
            here = self.arrived & due.keys()
            left = [deadline for key, deadline in due.items() if key not in here]
            here |= self._find(conn, left) if left else set()
        self.missing = tuple(deadline for deadline in left if deadline.key not in here)
        self.arrived = here

    def _due(self, now: datetime) -> Iterator[Deadline]:
        config = self._dock.config.expected
        for learned, files in ((False, config.files), (True, self._learned)):
            for name, expected in files.items():
                zone = _zone_of(config, expected)
                window = find_window(expected, zone, now)
                if window is not None:
                    yield Deadline(name, expected, window.by, window.since, zone, learned)

    def _find(self, conn: sa.Connection, due: list[Deadline]) -> set[str]:
        """Return the keys of those that are here."""
        left, found = list(due), set[str]()
        for arrival in self._arrivals(conn, min(deadline.since for deadline in due)):
            here = [deadline for deadline in left if _is_it(deadline, arrival)]
            found |= {deadline.key for deadline in here}
            left = [deadline for deadline in left if deadline not in here]
            if not left:
                break
        return found

    def _arrivals(self, conn: sa.Connection, since: datetime) -> Iterator[Arrival]:
        """Yield what came since then; times without a zone, as the journal has them."""
        yield from self._waiting(conn)
        yield from self._dock.journal.listings.arrivals(conn, since)

    def _waiting(self, conn: sa.Connection) -> Iterator[Arrival]:
        """Yield what stands in the inboxes."""
        for row in self._dock.journal.tracking.with_status(conn, WAITING, HELD, RELEASED):
            path = path_of_key(row.file_path)
            table = self._table_of(path)
            if table is not None:
                yield Arrival(path.name, table, row.changed_at or row.created_at)

    def _table_of(self, path: Path) -> str | None:
        inbox = self._dock.tree.inbox_of(path)
        if inbox is None:
            return None
        drop = Drop(path, inbox.area, inbox.load_type, _NO_VERSION)
        return str(name_drop(drop, self._dock.target).table)

    # --- learning

    def _learn_daily(self, conn: sa.Connection, now: datetime) -> None:
        config = self._dock.config.expected
        zone = _zone(config.time_zone)
        today = now.astimezone(zone).date()
        if not config.learn or self._learned_on == today:
            return
        since = _moment(today - config.learn_weeks * _WEEK_DAYS * _DAY, time(), zone)
        arrivals = self._dock.journal.listings.arrivals(conn, since)
        self._learned = learn(arrivals, today, config, known=_known_tables(config))
        self._learned_on = today


_NO_VERSION = FileVersion(0, 0, 0)
"""A name leads to its table whatever is in the file."""


class Window(NamedTuple):
    """The time in which one day's file comes, UTC."""

    since: datetime
    by: datetime


def find_window(expected: ExpectedFile, zone: tzinfo | None, now: datetime) -> Window | None:
    """Return the window whose deadline is over, until the next one begins; None between.

    So a day that is over is not told of any more.
    """
    today = now.astimezone(zone).date()
    days = [today + n * _DAY for n in range(-_WEEK_DAYS, 2)]
    windows = [
        _window(day, expected, zone) for day in days if ALL_DAYS[day.weekday()] in expected.weekdays
    ]
    begun = [window for window in windows if window.since <= now]
    return begun[-1] if begun and begun[-1].by <= now else None


def _window(day: date, expected: ExpectedFile, zone: tzinfo | None) -> Window:
    from_day = day - _DAY if expected.after > expected.by else day
    return Window(_moment(from_day, expected.after, zone), _moment(day, expected.by, zone))


def learn(
    arrivals: Iterable[Arrival], today: date, config: ExpectedConfig, known: frozenset[str]
) -> dict[str, ExpectedFile]:
    """Return for today what came on this weekday in each of the last weeks, by name of its table.

    The latest time of these first arrivals, and a margin, is the deadline. Tables of `known` have
    one already.
    """
    zone = _zone(config.time_zone)
    days = {today - week * _WEEK_DAYS * _DAY for week in range(1, config.learn_weeks + 1)}
    firsts: dict[str, dict[date, time]] = defaultdict(dict)
    for arrival in arrivals:
        local = arrival.at.astimezone(zone)
        if local.date() in days and not arrival.table.endswith(".") and arrival.table:
            at = firsts[arrival.table]
            at[local.date()] = min(at.get(local.date(), time.max), local.time())
    return {
        table: ExpectedFile(
            table=table,
            by=_later(max(at.values()), config.learn_margin_minutes),
            weekdays=(ALL_DAYS[today.weekday()],),
        )
        for table, at in firsts.items()
        if len(at) == len(days) and not _is_known(table, known)
    }


def _later(at: time, minutes: int) -> time:
    """Return a time of the same day, to the minute."""
    total = min(at.hour * 60 + at.minute + minutes, 24 * 60 - 1)
    return time(total // 60, total % 60)


def _known_tables(config: ExpectedConfig) -> frozenset[str]:
    return frozenset(wanted.table.lower() for wanted in config.files.values() if wanted.table)


def _is_known(table: str, known: frozenset[str]) -> bool:
    return table.lower() in known or table.rpartition(".")[2].lower() in known


def _is_it(deadline: Deadline, arrival: Arrival) -> bool:
    if arrival.at < deadline.since:
        return False
    if deadline.expected.pattern is not None:
        return fnmatch(arrival.file_name.lower(), deadline.expected.pattern.lower())
    return _is_known(arrival.table, frozenset({str(deadline.expected.table).lower()}))


def _zone_of(config: ExpectedConfig, expected: ExpectedFile) -> tzinfo | None:
    return _zone(config.time_zone if expected.time_zone is None else expected.time_zone)


def _zone(name: str) -> tzinfo | None:
    """Return a time zone; None is the machine's own."""
    return ZoneInfo(name) if name else None


def _moment(day: date, at: time, zone: tzinfo | None) -> datetime:
    """Return a moment as UTC; without a zone the machine's rules for that day hold."""
    local = datetime.combine(day, at)
    return (local.replace(tzinfo=zone) if zone else local.astimezone()).astimezone(UTC)
