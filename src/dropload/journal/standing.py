"""What a table holds by the journal: the loads that stand, in their order, and taking one back."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from dropload.journal.tables import JournalTables, in_states
from dropload.model import STANDING, LoadRecord, LoadType, State, TableName
from dropload.targets.base import Target

_CREATED_TABLE = '"table_before": null'
"""What the plan of a load says that has made its table; a text that holds these words would have
its quotes escaped."""


@dataclass(frozen=True, slots=True)
class StandingLoad:
    """A load whose rows count as the table's."""

    load_id: int
    file_name: str
    load_type: str
    rows_loaded: int
    committed_at: datetime
    commit_no: int
    backup_table: str | None
    created_table: bool
    """There was nothing before it that could be restored."""

    @property
    def replaced_rows(self) -> bool:
        """Return whether the rows that were there before are not in the table any more."""
        return self.load_type == LoadType.FULLLOAD.value


class Standing:
    """Reads and takes back what stands, always in the caller's transaction."""

    def __init__(self, target: Target, tables: JournalTables) -> None:
        self._target = target
        self._tables = tables
        self._loads = tables.loads

    def after(self, conn: sa.Connection, table: TableName, commit_no: int) -> list[StandingLoad]:
        """Return the loads of a table that were committed after that one, oldest first."""
        own = self._loads.c
        query = self._query(table).where(own.commit_no > commit_no).order_by(own.commit_no)
        return [_standing(row) for row in conn.execute(query).mappings()]

    def last(self, conn: sa.Connection, table: TableName) -> StandingLoad | None:
        """Return the load that was committed last, None when none stands."""
        query = self._query(table).order_by(self._loads.c.commit_no.desc()).limit(1)
        row = conn.execute(query).mappings().first()
        return _standing(row) if row else None

    def _query(self, table: TableName) -> "sa.Select[tuple[object, ...]]":
        own = self._loads.c
        columns = (
            own.load_id,
            own.file_name,
            own.load_type,
            own.rows_loaded,
            own.committed_at,
            own.commit_no,
            own.backup_table,
            sa.case((self._created_table, 1), else_=0).label("created_table"),
        )
        return sa.select(*columns).where(*self._stands_in(table))

    def _stands_in(self, table: TableName) -> tuple[sa.ColumnElement[bool], ...]:
        own = self._loads.c
        return (
            own.schema_name == table.schema,
            own.table_name == table.name,
            in_states(own.state, STANDING),
        )

    @property
    def _created_table(self) -> sa.ColumnElement[bool]:
        own = self._loads.c
        # The rows first: the plans of few loads have to be looked into.
        return sa.and_(own.rows_before == 0, own.plan.contains(_CREATED_TABLE, autoescape=True))

    def take_back(self, conn: sa.Connection, row: LoadRecord) -> None:
        """Write that a load is undone: it counts neither as the table's nor as a duplicate."""
        conn.execute(
            sa.update(self._loads)
            .where(self._loads.c.load_id == row.load_id)
            .values(
                state=State.UNDONE,
                finished_at=self._target.now(conn),
                once_key=None,
                backup_table=None,
            )
        )
        tracked = self._tables.tracking
        conn.execute(
            sa.update(tracked)
            .where(tracked.c.id == row.tracking_id, tracked.c.load_id == row.load_id)
            .values(status=State.UNDONE)
        )
        self._give_once_keys(conn, row)

    def _give_once_keys(self, conn: sa.Connection, row: LoadRecord) -> None:
        """Let appended bytes that are in the table again, or still are, count as duplicates.

        Of loads with the same bytes the first one has the key, as if the undone one had never been.
        """
        own, table = self._loads.c, TableName(row.schema_name, row.table_name)
        appends = [*self._stands_in(table), own.load_type == LoadType.APPEND.value]
        if row.load_type == LoadType.APPEND.value:
            appends.append(own.file_hash == row.file_hash)
        query = (
            sa.select(own.load_id, own.file_hash, own.once_key)
            .where(*appends, own.commit_no >= self._begin_of_rows(conn, table, row))
            .order_by(own.commit_no)
        )
        found = conn.execute(query).all()
        kept = {file_hash for _, file_hash, key in found if key}
        for load_id, file_hash, _ in found:
            if file_hash not in kept:
                change = sa.update(self._loads).where(own.load_id == load_id)
                conn.execute(change.values(once_key=f"{table}:{file_hash}"))
            kept.add(file_hash)

    def _begin_of_rows(self, conn: sa.Connection, table: TableName, undone: LoadRecord) -> int:
        """Return the number of the commit from which on rows have only been added."""
        own = self._loads.c
        if created_table(undone):
            return undone.commit_no or 0
        begins = sa.or_(own.load_type == LoadType.FULLLOAD.value, self._created_table)
        query = sa.select(sa.func.max(own.commit_no)).where(*self._stands_in(table), begins)
        return int(conn.execute(query).scalar() or 0)


def created_table(row: LoadRecord) -> bool:
    """Return whether there was no table before this load."""
    return row.rows_before == 0 and _CREATED_TABLE in (row.plan or "")


def _standing(row: sa.RowMapping) -> StandingLoad:
    values = {**row, "rows_loaded": row["rows_loaded"] or 0}
    return StandingLoad(**{**values, "created_table": bool(row["created_table"])})
