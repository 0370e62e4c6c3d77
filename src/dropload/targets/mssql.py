"""SQL Server: bulk copy into a side table of text, one transaction to publish."""

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyodbc
import sqlalchemy as sa

from dropload import column_types
from dropload.config import DatabaseConfig
from dropload.errors import ConfigError, ConstraintError, DroploadError, TargetError, TransientError
from dropload.model import ColumnType, Kind, Plan, PlannedColumn, TableColumn, TableName
from dropload.targets.base import LINEAGE, Limits
from dropload.targets.mssql_bulk import BulkWriter
from dropload.targets.odbc import Driver, connection_string, find_driver
from dropload.targets.server import ServerTarget, database_password

_DDL = {
    Kind.BOOLEAN: "bit",
    Kind.INTEGER: "bigint",
    Kind.FLOAT: "float(53)",
    Kind.DATE: "date",
}
_KIND_OF_TYPE = {
    "bit": Kind.BOOLEAN,
    "bigint": Kind.INTEGER,
    "decimal": Kind.DECIMAL,
    "numeric": Kind.DECIMAL,
    "float": Kind.FLOAT,
    "date": Kind.DATE,
    "datetime2": Kind.TIMESTAMP,
    "datetime": Kind.TIMESTAMP,
    "money": Kind.DECIMAL,
    "smallmoney": Kind.DECIMAL,
}
_INTEGER_DIGITS = {"int": 9, "smallint": 4, "tinyint": 2}
"""Digits that always fit; a type that holds some larger numbers too is judged by these."""

_WIDTHS = (50, 100, 255, 500, 1000, 2000, 4000)
"""Widths of new text columns: the first with room for values twice as long as those seen."""
MAX_WIDTH = 4000
"""Longest declared width of nvarchar; longer values need nvarchar(max)."""
_DECIMAL_ROOM = 19
_BATCH_BYTES = 32 * 1024 * 1024
"""Memory that one array of parameters may take: the driver reserves the widest value per row."""

# Native error numbers
# (https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues,
# https://learn.microsoft.com/sql/relational-databases/errors-events/).
_TRANSIENT = frozenset(
    {-2, 20, 64, 233, 1204, 1205, 1222, 4060, 10053, 10054, 10060, 10928, 10929, 40197, 40501}
    | {40613, 49918, 49919, 49920, 11001, 17142, 17197, 6005, 3960, 3201}
)
_OWNERS = {
    9002: "The transaction log is full: back it up or make room, then the load goes on.",
    1101: "The disk of the database is full: make room, then the load goes on.",
    1105: "The disk of the database is full: make room, then the load goes on.",
    3906: "The database is read-only.",
}
_PERMISSION = frozenset({229, 230, 262, 297, 300, 916, 1088, 4613, 15151, 15247, 2760})
_LOGIN = frozenset({18456, 18452, 18486, 18487, 18488})
_ROWS = frozenset({220, 241, 242, 245, 248, 515, 547, 2601, 2627, 2628, 8114, 8115, 8152, 13609})
"""Conversion, range, truncation, null and constraint errors: the rows are at fault."""


_ENCRYPTION = re.compile(r"SSL Provider|certificate|Encryption not supported", re.IGNORECASE)
_NUMBER = (pyodbc.SQL_BIGINT, 19, 0)
"""Declared like every parameter, so that the driver need not ask the server what it wants."""
_GRANT = "Grant the right that is named; sql/mssql/grant_permissions.sql has them all."


