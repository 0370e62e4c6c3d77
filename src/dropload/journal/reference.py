"""The reference configuration and the audit log: what publishing and people leave behind."""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from dropload.journal.tables import JournalTables
from dropload.model import Load, TableColumn
from dropload.targets.base import Target


class Reference:
    """One row per reference table."""

    def __init__(self, target: Target, tables: JournalTables) -> None:
        self._target = target
        self._table = tables.reference

    def upsert(self, conn: sa.Connection, load: Load, columns: Sequence[TableColumn]) -> None:
        """Write the row of the table that a load publishes, in the publishing transaction."""
        now = self._target.now(conn)
        table = self._table
        values = {
            "columns": json.dumps([{"name": c.name, "type": str(c.type)} for c in columns]),
            "updated_at": now,
            "load_id": load.load_id,
        }
        changed = conn.execute(
            sa.update(table)
            .where(table.c.schema_name == load.table.schema, table.c.table_name == load.table.name)
            .values(values)
        )
        if changed.rowcount == 0:
            identity = {"schema_name": load.table.schema, "table_name": load.table.name}
            conn.execute(sa.insert(table).values(created_at=now, **identity, **values))


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
