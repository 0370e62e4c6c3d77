"""Look back: loads, everything about one, duplicates, who did what, and what went wrong."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.error_groups import ErrorGroup, find_error_groups
from dropload.journal import Action, ActionFilter, Duplicate
from dropload.model import Layout, LoadRecord, RejectRecord

Since = timedelta | datetime | str | None
"""From when on: so long before now, a time (UTC where it has no offset), or either in words as
`read_since` knows them; None: from ever."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


_SHOWN_ACTIONS = 100
"""More than people do to one load; all are in the audit log."""


@dataclass(frozen=True, slots=True)
class LoadDetails:
    """Everything that the journal knows of one load."""

    load: LoadRecord
    layout: Mapping[str, Any] | None
    plan: Mapping[str, Any] | None
    rejects: tuple[RejectRecord, ...]
    actions: tuple[Action, ...]
    """Who did what to it, oldest first, with the release that let its file through."""


def read_since(said: str) -> timedelta | datetime:
    """Return a period (`30m`, `12h`, `7d`, `2w`) or a time (`2026-11-20`, `2026-11-20T10:15`).

    Raises ValueError with what would be right.
    """
    match = re.fullmatch(r"(\d{1,5})([mhdw])", said.strip())
    if match:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        wrong = f"{said!r} is no time; say 30m, 12h, 7d, 2w, or 2026-11-20 (UTC)."
        raise ValueError(wrong) from None


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"limit must be 1 or more: {limit}")


def list_loads(
    dock: Dock, table: str | None = None, since: Since = None, limit: int = 50
) -> list[LoadRecord]:
    """Return the latest loads, newest first; `table` is `name` or `schema.name`."""
    _check_limit(limit)
    with dock.target.read() as conn:
        start = start_of(dock, conn, since)
        return dock.journal.history.latest(conn, table, limit, start)


def show_load(dock: Dock, load_id: int) -> LoadDetails:
    """Return everything about one load; raise RefusedError where there is none."""
    with dock.target.read() as conn:
        row = dock.journal.history.existing(conn, load_id)
        rejects = dock.journal.history.rejects(conn, load_id)
        actions = dock.journal.listings.actions(conn, ActionFilter(load_id), _SHOWN_ACTIONS)
    return LoadDetails(
        row,
        json.loads(row.layout or "null"),
        json.loads(row.plan or "null"),
        tuple(rejects),
        tuple(reversed(actions)),
    )


def layout_from_json(values: Mapping[str, Any]) -> Layout:
    """Return a layout that the journal kept; keys of another version of dropload are left out."""
    known = {field.name for field in fields(Layout)}
    return Layout(**{name: value for name, value in values.items() if name in known})


def list_duplicates(
    dock: Dock, table: str | None = None, since: Since = None, limit: int = 50
) -> list[Duplicate]:
    """Return the files that were not loaded because of another load, newest first."""
    _check_limit(limit)
    with dock.target.read() as conn:
        start = start_of(dock, conn, since)
        return dock.journal.listings.duplicates(conn, table, start, limit)


def list_actions(
    dock: Dock, wanted: ActionFilter | None = None, since: Since = None, limit: int = 50
) -> list[Action]:
    """Return who did what, newest first."""
    _check_limit(limit)
    wanted = wanted or ActionFilter()
    with dock.target.read() as conn:
        start = start_of(dock, conn, since)
        wanted = replace(wanted, since=start) if start else wanted
        return dock.journal.listings.actions(conn, wanted, limit)


def group_errors(
    dock: Dock, table: str | None = None, since: Since = None, limit: int = 50
) -> list[ErrorGroup]:
    """Return what went wrong, grouped by category, table and the files' names; the most first."""
    _check_limit(limit)
    with dock.target.read() as conn:
        return find_error_groups(dock, conn, table, start_of(dock, conn, since), limit)


def start_of(dock: Dock, conn: sa.Connection, since: Since) -> datetime | None:
    """Return the beginning of a period by the database's clock, UTC."""
    since = read_since(since) if isinstance(since, str) else since
    if since is None:
        return None
    if isinstance(since, timedelta):
        return dock.target.now(conn) - since
    return since if since.tzinfo else since.replace(tzinfo=UTC)
