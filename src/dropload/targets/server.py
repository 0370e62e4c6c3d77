"""What database servers have in common: real schemas, ALTER TABLE, publishing by copying rows."""

import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import sqlalchemy as sa

from dropload.config import DatabaseConfig
from dropload.errors import ConfigError, LockedError
from dropload.logs import keep_secret
from dropload.model import (
    Area,
    ColumnType,
    Kind,
    LoadType,
    Plan,
    TableColumn,
    TableInfo,
    TableName,
    TableRules,
)
from dropload.targets.base import LINEAGE, SOURCE_ROW, KeyColumns, Published, Target

# Upper case and unquoted: a case-sensitive SQL Server knows them only so, others fold them.
_COUNT_TABLES = sa.text(
    "SELECT COUNT(*) FROM INFORMATION_SCHEMA.TABLES"
    " WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name AND TABLE_TYPE = 'BASE TABLE'"
)
_LIST_TABLES = sa.text(
    "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES"
    " WHERE TABLE_SCHEMA = :schema AND TABLE_TYPE = 'BASE TABLE'"
)


_LIST_COLUMNS = sa.text(
    "SELECT c.TABLE_NAME, c.COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS c"
    " JOIN INFORMATION_SCHEMA.TABLES t"
    "   ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME"
    " WHERE c.TABLE_SCHEMA = :schema AND t.TABLE_TYPE = 'BASE TABLE'"
    " ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION"
)
_LIST_CONSTRAINTS = sa.text(
    "SELECT CONSTRAINT_NAME FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS"
    " WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name ORDER BY CONSTRAINT_NAME"
)


