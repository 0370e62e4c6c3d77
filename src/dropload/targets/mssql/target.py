"""SQL Server: bulk copy into a side table of text, one transaction to publish."""

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pyodbc
import sqlalchemy as sa

from dropload import column_types
from dropload.errors import ConfigError, DroploadError, LockedError, TargetError, TransientError
from dropload.model import ColumnType, Kind, Plan, TableColumn, TableName
from dropload.targets.base import LINEAGE, Limits
from dropload.targets.mssql import columns, owned
from dropload.targets.mssql.bulk import BulkStream, BulkWriter
from dropload.targets.mssql.engine import open_engine
from dropload.targets.mssql.errors import is_lock_timeout, translate_error
from dropload.targets.mssql.odbc import Driver, connection_string, find_driver, settings_of
from dropload.targets.mssql.parameters import NUMBER, input_size, width_of
from dropload.targets.mssql.rewriting import write_as_text
from dropload.targets.row_stream import RowStream
from dropload.targets.server import ServerTarget, database_password

if TYPE_CHECKING:
    import pyarrow as pa

_READS_AS_WRITTEN = (Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.DATE)
_BATCH_BYTES = 32 * 1024 * 1024
"""Memory that one array of parameters may take: the driver reserves the widest value per row."""


_SETTLE_SECONDS = 10.0
"""How often a bulk copy ends and another begins: a try that is cut off has so much to do again."""
_LARGE_ROWS = 102_400
"""From here on rows are not sorted before they are added, and added in bulk to a new table: fewer
would leave most of the 64 KB empty that each bulk insert takes for itself; Microsoft calls this
number the least for a good batch
(https://learn.microsoft.com/sql/relational-databases/indexes/columnstore-indexes-data-loading-guidance)."""

_COUNT_CHANGED = (
    "DECLARE @changed bigint;"
    " EXEC sp_executesql ?, N'@rows bigint OUTPUT', @rows = @changed OUTPUT;"
    " SELECT @changed"
)
"""Runs a statement and tells, last of all, how many rows it has changed."""


