"""Looking back: what the load history says of loads, files and tables."""

from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dropload.errors import RefusedError
from dropload.journal.queries import UNFILED, Queries, of_table
from dropload.journal.tables import JournalTables, in_states
from dropload.model import (
    OPEN_STATES,
    STANDING,
    Load,
    LoadEnd,
    LoadRecord,
    LoadType,
    Progress,
    RejectRecord,
    State,
    TableName,
)
from dropload.targets.base import Published, Target

LATE_WRITE = "late_write"
"""Category of a load whose file was written to after it had been loaded and moved."""
_LAST_LOADS = 5_000
"""More than end in the time that is looked back at; the history of years is not read for it."""
MAX_LOAD_ID = 2**63 - 1
"""What the column of the numbers holds."""
_PAST_PLANS = 10
"""How a table's numbers were written shows in its last loads; older senders may be gone."""


class History:
    """Reads rows of the load history, always in the caller's transaction."""

    def __init__(self, target: Target, tables: JournalTables, queries: Queries) -> None:
        self._target = target
        self._tables = tables
        self._loads = tables.loads
        self.queries = queries
        self.is_open = in_states(tables.loads.c.state, OPEN_STATES)
        """The condition that a load is under way."""

    def row(self, conn: sa.Connection, load_id: int) -> LoadRecord | None:
        """Return the whole row of a load."""
        return self.find(conn, self.queries.load, of_load_id=load_id)

    def find_published(self, conn: sa.Connection, load_id: int) -> Published | None:
        """Return what a load did to its table, None when its rows are not there."""
        row = conn.execute(self.queries.published, {"of_load_id": load_id}).first()
        if row is None:
            return None
        loaded = row.rows_loaded or 0
        return Published(row.rows_before, row.rows_after, loaded, loaded, None)

    def existing(self, conn: sa.Connection, load_id: int) -> LoadRecord:
        """Return the whole row of a load that a person names; raise RefusedError without one."""
        check_number(load_id)
        row = self.row(conn, load_id)
        if row is None:
            raise _no_load(load_id)
        return row

    def find_duplicate(self, conn: sa.Connection, load: Load, file_hash: str) -> LoadRecord | None:
        """Return the earlier load that makes this one a duplicate, None when it is not one.

        Append: the same bytes were appended and no fullload has replaced the rows since. Fullload:
        the same bytes are what the table holds now, that is, its last load.
        """
        named = of_table(load.table.schema, load.table.name)
        if load.drop.load_type is LoadType.FULLLOAD:
            last = self.find(conn, self.queries.last_commit, **named)
            is_same = last is not None and last.file_hash == file_hash
            is_fullload = last is not None and last.load_type == LoadType.FULLLOAD.value
            return last if is_same and is_fullload else None
        key = once_key(load, file_hash)
        return self.find(conn, self.queries.last_with_bytes, **named, of_once_key=key)

    def has_size(self, conn: sa.Connection, table: TableName, size_bytes: int) -> bool:
        """Return whether a file of this size was appended to a table, and its bytes still count."""
        query = sa.select(self._loads.c.load_id).where(
            self._loads.c.schema_name == table.schema,
            self._loads.c.table_name == table.name,
            self._loads.c.file_size == size_bytes,
            self._loads.c.once_key.is_not(None),
        )
        return conn.execute(query.limit(1)).first() is not None

    def bytes_of_rows(self, conn: sa.Connection, table: TableName) -> int:
        """Return how large the files were that brought what is in a table: since it was replaced.

        Rows that no load has brought are not known here.
        """
        own = self._loads.c
        standing = (
            own.schema_name == table.schema,
            own.table_name == table.name,
            in_states(own.state, STANDING),
        )
        is_fullload = own.load_type == LoadType.FULLLOAD.value
        replaced = sa.select(sa.func.max(own.commit_no)).where(*standing, is_fullload)
        since = own.commit_no >= sa.func.coalesce(replaced.scalar_subquery(), 0)
        query = sa.select(sa.func.sum(own.file_size)).where(*standing, since)
        return int(conn.execute(query).scalar() or 0)

    def past_plans(self, conn: sa.Connection, table: TableName) -> list[str]:
        """Return the plans of the last loads into the table as JSON, the newest first."""
        query = (
            sa.select(self._loads.c.plan)
            .where(
                self._loads.c.schema_name == table.schema,
                self._loads.c.table_name == table.name,
                in_states(self._loads.c.state, STANDING),
                self._loads.c.plan.is_not(None),
            )
            .order_by(self._loads.c.commit_no.desc())
        )
        return list(conn.execute(query.limit(_PAST_PLANS)).scalars())

    def find_later_commit(self, conn: sa.Connection, load: Load) -> LoadRecord | None:
        """Return a load of the same table that was claimed later and is committed already.

        Only where one of the two replaces all rows; a fullload before an append.
        """
        values = of_table(load.table.schema, load.table.name) | {"of_load_id": load.load_id}
        found = self.find(conn, self.queries.later_fullload, **values)
        if found is None and load.drop.load_type is LoadType.FULLLOAD:
            found = self.find(conn, self.queries.later_commit, **values)
        return found

    def unfiled(self, conn: sa.Connection) -> list[LoadRecord]:
        """Return the loads that are over but whose file has not been moved, oldest first."""
        query = (
            sa.select(self._loads)
            .where(
                in_states(self._loads.c.state, UNFILED),
                self._loads.c.filed_at.is_(None),
            )
            .order_by(self._loads.c.load_id)
        )
        return self.all(conn, query)

    def open(self, conn: sa.Connection) -> list[LoadRecord]:
        """Return the loads under way, oldest first."""
        query = sa.select(self._loads).where(self.is_open).order_by(self._loads.c.load_id)
        return self.all(conn, query)

    def under_way(self, conn: sa.Connection) -> list[LoadRecord]:
        """Return the loads that a worker has, oldest first, without their layouts and plans."""
        own = self._loads.c
        query = self._briefly().where(self.is_open, own.worker.is_not(None)).order_by(own.load_id)
        return self.all(conn, query)

    def _briefly(self) -> "sa.Select[Any]":
        """Return a query for rows without what may be large in them."""
        large = ("layout", "plan")
        columns = [
            sa.null().label(column.name) if column.name in large else column
            for column in self._loads.c
        ]
        return sa.select(*columns)

    def backups(self, conn: sa.Connection, table: TableName) -> list[tuple[int, str]]:
        """Return load id and backup of each fullload of a table that has one, newest first."""
        found = conn.execute(self.queries.backups, of_table(table.schema, table.name))
        return [(row.load_id, row.backup_table) for row in found]

    def outcomes(self, conn: sa.Connection, limit: int) -> list[LoadRecord]:
        """Return the latest loads that are over, newest first, without their layouts and plans."""
        query = self._briefly().where(~self.is_open).order_by(self._loads.c.load_id.desc())
        return self.all(conn, query.limit(limit))

    def latest(
        self, conn: sa.Connection, table: str | None, limit: int, since: datetime | None = None
    ) -> list[LoadRecord]:
        """Return the latest loads, newest first, without their layouts and plans.

        `table` is `name` or `schema.name`.
        """
        query = self._briefly().order_by(self._loads.c.load_id.desc()).limit(limit)
        if since is not None:
            query = query.where(self._loads.c.claimed_at >= since)
        return self.all(conn, query.where(*is_of_table(self._loads, table)))

    def ends(self, conn: sa.Connection) -> list[LoadEnd]:
        """Return of every load where its file went, newest first."""
        return self._ends(conn, sa.true())

    def filed_lately(self, conn: sa.Connection, since: timedelta) -> list[LoadEnd]:
        """Return the loads whose files were moved into processed/ in the last time."""
        own = self._loads.c
        moved = own.filed_at > self._target.now(conn) - since
        return self._ends(conn, in_states(own.state, (State.FILED, State.DUPLICATE)) & moved)

    def _ends(self, conn: sa.Connection, condition: sa.ColumnElement[bool]) -> list[LoadEnd]:
        columns = (self._loads.c[field.name] for field in fields(LoadEnd))
        query = sa.select(*columns).where(condition).order_by(self._loads.c.load_id.desc())
        found = conn.execute(query).mappings()
        return [LoadEnd(**{**row, "state": State(row["state"])}) for row in found]

    def rejects(self, conn: sa.Connection, load_id: int) -> list[RejectRecord]:
        """Return the refused rows that were kept, in the order of the file."""
        table = self._tables.rejects
        query = sa.select(table).where(table.c.load_id == load_id).order_by(table.c.source_row)
        return [RejectRecord(**row) for row in conn.execute(query).mappings()]

    def late_writes(self, conn: sa.Connection, since: timedelta) -> list[LoadRecord]:
        """Return the loads of the last time whose files were written to afterwards."""
        query = sa.select(self._loads).where(
            self._loads.c.load_id > self._before_last(_LAST_LOADS),
            self._loads.c.error_category == LATE_WRITE,
            self._loads.c.filed_at > self._target.now(conn) - since,
        )
        return self.all(conn, query)

    def count_ended(self, conn: sa.Connection, since: timedelta) -> tuple[int, int]:
        """Return how many loads have ended in the last time, and how many of them failed."""
        own = self._loads.c
        query = (
            sa.select(own.state, sa.func.count())
            .where(
                own.load_id > self._before_last(_LAST_LOADS),
                sa.func.coalesce(own.committed_at, own.finished_at)
                > self._target.now(conn) - since,
            )
            .group_by(own.state)
        )
        ended = {str(state): int(count) for state, count in conn.execute(query)}
        return sum(ended.values()), ended.get(State.FAILED.value, 0)

    def _before_last(self, loads: int) -> sa.ScalarSelect[int]:
        """Return the number below those of so many loads, so that not all of them are read."""
        newest = sa.func.coalesce(sa.func.max(self._loads.c.load_id), 0)
        return sa.select(newest - loads).scalar_subquery()

    def all(self, conn: sa.Connection, query: sa.Select[Any], **values: Any) -> list[LoadRecord]:
        """Return every row of a query over the load history; `values` are its parameters."""
        return [_record(row) for row in conn.execute(query, values).mappings()]

    def find(self, conn: sa.Connection, query: sa.Select[Any], **values: Any) -> LoadRecord | None:
        """Return the one row of a query of `queries`, None when it has none."""
        row = conn.execute(query, values).mappings().first()
        return _record(row) if row else None

    def first(self, conn: sa.Connection, query: sa.Select[Any]) -> LoadRecord | None:
        """Return the first row of a query over the load history, None when it has none."""
        return self.find(conn, query.limit(1))


