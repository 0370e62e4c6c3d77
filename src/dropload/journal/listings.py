"""Lists for people: duplicates, actions of the audit log, and what went wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from dropload.errors import FileError, HeldError
from dropload.journal.audit import AuditAction, AuditResult
from dropload.journal.history import LATE_WRITE, check_number, is_of_table
from dropload.journal.tables import JournalTables, in_states
from dropload.model import RELEASED_CATEGORY, STANDING, State, TableName, outcome_of

_TROUBLES = (FileError.category, HeldError.category, RELEASED_CATEGORY, LATE_WRITE)
"""Categories of loads that went wrong, as people count; the index of the errors serves them."""
_CHUNK = 1000
"""Rows that are fetched at a time where there may be a million."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file that was not loaded, because of another load."""

    load_id: int
    found_at: datetime
    file_name: str
    table: str
    load_type: str
    duplicate_of: int | None
    """The load that had brought the same bytes, or that has overtaken this one."""
    original_file_name: str | None
    """None when the journal keeps that load no longer."""
    original_committed_at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class Action:
    """A row of the audit log, with the load that it speaks of as that is now."""

    id: int
    at: datetime
    actor: str
    action: str
    result: str
    """`done`, `refused` or `failed`; of a `load` also as the load has ended."""
    load_id: int | None
    file_name: str | None
    table: str | None
    load_state: str | None
    """How the load stands now, `held` told from `cancelled`: what came of a `load`."""
    detail: str | None
    """What was done, or why it was not."""
    reason: str | None
    """Why, in the person's words."""


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """Which actions are asked for; None: all."""

    load_id: int | None = None
    """On this load, with the release that let its file through."""
    actor: str | None = None
    """A part of the name, in any case: the system user or whom it speaks for."""
    action: str | None = None
    table: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """An action that was done, and who did it."""

    id: int
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """A load that went wrong, without its message."""

    load_id: int
    category: str
    table: str
    file_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that came, whatever became of it."""

    file_name: str
    table: str
    at: datetime


class Listings:
    """Reads the journal for lists, always in the caller's transaction."""

    def __init__(self, tables: JournalTables) -> None:
        self._loads = tables.loads
        self._log = tables.audit

    def duplicates(
        self, conn: sa.Connection, table: str | None, since: datetime | None, limit: int
    ) -> list[Duplicate]:
        """Return the files that were duplicates, newest first, with the loads they repeat."""
        own, original = self._loads, self._loads.alias("original")
        query = (
            sa.select(
                own.c.load_id,
                sa.func.coalesce(own.c.finished_at, own.c.claimed_at).label("found_at"),
                own.c.file_name,
                own.c.schema_name,
                own.c.table_name,
                own.c.load_type,
                own.c.duplicate_of,
                original.c.file_name.label("original_file_name"),
                original.c.committed_at.label("original_committed_at"),
                own.c.error_message,
            )
            .select_from(own.outerjoin(original, own.c.duplicate_of == original.c.load_id))
            .where(own.c.state == State.DUPLICATE.value, *is_of_table(own, table))
            .order_by(own.c.load_id.desc())
            .limit(limit)
        )
        if since is not None:
            query = query.where(own.c.claimed_at >= since)
        return [
            Duplicate(
                row.load_id,
                row.found_at,
                row.file_name,
                _full_name(row.schema_name, row.table_name),
                row.load_type,
                row.duplicate_of,
                row.original_file_name,
                row.original_committed_at,
                row.error_message or "",
            )
            for row in conn.execute(query)
        ]

    def actions(self, conn: sa.Connection, wanted: ActionFilter, limit: int) -> list[Action]:
        """Return the rows of the audit log, newest first."""
        log, loads = self._log, self._loads
        query = (
            sa.select(
                log,
                loads.c.file_name,
                loads.c.schema_name,
                loads.c.table_name,
                loads.c.state,
                loads.c.error_category,
            )
            .select_from(log.outerjoin(loads, log.c.load_id == loads.c.load_id))
            .where(*self._conditions(wanted))
            .order_by(log.c.id.desc())
            .limit(limit)
        )
        return [
            Action(
                row.id,
                row.at,
                row.actor,
                row.action,
                _result_of(row.action, row.result, row.state),
                row.load_id,
                row.file_name,
                _full_name(row.schema_name, row.table_name) or None,
                outcome_of(row.state, row.error_category) if row.state else None,
                row.detail,
                row.reason,
            )
            for row in conn.execute(query)
        ]

    def last_done(self, conn: sa.Connection, load_id: int, action: AuditAction) -> Done | None:
        """Return who did something to a load last; None when nobody has."""
        log = self._log.c
        query = (
            sa.select(log.id, log.actor, log.at)
            .where(
                log.load_id == load_id,
                log.action == action.value,
                log.result == AuditResult.DONE.value,
            )
            .order_by(log.id.desc())
            .limit(1)
        )
        row = conn.execute(query).first()
        return Done(*row) if row else None

    def _conditions(self, wanted: ActionFilter) -> Iterator[sa.ColumnElement[bool]]:
        log = self._log.c
        if wanted.load_id is not None:
            check_number(wanted.load_id)
            yield self._concerns(wanted.load_id)
        if wanted.actor:
            yield log.actor.icontains(wanted.actor, autoescape=True)
        if wanted.action:
            yield log.action == wanted.action
        if wanted.since is not None:
            yield log.at >= wanted.since
        yield from is_of_table(self._loads, wanted.table)

    def _concerns(self, load_id: int) -> sa.ColumnElement[bool]:
        """Return the condition that an action is on a load, or has let its file through.

        A release is on the load that was held; the next load of that version is what comes of it.
        """
        log, own, held = self._log.c, self._loads.alias("own").c, self._loads.alias("held").c
        last_held = (
            sa.select(sa.func.max(held.load_id))
            .where(
                own.load_id == load_id,
                held.tracking_id == own.tracking_id,
                held.load_id < load_id,
                held.file_size == own.file_size,
                held.mtime_ns == own.mtime_ns,
                held.inode == own.inode,
            )
            .scalar_subquery()
        )
        return (log.load_id == load_id) | (
            (log.action == AuditAction.RELEASE.value) & (log.load_id == last_held)
        )

    def last_commits(self, conn: sa.Connection) -> dict[TableName, tuple[int, datetime]]:
        """Return the load that was committed last, and when, of each table."""
        own = self._loads.c
        # In two steps: the index answers the first whole, and finds the rows of the second.
        keys = (own.schema_name, own.table_name, own.state)
        numbers = sa.select(*keys, sa.func.max(own.commit_no).label("last_no")).group_by(*keys)
        last: dict[TableName, int] = {}
        for schema, name, state, number in conn.execute(numbers).all():
            if state in STANDING and number is not None:
                table = TableName(schema, name)
                last[table] = max(number, last.get(table, number))
        found = {}
        for table, number in last.items():
            query = sa.select(own.load_id, own.committed_at).where(
                own.schema_name == table.schema,
                own.table_name == table.name,
                in_states(own.state, STANDING),
                own.commit_no == number,
            )
            row = conn.execute(query.limit(1)).one()
            found[table] = (row.load_id, row.committed_at)
        return found

    def troubles(
        self,
        conn: sa.Connection,
        table: str | None,
        since: datetime | None,
        most: int | None = None,
    ) -> Iterator[Trouble]:
        """Yield the loads that went wrong, in no order: refused, held, or written to afterwards.

        Only what grouping needs, and not all at once: there may be very many. `most`: only so many
        of the latest.
        """
        own = self._loads.c
        at = sa.func.coalesce(own.finished_at, own.claimed_at).label("at")
        query = sa.select(
            own.load_id, own.error_category, own.schema_name, own.table_name, own.file_name, at
        ).where(own.error_category.in_(_TROUBLES), *is_of_table(self._loads, table))
        if since is not None:
            query = query.where(own.claimed_at >= since)
        if most is not None:
            query = query.order_by(own.claimed_at.desc()).limit(most)
        for row in conn.execute(query, execution_options={"yield_per": _CHUNK}):
            yield Trouble(
                row.load_id,
                row.error_category,
                _full_name(row.schema_name, row.table_name),
                row.file_name,
                row.at,
            )

    def loaded_names(self, conn: sa.Connection, table: str, after: int) -> list[str]:
        """Return the names of files that were loaded into a table by later loads than one."""
        own = self._loads.c
        query = sa.select(own.file_name).where(
            own.load_id > after,
            in_states(own.state, STANDING),
            *is_of_table(self._loads, table),
        )
        return list(conn.execute(query.distinct().limit(_CHUNK)).scalars())

    def arrivals(self, conn: sa.Connection, since: datetime) -> Iterator[Arrival]:
        """Yield the files of inboxes of which a load was begun since then, the latest first."""
        own = self._loads.c
        query = (
            sa.select(own.file_name, own.schema_name, own.table_name, own.claimed_at)
            .where(own.in_tree, own.claimed_at >= since)
            .order_by(own.load_id.desc())
        )
        for row in conn.execute(query, execution_options={"yield_per": _CHUNK}):
            table = _full_name(row.schema_name, row.table_name)
            yield Arrival(row.file_name, table, row.claimed_at)

    def messages(self, conn: sa.Connection, load_ids: Sequence[int]) -> dict[int, str]:
        """Return what went wrong with each of these loads."""
        own, found = self._loads.c, dict[int, str]()
        for start in range(0, len(load_ids), _CHUNK):
            ids = load_ids[start : start + _CHUNK]
            query = sa.select(own.load_id, own.error_message).where(own.load_id.in_(ids))
            found |= {row.load_id: row.error_message or "" for row in conn.execute(query)}
        return found


def _result_of(action: str, written: str, load_state: str | None) -> str:
    """Return what came of an action; a load is asked for first, and fails later."""
    is_load = action in (AuditAction.LOAD.value, AuditAction.LOAD_FORCED.value)
    has_failed = is_load and load_state == State.FAILED.value
    return AuditResult.FAILED.value if has_failed else written


def _full_name(schema: str | None, name: str | None) -> str:
    return f"{schema}.{name}" if name else ""
