"""What a database must offer to be a target: the whole difference between databases is here."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import sqlalchemy as sa

from dropload import column_types
from dropload.audit_lines import AuditLines
from dropload.config import DatabaseConfig, SchemasConfig
from dropload.errors import ConstraintError, DroploadError, TargetError, TransientError
from dropload.model import (
    Area,
    ColumnType,
    Kind,
    Plan,
    TableColumn,
    TableInfo,
    TableName,
    TableRules,
)
from dropload.targets.row_stream import RowCopy, Rows, RowStream
from dropload.targets.waiting import LockWait

if TYPE_CHECKING:
    import pyarrow as pa

LOAD_ID = "_load_id"
SOURCE_ROW = "_source_row"
LINEAGE = (LOAD_ID, SOURCE_ROW)
"""Columns that every table made by dropload carries: which load, which record of its file."""
COUNTED_ROWS = 100_000
"""Rows of a table that are counted before a small file is added to them: some milliseconds."""


_AFTER_COMMIT = "dropload.after_commit"
IN_THE_WAY = (
    "Rows of another table refer to them, or a trigger forbids it: that must be changed first."
)
"""What to say of rows that cannot be deleted."""


def slow_statement_error(database: str) -> TransientError:
    """Return what to say of a statement that was ended because it took too long."""
    return TransientError(
        f"{database} ended a statement that took too long.",
        hint="It is tried again. database.statement_timeout_seconds says how long one may take.",
        code="slow_statement",
    )


def refused_rows_error(said: str | BaseException) -> ConstraintError:
    """Return what to say of rows that break a rule of the table, in the database's words."""
    return ConstraintError(
        f"The table refuses the rows: {said}.",
        hint="Correct the rows that break this rule of the table, and drop the file again.",
        code="constraint",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What the database can hold."""

    identifier_bytes: int
    """UTF-8 bytes of a table name; room for the suffix of stages and backups is already off."""
    columns: int
    """Columns of a table, lineage not counted."""


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """A foreign key as its own table has it."""

    table: TableName
    columns: tuple[str, ...]


class Rules(Protocol):
    """What a plan must know of the database; every target answers it without a connection."""

    limits: ClassVar[Limits]

    def column_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return names for new columns, unique, as this database's users like to write them."""
        ...

    def with_room(self, column_type: ColumnType) -> ColumnType:
        """Return the type with room to spare: widening a large table later is dear."""
        ...

    def holds(self, column: TableColumn, values: ColumnType) -> bool:
        """Return whether the column holds every value of that type unchanged, for certain."""
        ...

    def refusal(self, column: TableColumn, text: str) -> str:
        """Return why the column cannot hold a value unchanged, the empty string when it can."""
        ...

    def drop_words(self, table: TableName) -> str:
        """Return the statement by which its owner takes a table away."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """What a publishing transaction did, by the database's own count."""

    rows_before: int | None
    """Rows of the table; None where counting them would have taken longer than the load."""
    rows_after: int | None
    rows_loaded: int
    """Rows that were ready for it: in the side table, in memory or in the open transaction."""
    rows_added: int
    """Those of them that the table has taken."""
    backup: TableName | None


class Target(ABC):
    """One database that rows go to.

    Every method that takes a connection works inside the caller's transaction, so that rows and
    journal are written together. Driver errors leave `read` and `write` as dropload's own.
    """

    name: ClassVar[str]
    limits: ClassVar[Limits]
    default_schema: ClassVar[str]
    """Schema of the non-reference area unless the configuration names one."""
    commit_bytes: ClassVar[int] = 4 * 1024 * 1024
    """Text staged per transaction: few commits, and other writers get their turn."""
    small_times: ClassVar[int] = 1
    """Files of up to how many times `SMALL_BYTES` are small: their rows go with what publishes
    them, whose locks are held a moment longer."""
    settle_seconds: float = 1.0
    """How often rows that went ahead are settled and the journal is told of them: a try that is cut
    off has at most these to do again."""
    add_words: ClassVar[str] = "ADD {name} {type} NULL"
    widen_words: ClassVar[str] = "ALTER COLUMN {name} {type}"
    """How a table's columns are changed, as `explain_changes` says it."""
    driver_errors: ClassVar[tuple[type[Exception], ...]] = (sa.exc.SQLAlchemyError, OSError)
    """What is translated; targets that call their driver past SQLAlchemy add its errors."""

    def __init__(self, database: DatabaseConfig, schemas: SchemasConfig) -> None:
        self.database = database
        self.schemas = schemas
        self.engine = self.create_engine()
        self.lock_wait = LockWait()
        self.audit_lines = AuditLines()
        """Told of each action that the audit table gets, after its commit."""

    # --- connecting

    @abstractmethod
    def create_engine(self) -> sa.Engine:
        """Return an engine whose connections are ready to use; raise ConfigError if impossible."""

    @abstractmethod
    def begin_write(self, *, synced: bool = True) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that takes its write lock at once; commit at the end of the block.

        See `write`.
        """

    @abstractmethod
    def translate(self, exc: Exception) -> DroploadError:
        """Return the error of ours that says who must act on this error of the driver."""

    @abstractmethod
    def describe(self) -> str:
        """Return one line that names the database, its version and its driver, no password."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Return where the database is, without asking it."""

    @property
    def system_name(self) -> str:
        """Return what OpenTelemetry calls the product (`db.system.name`)."""
        return self.name

    @property
    def namespace(self) -> str:
        """Return the name of the database on its server."""
        return self.engine.url.database or ""

    @property
    def file(self) -> Path | None:
        """Return the file on this machine that holds the rows; None for a server."""
        return None

    @abstractmethod
    def now(self, conn: sa.Connection) -> datetime:
        """Return the database's own clock, in UTC: machines may disagree, it does not."""

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[sa.Connection]:
        """Run a block in one write transaction; an exception rolls it back.

        Where it is not `synced`, and the database can do that, its commit does not wait for the
        disk: a crash may take it back, with all that came after it, until one that waits.
        """
        told: list[Callable[[], None]] = []
        try:
            with self.begin_write(synced=synced) as conn:
                conn.info[_AFTER_COMMIT] = told
                yield conn
        except self.driver_errors as exc:
            raise self.translate(exc) from exc
        for tell in told:
            tell()

    def after_commit(self, conn: sa.Connection, tell: Callable[[], None]) -> None:
        """Have something said when the transaction of `write` is committed, else never."""
        conn.info[_AFTER_COMMIT].append(tell)

    @contextmanager
    def write_soon(self) -> Iterator[sa.Connection]:
        """Run a block in one write transaction that nobody has to wait for.

        Raises TransientError at once where another writer has the whole database.
        """
        try:
            with self.begin_write_soon() as conn:
                yield conn
        except self.driver_errors as exc:
            raise self.translate(exc) from exc

    def begin_write_soon(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction for `write_soon`; where rows are locked singly, any will do."""
        return self.begin_write()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Run a block that only reads, in one transaction."""
        try:
            with self.begin_read() as conn:
                yield conn
        except self.driver_errors as exc:
            raise self.translate(exc) from exc

    @contextmanager
    def begin_read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads."""
        with self.engine.connect() as conn, conn.begin():
            yield conn

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    # --- names

    def schema_of(self, area: Area) -> str:
        """Return the schema that tables of an area live in."""
        if area is Area.REFERENCE:
            return self.schemas.reference
        return self.schemas.non_reference or self.default_schema

    def stage_name(self, table: TableName, load_id: int) -> TableName:
        """Return the side table of a load."""
        return TableName(self.schemas.stage, f"{table.name}__{load_id}")

    def backup_name(self, table: TableName, load_id: int) -> TableName:
        """Return the table that keeps what a load replaced."""
        return TableName(self.schemas.backup, f"{table.name}__{load_id}")

    @abstractmethod
    def physical_name(self, table: TableName) -> tuple[str | None, str]:
        """Return schema (None: the database has none) and name as the database knows the table."""

    def quoted(self, table: TableName) -> str:
        """Return the table's name as the dialect quotes it, safe to put into a statement."""
        schema, name = self.physical_name(table)
        preparer = self.engine.dialect.identifier_preparer
        quoted = preparer.quote_identifier(name)
        return quoted if schema is None else f"{preparer.quote_schema(schema)}.{quoted}"

    def drop_words(self, table: TableName) -> str:
        """Return the statement by which its owner takes a table away; dropload never does."""
        return f"DROP TABLE {self.quoted(table)}"

    def quoted_column(self, name: str) -> str:
        """Return a column's name as the dialect quotes it."""
        return self.engine.dialect.identifier_preparer.quote_identifier(name)

    def column_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return names for new columns; unless a target folds them, as the file has them."""
        return tuple(names)

    def with_room(self, column_type: ColumnType) -> ColumnType:
        """Return the type that a new column gets for values of `column_type`."""
        return column_type

    def holds(self, column: TableColumn, values: ColumnType) -> bool:
        """Return whether the types alone say that every value fits."""
        return column_types.fits(values, column.type)

    def refusal(self, column: TableColumn, text: str) -> str:
        """Return why the column cannot hold a value unchanged, the empty string when it can."""
        return column_types.explain_misfit(text, column.type)

    # --- the journal's own tables

    @abstractmethod
    def run_script(self, conn: sa.Connection, script: str) -> None:
        """Run a script of `sql/` statement by statement inside the caller's transaction."""

    def has_schema(self, conn: sa.Connection, schema: str) -> bool:  # noqa: ARG002
        """Return whether the schema is there; always, in a database that has none."""
        return True

    def create_schema(self, conn: sa.Connection, schema: str) -> None:
        """Make a schema that `has_schema` does not know."""
        raise NotImplementedError

    # --- tables

    @abstractmethod
    def has_table(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether the table exists."""

    @abstractmethod
    def reflect(self, conn: sa.Connection, table: TableName) -> TableInfo | None:
        """Return the table as it is now, None when it does not exist."""

    @abstractmethod
    def find_rules(self, conn: sa.Connection, table: TableName) -> TableRules:
        """Return what the owner has hung on the table, for people to know."""

    def find_unindexed_keys(self, _conn: sa.Connection, _table: TableName) -> Sequence[KeyColumns]:
        """Return foreign keys that refer to a table and that no index serves.

        Each row that is deleted from the table has the other one searched whole. Nothing where
        foreign keys are not looked after while rows are loaded.
        """
        return ()

    @abstractmethod
    def list_columns(self, conn: sa.Connection, schema: str) -> Mapping[TableName, Sequence[str]]:
        """Return the names of the columns of each table of a schema, lineage left out."""

    @abstractmethod
    def list_stages(self, conn: sa.Connection) -> Sequence[tuple[TableName, int]]:
        """Return every stage that exists, with the load it belongs to."""

    @abstractmethod
    def drop_table(self, conn: sa.Connection, table: TableName) -> None:
        """Drop a stage or a backup if it exists; no other table is ever dropped."""

    @abstractmethod
    def column_ddl(self, column_type: ColumnType) -> str:
        """Return the type as this database declares it, keeping every value unchanged."""

    def measure(self, conn: sa.Connection, table: TableName, column: TableColumn) -> ColumnType:
        """Return the smallest type that holds the numbers which the column holds now."""
        if column.type.kind not in (Kind.INTEGER, Kind.DECIMAL):
            return column.type
        name = self.quoted_column(column.name)
        bounds = f"SELECT min({name}), max({name}) FROM {self.quoted(table)}"  # noqa: S608 - quoted by the dialect
        found = [abs(int(value or 0)) for value in conn.exec_driver_sql(bounds).one()]
        whole_digits = len(str(max(found)))
        return replace(column.type, precision=whole_digits + column.type.scale)

    @abstractmethod
    def text_of(self, value: Any, column_type: ColumnType) -> str | None:
        """Return a value read from this database as its file wrote it; null stays None."""

    def explain_changes(self, plan: Plan) -> list[str]:
        """Return the definitions that a load would change, in the database's own words.

        For people: a target may take another way to the same table.
        """
        table = self.quoted(plan.table)
        if plan.creates_table:
            parts = [
                f"{self.quoted_column(c.name)} {self.column_ddl(c.type)}"
                for c in plan.table_columns
            ]
            parts += [f"{self.quoted_column(name)} bigint NOT NULL" for name in LINEAGE]
            return [f"CREATE TABLE {table} ({', '.join(parts)})"]
        changes = {"add": self.add_words, "widen": self.widen_words}
        return [
            f"ALTER TABLE {table} "
            + changes[column.action].format(
                name=self.quoted_column(column.name), type=self.column_ddl(column.type)
            )
            for column in plan.columns
            if column.action in changes
        ]

    # --- stage and publish

    @abstractmethod
    def lock_queue(self, conn: sa.Connection, table: TableName) -> None:
        """Let only one publishing transaction at a time have this table; wait for the other.

        Held until the caller's transaction ends.
        """

    @abstractmethod
    def lock_table(self, conn: sa.Connection, table: TableName) -> None:
        """Keep other writers out of a table, if it is there, until the caller's transaction ends.

        Readers go on.
        """

    @abstractmethod
    def create_stage(self, conn: sa.Connection, plan: Plan, stage: TableName) -> None:
        """Create an empty side table with all columns that the table will have, and lineage."""

    @abstractmethod
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
        """Write records (columns of text, in the file's order) to the side table.

        At most `batch_rows` rows go into one statement. Raises when not all of them were taken.
        """

    def write_batches(
        self,
        conn: sa.Connection,
        plan: Plan,
        stage: TableName,
        batches: Rows,
        load_id: int,
        batch_rows: int,
    ) -> None:
        """Write several batches of records and record numbers, one after the other."""
        for records, source_rows in batches:
            self.write_batch(conn, plan, stage, records, source_rows, load_id, batch_rows)

    def takes_rows(self, conn: sa.Connection, table: TableName) -> bool:  # noqa: ARG002 - most do not
        """Return whether each row that is written into a table stays there, or raises."""
        return False

    def makes_tables_alone(self, conn: sa.Connection) -> bool:  # noqa: ARG002 - most do not
        """Return whether a table that is made here takes rows as `takes_rows` has it.

        False where something may hang on it at once, or where rows are only written to side tables.
        """
        return False

    def open_table(self, conn: sa.Connection, plan: Plan) -> int | None:  # noqa: ARG002
        """Get a transaction ready in which rows go into a table while their file is read.

        The plan leaves what is there: the table is made here, or is dropload's and stays. Nobody
        can change it then until the transaction ends; others read it and write to it. Returns its
        `table_id`; None where this database does not allow for that, the table does not, or not
        now: the transaction is of no use then, and is to be rolled back.
        """
        return None

    def table_id(self, conn: sa.Connection, table: TableName) -> int | None:
        """Return what tells the table from another one of its name, None where there is none.

        Only where `open_table` opens any.
        """
        raise NotImplementedError

    def begin_copy(
        self,
        conn: sa.Connection,
        plan: Plan,
        table: TableName,
        first: Rows,
        load_id: int,
    ) -> RowCopy:
        """Begin to write rows into a table in a transaction that `open_table` has got ready.

        `first` are the batches that will be added first.
        """
        raise NotImplementedError

    def stream_rows(self, plan: Plan, stage: TableName, load_id: int) -> RowStream:  # noqa: ARG002
        """Return what takes the rows of one load to its side table ahead of the journal's word."""
        return RowStream()

    def trim_stage(self, conn: sa.Connection, stage: TableName, rows: int) -> int | None:
        """Keep the first `rows` rows of a side table and return the last one's record number.

        None when the side table is not there or does not hold just these: it must be made anew.
        """
        if rows == 0 or not self.has_table(conn, stage):
            return None
        schema, name = self.physical_name(stage)
        number: sa.ColumnClause[int] = sa.column(SOURCE_ROW)
        table = sa.table(sa.quoted_name(name, quote=True), number, schema=schema)
        in_order = sa.select(number).select_from(table).order_by(number)
        last = conn.execute(in_order.offset(rows - 1).limit(1)).scalar()
        if last is None:
            return None
        conn.execute(sa.delete(table).where(number > last))
        # Records, not rows: one that is there twice must not pass for another.
        records = sa.select(sa.func.count(number.distinct())).select_from(table)
        whole = conn.execute(records).scalar_one() == rows == self.count_rows(conn, stage)
        return int(last) if whole else None

    @abstractmethod
    def count_rows(self, conn: sa.Connection, table: TableName) -> int:
        """Return the number of rows."""

    def count_staged(
        self,
        conn: sa.Connection,
        plan: Plan,  # noqa: ARG002 - where it decides what is locked
        stage: TableName,
    ) -> int:
        """Return the number of rows of a side table that is about to be published.

        One that is going to be the table may be locked first: it is not counted once more then.
        """
        return self.count_rows(conn, stage)

    def count_up_to(self, conn: sa.Connection, table: TableName, most: int) -> int | None:
        """Return the number of rows, None when there are more than `most`: it looks no further."""
        schema, name = self.physical_name(table)
        rows = sa.table(sa.quoted_name(name, quote=True), schema=schema)
        one: sa.Label[int] = sa.literal_column("1").label("one")
        some = sa.select(one).select_from(rows).limit(most + 1)
        counted = sa.select(sa.func.count()).select_from(some.subquery())
        found = int(conn.execute(counted).scalar_one())
        return found if found <= most else None

    @abstractmethod
    def may_change_rows(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether what hangs on a table may add rows to it, drop or redirect some.

        The database would count the rows of the statement all the same.
        """

    def add_rows(
        self, conn: sa.Connection, plan: Plan, staged: int, copy: Callable[[], int]
    ) -> Published:
        """Add the staged rows to a table by `copy`, which returns how many the table has taken.

        An append costs what its file costs, not what its table holds: only where something of the
        owner's could make that number untrue is the whole table counted, before and after.
        """
        table = plan.table
        if self.may_change_rows(conn, table):
            before = self.count_rows(conn, table)
            copy()
            after = self.count_rows(conn, table)
            return Published(before, after, staged, after - before, None)
        return self.add_counted(conn, plan, staged, copy)

    def add_counted(
        self, conn: sa.Connection, plan: Plan, staged: int, copy: Callable[[], int]
    ) -> Published:
        """Add rows of which the table keeps as many as `copy` says; a large one is not counted."""
        table = plan.table
        counted = self.count_up_to(conn, table, max(COUNTED_ROWS, plan.rows_planned))
        added = copy()
        now = None if counted is None else counted + added
        return Published(counted, now, staged, added, None)

    @abstractmethod
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
        """Make the staged rows the table's rows, or add them to it; the stage is gone afterwards.

        The caller has counted `staged` rows there, has the table locked, and has seen that it is as
        the plan has it. A fullload keeps the replaced rows in the backup schema when `keep_backup`
        is set.
        """

    # --- what publishing and taking back need

    @abstractmethod
    def create_table(self, conn: sa.Connection, plan: Plan) -> None:
        """Make the table of a plan, without rows."""

    @abstractmethod
    def copy_table(self, conn: sa.Connection, source: TableName, copy: TableName) -> None:
        """Create a table with the columns and rows of another, without its indexes and rules."""

    def take_rows_out(
        self, conn: sa.Connection, table: TableName, backup: TableName | None
    ) -> None:
        """Delete all rows of a target table; first copy them to a new backup, if there is one."""
        if backup is not None:
            self.copy_table(conn, table, backup)
        self.empty_table(conn, table)

    def empty_table(self, conn: sa.Connection, table: TableName) -> None:
        """Delete all rows of a target table.

        Not TRUNCATE: readers would wait for it or see nothing, and it needs more rights. Raises
        TargetError when they are not free to go.
        """
        self.delete_rows(conn, table, hint=f"{IN_THE_WAY} Or load the file as append.")

    def delete_rows(
        self, conn: sa.Connection, table: TableName, which: str = "", *, hint: str
    ) -> None:
        """Delete the rows of a target table, or those of a WHERE clause.

        Raises TargetError, with the hint, when they are not free to go.
        """
        try:
            delete = f"DELETE FROM {self.quoted(table)}{self.whole_table_words} {which}"  # noqa: S608
            self.change_rows(conn, delete.rstrip())
        except self.driver_errors as exc:
            error = self.translate(exc)
            if not isinstance(error, ConstraintError):
                raise
            raise TargetError(
                f"The rows of {table} cannot be replaced. {error.message}", hint=hint
            ) from exc

    whole_table_words: ClassVar[str] = ""
    """Words behind a table's name that say that a statement has the whole table to itself."""
    override_numbers: ClassVar[str] = ""
    """Words by which an INSERT may fill a column that the table always numbers itself."""

    @abstractmethod
    def read_as(
        self, conn: sa.Connection, backup: TableName, column: TableColumn, wanted: ColumnType
    ) -> str:
        """Return the expression that reads a backup's column as values of the wanted type.

        May give the backup's column that type.
        """

    def change_rows(self, conn: sa.Connection, statement: str) -> int:
        """Run a statement that changes rows of a target table, and all that hangs on them.

        Returns how many of the table's rows it has changed, its triggers' work not counted.
        """
        return conn.exec_driver_sql(statement).rowcount

    @contextmanager
    def accept_numbers(
        self,
        conn: sa.Connection,  # noqa: ARG002
        table: TableName,  # noqa: ARG002
        numbered: Sequence[str],  # noqa: ARG002
    ) -> Iterator[None]:
        """Let a block write into columns that the table numbers itself; most databases do."""
        yield
