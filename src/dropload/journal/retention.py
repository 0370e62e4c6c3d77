"""What the journal is asked and told when things have been kept for long enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dropload.journal.audit import Audit, AuditAction
from dropload.journal.tables import JournalTables, in_states
from dropload.journal.tracking import VANISHED
from dropload.model import OPEN_STATES, STANDING, State, TableName
from dropload.targets.base import Target

_CLEANUP_QUEUE = TableName("journal", "cleanup")
"""Whoever takes a turn, or deletes a batch, takes this queue first: none is deleted twice."""
_OVER = (State.FILED, State.FAILED, State.DUPLICATE, State.CANCELLED, State.UNDONE)
_PATHS_DONE_WITH = (*(state.value for state in _OVER), VANISHED)
"""States of a path that nothing follows, unless a new file comes."""
_LAST_TURNS = 100
"""Turns that are looked through for the last one of a drop tree."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The times before which things are old; the database's own clock, UTC."""

    backups: datetime
    filed: datetime
    journal: datetime
    actions: datetime
    """The audit log is kept for some time in any case."""


@dataclass(frozen=True, slots=True)
class FiledLoad:
    """Where the file of a load stands that was filed long ago."""

    load_id: int
    filed_path: str
    report_path: str | None
    mtime_ns: int | None


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """What a fullload replaced, and still is there."""

    load_id: int
    rows: int
    committed_at: datetime
    is_filed: bool