class SQLServerTarget(ServerTarget):
    """A server that speaks TDS and T-SQL, by pyodbc."""

    name: ClassVar[str] = "mssql"
    default_schema: ClassVar[str] = "dbo"
    # 128 characters, less the underscores and the load's number of stages and backups.
    limits: ClassVar[Limits] = Limits(identifier_bytes=110, columns=1022)
    driver_errors: ClassVar[tuple[type[Exception], ...]] = (
        sa.exc.SQLAlchemyError,
        pyodbc.Error,
        OSError,
    )

    list_triggers: ClassVar[sa.TextClause] = sa.text(
        "SELECT name FROM sys.triggers WHERE parent_id = OBJECT_ID(:name) AND is_disabled = 0"
        " ORDER BY name"
    )

    list_references: ClassVar[sa.TextClause] = sa.text(
        "SELECT OBJECT_SCHEMA_NAME(parent_object_id) + '.' + OBJECT_NAME(parent_object_id), name,"
        " 'ON DELETE ' + REPLACE(delete_referential_action_desc, '_', ' ')"
        " FROM sys.foreign_keys WHERE referenced_object_id = OBJECT_ID(:name)"
        " AND parent_object_id <> referenced_object_id AND delete_referential_action <> 0"
        " ORDER BY 1, 2"
    )

    # --- connecting

    def create_engine(self) -> sa.Engine:
        """Return an engine over the server that `database.url` or the parts name."""
        self._settings = settings_of(self.database)
        if not self._settings.host:
            raise ConfigError(
                "database.host is missing.",
                hint="Write database.host, or all in one: "
                "database.url = mssql://user:password@host:1433/name.",
                code="database_url",
            )
        self.driver: Driver = find_driver(self._settings.odbc_driver)
        password = database_password(self._settings)
        self._bulk = BulkWriter(self._settings, password)
        # A bulk copy is one statement, and logs in each time.
        self.settle_seconds = min(_SETTLE_SECONDS, self.database.statement_timeout_seconds / 3)
        secret = connection_string(self._settings, self.driver, password)
        return open_engine(secret, self.database, fast=not self.driver.is_freetds)

    @contextmanager
    def begin_write(self, *, synced: bool = True) -> Iterator[sa.Connection]:  # noqa: ARG002 - others can
        """Open a transaction that any error ends, with patience for locks as configured."""
        with self.engine.connect() as conn, conn.begin():
            conn.exec_driver_sql("SET XACT_ABORT ON")
            mark = f"dropload transaction {uuid.uuid4().hex}"
            self._take_lock(conn, mark)
            yield conn
            self._check_same_transaction(conn, mark)

    def _take_lock(self, conn: sa.Connection, resource: str) -> int:
        """Take an application lock that ends with the transaction; return less than 0 if busy."""
        query = (
            "DECLARE @got int; EXEC @got = sp_getapplock @Resource = ?, @LockMode = 'Exclusive', "
            "@LockOwner = 'Transaction', @LockTimeout = ?; SELECT @got"
        )
        wait = round(self.database.busy_timeout_seconds * 1000)
        # A server may say something of a lock that it has waited for, which is a result, too.
        return int(_run_to_end(conn, query, resource[:255], wait)[0][0])

    def _check_same_transaction(self, conn: sa.Connection, mark: str) -> None:
        """Refuse to commit when a transaction was rolled back unseen and another began.

        The driver begins a transaction by itself with the next statement; the lock that was taken
        at the start tells them apart.
        """
        query = "SELECT APPLOCK_MODE('public', ?, 'Transaction')"
        if conn.exec_driver_sql(query, (mark,)).scalar_one() != "Exclusive":
            raise TransientError("SQL Server rolled the transaction back without an error.")

    def translate(self, exc: Exception) -> DroploadError:
        """Sort native error numbers by who must act."""
        return translate_error(exc, self.driver.name)

    def describe(self) -> str:
        """Return server, version and driver."""
        with self.read() as conn:
            version = str(conn.exec_driver_sql("SELECT @@VERSION").scalar_one())
            driver = conn.connection.driver_connection
            assert isinstance(driver, pyodbc.Connection)  # noqa: S101 - the URL names this driver
            number = driver.getinfo(pyodbc.SQL_DRIVER_VER)
        first = version.partition("\n")[0].strip()
        return f"{first}, {self.place}, ODBC driver {number} ({self.driver.origin})"

    @property
    def place(self) -> str:
        """Return host and database."""
        return f"{self._settings.host}/{self._settings.name}"

    @property
    def system_name(self) -> str:
        """Return what OpenTelemetry calls SQL Server."""
        return "microsoft.sql_server"

    @property
    def namespace(self) -> str:
        """Return the database, with its instance before it where one is named."""
        names = (self._settings.instance, self._settings.name)
        return "|".join(name for name in names if name)

    def now(self, conn: sa.Connection) -> datetime:
        """Return the server's clock."""
        found: datetime = conn.exec_driver_sql("SELECT SYSUTCDATETIME()").scalar_one()
        return found.replace(tzinfo=UTC)

    # --- names and types

    def with_room(self, column_type: ColumnType) -> ColumnType:
        """Return a type with room to spare."""
        return columns.with_room(column_type)

    def column_ddl(self, column_type: ColumnType) -> str:
        """Return the type as SQL Server declares it."""
        return columns.column_ddl(column_type)

    def read_columns(self, conn: sa.Connection, table: TableName) -> Sequence[sa.RowMapping]:
        """Return the columns as INFORMATION_SCHEMA and COLUMNPROPERTY have them."""
        query = sa.text(
            "SELECT COLUMN_NAME AS name, DATA_TYPE AS type, CHARACTER_MAXIMUM_LENGTH AS length,"
            " NUMERIC_PRECISION AS precision, NUMERIC_SCALE AS scale,"
            " DATETIME_PRECISION AS fraction,"
            " CAST(COLLATIONPROPERTY(COLLATION_NAME, 'CodePage') AS int) AS code_page,"
            " CASE WHEN IS_NULLABLE = 'YES' THEN 1 ELSE 0 END AS nullable,"
            " CASE WHEN COLUMN_DEFAULT IS NOT NULL"
            "   OR COLUMNPROPERTY(OBJECT_ID(:full), COLUMN_NAME, 'IsIdentity') = 1"
            "   THEN 1 ELSE 0 END AS has_value,"
            " CASE WHEN COLUMNPROPERTY(OBJECT_ID(:full), COLUMN_NAME, 'IsComputed') = 1"
            "   OR COLUMNPROPERTY(OBJECT_ID(:full), COLUMN_NAME, 'GeneratedAlwaysType') > 0"
            "   OR DATA_TYPE IN ('timestamp', 'rowversion') THEN 1 ELSE 0 END AS computed,"
            " COALESCE(COLUMNPROPERTY(OBJECT_ID(:full), COLUMN_NAME, 'IsIdentity'), 0) AS numbered,"
            " 0 AS numbered_always, COLLATION_NAME AS collation"
            " FROM INFORMATION_SCHEMA.COLUMNS"
            " WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name ORDER BY ORDINAL_POSITION"
        )
        names = {"schema": table.schema, "name": table.name, "full": self.quoted(table)}
        return conn.execute(query, names).mappings().all()

    def parse_type(self, row: sa.RowMapping) -> ColumnType:
        """Return our type; what we do not know takes text, and the server judges it."""
        return columns.parse_type(row)

    def declared_type(self, row: sa.RowMapping) -> str:
        """Return a column's type as it is declared."""
        return owned.declared_type(row)

    def encoding_of(self, row: sa.RowMapping) -> str:
        """Return the codec of a column that is not Unicode."""
        return owned.encoding_of(row)

    def holds(self, column: TableColumn, values: ColumnType) -> bool:
        """Return whether the column holds every value of that type, for certain."""
        return owned.holds(column, values)

    def refusal(self, column: TableColumn, text: str) -> str:
        """Return why the column cannot hold a value unchanged, the empty string when it can."""
        return owned.refusal(column, text)

    def text_of(self, value: Any, column_type: ColumnType) -> str | None:
        """Return a value as its file wrote it."""
        if value is None:
            return None
        return column_types.canonical_text(value, column_type)

    # --- the journal's own tables

    def has_schema(self, conn: sa.Connection, schema: str) -> bool:
        """Return whether the schema exists."""
        found = conn.exec_driver_sql("SELECT SCHEMA_ID(?)", (schema,)).scalar_one()
        return found is not None

    def split_batches(self, script: str) -> Sequence[str]:
        """Return the batches between lines that say GO, as sqlcmd does."""
        batches = re.split(r"^\s*GO\s*$", script, flags=re.MULTILINE | re.IGNORECASE)
        return [batch for batch in batches if batch.strip()]

    # --- stage and publish

    def create_stage(self, conn: sa.Connection, plan: Plan, stage: TableName) -> None:
        """Create a side table of text: the server converts when it publishes, all rows at once.

        Bulk copy into text is the fastest way in, and says no value in other words than the file.
        Hundreds of columns would not fit into a row as text: they are staged with their types.
        """
        if not columns.fits_as_text(plan):
            super().create_stage(conn, plan, stage)
            return
        parts = [
            f"{self.quoted_column(c.name)} {columns.staged_ddl(plan, c)} NULL" for c in plan.columns
        ]
        parts += [f"{self.quoted_column(name)} bigint NOT NULL" for name in LINEAGE]
        conn.exec_driver_sql(f"CREATE TABLE {self.quoted(stage)} ({', '.join(parts)})")

    def stream_rows(self, plan: Plan, stage: TableName, load_id: int) -> RowStream:
        """Send them by bulk copy."""
        if not columns.fits_as_text(plan):
            return RowStream()

        def arrange(records: "pa.RecordBatch", source_rows: "pa.Array") -> "pa.RecordBatch":
            columns.check_room(plan, records)
            return _arrange(plan, records, source_rows, load_id)

        return BulkStream(self._bulk, f"[{stage.schema}].[{stage.name}]", arrange)

    def write_batch(
        self,
        conn: sa.Connection,
        plan: Plan,
        stage: TableName,
        records: "pa.RecordBatch",
        source_rows: "pa.Array",
        load_id: int,
        batch_rows: int,
    ) -> None:
        """Send arrays of parameters of declared width, `batch_rows` rows at a time."""
        batch = _arrange(plan, records, source_rows, load_id)
        # Without the names: for hundreds of columns the statement stays short, and the side table
        # has just these columns in this order.
        marks = ",".join("?" * (len(plan.columns) + len(LINEAGE)))
        statement = f"INSERT INTO {self.quoted(stage)} VALUES ({marks})"  # noqa: S608 - quoted by the dialect
        widths = [width_of(array) for array in batch.columns[: -len(LINEAGE)]]
        rows_at_once = max(1, min(batch_rows, _BATCH_BYTES // (2 * sum(widths) + 64)))
        driver = conn.connection.driver_connection
        assert isinstance(driver, pyodbc.Connection)  # noqa: S101 - the URL names this driver
        cursor = driver.cursor()
        try:
            cursor.fast_executemany = not self.driver.is_freetds
            for start in range(0, batch.num_rows, rows_at_once):
                lists = [a.slice(start, rows_at_once).to_pylist() for a in batch.columns]
                cursor.setinputsizes([*map(input_size, widths), NUMBER, NUMBER])
                cursor.executemany(statement, list(zip(*lists, strict=True)))
        finally:
            cursor.close()

    def close(self) -> None:
        """Give back every connection."""
        self._bulk.close()
        super().close()

    def lock_queue(self, conn: sa.Connection, table: TableName) -> None:
        """Take an application lock of this transaction, named after the table."""
        with self.lock_wait.watched():
            got = self._take_lock(conn, f"dropload {table}")
        if got < 0:
            raise LockedError(f"Table busy: another load is publishing into {table}.")

    def lock_statement(self, table: TableName) -> str:
        """Return a query that keeps writers out until the transaction ends."""
        # Not TOP 0: that is answered without touching the table, and locks nothing.
        return f"SELECT TOP 1 1 AS locked FROM {self.quoted(table)} WITH (TABLOCKX, HOLDLOCK)"  # noqa: S608

    def is_lock_timeout(self, exc: Exception) -> bool:
        """Return whether a statement gave up waiting for a lock."""
        return is_lock_timeout(exc)

    list_blockers: ClassVar[sa.TextClause] = sa.text(
        "SELECT DISTINCT s.session_id AS session, s.login_name AS login, s.status AS status"
        " FROM sys.dm_tran_locks l JOIN sys.dm_exec_sessions s"
        "   ON s.session_id = l.request_session_id"
        " WHERE l.resource_database_id = DB_ID() AND l.resource_type = 'OBJECT'"
        "   AND l.resource_associated_entity_id = OBJECT_ID(:name)"
        "   AND l.request_status = 'GRANT' AND s.session_id <> @@SPID"
    )
    right_to_see_blockers = "VIEW SERVER STATE"

    count_words = "COUNT_BIG(*)"
    """COUNT would fail beyond 2,147,483,647 rows."""

    def change_rows(self, conn: sa.Connection, statement: str) -> int:
        """Run the statement to its end.

        A trigger's own row counts and results would reach the driver first, and an error after
        them be missed; NOCOUNT ends with the inner batch.
        """
        own = f"SET NOCOUNT ON; {statement}; SET @rows = ROWCOUNT_BIG();"
        found = _run_to_end(conn, _COUNT_CHANGED, own)
        if not found or found[0][0] is None:
            raise TargetError(
                "SQL Server did not say how many rows a statement has changed.",
                hint="Look for triggers on the table that end the batch.",
                code="row_count",
            )
        return int(found[0][0])

    def may_change_rows(self, conn: sa.Connection, table: TableName) -> bool:
        """Ask the table, too: who may only insert into it does not see the triggers themselves."""
        query = "SELECT OBJECTPROPERTY(OBJECT_ID(?), 'TableHasInsertTrigger')"
        said = conn.exec_driver_sql(query, (self.quoted(table),)).scalar()
        return bool(said) or super().may_change_rows(conn, table)

    # Pages that a heap's rows leave are given back only by who has locked the whole table, which a
    # load has; else, and where rows have versions, the table grows with every fullload
    # (https://learn.microsoft.com/sql/t-sql/statements/delete-transact-sql, "Locking behavior").
    whole_table_words: ClassVar[str] = " WITH (TABLOCK)"

    def insert_words(self, plan: Plan) -> str:
        """Have many rows added to a new table in bulk: logged by the page where that is allowed.

        Not to one that has readers: those of a heap would wait for it, whatever their isolation.
        """
        is_bulk = plan.creates_table and plan.rows_planned >= _LARGE_ROWS
        return f"{super().insert_words(plan)}{self.whole_table_words if is_bulk else ''}"

    def read_in_any_order(self, conn: sa.Connection, plan: Plan) -> str:
        """Have many rows read as they stand, in no certain order.

        To sort them the server would ask for memory by the declared length of each text, and keep
        other queries waiting for that.
        """
        return "" if plan.rows_planned >= _LARGE_ROWS else super().read_in_any_order(conn, plan)

    def copy_table(self, conn: sa.Connection, source: TableName, copy: TableName) -> None:
        """Copy by SELECT INTO."""
        conn.exec_driver_sql(
            f"SELECT * INTO {self.quoted(copy)} FROM {self.quoted(source)}"  # noqa: S608
        )

    @contextmanager
    def accept_numbers(
        self, conn: sa.Connection, table: TableName, numbered: Sequence[str]
    ) -> Iterator[None]:
        """Take the numbers of an identity column from outside when they are given."""
        if not numbered:
            yield
            return
        conn.exec_driver_sql(f"SET IDENTITY_INSERT {self.quoted(table)} ON")
        try:
            yield
        except BaseException:
            conn.invalidate()  # the setting outlives the transaction, and allows one table only
            raise
        conn.exec_driver_sql(f"SET IDENTITY_INSERT {self.quoted(table)} OFF")

    def staged_values(self, plan: Plan, rows: Sequence[sa.RowMapping]) -> list[str]:
        """Return the columns; what was staged as text is converted by the server.

        A text is not cast: that would cut it silently.
        """
        declared = {
            row["name"]: owned.declared_type(row)
            for row in rows
            if self.parse_type(row).kind is not Kind.TEXT
        }
        names = {column.name: self.quoted_column(column.name) for column in plan.columns}
        return [
            f"CAST({quoted} AS {declared[name]})" if name in declared else quoted
            for name, quoted in names.items()
        ]

    def widen_column(
        self, conn: sa.Connection, table: TableName, old: TableColumn, wanted: ColumnType
    ) -> None:
        """Alter the type, where the server's own text of a value is what the file wrote.

        A float, a bit, a time or a UUID would read otherwise: those values are written anew.
        """
        if wanted.kind is Kind.TEXT and old.type.kind not in _READS_AS_WRITTEN:
            self._rewrite_column(conn, table, old, wanted)
            return
        [row] = [row for row in self.read_columns(conn, table) if row["name"] == old.name]
        name, ddl = self.quoted_column(old.name), self.column_ddl(wanted)
        # What is not said again is lost: ALTER COLUMN falls back to the defaults of the database.
        collation = f" COLLATE {row['collation']}" if row["collation"] else ""
        null = "" if old.nullable else " NOT NULL"
        conn.exec_driver_sql(
            f"ALTER TABLE {self.quoted(table)} ALTER COLUMN {name} {ddl}{collation}{null}"
        )

    def _rewrite_column(
        self, conn: sa.Connection, table: TableName, old: TableColumn, wanted: ColumnType
    ) -> None:
        if not old.nullable:
            raise TargetError(
                f"Column {old.name} of {table} must become text, but is NOT NULL: dropload would "
                "lose that by making it anew.",
                hint=f"Change it to {self.column_ddl(wanted)} by hand, then the load goes on.",
                code="column_change",
            )
        quoted, name = self.quoted(table), self.quoted_column(old.name)
        fresh = f"{old.name[:100]}__new"
        new = self.quoted_column(fresh)
        conn.exec_driver_sql(f"ALTER TABLE {quoted} ADD {new} {self.column_ddl(wanted)} NULL")
        write_as_text(conn, quoted, name, new, old.type)
        conn.exec_driver_sql(f"ALTER TABLE {quoted} DROP COLUMN {name}")
        path = f"{quoted}.{new}"
        conn.exec_driver_sql("EXEC sp_rename ?, ?, 'COLUMN'", (path, old.name))


def _arrange(
    plan: Plan, records: "pa.RecordBatch", source_rows: "pa.Array", load_id: int
) -> "pa.RecordBatch":
    """Return the records in the order of the side table's columns, lineage last."""
    import pyarrow as pa  # noqa: PLC0415 - only what loads rows needs Arrow

    load_ids = pa.array([load_id] * records.num_rows, pa.int64())
    arrays = [*(records.column(c.position) for c in plan.columns), load_ids, source_rows]
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{n}" for n in range(len(arrays))])


def _run_to_end(conn: sa.Connection, statement: str, *values: object) -> Sequence[Any]:
    """Return the rows of the last result that has any; errors behind it are raised, too."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, pyodbc.Connection)  # noqa: S101 - the URL names this driver
    cursor = driver.cursor()
    found: Sequence[Any] = []
    try:
        cursor.execute(statement, *values)
        while True:
            found = cursor.fetchall() if cursor.description else found
            if not cursor.nextset():
                return found
    finally:
        cursor.close()
