"""Looking back: what the load history says of loads, files and tables."""

from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dropload.errors import RefusedError
from dropload.journal.tables import JournalTables
from dropload.model import (
    OPEN_STATES,
    Load,
    LoadEnd,
    LoadRecord,
    LoadType,
    RejectRecord,
    State,
    TableName,
)
from dropload.targets.base import Target

LATE_WRITE = "late_write"
"""Category of a load whose file was written to after it had been loaded and moved."""
UNFILED = (State.COMMITTED, State.FAILED, State.DUPLICATE)
"""Over as far as the rows go; the file still has to be moved unless `filed_at` says so."""
_PAST_PLANS = 10
"""How a table's numbers were written shows in its last loads; older senders may be gone."""


class History:
    """Reads rows of the load history, always in the caller's transaction."""

    def __init__(self, target: Target, tables: JournalTables) -> None:
        self._target = target
        self._tables = tables
        self._loads = tables.loads
        self.is_open = tables.loads.c.state.in_([state.value for state in OPEN_STATES])
        """The condition that a load is under way."""

    def row(self, conn: sa.Connection, load_id: int) -> LoadRecord | None:
        """Return the whole row of a load."""
        query = sa.select(self._loads).where(self._loads.c.load_id == load_id)
        return self.first(conn, query)

    def existing(self, conn: sa.Connection, load_id: int) -> LoadRecord:
        """Return the whole row of a load that a person names; raise RefusedError without one."""
        row = self.row(conn, load_id)
        if row is None:
            raise RefusedError(
                f"There is no load {load_id}.", hint="`dropload history` lists them."
            )
        return row

    def find_duplicate(self, conn: sa.Connection, load: Load, file_hash: str) -> LoadRecord | None:
        """Return the earlier load that makes this one a duplicate, None when it is not one.

        Append: the same bytes were appended and no fullload has replaced the rows since. Fullload:
        the same bytes are what the table holds now, that is, its last load.
        """
        query = (
            sa.select(self._loads)
            .where(
                self._loads.c.schema_name == load.table.schema,
                self._loads.c.table_name == load.table.name,
                self._loads.c.state.in_([State.COMMITTED.value, State.FILED.value]),
            )
            .order_by(self._loads.c.commit_no.desc())
        )
        if load.drop.load_type is LoadType.FULLLOAD:
            last = self.first(conn, query)
            is_same = last is not None and last.file_hash == file_hash
            is_fullload = last is not None and last.load_type == LoadType.FULLLOAD.value
            return last if is_same and is_fullload else None
        return self.first(conn, query.where(self._loads.c.once_key == once_key(load, file_hash)))

    def past_plans(self, conn: sa.Connection, table: TableName) -> list[str]:
        """Return the plans of the last loads into the table as JSON, the newest first."""
        query = (
            sa.select(self._loads.c.plan)
            .where(
                self._loads.c.schema_name == table.schema,
                self._loads.c.table_name == table.name,
                self._loads.c.state.in_([State.COMMITTED.value, State.FILED.value]),
                self._loads.c.plan.is_not(None),
            )
            .order_by(self._loads.c.commit_no.desc())
        )
        return list(conn.execute(query.limit(_PAST_PLANS)).scalars())

    def find_later_commit(self, conn: sa.Connection, load: Load) -> LoadRecord | None:
        """Return a load of the same table that was claimed later and is committed already.

        Only where one of the two replaces all rows; a fullload before an append.
        """
        query = sa.select(self._loads).where(
            self._loads.c.schema_name == load.table.schema,
            self._loads.c.table_name == load.table.name,
            self._loads.c.load_id > load.load_id,
            self._loads.c.state.in_([State.COMMITTED.value, State.FILED.value]),
        )
        replacing = self._loads.c.load_type == LoadType.FULLLOAD.value
        found = self.first(conn, query.where(replacing))
        if found is None and load.drop.load_type is LoadType.FULLLOAD:
            found = self.first(conn, query)
        return found

    def unfiled(self, conn: sa.Connection) -> list[LoadRecord]:
        """Return the loads that are over but whose file has not been moved, oldest first."""
        query = (
            sa.select(self._loads)
            .where(
                self._loads.c.state.in_([state.value for state in UNFILED]),
                self._loads.c.filed_at.is_(None),
            )
            .order_by(self._loads.c.load_id)
        )
        return self.all(conn, query)

    def open(self, conn: sa.Connection) -> list[LoadRecord]:
        """Return the loads under way, oldest first."""
        query = sa.select(self._loads).where(self.is_open).order_by(self._loads.c.load_id)
        return self.all(conn, query)

    def backups(self, conn: sa.Connection, table: TableName) -> list[tuple[int, str]]:
        """Return load id and backup of each fullload of a table that has one, newest first."""
        query = (
            sa.select(self._loads.c.load_id, self._loads.c.backup_table)
            .where(
                self._loads.c.schema_name == table.schema,
                self._loads.c.table_name == table.name,
                self._loads.c.backup_table.is_not(None),
            )
            .order_by(self._loads.c.commit_no.desc())
        )
        return [(row.load_id, row.backup_table) for row in conn.execute(query)]

    def latest(
        self, conn: sa.Connection, table: str | None, limit: int, since: datetime | None = None
    ) -> list[LoadRecord]:
        """Return the latest loads, newest first; `table` is `name` or `schema.name`."""
        query = sa.select(self._loads).order_by(self._loads.c.load_id.desc()).limit(limit)
        if since is not None:
            query = query.where(self._loads.c.claimed_at >= since)
        return self.all(conn, query.where(*is_of_table(self._loads, table)))

    def ends(self, conn: sa.Connection, limit: int | None = None) -> list[LoadEnd]:
        """Return of every load, or of so many of the last, where its file went."""
        names = [field.name for field in fields(LoadEnd)]
        columns = (self._loads.c[name] for name in names)
        query = sa.select(*columns).order_by(self._loads.c.load_id.desc()).limit(limit)
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
            self._loads.c.error_category == LATE_WRITE,
            self._loads.c.claimed_at > self._target.now(conn) - since,
        )
        return self.all(conn, query)

    def all(self, conn: sa.Connection, query: sa.Select[Any]) -> list[LoadRecord]:
        """Return every row of a query over the load history."""
        return [_record(row) for row in conn.execute(query).mappings()]

    def first(self, conn: sa.Connection, query: sa.Select[Any]) -> LoadRecord | None:
        """Return the first row of a query over the load history, None when it has none."""
        row = conn.execute(query.limit(1)).mappings().first()
        return _record(row) if row else None


def _record(row: sa.RowMapping) -> LoadRecord:
    return LoadRecord(**{**row, "state": State(row["state"])})


def is_of_table(loads: sa.FromClause, table: str | None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a load is of a table, said as `name` or `schema.name`."""
    schema, _, name = (table or "").rpartition(".")
    said = {"table_name": name, "schema_name": schema}
    return [loads.c[column] == value for column, value in said.items() if value]


def once_key(load: Load, file_hash: str) -> str:
    """Return the key that only one load may have that appends these bytes to a table."""
    return f"{load.table}:{file_hash}"