def _record(row: sa.RowMapping) -> LoadRecord:
    return LoadRecord(**{**row, "state": State(row["state"])})


def check_number(load_id: int) -> None:
    """Raise RefusedError for a number that no load can have; not every database takes it."""
    if not 0 < load_id <= MAX_LOAD_ID:
        raise _no_load(load_id)


def _no_load(load_id: int) -> RefusedError:
    return RefusedError(
        f"There is no load {load_id}.", hint="`dropload history` lists them.", code="no_load"
    )


def progress_values(progress: Progress | None, now: datetime) -> dict[str, Any]:
    """Return the columns that say how far a load is, none where there is nothing new to say."""
    if progress is None:
        return {}
    values = asdict(progress)
    # Of a load that is over it says why it ended; of one that is under way, why it waits.
    values["error_message"] = values.pop("trouble")
    return values | {"progress_at": now}


def is_of_table(loads: sa.FromClause, table: str | None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a load is of a table, said as `name` or `schema.name`."""
    schema, _, name = (table or "").rpartition(".")
    said = {"table_name": name, "schema_name": schema}
    return [loads.c[column] == value for column, value in said.items() if value]


def once_key(load: Load, file_hash: str) -> str:
    """Return the key that only one load may have that appends these bytes to a table."""
    return f"{load.table}:{file_hash}"
