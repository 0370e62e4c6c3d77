"""The reference configuration: one row per table, written by who publishes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from dropload.journal.tables import JournalTables, in_states
from dropload.model import STANDING, Load, TableColumn, TableName
from dropload.targets.base import Target

NO_LOAD = 0
"""Load of a row whose table no load has filled."""


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """What the configuration says of one reference table."""

    table: TableName
    columns: tuple[tuple[str, str], ...]
    """Name and type of each."""
    created_at: datetime
    updated_at: datetime
    load_id: int
    """The load that wrote it last, `NO_LOAD` when a repair did and there was none."""


class Reference:
    """One row per reference table."""

    def __init__(self, target: Target, tables: JournalTables) -> None:
        self._target = target
        self._table = tables.reference
        self._loads = tables.loads
        own = (tables.tracking, tables.loads, tables.rejects, tables.reference)
        self.journal_names = frozenset(
            str(table.name) for table in (*own, tables.audit, tables.versions)
        )
        """Names of the journal's own tables, as the database knows them."""

    def upsert(self, conn: sa.Connection, load: Load, columns: Sequence[TableColumn]) -> None:
        """Write the row of the table that a load publishes, in the publishing transaction."""
        self.write(conn, load.table, columns, load.load_id)

    def write(
        self, conn: sa.Connection, name: TableName, columns: Sequence[TableColumn], load_id: int
    ) -> None:
        """Write the row of a table, whether there is one or not."""
        if not self.follow(conn, name, load_id, columns):
            identity = {"schema_name": name.schema, "table_name": name.name}
            values = self._values(conn, load_id, columns)
            made = {"created_at": values["updated_at"], **identity, **values}
            conn.execute(sa.insert(self._table).values(made))

    def follow(
        self, conn: sa.Connection, table: TableName, load_id: int, columns: Sequence[TableColumn]
    ) -> bool:
        """Have the row of a table speak of a load; return whether the table has a row."""
        own = self._table.c
        is_tables = (own.schema_name == table.schema, own.table_name == table.name)
        values = self._values(conn, load_id, columns)
        return conn.execute(sa.update(self._table).where(*is_tables).values(values)).rowcount > 0

    def _values(
        self, conn: sa.Connection, load_id: int, columns: Sequence[TableColumn]
    ) -> dict[str, object]:
        return {
            "columns": json.dumps([{"name": c.name, "type": str(c.type)} for c in columns]),
            "updated_at": self._target.now(conn),
            "load_id": load_id,
        }

    def delete(self, conn: sa.Connection, name: TableName) -> None:
        """Delete the row of a table."""
        table = self._table
        is_it = (table.c.schema_name == name.schema, table.c.table_name == name.name)
        conn.execute(sa.delete(table).where(*is_it))

    def rows(self, conn: sa.Connection) -> list[ReferenceRow]:
        """Return every row, by the table's name."""
        table = self._table
        query = sa.select(table).order_by(table.c.schema_name, table.c.table_name)
        return [
            ReferenceRow(
                TableName(row["schema_name"], row["table_name"]),
                tuple((column["name"], column["type"]) for column in json.loads(row["columns"])),
                row["created_at"],
                row["updated_at"],
                row["load_id"],
            )
            for row in conn.execute(query).mappings()
        ]

    def last_loads(self, conn: sa.Connection) -> dict[TableName, int]:
        """Return the last committed load of each table that a reference inbox has filled."""
        loads = self._loads
        query = (
            sa.select(loads.c.schema_name, loads.c.table_name, sa.func.max(loads.c.load_id))
            .where(
                loads.c.is_reference_data == sa.true(),
                in_states(loads.c.state, STANDING),
            )
            .group_by(loads.c.schema_name, loads.c.table_name)
        )
        return {TableName(schema, name): last for schema, name, last in conn.execute(query)}