class ServerTarget(Target):
    """A database server: several connections, schemas, a system catalogue in SQL.

    The table that operators see is never renamed or dropped: its grants, indexes, identity,
    constraints and triggers hang on it, so rows are copied into it.
    """

    # --- names

    def physical_name(self, table: TableName) -> tuple[str | None, str]:
        """Return schema and name as they are."""
        return table.schema, table.name

    # --- the journal's own tables

    def run_script(self, conn: sa.Connection, script: str) -> None:
        """Run the script's batches, with the configured schemas in place of ref, bkp and stg."""
        names = {
            "ref": self.schemas.reference,
            "bkp": self.schemas.backup,
            "stg": self.schemas.stage,
        }
        quote = self.engine.dialect.identifier_preparer.quote

        def put_in_place(match: re.Match[str]) -> str:
            # SCHEMA_ID takes a name as it is, not as it is quoted.
            asked, own = match[1], names[match[2]]
            return f"{asked}{own}" if asked else quote(own)

        own = re.sub(r"(SCHEMA_ID\(')?\b(ref|bkp|stg)\b(?=[.;'\])\s])", put_in_place, script)
        for batch in self.split_batches(own):
            conn.exec_driver_sql(batch)

    @abstractmethod
    def has_schema(self, conn: sa.Connection, schema: str) -> bool:
        """Return whether the schema exists, whoever owns it."""

    def create_schema(self, conn: sa.Connection, schema: str) -> None:
        """Make the schema; only where it is missing, as it takes a right of its own."""
        name = self.engine.dialect.identifier_preparer.quote_identifier(schema)
        conn.exec_driver_sql(f"CREATE SCHEMA {name}")

    @abstractmethod
    def split_batches(self, script: str) -> Sequence[str]:
        """Return the parts of a script that are sent one by one."""

    # --- tables

    def has_table(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether a table of this name exists; a view is none."""
        schema, name = self.physical_name(table)
        found = conn.execute(_COUNT_TABLES, {"schema": schema, "name": name})
        return bool(found.scalar_one())

    def reflect(self, conn: sa.Connection, table: TableName) -> TableInfo | None:
        """Return the columns as the catalogue has them."""
        with self.blockers_named(table):
            return self._reflect(conn, table)

    def _reflect(self, conn: sa.Connection, table: TableName) -> TableInfo | None:
        if not self.has_table(conn, table):
            return None
        rows = self.read_columns(conn, table)
        columns = tuple(
            TableColumn(
                row["name"],
                self.parse_type(row),
                nullable=bool(row["nullable"]),
                has_default=bool(row["has_value"]),
                declared=self.declared_type(row),
                encoding=self.encoding_of(row),
            )
            for row in rows
            if row["name"] not in LINEAGE and not row["computed"]
        )
        names = {row["name"] for row in rows}
        computed = tuple(row["name"] for row in rows if row["computed"])
        return TableInfo(
            table,
            columns,
            names.issuperset(LINEAGE),
            computed,
            tuple(row["name"] for row in rows if row["numbered"]),
            tuple(row["name"] for row in rows if row["numbered_always"]),
        )

    @abstractmethod
    def read_columns(self, conn: sa.Connection, table: TableName) -> Sequence[sa.RowMapping]:
        """Return the catalogue's row of each column, in order.

        Keys: name, nullable, has_value (a default or identity fills it), numbered (an identity
        does), computed (it cannot be written), numbered_always (an identity that a file cannot
        fill, but a restore can), and what `parse_type` needs.
        """

    @abstractmethod
    def parse_type(self, row: sa.RowMapping) -> ColumnType:
        """Return our type for a column of the catalogue."""

    def full_name(self, table: TableName) -> str:
        """Return the table's name, quoted, as a value: a statement may need it otherwise."""
        return self.quoted(table)

    def find_rules(self, conn: sa.Connection, table: TableName) -> TableRules:
        """Return enabled triggers, named constraints, and the tables whose rows hang on it."""
        schema, name = self.physical_name(table)
        named = {"schema": schema, "name": name}
        constraints = conn.execute(_LIST_CONSTRAINTS, named).scalars().all()
        triggers = conn.execute(self.list_triggers, {"name": self.full_name(table)}).scalars().all()
        references = conn.execute(self.list_references, {"name": self.full_name(table)}).all()
        return TableRules(
            tuple(triggers),
            # PostgreSQL lists NOT NULL among the checks.
            tuple(found for found in constraints if not found.endswith("_not_null")),
            tuple(f"{child} ({key}, {action})" for child, key, action in references),
        )

    def may_change_rows(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether the catalogue has an enabled trigger."""
        return conn.execute(self.list_triggers, {"name": self.full_name(table)}).first() is not None

    list_triggers: ClassVar[sa.TextClause]
    """Names of the enabled triggers of a table; `:name` is its name as the dialect quotes it."""
    list_references: ClassVar[sa.TextClause]
    """Child table, foreign key and action of each other table whose rows a DELETE in this one
    changes as well (cascade, set null, set default)."""

    @abstractmethod
    def declared_type(self, row: sa.RowMapping) -> str:
        """Return a column's type as the database declares it."""

    def encoding_of(self, row: sa.RowMapping) -> str:  # noqa: ARG002
        """Return the codec of a text column that does not hold all of Unicode, else nothing."""
        return ""

    def find_unindexed_keys(self, conn: sa.Connection, table: TableName) -> Sequence[KeyColumns]:
        """Ask the catalogue for the keys of the tables in both areas' schemas."""
        schema, name = self.physical_name(table)
        inspector = sa.inspect(conn)
        found = []
        for own in sorted({self.schema_of(area) for area in Area}):
            for (_, holder), keys in inspector.get_multi_foreign_keys(schema=own).items():
                for key in keys:
                    refers_to = (key["referred_schema"] or own, key["referred_table"])
                    columns = key["constrained_columns"]
                    is_ours = refers_to == (schema, name)
                    if is_ours and not _has_index(inspector, own, holder, columns):
                        found.append(KeyColumns(TableName(own, holder), tuple(columns)))
        return found

    def list_columns(self, conn: sa.Connection, schema: str) -> Mapping[TableName, Sequence[str]]:
        """Ask the catalogue once for all tables."""
        found: dict[TableName, list[str]] = {}
        for table, column in conn.execute(_LIST_COLUMNS, {"schema": schema}).all():
            columns = found.setdefault(TableName(schema, table), [])
            if column not in LINEAGE:
                columns.append(column)
        return found

    def list_stages(self, conn: sa.Connection) -> Sequence[tuple[TableName, int]]:
        """Return the tables of the stage schema; their names end in the load's id."""
        names = conn.execute(_LIST_TABLES, {"schema": self.schemas.stage}).scalars()
        found = [(name, re.search(r"__(\d+)$", name)) for name in names]
        return [
            (TableName(self.schemas.stage, name), int(match[1])) for name, match in found if match
        ]

    def drop_table(self, conn: sa.Connection, table: TableName) -> None:
        """Drop a stage or a backup."""
        if table.schema not in (self.schemas.stage, self.schemas.backup):
            raise ValueError(f"{table} is neither a stage nor a backup")
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS {self.quoted(table)}")

    def count_rows(self, conn: sa.Connection, table: TableName) -> int:
        """Return the number of rows."""
        query = f"SELECT {self.count_words} FROM {self.quoted(table)}"  # noqa: S608 - quoted by the dialect
        with self.blockers_named(table):
            return int(conn.exec_driver_sql(query).scalar_one())

    count_words = "count(*)"

    # --- stage and publish

    def create_stage(self, conn: sa.Connection, plan: Plan, stage: TableName) -> None:
        """Create the side table with the columns that the file fills, and lineage."""
        columns = [TableColumn(c.name, c.type) for c in plan.columns]
        words = self.create_stage_words(conn, plan, stage)
        conn.exec_driver_sql(f"{words} {self.quoted(stage)} ({self._definition(columns)})")

    def create_stage_words(
        self,
        conn: sa.Connection,  # noqa: ARG002 - where it depends on what is there
        plan: Plan,  # noqa: ARG002
        stage: TableName,  # noqa: ARG002
    ) -> str:
        """Return how the statement begins that makes a side table."""
        return "CREATE TABLE"

    def _definition(self, columns: Sequence[TableColumn], *, lineage: bool = True) -> str:
        parts = [f"{self.quoted_column(c.name)} {self.column_ddl(c.type)} NULL" for c in columns]
        if lineage:
            parts += [f"{self.quoted_column(name)} bigint NOT NULL" for name in LINEAGE]
        return ", ".join(parts)

    def publish(
        self,
        conn: sa.Connection,
        plan: Plan,
        stage: TableName,
        load_id: int,
        *,
        staged: int,
        keep_backup: bool,
    ) -> Published:
        """Copy the staged rows into the table, which is created when it is not there."""
        if plan.creates_table:
            after = self._make_table(conn, plan, stage, staged)
            return Published(0, after, staged, after, None)
        if plan.load_type is LoadType.APPEND:
            return self.add_rows(conn, plan, staged, lambda: self._copy_into(conn, plan, stage))
        before = self.count_rows(conn, plan.table)
        backup = self.backup_name(plan.table, load_id) if keep_backup else None
        self.take_rows_out(conn, plan.table, backup)
        self._copy_into(conn, plan, stage)
        after = self.count_rows(conn, plan.table)
        return Published(before, after, staged, after, backup)

    def _make_table(
        self,
        conn: sa.Connection,
        plan: Plan,
        stage: TableName,
        staged: int,  # noqa: ARG002 - of which the table may hold others
    ) -> int:
        """Make the table of its side table; return how many rows it holds."""
        self.create_table(conn, plan)
        self._copy_rows(conn, plan, stage)
        self.drop_table(conn, stage)
        return self.count_rows(conn, plan.table)

    def create_table(self, conn: sa.Connection, plan: Plan) -> None:
        """Make the table of a plan, without rows."""
        definition = self._definition(plan.table_columns)
        conn.exec_driver_sql(f"CREATE TABLE {self.quoted(plan.table)} ({definition})")

    def _copy_into(self, conn: sa.Connection, plan: Plan, stage: TableName) -> int:
        self._change_columns(conn, plan)
        added = self._copy_rows(conn, plan, stage)
        self.drop_table(conn, stage)
        return added

    def lock_table(self, conn: sa.Connection, table: TableName) -> None:
        """Keep other writers out until the transaction ends; readers go on.

        Waits no longer than configured, and says who is in the way when that was too short.
        """
        with self.blockers_named(table), self.lock_wait.watched():
            if self.has_table(conn, table):
                conn.exec_driver_sql(self.lock_statement(table))

    @contextmanager
    def blockers_named(self, table: TableName) -> Iterator[None]:
        """Raise LockedError with who holds a lock on a table where that was waited for in vain."""
        try:
            yield
        except sa.exc.DBAPIError as exc:
            if not self.is_lock_timeout(exc):
                raise
            raise self.locked_error(table, self.list_blockers, self.full_name(table)) from exc

    def locked_error(self, table: TableName, list_holders: sa.TextClause, name: str) -> LockedError:
        """Return the error that a table is locked, with the sessions that a query by name finds."""
        return LockedError(
            f"Table busy: {self._say_who_blocks(table, list_holders, name)}.",
            hint="It is tried again; end that session if it hangs.",
        )

    @abstractmethod
    def lock_statement(self, table: TableName) -> str:
        """Return the statement that keeps other writers out."""

    @abstractmethod
    def is_lock_timeout(self, exc: Exception) -> bool:
        """Return whether a statement gave up waiting for a lock."""

    list_blockers: ClassVar[sa.TextClause]
    """Session, login and status of the other sessions that hold a lock on a table; `:name` is its
    name as the dialect quotes it."""
    right_to_see_blockers: ClassVar[str]
    """What to grant where the database keeps from dropload who else is there."""

    def _say_who_blocks(self, table: TableName, list_holders: sa.TextClause, name: str) -> str:
        try:
            with self.engine.connect() as conn:
                rows = conn.execute(list_holders, {"name": name}).all()
        except sa.exc.DBAPIError:
            return (
                f"another session holds a lock on {table} (granting {self.right_to_see_blockers} "
                "to dropload's user lets it say which)"
            )
        if not rows:
            return f"a session that has ended since held a lock on {table}"
        sessions = [f"session {r.session} of {r.login} ({r.status})" for r in rows]
        return f"{', '.join(sessions)} {'holds' if len(rows) == 1 else 'hold'} a lock on {table}"

    def _change_columns(self, conn: sa.Connection, plan: Plan) -> None:
        for column in plan.columns:
            if column.action == "add":
                ddl = f"{self.quoted_column(column.name)} {self.column_ddl(column.type)} NULL"
                conn.exec_driver_sql(f"ALTER TABLE {self.quoted(plan.table)} ADD {ddl}")
        widened = {c.name: c.type for c in plan.columns if c.action == "widen"}
        info = self.reflect(conn, plan.table) if widened else None
        for old in info.columns if info else ():
            if old.name in widened:
                self.widen_column(conn, plan.table, old, widened[old.name])

    @abstractmethod
    def widen_column(
        self, conn: sa.Connection, table: TableName, old: TableColumn, wanted: ColumnType
    ) -> None:
        """Give a column its new type; old values read as they were written."""

    def _copy_rows(self, conn: sa.Connection, plan: Plan, stage: TableName) -> int:
        rows = self.read_columns(conn, plan.table)
        names = [self.quoted_column(c.name) for c in plan.columns]
        values = self.staged_values(plan, rows)
        if plan.has_lineage:
            lineage = [self.quoted_column(name) for name in LINEAGE]
            names, values = [*names, *lineage], [*values, *lineage]
        given = {c.name for c in plan.columns}.union(LINEAGE)
        is_numbered = any(row["has_value"] and row["name"] not in given for row in rows)
        shows_order = is_numbered or not plan.has_lineage
        order = self.order_words if shows_order else self.read_in_any_order(conn, plan)
        numbered = [row["name"] for row in rows if row["numbered"] and row["name"] in given]
        with self.accept_numbers(conn, plan.table, numbered):
            return self.change_rows(
                conn,
                f"{self.insert_words(plan)} ({', '.join(names)}) "  # noqa: S608 - all quoted
                f"SELECT {', '.join(values)} FROM {self.quoted(stage)} {order}",
            )

    def insert_words(self, plan: Plan) -> str:
        """Return how the statement begins that adds the rows of a side table."""
        return f"INSERT INTO {self.quoted(plan.table)}"

    @property
    def order_words(self) -> str:
        """Return what has rows read from a side table in the order of their file."""
        return f"ORDER BY {self.quoted_column(SOURCE_ROW)}"

    def read_in_any_order(
        self,
        conn: sa.Connection,  # noqa: ARG002 - where a setting helps
        plan: Plan,  # noqa: ARG002
    ) -> str:
        """Return what has them read where each row keeps its number in the file."""
        return self.order_words

    def read_as(
        self, conn: sa.Connection, backup: TableName, column: TableColumn, wanted: ColumnType
    ) -> str:
        """Widen the backup's column as its table's was, where the server would convert it."""
        if wanted.kind is Kind.TEXT and column.type.kind is not Kind.TEXT:
            self.widen_column(conn, backup, column, wanted)
        return self.quoted_column(column.name)

    @abstractmethod
    def staged_values(self, plan: Plan, rows: Sequence[sa.RowMapping]) -> list[str]:
        """Return for each column of the plan the expression that reads it from the side table.

        `rows` are the table's columns as the catalogue has them.
        """


def _has_index(inspector: sa.Inspector, schema: str, table: str, columns: Sequence[str]) -> bool:
    """Return whether an index of the table begins with these columns, in any order."""
    indexes: list[Sequence[str | None]] = [
        index["column_names"] for index in inspector.get_indexes(table, schema)
    ]
    indexes.append(inspector.get_pk_constraint(table, schema)["constrained_columns"])
    wanted = set(columns)
    return any(set(index[: len(wanted)]) == wanted for index in indexes)


def database_password(settings: DatabaseConfig) -> str | None:
    """Return the password: from the configuration, its file, or systemd's credential `password`.

    Raises ConfigError when a named file cannot be read.
    """
    if settings.password is not None:
        return settings.password.get_secret_value()
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / "password" if folder else None
    file = settings.password_file or (credential if credential and credential.exists() else None)
    if file is None:
        return None
    try:
        password = file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8 text"
        what = "database.password_file" if settings.password_file else "The systemd credential"
        raise ConfigError(
            f"{what} {file} cannot be read: {reason}.",
            hint="Give dropload's user the right to read it.",
            code="credential",
        ) from exc
    keep_secret(password)
    return password
