"""The reference configuration and the audit log: what publishing and people leave behind."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from dropload.journal.tables import JournalTables
from dropload.model import Load, TableColumn, TableName
from dropload.targets.base import Target


class Reference:
    """One row per reference table."""

    def __init__(self, target: Target, tables: JournalTables) -> None:
        self._target = target
        self._table = tables.reference

    def upsert(self, conn: sa.Connection, load: Load, columns: Sequence[TableColumn]) -> None:
        """Write the row of the table that a load publishes, in the publishing transaction."""
        values = self._values(conn, load.load_id, columns)
        if not self._update(conn, load.table, values):
            identity = {"schema_name": load.table.schema, "table_name": load.table.name}
            made = {"created_at": values["updated_at"], **identity, **values}
            conn.execute(sa.insert(self._table).values(made))

    def follow(
        self, conn: sa.Connection, table: TableName, load_id: int, columns: Sequence[TableColumn]
    ) -> None:
        """Have the row of a table, where it has one, speak of the load that it goes back to."""
        self._update(conn, table, self._values(conn, load_id, columns))

    def _values(
        self, conn: sa.Connection, load_id: int, columns: Sequence[TableColumn]
    ) -> dict[str, Any]:
        return {
            "columns": json.dumps([{"name": c.name, "type": str(c.type)} for c in columns]),
            "updated_at": self._target.now(conn),
            "load_id": load_id,
        }

    def _update(self, conn: sa.Connection, table: TableName, values: dict[str, Any]) -> bool:
        own = self._table.c
        is_tables = (own.schema_name == table.schema, own.table_name == table.name)
        return conn.execute(sa.update(self._table).where(*is_tables).values(values)).rowcount > 0


class Audit:
    """Who did what to which load; rows are only ever added."""

    def __init__(self, target: Target, tables: JournalTables) -> None:
        self._target = target
        self._table = tables.audit

    def add(
        self, conn: sa.Connection, actor: str, action: str, load_id: int | None, detail: str = ""
    ) -> None:
        """Add one row."""
        conn.execute(
            sa.insert(self._table).values(
                at=self._target.now(conn),
                actor=actor,
                action=action,
                load_id=load_id,
                detail=detail or None,
            )
        )
