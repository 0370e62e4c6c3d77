"""What went wrong, grouped by what is wrong, with which table, and with files named alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.journal import Trouble
from dropload.naming import file_pattern

_MOST = 5000
"""Failures that are looked at, the latest: the health check has no time for more."""


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


def find_repeated_failures(
    dock: Dock, conn: sa.Connection, category: str, since: datetime, least: int
) -> list[ErrorGroup]:
    """Return the groups of at least so many files of which none has loaded since the last one.

    Here files named alike are one group although numbers in their names lead to several tables.
    """
    merged: dict[str, ErrorGroup] = {}
    for group in _group(dock.journal.listings.troubles(conn, None, since, _MOST)):
        if group.category == category:
            before = merged.get(group.file_pattern)
            merged[group.file_pattern] = _merge(before, group) if before else group
    often = [group for group in merged.values() if group.count >= least]
    lasting = [group for group in often if not _has_loaded_since(dock, conn, group)]
    return _with_messages(dock, conn, lasting)


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
