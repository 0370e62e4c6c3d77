"""PostgreSQL: COPY into a side table, one transaction to publish."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
import psycopg.sql
import sqlalchemy as sa

from dropload import column_types
from dropload.config import DatabaseConfig
from dropload.errors import ConfigError, DroploadError, TransientError
from dropload.model import ColumnType, Kind, Plan, TableColumn, TableName
from dropload.naming import clean_column_names
from dropload.targets.base import LINEAGE, LOAD_ID, SOURCE_ROW, Limits
from dropload.targets.postgresql import catalogue, owned
from dropload.targets.postgresql.copying import CopyUnderWay, copy_rows
from dropload.targets.postgresql.errors import is_lock_timeout, translate_error
from dropload.targets.postgresql.opening import open_table, queue_name
from dropload.targets.row_stream import Rows
from dropload.targets.server import ServerTarget, database_password

if TYPE_CHECKING:
    import pyarrow as pa

_DDL = {
    Kind.TEXT: "text",
    Kind.BOOLEAN: "boolean",
    Kind.INTEGER: "bigint",
    Kind.FLOAT: "double precision",
    Kind.DATE: "date",
    Kind.UUID: "uuid",
}
_KIND_OF_TYPE = {
    "boolean": Kind.BOOLEAN,
    "bigint": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "smallint": Kind.INTEGER,
    "real": Kind.FLOAT,
    "numeric": Kind.DECIMAL,
    "double precision": Kind.FLOAT,
    "date": Kind.DATE,
    "timestamp without time zone": Kind.TIMESTAMP,
    "time without time zone": Kind.TIME,
    "uuid": Kind.UUID,
}
_TEXT_TYPES = frozenset({"text", "character varying", "character", "name"})
"""Types that a text is assigned to; for others that we have no word for it is cast."""
_ANY_NUMERIC = ColumnType(Kind.DECIMAL, precision=131_072 + 16_383, scale=16_383)
"""What a numeric column without a declared precision holds
(https://www.postgresql.org/docs/current/datatype-numeric.html)."""
_MAX_PRECISION = 1000
"""Digits that a numeric column can be declared with."""
_OPTIONS = (
    "timezone=UTC client_encoding=UTF8 datestyle=ISO,YMD intervalstyle=postgres"
    " extra_float_digits=1 standard_conforming_strings=on"
)
"""What text and values mean in our sessions, whatever the database or the user has set."""
_ISOLATION = r"default_transaction_isolation=read\ committed"
"""What was committed while a lock was waited for is seen then: other levels would not, and refuse
to write (https://www.postgresql.org/docs/current/transaction-iso.html)."""
_COMMIT_FOR_GOOD = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
"""A commit that a crash could take back would leave its file in processed/ without its rows."""
_LIST_PUBLISHING = sa.text(
    "SELECT a.pid AS session, a.usename AS login, a.state AS status FROM pg_locks l"
    " JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND a.pid <> pg_backend_pid()"
    "   AND (l.classid::bigint << 32) | l.objid::bigint = hashtextextended(:name, 0)"
)
"""Sessions that hold the lock that `lock_queue` takes."""
_DECIMAL_ROOM = 19
"""Digits of a new decimal column; PostgreSQL stores only those that a value has."""

_NOTICE_SILENCE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A peer that vanished without a word (power, firewall) is noticed after a minute, not after hours
(https://www.postgresql.org/docs/current/libpq-connect.html; seconds, and milliseconds)."""
_MIN_VERSION = 12
"""Generated columns, which the catalogue is asked for, came with it."""


class PostgreSQLTarget(ServerTarget):
    """A PostgreSQL server, by psycopg 3."""

    name: ClassVar[str] = "postgresql"
    widen_words: ClassVar[str] = "ALTER COLUMN {name} TYPE {type}"
    default_schema: ClassVar[str] = "public"
    # 63 bytes for a name, less the two underscores and the load's number of stages and backups.
    limits: ClassVar[Limits] = Limits(identifier_bytes=48, columns=1598)
    driver_errors: ClassVar[tuple[type[Exception], ...]] = (
        sa.exc.SQLAlchemyError,
        psycopg.Error,
        OSError,
    )
    list_triggers: ClassVar[sa.TextClause] = sa.text(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name)"
        " AND NOT tgisinternal AND tgenabled IN ('O', 'A') ORDER BY tgname"
    )

    list_references: ClassVar[sa.TextClause] = sa.text(
        "SELECT conrelid::regclass::text, conname, 'ON DELETE ' || CASE confdeltype"
        " WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END"
        " FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass(:name)"
        " AND conrelid <> confrelid AND confdeltype IN ('c', 'n', 'd') ORDER BY 1, 2"
    )
    # Nobody waits for one that stages, and each costs a wait for the disk.
    commit_bytes = 16 << 20
    # A COPY takes 10,000 rows in less time than a side table is made, moved or dropped.
    small_times = 8
    override_numbers = "OVERRIDING SYSTEM VALUE"

    # --- connecting

    def create_engine(self) -> sa.Engine:
        """Return an engine over the server that `database.url` or the parts name."""
        settings = self.database
        engine = sa.create_engine(
            self._url(),
            pool_pre_ping=True,
            pool_recycle=settings.pool_recycle_seconds,
            pool_size=settings.pool_size,
            connect_args={
                "connect_timeout": max(1, round(settings.connect_timeout_seconds)),
                **_NOTICE_SILENCE,
                "application_name": "dropload",
                "options": " ".join(f"-c {option}" for option in _session_options(settings)),
            },
        )
        sa.event.listen(engine, "connect", _commit_for_good)
        sa.event.listen(engine, "first_connect", refuse_old_server)
        return engine

    def _url(self) -> sa.URL:
        settings = self.database
        if settings.url is not None:
            url = sa.make_url(settings.url.get_secret_value())
        else:
            url = sa.URL.create(
                "postgresql",
                username=settings.user,
                host=settings.host,
                port=settings.port,
                database=settings.name,
            )
        if url.password is None:
            url = url.set(password=database_password(settings))
        return url.set(drivername="postgresql+psycopg")

    @contextmanager
    def begin_write(self, *, synced: bool = True) -> Iterator[sa.Connection]:
        """Open a transaction; locks are taken by its statements, on what they write.

        What is not synced is committed asynchronously: the log is flushed in its order, see
        https://www.postgresql.org/docs/current/wal-async-commit.html.
        """
        with self.engine.connect() as conn, conn.begin():
            if not synced:
                conn.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield conn

    def translate(self, exc: Exception) -> DroploadError:
        """Sort SQLSTATE by who must act."""
        return translate_error(exc)

    def describe(self) -> str:
        """Return server, version and driver."""
        with self.read() as conn:
            version = conn.exec_driver_sql("SHOW server_version").scalar_one()
        return f"PostgreSQL {version}, {self.place}, psycopg {psycopg.__version__}"

    @property
    def place(self) -> str:
        """Return host and database."""
        url = self.engine.url
        return f"{url.host or url.query.get('host') or 'local'}/{url.database}"

    def now(self, conn: sa.Connection) -> datetime:
        """Return the server's clock."""
        query = "SELECT clock_timestamp() AT TIME ZONE 'UTC'"
        found: datetime = conn.exec_driver_sql(query).scalar_one()
        return found.replace(tzinfo=UTC)

    # --- names

    def full_name(self, table: TableName) -> str:
        """Return the name as it is: the dialect doubles `%`, for statements with parameters."""
        schema, name = self.physical_name(table)
        return f"{_quote(str(schema))}.{_quote(name)}"

    def explain_changes(self, plan: Plan) -> list[str]:
        """Return the statements as a person may run them."""
        return [words.replace("%%", "%") for words in super().explain_changes(plan)]

    def physical_name(self, table: TableName) -> tuple[str | None, str]:
        """Return schema and name, the name in lower case: nobody has to quote it."""
        return table.schema, table.name.lower()

    def column_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return names of lower case letters, digits and underscores, at most 63 bytes long."""
        folded = [re.sub(r"\W+", "_", name.lower()).strip("_") or name for name in names]
        return clean_column_names([_cut(name) for name in folded])

    def with_room(self, column_type: ColumnType) -> ColumnType:
        """Return a type with room: digits cost nothing here until a value has them."""
        if column_type.kind is Kind.DECIMAL:
            return replace(column_type, precision=max(column_type.precision, _DECIMAL_ROOM))
        if column_type.kind in (Kind.TIMESTAMP, Kind.TIME):
            return replace(column_type, precision=6)
        if column_type.kind is Kind.TIMESTAMP_OFFSET:
            return ColumnType(Kind.TEXT)  # its own type keeps the moment and forgets the offset
        if column_type.kind is Kind.TEXT:
            return replace(column_type, max_length=0)
        return column_type

    # --- the journal's own tables

    def has_schema(self, conn: sa.Connection, schema: str) -> bool:
        """Look into the catalogue: information_schema hides the schemas of others."""
        query = sa.text("SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = :name")
        return bool(conn.execute(query, {"name": schema}).scalar_one())

    def split_batches(self, script: str) -> Sequence[str]:
        """Return the script whole: without parameters, the server takes many statements."""
        return [script]

    # --- tables

    def read_columns(self, conn: sa.Connection, table: TableName) -> Sequence[sa.RowMapping]:
        """Return the columns as information_schema has them."""
        schema, name = self.physical_name(table)
        query = sa.text(
            "SELECT column_name AS name, data_type AS type, character_maximum_length AS length,"
            " CASE WHEN data_type = 'bit' THEN 'varbit'"
            "   ELSE format('%I.%I', udt_schema, udt_name) END AS cast_type,"
            " numeric_precision AS precision, numeric_scale AS scale,"
            " datetime_precision AS fraction, is_nullable = 'YES' AS nullable,"
            " column_default IS NOT NULL OR is_identity = 'YES' AS has_value,"
            " is_identity = 'YES' OR COALESCE(column_default, '') LIKE 'nextval(%' AS numbered,"
            " is_generated = 'ALWAYS' OR identity_generation = 'ALWAYS' AS computed,"
            " identity_generation = 'ALWAYS' AS numbered_always"
            " FROM information_schema.columns"
            " WHERE table_schema = :schema AND table_name = :name ORDER BY ordinal_position"
        )
        return conn.execute(query, {"schema": schema, "name": name}).mappings().all()

    def parse_type(self, row: sa.RowMapping) -> ColumnType:
        """Return our type; what we do not know takes text, and the server judges it."""
        kind = _KIND_OF_TYPE.get(row["type"], Kind.TEXT)
        if kind is Kind.DECIMAL and row["precision"] is None:
            return _ANY_NUMERIC
        if kind is Kind.DECIMAL:
            return ColumnType(kind, precision=row["precision"], scale=row["scale"] or 0)
        if kind in (Kind.TIMESTAMP, Kind.TIME):
            return ColumnType(kind, precision=row["fraction"])
        if kind is Kind.TEXT:
            return ColumnType(kind, max_length=row["length"] or 0)
        return ColumnType(kind)

    def declared_type(self, row: sa.RowMapping) -> str:
        """Return a column's type as it is declared."""
        return owned.declared_type(row)

    def holds(self, column: TableColumn, values: ColumnType) -> bool:
        """Return whether the column holds every value of that type, for certain."""
        return owned.holds(column, values)

    def refusal(self, column: TableColumn, text: str) -> str:
        """Return why the column cannot hold a value unchanged, the empty string when it can."""
        return owned.refusal(column, text)

    def column_ddl(self, column_type: ColumnType) -> str:
        """Return the type as PostgreSQL declares it."""
        if column_type.kind is Kind.DECIMAL:
            if column_type.precision > _MAX_PRECISION:
                return "numeric"
            return f"numeric({column_type.precision},{column_type.scale})"
        if column_type.kind in (Kind.TIMESTAMP, Kind.TIME):
            return f"{column_type.kind}({column_type.precision})"
        return _DDL[column_type.kind]

    def text_of(self, value: Any, column_type: ColumnType) -> str | None:
        """Return a value as its file wrote it."""
        if value is None:
            return None
        return column_types.canonical_text(value, column_type)

    # --- stage and publish

    def create_stage_words(self, conn: sa.Connection, plan: Plan, stage: TableName) -> str:
        """Keep a side table out of the log of changes, unless it is going to be the table.

        A stage that a crash loses is staged again.
        """
        stays = plan.creates_table and self._is_like_its_table(conn, plan, stage)
        return "CREATE TABLE" if stays else "CREATE UNLOGGED TABLE"

    def count_staged(self, conn: sa.Connection, plan: Plan, stage: TableName) -> int:
        """Count what is to be a new table while no other session can add to it."""
        if plan.creates_table:
            with self.blockers_named(stage), self.lock_wait.watched():
                conn.exec_driver_sql(self.lock_statement(stage))
        return self.count_rows(conn, stage)

    def _make_table(self, conn: sa.Connection, plan: Plan, stage: TableName, staged: int) -> int:
        """Move the side table to where the table is to be, if nobody could tell it from a new one.

        It is read and written no second time.
        """
        is_kept = conn.execute(catalogue.IS_KEPT, {"stage": self.full_name(stage)}).scalar_one()
        if not is_kept or not self._is_like_its_table(conn, plan, stage):
            return super()._make_table(conn, plan, stage, staged)
        self._move_stage(conn, plan, stage)
        self._rename_constraints(conn, plan, stage)
        return staged

    def _move_stage(self, conn: sa.Connection, plan: Plan, stage: TableName) -> None:
        schema, name = self.physical_name(plan.table)
        moved = TableName(plan.table.schema, stage.name)
        quote = self.engine.dialect.identifier_preparer.quote_identifier
        for words in (
            f"ALTER TABLE {self.quoted(stage)} SET SCHEMA {quote(str(schema))}",
            f"ALTER TABLE {self.quoted(moved)} RENAME TO {quote(name)}",
        ):
            conn.exec_driver_sql(words)

    def _rename_constraints(self, conn: sa.Connection, plan: Plan, stage: TableName) -> None:
        """Name the table's constraints after it: since version 18 NOT NULL has a name, too."""
        _, name = self.physical_name(plan.table)
        quote = self.engine.dialect.identifier_preparer.quote_identifier
        found = (
            conn.execute(catalogue.LIST_NAMED, {"name": self.full_name(plan.table)}).scalars().all()
        )
        for old in found:
            if old.startswith(stage.name):
                new = name + old.removeprefix(stage.name)
                conn.exec_driver_sql(
                    f"ALTER TABLE {self.quoted(plan.table)}"
                    f" RENAME CONSTRAINT {quote(old)} TO {quote(new)}"
                )

    def _is_like_its_table(self, conn: sa.Connection, plan: Plan, stage: TableName) -> bool:
        """Return whether a side table can become the table: same columns, rights and followers."""
        if [c.name for c in plan.columns] != [c.name for c in plan.table_columns]:
            return False
        between = TableName(plan.table.schema, stage.name)
        names = {
            "stage": stage.schema,
            "schema": plan.table.schema,
            "between": self.full_name(between),
        }
        return bool(conn.execute(catalogue.IS_UNNOTICED, names).scalar_one())

    def read_in_any_order(self, conn: sa.Connection, plan: Plan) -> str:  # noqa: ARG002
        """Have the side table read as it stands, from its beginning: no rows need be sorted.

        That is nearly as they were written: a short row may fill the gap that a long one has left
        on an earlier page. A scan may begin elsewhere, where another one has been, unless that is
        switched off (https://www.postgresql.org/docs/current/runtime-config-compatible.html).
        """
        conn.exec_driver_sql("SET LOCAL synchronize_seqscans = off")
        return ""

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
        """Send the records by COPY."""
        self.write_batches(conn, plan, stage, [(records, source_rows)], load_id, batch_rows)

    def write_batches(
        self,
        conn: sa.Connection,
        plan: Plan,
        stage: TableName,
        batches: Rows,
        load_id: int,
        batch_rows: int,  # noqa: ARG002 - COPY is one stream
    ) -> None:
        """Send all by one COPY: the server reads one batch while the next one is encoded."""
        given: int = sum(records.num_rows for records, _ in batches)
        driver, place = _driver_of(conn), self._place_of(plan, stage)
        is_ours = stage != plan.table or owned.has_our_types(plan)
        taken = copy_rows(driver, place, plan, batches, load_id, has_our_types=is_ours)
        if taken != given:
            raise TransientError(f"PostgreSQL took {taken} of {given} rows of a batch.")

    def begin_copy(
        self,
        conn: sa.Connection,
        plan: Plan,
        table: TableName,
        first: Rows,
        load_id: int,
    ) -> CopyUnderWay:
        """Begin a COPY; the table has our types, or `open_table` would have refused it."""
        driver, place = _driver_of(conn), self._place_of(plan, table)
        return CopyUnderWay(driver, place, plan, first, load_id, has_our_types=True)

    def _place_of(self, plan: Plan, table: TableName) -> str:
        """Return a table and the columns that a COPY fills: it has no parameters, either."""
        columns = [*(c.name for c in plan.columns), *LINEAGE]
        quoted = ", ".join(_quote(name) for name in columns)
        return f"{self.full_name(table)} ({quoted})"

    def may_change_rows(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether there is a trigger, a rule or a partition."""
        goes_aside = conn.execute(
            catalogue.MAY_CHANGE_ROWS, {"name": self.full_name(table)}
        ).scalar()
        return bool(goes_aside) or super().may_change_rows(conn, table)

    def takes_rows(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether a COPY into the table does what an INSERT would.

        Each side table that is made and dropped leaves dead rows in the system catalogue.
        """
        named = {"name": self.full_name(table), "load_id": LOAD_ID, "source_row": SOURCE_ROW}
        return bool(conn.execute(catalogue.TAKES_COPIES, named).scalar_one())

    def makes_tables_alone(self, conn: sa.Connection) -> bool:
        """Return whether no event trigger of an owner's hangs something on new tables."""
        return bool(conn.execute(catalogue.NO_EVENT_TRIGGERS).scalar_one())

    def open_table(self, conn: sa.Connection, plan: Plan) -> int | None:
        """Make a table that is not there; take the locks of an INSERT, if nobody has to wait."""
        return open_table(self, conn, plan)

    def table_id(self, conn: sa.Connection, table: TableName) -> int | None:
        """Return the number that a table keeps whatever it is called."""
        found: int | None = conn.execute(catalogue.NUMBER, {"name": self.full_name(table)}).scalar()
        return found

    def lock_queue(self, conn: sa.Connection, table: TableName) -> None:
        """Take an advisory lock of this transaction, named after the table."""
        query = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        name = queue_name(table)
        try:
            with self.lock_wait.watched():
                conn.execute(query, {"name": name})
        except sa.exc.DBAPIError as exc:
            if not is_lock_timeout(exc):
                raise
            raise self.locked_error(table, _LIST_PUBLISHING, name) from exc

    def lock_statement(self, table: TableName) -> str:
        """Return a statement that keeps writers out; readers go on."""
        return f"LOCK TABLE {self.quoted(table)} IN SHARE ROW EXCLUSIVE MODE"

    def is_lock_timeout(self, exc: Exception) -> bool:
        """Return whether a statement gave up waiting for a lock."""
        return is_lock_timeout(exc)

    list_blockers: ClassVar[sa.TextClause] = sa.text(
        "SELECT a.pid AS session, a.usename AS login, a.state AS status FROM pg_locks l"
        " JOIN pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.relation = to_regclass(:name) AND l.granted AND a.pid <> pg_backend_pid()"
    )
    right_to_see_blockers = "pg_read_all_stats"

    def _change_columns(self, conn: sa.Connection, plan: Plan) -> None:
        # ALTER TABLE waits for readers, too. A statement that failed here has given up its locks,
        # or dropload's own session would be named.
        with self.blockers_named(plan.table):
            super()._change_columns(conn, plan)

    def copy_table(self, conn: sa.Connection, source: TableName, copy: TableName) -> None:
        """Copy by CREATE TABLE AS."""
        conn.exec_driver_sql(
            f"CREATE TABLE {self.quoted(copy)} AS SELECT * FROM {self.quoted(source)}"  # noqa: S608
        )

    def staged_values(self, plan: Plan, rows: Sequence[sa.RowMapping]) -> list[str]:
        """Return the columns; text goes into types that we have no word for by a cast."""
        casts = {
            row["name"]: row["cast_type"]
            for row in rows
            if row["type"] not in _KIND_OF_TYPE and row["type"] not in _TEXT_TYPES
        }
        names = {column.name: self.quoted_column(column.name) for column in plan.columns}
        return [
            f"CAST({quoted} AS {casts[name]})" if name in casts else quoted
            for name, quoted in names.items()
        ]

    def widen_column(
        self, conn: sa.Connection, table: TableName, old: TableColumn, wanted: ColumnType
    ) -> None:
        """Alter the type; PostgreSQL's own text of a number or day is what the file held."""
        name, ddl = self.quoted_column(old.name), self.column_ddl(wanted)
        value = f"{name}::{ddl}"
        if old.type.kind is Kind.FLOAT and wanted.kind is Kind.TEXT:
            value = f"({name}::text::numeric)::text"  # without an exponent
        conn.exec_driver_sql(
            f"ALTER TABLE {self.quoted(table)} ALTER COLUMN {name} TYPE {ddl} USING {value}"
        )


def _session_options(settings: DatabaseConfig) -> list[str]:
    limit = round(settings.statement_timeout_seconds * 1000)
    wait = round(settings.busy_timeout_seconds * 1000)
    return [*_OPTIONS.split(), _ISOLATION, f"statement_timeout={limit}", f"lock_timeout={wait}"]


def _commit_for_good(connection: Any, _record: Any) -> None:
    connection.execute(_COMMIT_FOR_GOOD)
    connection.commit()


def refuse_old_server(connection: Any, _record: Any) -> None:
    """Read what version a new connection speaks to."""
    number = int(connection.info.server_version) // 10_000
    if number < _MIN_VERSION:
        raise ConfigError(
            f"This server is PostgreSQL {number}; dropload needs {_MIN_VERSION} or later.",
            hint="Name another server in database.host or database.url.",
            code="old_server",
        )


def _driver_of(conn: sa.Connection) -> psycopg.Connection:
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the URL names this driver
    return driver


def _quote(name: str) -> str:
    return psycopg.sql.Identifier(name).as_string(None)


def _cut(name: str) -> str:
    """Return the name within 63 bytes less what `clean_column_names` may add to tell two apart."""
    raw = name.encode()[:59]
    return raw.decode(errors="ignore")