class SQLServerTarget(ServerTarget):
    """A server that speaks TDS and T-SQL, by pyodbc."""

    name: ClassVar[str] = "mssql"
    default_schema: ClassVar[str] = "dbo"
    # 128 characters, less the underscores and the load's number of stages and backups.
    limits: ClassVar[Limits] = Limits(identifier_bytes=110, columns=1022)
    # A bulk copy logs in each time: few of them, each of many rows.
    commit_bytes: ClassVar[int] = 16 * 1024 * 1024
    driver_errors: ClassVar[tuple[type[Exception], ...]] = (
        sa.exc.SQLAlchemyError,
        pyodbc.Error,
        OSError,
    )

    # --- connecting

    def create_engine(self) -> sa.Engine:
        """Return an engine over the server that `database.url` or the parts name."""
        self._settings = _from_url(self.database)
        self.driver: Driver = find_driver(self._settings.odbc_driver)
        password = database_password(self._settings)
        self._bulk = BulkWriter(self._settings, password)
        secret = connection_string(self._settings, self.driver, password)
        engine = sa.create_engine(
            f"mssql+pyodbc:///?odbc_connect={quote_plus(secret)}",
            fast_executemany=not self.driver.is_freetds,
            use_setinputsizes=False,
            pool_pre_ping=True,
            pool_recycle=self.database.pool_recycle_seconds,
            pool_size=self.database.pool_size,
            connect_args={"timeout": max(1, round(self.database.connect_timeout_seconds))},
        )
        sa.event.listen(engine, "connect", self._limit_waits)
        sa.event.listen(engine, "before_cursor_execute", _declare_parameters, retval=True)
        _let_rollback_follow_abort(engine)
        return engine

    def _limit_waits(self, connection: Any, _record: Any) -> None:
        """Let no statement wait for a lock longer than configured, a reading one neither."""
        wait = round(self.database.busy_timeout_seconds * 1000)
        connection.execute(f"SET LOCK_TIMEOUT {wait}")

    @contextmanager
    def begin_write(self) -> Iterator[sa.Connection]:
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
        return int(conn.exec_driver_sql(query, (resource[:255], wait)).scalar_one())

    def _check_same_transaction(self, conn: sa.Connection, mark: str) -> None:
        """Refuse to commit when a transaction was rolled back unseen and another began.

        The driver begins a transaction by itself with the next statement; the lock that was taken
        at the start tells them apart.
        """
        query = "SELECT APPLOCK_MODE('public', ?, 'Transaction')"
        if conn.exec_driver_sql(query, (mark,)).scalar_one() != "Exclusive":
            raise TransientError("SQL Server rolled the transaction back without an error.")

    def translate(self, exc: Exception) -> DroploadError:
        """Sort native error numbers by who must act; SQLSTATE where there is no number."""
        original = getattr(exc, "orig", None) or exc
        state = str(original.args[0]) if original.args else ""
        said, numbers = _read_message(original)
        away = isinstance(exc, (OSError, sa.exc.TimeoutError))
        owners = [hint for number, hint in _OWNERS.items() if number in numbers]
        sorted_by_who_must_act = (
            (state == "IM002" or "file not found" in said, self._driver_error(said)),
            (_ENCRYPTION.search(said), _encryption_error(said)),
            # Before the login: a database that recovers refuses it too, with 4060 beside.
            (away or numbers & _TRANSIENT, TransientError(f"SQL Server: {said}.")),
            (numbers & _LOGIN or state == "28000", _login_error(said)),
            (numbers & _PERMISSION, TargetError(f"SQL Server says: {said}.", hint=_GRANT)),
            (owners, TargetError(f"SQL Server says: {said}.", hint=" ".join(owners))),
            (numbers & _ROWS or state.startswith(("22", "23")), _rows_error(said)),
            (state.startswith(("08", "HYT")) or state == "40001", _away_error(said)),
        )
        found = next((error for applies, error in sorted_by_who_must_act if applies), None)
        return found or TargetError(f"SQL Server says: {said}.")

    def _driver_error(self, said: str) -> ConfigError:
        return ConfigError(
            f"The ODBC driver {self.driver.name} cannot be loaded: {said}.",
            hint="Name another in database.odbc_driver.",
        )

    def describe(self) -> str:
        """Return server, version and driver."""
        with self.read() as conn:
            version = str(conn.exec_driver_sql("SELECT @@VERSION").scalar_one())
            driver = conn.connection.driver_connection
            assert isinstance(driver, pyodbc.Connection)  # noqa: S101 - the URL names this driver
            number = driver.getinfo(pyodbc.SQL_DRIVER_VER)
        where = f"{self._settings.host}/{self._settings.name}"
        first = version.partition("\n")[0].strip()
        return f"{first}, {where}, ODBC driver {number} ({self.driver.origin})"

    def now(self, conn: sa.Connection) -> datetime:
        """Return the server's clock."""
        found: datetime = conn.exec_driver_sql("SELECT SYSUTCDATETIME()").scalar_one()
        return found

    # --- names and types

    def with_room(self, column_type: ColumnType) -> ColumnType:
        """Return a type with room to spare."""
        if column_type.kind is Kind.DECIMAL:
            return replace(column_type, precision=max(column_type.precision, _DECIMAL_ROOM))
        if column_type.kind is Kind.TIMESTAMP:
            return replace(column_type, precision=7)
        if column_type.kind is Kind.TEXT:
            # Twice as long: room to grow, and for characters that take two units of UTF-16.
            wanted = max(column_type.max_length * 2, _WIDTHS[0])
            return replace(column_type, max_length=next((w for w in _WIDTHS if w >= wanted), 0))
        return column_type

    def column_ddl(self, column_type: ColumnType) -> str:
        """Return the type as SQL Server declares it."""
        if column_type.kind is Kind.TEXT:
            width = column_type.max_length
            return f"nvarchar({width if 0 < width <= MAX_WIDTH else 'max'})"
        if column_type.kind is Kind.DECIMAL:
            return f"decimal({column_type.precision},{column_type.scale})"
        if column_type.kind is Kind.TIMESTAMP:
            return f"datetime2({column_type.precision})"
        return _DDL[column_type.kind]

    def read_columns(self, conn: sa.Connection, table: TableName) -> Sequence[sa.RowMapping]:
        """Return the columns as INFORMATION_SCHEMA and COLUMNPROPERTY have them."""
        query = sa.text(
            "SELECT COLUMN_NAME AS name, DATA_TYPE AS type, CHARACTER_MAXIMUM_LENGTH AS length,"
            " NUMERIC_PRECISION AS precision, NUMERIC_SCALE AS scale,"
            " DATETIME_PRECISION AS fraction,"
            " CASE WHEN IS_NULLABLE = 'YES' THEN 1 ELSE 0 END AS nullable,"
            " CASE WHEN COLUMN_DEFAULT IS NOT NULL"
            "   OR COLUMNPROPERTY(OBJECT_ID(:full), COLUMN_NAME, 'IsIdentity') = 1"
            "   THEN 1 ELSE 0 END AS has_value,"
            " COALESCE(COLUMNPROPERTY(OBJECT_ID(:full), COLUMN_NAME, 'IsComputed'), 0) AS computed,"
            " COALESCE(COLUMNPROPERTY(OBJECT_ID(:full), COLUMN_NAME, 'IsIdentity'), 0) AS numbered"
            " FROM INFORMATION_SCHEMA.COLUMNS"
            " WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name ORDER BY ORDINAL_POSITION"
        )
        names = {"schema": table.schema, "name": table.name, "full": self.quoted(table)}
        return conn.execute(query, names).mappings().all()

    def parse_type(self, row: sa.RowMapping) -> ColumnType:
        """Return our type; what we do not know takes text, and the server judges it."""
        if row["type"] in _INTEGER_DIGITS:
            return ColumnType(Kind.DECIMAL, precision=_INTEGER_DIGITS[row["type"]], scale=0)
        kind = _KIND_OF_TYPE.get(row["type"], Kind.TEXT)
        if kind is Kind.DECIMAL:
            return ColumnType(kind, precision=row["precision"], scale=row["scale"] or 0)
        if kind is Kind.TIMESTAMP:
            # datetime counts in steps of 3.33 ms: only whole seconds come back as written.
            exact = row["fraction"] if row["type"] == "datetime2" else 0
            return ColumnType(kind, precision=exact)
        if kind is Kind.TEXT:
            return ColumnType(kind, max_length=max(row["length"] or 0, 0))
        return ColumnType(kind)

    def text_of(self, value: Any, column_type: ColumnType) -> str | None:
        """Return a value as its file wrote it."""
        if value is None or isinstance(value, str):
            return value
        if column_type.kind is Kind.DECIMAL:
            return column_types.canonical_text(Decimal(value), column_type)
        return column_types.canonical_text(value, column_type)

    # --- the journal's own tables

    def split_batches(self, script: str) -> Sequence[str]:
        """Return the batches between lines that say GO, as sqlcmd does."""
        batches = re.split(r"^\s*GO\s*$", script, flags=re.MULTILINE | re.IGNORECASE)
        return [batch for batch in batches if batch.strip()]

    # --- stage and publish

    def create_stage(self, conn: sa.Connection, plan: Plan, stage: TableName) -> None:
        """Create a side table of text: the server converts when it publishes, all rows at once.

        Bulk copy into text is the fastest way in, and says no value in other words than the file.
        """
        parts = [f"{self.quoted_column(c.name)} nvarchar(max) NULL" for c in plan.columns]
        parts += [f"{self.quoted_column(name)} bigint NOT NULL" for name in LINEAGE]
        conn.exec_driver_sql(f"CREATE TABLE {self.quoted(stage)} ({', '.join(parts)})")

    def write_batches(
        self,
        conn: sa.Connection,
        plan: Plan,
        stage: TableName,
        batches: Sequence[tuple[pa.RecordBatch, pa.Array]],
        load_id: int,
        batch_rows: int,
    ) -> None:
        """Send the records by one bulk copy where that works, else as arrays of parameters."""
        arranged = [_arrange(plan, records, rows, load_id) for records, rows in batches]
        if arranged and self._bulk.write(f"[{stage.schema}].[{stage.name}]", arranged):
            return
        for batch in arranged:
            self._insert(conn, stage, batch, plan, batch_rows)

    def write_batch(
        self,
        conn: sa.Connection,
        plan: Plan,
        stage: TableName,
        records: pa.RecordBatch,
        source_rows: pa.Array,
        load_id: int,
        batch_rows: int,
    ) -> None:
        """Send one batch as the others are sent."""
        batches = [(records, source_rows)]
        self.write_batches(conn, plan, stage, batches, load_id, batch_rows)

    def _insert(
        self,
        conn: sa.Connection,
        stage: TableName,
        batch: pa.RecordBatch,
        plan: Plan,
        batch_rows: int,
    ) -> None:
        """Send arrays of parameters of declared width, `batch_rows` rows at a time."""
        names = [*(c.name for c in plan.columns), *LINEAGE]
        columns = ", ".join(self.quoted_column(name) for name in names)
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {self.quoted(stage)} ({columns}) VALUES ({marks})"  # noqa: S608 - quoted by the dialect
        widths = [_width(array) for array in batch.columns[: -len(LINEAGE)]]
        rows_at_once = max(1, min(batch_rows, _BATCH_BYTES // (2 * sum(widths) + 64)))
        driver = conn.connection.driver_connection
        assert isinstance(driver, pyodbc.Connection)  # noqa: S101 - the URL names this driver
        cursor = driver.cursor()
        try:
            cursor.fast_executemany = not self.driver.is_freetds
            for start in range(0, batch.num_rows, rows_at_once):
                lists = [a.slice(start, rows_at_once).to_pylist() for a in batch.columns]
                cursor.setinputsizes([*map(_input_size, widths), _NUMBER, _NUMBER])
                cursor.executemany(statement, list(zip(*lists, strict=True)))
        finally:
            cursor.close()

    def close(self) -> None:
        """Give back every connection."""
        self._bulk.close()
        super().close()

    def lock_queue(self, conn: sa.Connection, table: TableName) -> None:
        """Take an application lock of this transaction, named after the table."""
        if self._take_lock(conn, f"dropload {table}") < 0:
            raise TransientError(f"Another load is publishing into {table}.")

    def lock_table(self, conn: sa.Connection, table: TableName) -> None:
        """Keep writers out until the transaction ends, and wait no longer than configured."""
        conn.exec_driver_sql(
            # Not TOP 0: that is answered without touching the table, and locks nothing.
            f"SELECT TOP 1 1 AS locked FROM {self.quoted(table)} WITH (TABLOCKX, HOLDLOCK)"  # noqa: S608
        )

    def count_rows(self, conn: sa.Connection, table: TableName) -> int:
        """Return the number of rows; COUNT would fail beyond 2,147,483,647."""
        counted = conn.exec_driver_sql(f"SELECT COUNT_BIG(*) FROM {self.quoted(table)}")  # noqa: S608
        return int(counted.scalar_one())

    def copy_table(self, conn: sa.Connection, source: TableName, copy: TableName) -> None:
        """Copy by SELECT INTO."""
        conn.exec_driver_sql(
            f"SELECT * INTO {self.quoted(copy)} FROM {self.quoted(source)}"  # noqa: S608
        )

    def _copy_rows(self, conn: sa.Connection, plan: Plan, stage: TableName) -> None:
        """Copy the rows; numbers of an identity column are taken from the file when it has them."""
        filled = {column.name for column in plan.columns}
        rows = self.read_columns(conn, plan.table)
        numbered = any(row["numbered"] and row["name"] in filled for row in rows)
        if numbered:
            conn.exec_driver_sql(f"SET IDENTITY_INSERT {self.quoted(plan.table)} ON")
        self._check_code_pages(conn, plan, stage, rows)
        super()._copy_rows(conn, plan, stage)
        if numbered:
            conn.exec_driver_sql(f"SET IDENTITY_INSERT {self.quoted(plan.table)} OFF")

    def _check_code_pages(
        self, conn: sa.Connection, plan: Plan, stage: TableName, rows: Sequence[sa.RowMapping]
    ) -> None:
        """Refuse characters that a column without Unicode would turn into question marks."""
        narrow = {row["name"] for row in rows if row["type"] in ("varchar", "char", "text")}
        for name in (column.name for column in plan.columns if column.name in narrow):
            quoted = self.quoted_column(name)
            there_and_back = f"CAST(CAST({quoted} AS varchar(max)) AS nvarchar(max))"
            damaged = conn.exec_driver_sql(
                f"SELECT COUNT_BIG(*) FROM {self.quoted(stage)} "  # noqa: S608
                f"WHERE CAST({quoted} AS varbinary(max)) "
                f"<> CAST({there_and_back} AS varbinary(max))"
            ).scalar_one()
            if damaged:
                raise ConstraintError(
                    f'Column "{name}" of {plan.table} cannot hold characters of {damaged:,} rows: '
                    "it is not a Unicode column.",
                    hint="Ask the database owner to make it nvarchar.",
                    code="not_unicode",
                )

    def staged_values(self, conn: sa.Connection, plan: Plan) -> list[str]:  # noqa: ARG002
        """Return the columns; what was staged as text is converted by the server."""
        return [self._converted(column, self.quoted_column(column.name)) for column in plan.columns]

    def _converted(self, column: PlannedColumn, name: str) -> str:
        """Return the expression for a staged value; a cast to text would cut it silently."""
        if column.type.kind is Kind.TEXT:
            return name
        return f"CAST({name} AS {self.column_ddl(column.type)})"

    def widen_column(
        self, conn: sa.Connection, table: TableName, old: TableColumn, wanted: ColumnType
    ) -> None:
        """Alter the type, where the server's own text of a value is what the file wrote.

        A float, a bit or a time would read otherwise: those values are written anew.
        """
        if wanted.kind is Kind.TEXT and old.type.kind in (
            Kind.FLOAT,
            Kind.BOOLEAN,
            Kind.TIMESTAMP,
        ):
            self._rewrite_column(conn, table, old, wanted)
            return
        name, ddl = self.quoted_column(old.name), self.column_ddl(wanted)
        conn.exec_driver_sql(f"ALTER TABLE {self.quoted(table)} ALTER COLUMN {name} {ddl}")

    def _rewrite_column(
        self, conn: sa.Connection, table: TableName, old: TableColumn, wanted: ColumnType
    ) -> None:
        quoted, name = self.quoted(table), self.quoted_column(old.name)
        fresh = f"{old.name[:100]}__new"
        new = self.quoted_column(fresh)
        conn.exec_driver_sql(f"ALTER TABLE {quoted} ADD {new} {self.column_ddl(wanted)} NULL")
        query = f"SELECT DISTINCT {name} FROM {quoted} WHERE {name} IS NOT NULL"  # noqa: S608
        values = conn.exec_driver_sql(query).scalars().all()
        texts = [(self._plain_text(value, old.type), value) for value in values]
        if texts:
            conn.exec_driver_sql(f"UPDATE {quoted} SET {new} = ? WHERE {name} = ?", texts)  # noqa: S608
        conn.exec_driver_sql(f"ALTER TABLE {quoted} DROP COLUMN {name}")
        path = f"{quoted}.{new}"
        conn.exec_driver_sql("EXEC sp_rename ?, ?, 'COLUMN'", (path, old.name))

    def _plain_text(self, value: Any, column_type: ColumnType) -> str | None:
        text = self.text_of(value, column_type)
        if text is not None and column_type.kind is Kind.TIMESTAMP:
            return text.rstrip("0").rstrip(".") if "." in text else text
        return text


def _login_error(said: str) -> ConfigError:
    return ConfigError(
        f"SQL Server refuses the login: {said}.",
        hint="Check database.user, the password, and database.name.",
    )


def _encryption_error(said: str) -> ConfigError:
    return ConfigError(
        f"SQL Server and the driver cannot agree on encryption: {said}.",
        hint="Install the server's certificate, or set database.trust_server_certificate, or "
        "database.encrypt = 'no' where the network is trusted.",
    )


def _rows_error(said: str) -> ConstraintError:
    return ConstraintError(
        f"The table refuses the rows: {said}.",
        hint="Correct the rows that break this rule of the table, and drop the file again.",
        code="constraint",
    )


def _away_error(said: str) -> TransientError:
    return TransientError(f"SQL Server cannot be reached: {said}.")


def _from_url(settings: DatabaseConfig) -> DatabaseConfig:
    """Return the settings with the parts of `database.url` in their places."""
    if settings.url is None:
        return settings
    url = sa.make_url(settings.url.get_secret_value())
    query = {key.lower(): str(value) for key, value in url.query.items()}
    parts: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "name": url.database,
        "user": url.username,
        "password": url.password,
        "odbc_driver": query.get("driver"),
        "encrypt": query.get("encrypt"),
        "trust_server_certificate": query.get("trustservercertificate"),
        "trusted_connection": query.get("trusted_connection"),
        "authentication": query.get("authentication"),
        "bulk": query.get("bulk"),
    }
    named = {key: value for key, value in parts.items() if value is not None}
    kept = settings.model_dump(exclude={"url", *named})
    return DatabaseConfig.model_validate(kept | named)


def _declare_parameters(
    _conn: sa.Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> tuple[str, Any]:
    """Write nulls into the statement and say the type of every other parameter.

    For a null the driver asks the server what type it should have: a round trip for each statement
    with one, and the answer fails where the server cannot describe it.
    """
    if context is None or context.compiled is None:
        return statement, parameters
    if executemany:
        columns = zip(*parameters, strict=True)
        cursor.setinputsizes([_declared_size_of_column(column) for column in columns])
        return statement, parameters
    texts = statement.split("?")
    if len(texts) != len(parameters) + 1:
        return statement, parameters
    marks = ["NULL" if value is None else "?" for value in parameters]
    given = tuple(value for value in parameters if value is not None)
    cursor.setinputsizes([_declared_size(value) for value in given])
    joined = [text for pair in zip(texts, [*marks, ""], strict=True) for text in pair]
    return "".join(joined), given


def _declared_size_of_column(values: Iterable[object]) -> tuple[int, int, int] | None:
    sizes = [_declared_size(value) for value in values if value is not None]
    if not sizes:
        return (pyodbc.SQL_WVARCHAR, 1, 0)
    # Width 0 means without limit: one long text decides for the column.
    return next((size for size in sizes if size is not None and size[1] == 0), sizes[0])


def _declared_size(value: object) -> tuple[int, int, int] | None:
    if isinstance(value, bool):
        return (pyodbc.SQL_BIT, 1, 0)
    if isinstance(value, int):
        return _NUMBER
    if isinstance(value, datetime):
        return (pyodbc.SQL_TYPE_TIMESTAMP, 26, 6)
    if isinstance(value, str):
        return (pyodbc.SQL_WVARCHAR, 0 if len(value) > MAX_WIDTH // 2 else MAX_WIDTH, 0)
    return None


def _let_rollback_follow_abort(engine: sa.Engine) -> None:
    """Take it for done when there is nothing left to roll back: XACT_ABORT was faster."""
    usual = engine.dialect.do_rollback

    def roll_back(connection: Any) -> None:
        try:
            usual(connection)
        except pyodbc.Error as exc:
            if "(3903)" not in str(exc):
                raise

    engine.dialect.do_rollback = roll_back  # type: ignore[assignment,method-assign]


def _read_message(error: BaseException) -> tuple[str, frozenset[int]]:
    """Return the server's sentence and the native error numbers in an ODBC message."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    numbers = frozenset(int(found) for found in re.findall(r"\((-?\d+)\) \(SQL", text))
    numbers |= frozenset(int(found) for found in re.findall(r"\((-?\d+)\)(?=;|$)", text))
    said = re.sub(r"\[[^\]]*\]", "", text.partition(";")[0])
    said = re.sub(r"\s*\(-?\d+\)(?:\s*\(SQL\w+\))?\s*$", "", said)
    return said.strip().rstrip("."), numbers


def _arrange(
    plan: Plan, records: pa.RecordBatch, source_rows: pa.Array, load_id: int
) -> pa.RecordBatch:
    """Return the records in the order of the side table's columns, lineage last."""
    load_ids = pa.array([load_id] * records.num_rows, pa.int64())
    arrays = [*(records.column(c.position) for c in plan.columns), load_ids, source_rows]
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{n}" for n in range(len(arrays))])


def _width(column: pa.Array) -> int:
    """Return the units of UTF-16 that the longest value may take, 1 at least."""
    longest = pc.max(pc.utf8_length(column)).as_py() or 0
    longest_bytes = pc.max(pc.binary_length(column)).as_py() or 0
    # A character of four bytes takes two units; there are no more of them than bytes / 4.
    return max(1, longest + (longest_bytes // 4 if longest_bytes > longest else 0))


def _input_size(width: int) -> tuple[int, int, int]:
    if width <= MAX_WIDTH:
        return (pyodbc.SQL_WVARCHAR, width, 0)
    return (pyodbc.SQL_WLONGVARCHAR, width, 0)