class Retention:
    """Finds what is old and forgets it, in batches, always in the caller's transaction."""

    def __init__(self, target: Target, tables: JournalTables, audit: Audit) -> None:
        self._target = target
        self._loads = tables.loads
        self._rejects = tables.rejects
        self._tracking = tables.tracking
        self._audit_table = tables.audit
        self._audit = audit

    def take_turn(self, conn: sa.Connection, actor: str, place: str, every: timedelta) -> timedelta:
        """Return how long the next cleanup of a drop tree has to wait; nothing: it is ours now.

        The audit log says whose turn it was, and with it when the next one is.

        Written down before anything is done, so that of two daemons one does it, and a restart
        does not repeat it.
        """
        self._target.lock_queue(conn, _CLEANUP_QUEUE)
        log = self._audit_table
        query = sa.select(log.c.at, log.c.detail).where(log.c.action == AuditAction.CLEANUP.value)
        last = conn.execute(query.order_by(log.c.id.desc()).limit(_LAST_TURNS))
        turns = [row.at for row in last if row.detail == place]
        wait = turns[0] + every - self._target.now(conn) if turns else timedelta(0)
        # A clock that was set back must not put the next one off for long.
        if timedelta(0) < wait <= every:
            return wait
        self._audit.add(conn, actor, AuditAction.CLEANUP, None, place)
        return timedelta(0)

    # --- backups

    def tables_with_backups(self, conn: sa.Connection) -> list[TableName]:
        """Return the tables of which replaced rows are kept."""
        loads = self._loads
        query = (
            sa.select(loads.c.schema_name, loads.c.table_name)
            .where(loads.c.backup_table.is_not(None))
            .distinct()
            .order_by(loads.c.schema_name, loads.c.table_name)
        )
        return [TableName(*row) for row in conn.execute(query)]

    def backups(self, conn: sa.Connection, table: TableName) -> list[KeptBackup]:
        """Return the backups of a table, newest first."""
        loads = self._loads
        query = (
            sa.select(loads.c.load_id, loads.c.rows_before, loads.c.committed_at, loads.c.state)
            .where(
                loads.c.schema_name == table.schema,
                loads.c.table_name == table.name,
                loads.c.backup_table.is_not(None),
            )
            .order_by(loads.c.commit_no.desc())
        )
        return [
            KeptBackup(row.load_id, row.rows_before or 0, row.committed_at, row.state in _OVER)
            for row in conn.execute(query)
        ]

    # --- files

    def filed(
        self, conn: sa.Connection, before: datetime, after_id: int, limit: int
    ) -> list[FiledLoad]:
        """Return the next loads, in order of their ids, whose files were filed before that time."""
        loads = self._loads
        columns = (getattr(loads.c, name) for name in FiledLoad.__slots__)
        query = (
            sa.select(*columns)
            .where(
                loads.c.load_id > after_id,
                loads.c.filed_at < before,
                loads.c.filed_path.is_not(None),
                in_states(loads.c.state, _OVER),
            )
            .order_by(loads.c.load_id)
            .limit(limit)
        )
        return [FiledLoad(**row) for row in conn.execute(query).mappings()]

    def paths_filed(self, conn: sa.Connection, paths: Sequence[str]) -> set[str]:
        """Return those of these paths at which the file of some load stands."""
        if not paths:
            return set()
        query = sa.select(self._loads.c.filed_path).where(self._loads.c.filed_path.in_(paths))
        return set(conn.execute(query).scalars())

    def paths_in_use(self, conn: sa.Connection) -> set[str]:
        """Return the keys of the files that are being loaded, from wherever."""
        states = [state.value for state in (*OPEN_STATES, State.COMMITTED)]
        query = sa.select(self._loads.c.file_path).where(self._loads.c.state.in_(states))
        return set(conn.execute(query).scalars())

    def forget_places(self, conn: sa.Connection, load_ids: Sequence[int]) -> None:
        """Note that the files of these loads are no longer there."""
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id.in_(load_ids))
            .values(filed_path=None, report_path=None)
        )

    # --- the journal's own rows

    def forget_loads(self, conn: sa.Connection, before: datetime, limit: int) -> tuple[int, int]:
        """Delete the next old loads with their rejects; return how many of both."""
        self._target.lock_queue(conn, _CLEANUP_QUEUE)
        is_old = self._is_forgettable(before)
        query = sa.select(self._loads.c.load_id).where(is_old).order_by(self._loads.c.load_id)
        ids = list(conn.execute(query.limit(limit)).scalars())
        if not ids:
            return 0, 0
        rejects = conn.execute(sa.delete(self._rejects).where(self._rejects.c.load_id.in_(ids)))
        conn.execute(sa.delete(self._loads).where(self._loads.c.load_id.in_(ids)))
        return len(ids), rejects.rowcount

    def shorten_loads(self, conn: sa.Connection, before: datetime, limit: int) -> tuple[int, int]:
        """Take layout, plan and rejects off the next old loads that are still needed.

        Returns how many loads and rejects; what knows the same bytes again is left.
        """
        self._target.lock_queue(conn, _CLEANUP_QUEUE)
        loads = self._loads
        query = sa.select(loads.c.load_id).where(self._is_shortenable(before))
        ids = list(conn.execute(query.order_by(loads.c.load_id).limit(limit)).scalars())
        if not ids:
            return 0, 0
        rejects = conn.execute(sa.delete(self._rejects).where(self._rejects.c.load_id.in_(ids)))
        conn.execute(
            sa.update(loads).where(loads.c.load_id.in_(ids)).values(layout=None, plan=None)
        )
        return len(ids), rejects.rowcount

    def forget_actions(self, conn: sa.Connection, before: datetime, limit: int) -> int:
        """Delete the next old rows of the audit log and return how many."""
        self._target.lock_queue(conn, _CLEANUP_QUEUE)
        log = self._audit_table
        query = sa.select(log.c.id).where(log.c.at < before).order_by(log.c.id).limit(limit)
        return self._delete(conn, log, list(conn.execute(query).scalars()))

    def forget_paths(self, conn: sa.Connection, before: datetime, limit: int) -> int:
        """Delete the next paths of which nothing has been heard for long; return how many."""
        self._target.lock_queue(conn, _CLEANUP_QUEUE)
        paths = self._tracking
        is_old = sa.and_(self._is_path_done_with(before), sa.not_(self._has_load()))
        query = sa.select(paths.c.id).where(is_old).order_by(paths.c.id).limit(limit)
        # Asked once more by the statement itself: a file may have come under this path meanwhile.
        return self._delete(conn, paths, list(conn.execute(query).scalars()), is_old)

    def _delete(self, conn: sa.Connection, table: sa.Table, ids: Sequence[int], *still: Any) -> int:
        if not ids:
            return 0
        return conn.execute(sa.delete(table).where(table.c.id.in_(ids), *still)).rowcount

    def count_old(self, conn: sa.Connection, terms: Terms) -> dict[str, int]:
        """Return what the journal would forget, as if the old files and backups were gone."""
        loads, rejects, log = self._loads, self._rejects, self._audit_table
        forgettable = self._is_forgettable(terms.journal, terms)
        shortenable = self._is_shortenable(terms.journal, terms)
        ids = sa.select(loads.c.load_id).where(sa.or_(forgettable, shortenable))
        gone = sa.select(loads.c.tracking_id).where(sa.not_(forgettable))
        paths = self._tracking
        path_done = self._is_path_done_with(terms.journal) & paths.c.id.not_in(gone)
        queries = {
            "loads": sa.select(sa.func.count()).select_from(loads).where(forgettable),
            "shortened": sa.select(sa.func.count()).select_from(loads).where(shortenable),
            "rejects": sa.select(sa.func.count())
            .select_from(rejects)
            .where(rejects.c.load_id.in_(ids)),
            "actions": sa.select(sa.func.count()).select_from(log).where(log.c.at < terms.actions),
            "paths": sa.select(sa.func.count()).select_from(paths).where(path_done),
        }
        return {name: int(conn.execute(query).scalar_one()) for name, query in queries.items()}

    # --- what is old

    def _is_old(self, before: datetime, terms: Terms | None) -> sa.ColumnElement[bool]:
        """Return what holds for loads that are over and whose file and backup are gone.

        With `terms` also for those whose file and backup would go.
        """
        c = self._loads.c
        times = (c.claimed_at, c.committed_at, c.finished_at, c.filed_at)
        old = [sa.or_(time.is_(None), time < before) for time in times]
        no_file: sa.ColumnElement[bool] = c.filed_path.is_(None)
        no_backup: sa.ColumnElement[bool] = c.backup_table.is_(None)
        if terms is not None:
            no_file = sa.or_(no_file, c.filed_at < terms.filed)
            no_backup = sa.or_(no_backup, c.committed_at < terms.backups)
        moved = sa.or_(c.filed_at.is_not(None), c.state == State.CANCELLED.value)
        over = in_states(c.state, _OVER)
        return sa.and_(over, moved, *old, no_file, no_backup, sa.not_(self._is_waited_for()))

    def _is_waited_for(self) -> sa.ColumnElement[bool]:
        """Return what holds for the last load of a file that waits, or that somebody holds."""
        paths = self._tracking.alias("its_path")
        return sa.exists(
            sa.select(sa.literal(1))
            .select_from(paths)
            .where(
                paths.c.id == self._loads.c.tracking_id,
                paths.c.load_id == self._loads.c.load_id,
                paths.c.status.not_in(_PATHS_DONE_WITH),
            )
        )

    def _is_needed(self) -> sa.ColumnElement[bool]:
        """Return what holds for loads by which the same bytes are known again.

        Those of appends have a key; of fullloads it is the last commit of the table.
        """
        is_last = self._loads.c.load_id.in_(self._last_commits())
        return sa.or_(self._loads.c.once_key.is_not(None), is_last)

    def _last_commits(self) -> sa.Select[tuple[int]]:
        """Return the query for the last commit of each table, read once for a batch."""
        own, every = self._loads.alias("last_load"), self._loads.alias("commits")
        last = (
            sa.select(
                every.c.schema_name,
                every.c.table_name,
                sa.func.max(every.c.commit_no).label("commit_no"),
            )
            .where(in_states(every.c.state, STANDING))
            .group_by(every.c.schema_name, every.c.table_name)
            .subquery("last_commit")
        )
        names = ("schema_name", "table_name", "commit_no")
        is_it = sa.and_(*(own.c[name] == last.c[name] for name in names))
        return sa.select(own.c.load_id).select_from(own.join(last, is_it))

    def _is_forgettable(
        self, before: datetime, terms: Terms | None = None
    ) -> sa.ColumnElement[bool]:
        return sa.and_(self._is_old(before, terms), sa.not_(self._is_needed()))

    def _is_shortenable(
        self, before: datetime, terms: Terms | None = None
    ) -> sa.ColumnElement[bool]:
        c = self._loads.c
        has_more = sa.or_(c.layout.is_not(None), c.plan.is_not(None))
        return sa.and_(self._is_old(before, terms), self._is_needed(), has_more)

    def _is_path_done_with(self, before: datetime) -> sa.ColumnElement[bool]:
        c = self._tracking.c
        times = (c.created_at, c.processed_at, c.changed_at)
        old = [sa.or_(time.is_(None), time < before) for time in times]
        return sa.and_(c.status.in_(_PATHS_DONE_WITH), *old)

    def _has_load(self) -> sa.ColumnElement[bool]:
        # IN, not EXISTS: the load history has no index by path, and is read once for a batch.
        return self._tracking.c.id.in_(sa.select(self._loads.c.tracking_id))
