"""What went wrong, grouped by what is wrong, with which table, and with files named alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.errors import FileError
from dropload.journal import Trouble
from dropload.naming import file_pattern

_MOST = 5000
"""Failures that are looked at, the latest: the health check has no time for more."""
_REPEATED_WITHIN = timedelta(days=7)
"""Senders of one file a day are to be noticed, too."""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Loads that went wrong in the same way: one category, one table, files named alike."""

    category: str
    table: str
    """Empty where the files' names give no table."""
    file_pattern: str
    """The files' name with `#` for each digit."""
    count: int
    first_at: datetime
    last_at: datetime
    last_load_id: int
    last_file_name: str
    last_message: str

    @property
    def repeated(self) -> str:
        """Return how often it happened, of a group that `find_repeated_failures` found."""
        return (
            f"{self.count} files like {self.file_pattern} failed since "
            f"{self.first_at:%Y-%m-%d %H:%M} UTC and none has loaded since"
        )


def find_error_groups(
    dock: Dock,
    conn: sa.Connection,
    table: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[ErrorGroup]:
    """Return what went wrong since a time of the database's clock, grouped; the most first."""
    found = _group(dock.journal.listings.troubles(conn, table, since))
    groups = sorted(found, key=lambda group: (-group.count, -group.last_load_id))[:limit]
    return _with_messages(dock, conn, groups)


def _with_messages(
    dock: Dock, conn: sa.Connection, groups: Sequence[ErrorGroup]
) -> list[ErrorGroup]:
    messages = dock.journal.listings.messages(conn, [group.last_load_id for group in groups])
    return [replace(group, last_message=messages.get(group.last_load_id, "")) for group in groups]


def find_repeated_failures(dock: Dock, conn: sa.Connection, now: datetime) -> list[ErrorGroup]:
    """Return who sends what fails again and again: groups of which none has loaded since.

    Here files named alike are one group although numbers in their names lead to several tables.
    """
    least = dock.config.health.repeated_failures
    found = _by_pattern(dock, conn, now - _REPEATED_WITHIN)
    often = [group for group in found if group.count >= least]
    lasting = [group for group in often if not _has_loaded_since(dock, conn, group)]
    return _with_messages(dock, conn, lasting)


def find_worst_sender(dock: Dock, conn: sa.Connection, since: datetime) -> ErrorGroup | None:
    """Return whose files failed most often since a time, without the message."""
    return max(_by_pattern(dock, conn, since), key=lambda group: group.count, default=None)


def _by_pattern(dock: Dock, conn: sa.Connection, since: datetime) -> list[ErrorGroup]:
    """Return whose files failed, grouped by their names alone."""
    merged: dict[str, ErrorGroup] = {}
    for group in _group(dock.journal.listings.troubles(conn, None, since, _MOST)):
        if group.category == FileError.category:
            before = merged.get(group.file_pattern)
            merged[group.file_pattern] = _merge(before, group) if before else group
    return list(merged.values())


def _merge(one: ErrorGroup, other: ErrorGroup) -> ErrorGroup:
    last = max(one, other, key=lambda group: group.last_load_id)
    return replace(
        last,
        table=one.table if one.table == other.table else "",
        count=one.count + other.count,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
    )


def _has_loaded_since(dock: Dock, conn: sa.Connection, group: ErrorGroup) -> bool:
    names = dock.journal.listings.loaded_names(conn, group.table, group.last_load_id)
    return any(file_pattern(name) == group.file_pattern for name in names)


def _group(troubles: Iterable[Trouble]) -> Iterable[ErrorGroup]:
    """Return the groups of troubles in any order; messages are put in later."""
    groups: dict[tuple[str, str, str], ErrorGroup] = {}
    for trouble in troubles:
        key = (trouble.category, trouble.table, file_pattern(trouble.file_name))
        at, load_id, name = trouble.at, trouble.load_id, trouble.file_name
        before = groups.get(key) or ErrorGroup(*key, 0, at, at, load_id, name, "")
        is_later = load_id > before.last_load_id
        groups[key] = ErrorGroup(
            *key,
            before.count + 1,
            min(before.first_at, at),
            max(before.last_at, at),
            load_id if is_later else before.last_load_id,
            name if is_later else before.last_file_name,
            "",
        )
    return groups.values()
