"""SQLite as a target: one writer at a time, tables and journal in one file."""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from dropload import column_types
from dropload.config import DEFAULT_URL, DatabaseConfig, SchemasConfig
from dropload.errors import (
    ConfigError,
    DroploadError,
    TargetError,
    TransientError,
)
from dropload.model import (
    ColumnType,
    Kind,
    LoadType,
    Plan,
    TableColumn,
    TableInfo,
    TableName,
    TableRules,
)
from dropload.targets.base import (
    LINEAGE,
    LOAD_ID,
    SOURCE_ROW,
    Limits,
    Published,
    Target,
)
from dropload.targets.row_stream import RowStream
from dropload.targets.sqlite.bulk import BulkWriter, ColumnStream
from dropload.targets.sqlite.checkpoints import Checkpointer
from dropload.targets.sqlite.columns import (
    EXACT_DIGITS,
    FRACTION,
    PRINT,
    declaration,
    is_kept_as_text,
    parse_declared,
    storable,
    stored_text,
)
from dropload.targets.sqlite.engine import SOON, UNSYNCED, WRITE, make_engine
from dropload.targets.sqlite.errors import sort_error

if TYPE_CHECKING:
    import pyarrow as pa

_ROW_ID = "_rowid_"
_QUOTED = re.compile(r"""\"(?:[^"]|"")*"|'(?:[^']|'')*'|`[^`]*`|\[[^\]]*\]""")
_RULES = re.compile(
    r"\b(CHECK|UNIQUE|REFERENCES|PRIMARY|FOREIGN|COLLATE|GENERATED|AS|DEFAULT|STRICT|WITHOUT)\b",
    re.IGNORECASE,
)
_NOT_NULL = re.compile(r"\bNOT\s+NULL\b", re.IGNORECASE)

_DEFINITIONS = sa.text(
    "SELECT type, name, sql FROM sqlite_master"
    " WHERE lower(tbl_name)=:n AND type IN ('table', 'trigger')"
)
_STORED_NAME = sa.text("SELECT name FROM sqlite_master WHERE type='table' AND lower(name)=:n")
# No view: rows cannot be put there.
_COLUMNS = sa.text(
    "SELECT * FROM pragma_table_xinfo(:t) WHERE EXISTS"
    " (SELECT 1 FROM sqlite_master WHERE type='table' AND lower(name)=:n)"
)
_ADD_COLUMN = re.compile(
    r"""^ALTER TABLE "(?P<table>[^"]+)" ADD COLUMN (?P<column>\w+)""", re.MULTILINE
)


class SQLiteTarget(Target):
    """One database file in WAL mode; a commit is on the disk before it is reported."""

    name: ClassVar[str] = "sqlite"
    default_schema: ClassVar[str] = "dbo"
    add_words: ClassVar[str] = "ADD COLUMN {name} {type}"
    # SQLite has no limit for names; the servers' smallest (63 bytes less `__` and a load id) keeps
    # a table's name the same when rows move to a server later.
    limits: ClassVar[Limits] = Limits(identifier_bytes=100, columns=1990)

    def __init__(self, database: DatabaseConfig, schemas: SchemasConfig) -> None:
        super().__init__(database, schemas)
        self._bulk = BulkWriter(self._path, database)
        self._checkpointer = Checkpointer(self._path)

    # --- connecting

    def create_engine(self) -> sa.Engine:
        """Return an engine on the file that `database.url` or `database.name` names."""
        return make_engine(self._path, self.database)

    @cached_property
    def _path(self) -> Path:
        if self.database.url is None and self.database.name:
            return Path(self.database.name)
        secret = self.database.url
        url = sa.make_url(secret.get_secret_value() if secret else DEFAULT_URL)
        if not url.database or url.database == ":memory:":
            raise ConfigError(
                "database.url names no file: a database in memory is gone with the process.",
                hint="Write for example sqlite:////srv/dropload.db.",
                code="database_place",
            )
        return Path(url.database)

    @contextmanager
    def begin_write(self, *, synced: bool = True) -> Iterator[sa.Connection]:
        """Open a transaction with BEGIN IMMEDIATE: a later lock upgrade could fail half-way."""
        with self._begin_immediately(**{} if synced else {UNSYNCED: True}) as conn:
            yield conn

    @contextmanager
    def begin_write_soon(self) -> Iterator[sa.Connection]:
        """Open the same, or give up: another writer has the whole file, the load's own perhaps."""
        with self._begin_immediately(**{SOON: self.database.busy_timeout_seconds}) as conn:
            yield conn

    @contextmanager
    def _begin_immediately(self, **options: float) -> Iterator[sa.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connected = self.engine.connect().execution_options(**{WRITE: True}, **options)
        with connected as conn:
            with self.lock_wait.watched():
                begun = conn.begin()
            with begun:
                yield conn

    @contextmanager
    def begin_read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads; where there is no file, an empty database."""
        if self._path.exists():
            with super().begin_read() as conn:
                yield conn
            return
        nothing = sa.create_engine("sqlite://")
        try:
            with nothing.connect() as conn:
                yield conn
        finally:
            nothing.dispose()

    def translate(self, exc: Exception) -> DroploadError:
        """Sort SQLite's result codes by who must act."""
        return sort_error(exc, self._path)

    def describe(self) -> str:
        """Return the file and the version of the library."""
        return f"SQLite {sqlite3.sqlite_version}, {self.place}"

    @property
    def place(self) -> str:
        """Return the file."""
        return f"file {self._path}"

    @property
    def namespace(self) -> str:
        """Return the file: it has no server."""
        return str(self._path)

    @property
    def file(self) -> Path | None:
        """Return the file that holds the rows."""
        return self._path

    def now(self, conn: sa.Connection) -> datetime:  # noqa: ARG002 - other targets ask there
        """Return the machine's clock: file and machine are one here."""
        return datetime.now(UTC)

    # --- names

    def physical_name(self, table: TableName) -> tuple[str | None, str]:
        """Return the schema as part of the name: one file keeps every commit atomic."""
        return None, str(table)

    def with_room(self, column_type: ColumnType) -> ColumnType:
        """Return a type with room: what SQLite keeps as text has no limits there."""
        if column_type.kind in column_types.WITH_FRACTION:
            return replace(column_type, precision=FRACTION)
        if column_type.kind is not Kind.DECIMAL:
            return column_type
        return replace(column_type, precision=max(column_type.precision, EXACT_DIGITS))

    # --- the journal's own tables

    def run_script(self, conn: sa.Connection, script: str) -> None:
        """Run the statements one by one; `executescript` would commit what came before."""
        own = script.replace('"ref.', f'"{self.schemas.reference}.')
        for statement in _split_statements(own):
            if not self._adds_known_column(conn, statement):
                conn.exec_driver_sql(statement)

    def _adds_known_column(self, conn: sa.Connection, statement: str) -> bool:
        """Return whether a script has been here before: SQLite knows no IF NOT EXISTS there."""
        match = _ADD_COLUMN.search(statement)
        if match is None:
            return False
        query = sa.text("SELECT 1 FROM pragma_table_info(:t) WHERE name = :c")
        return conn.execute(query, {"t": match["table"], "c": match["column"]}).first() is not None

    # --- tables

    def has_table(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether the table exists; SQLite compares names without ASCII case."""
        return self._stored_name(conn, table) is not None

    def _stored_name(self, conn: sa.Connection, table: TableName) -> str | None:
        return conn.execute(_STORED_NAME, {"n": str(table).lower()}).scalar()

    def reflect(self, conn: sa.Connection, table: TableName) -> TableInfo | None:
        """Return the columns with the types they were declared with."""
        found = conn.execute(_COLUMNS, {"t": str(table), "n": str(table).lower()}).all()
        if not found:
            return None
        computed = tuple(row.name for row in found if row.hidden)
        columns = tuple(
            TableColumn(
                row.name,
                parse_declared(row.type),
                nullable=not row.notnull,
                has_default=row.dflt_value is not None,
            )
            for row in found
            if row.name not in LINEAGE and not row.hidden
        )
        names = {row.name for row in found}
        return TableInfo(table, columns, names.issuperset(LINEAGE), computed)

    def find_rules(self, conn: sa.Connection, table: TableName) -> TableRules:
        """Return the triggers, and one word for rules that its definition has."""
        found = conn.execute(_DEFINITIONS, {"n": str(table).lower()}).all()
        has_rules = any(kind == "table" and _declares_rules(sql) for kind, _, sql in found)
        triggers = sorted(name for kind, name, _ in found if kind == "trigger")
        return TableRules(tuple(triggers), (f"the rules of {table}",) if has_rules else ())

    def may_change_rows(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether there is a trigger, or a key that may replace rows (ON CONFLICT)."""
        found = conn.execute(_DEFINITIONS, {"n": str(table).lower()}).all()
        return any(kind == "trigger" or _declares_rules(sql) for kind, _, sql in found)

    def list_columns(self, conn: sa.Connection, schema: str) -> Mapping[TableName, Sequence[str]]:
        """Ask for all tables whose names begin with the schema's."""
        query = sa.text(
            "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c"
            " WHERE t.type = 'table' ORDER BY t.name, c.cid"
        )
        found: dict[TableName, list[str]] = {}
        for table, column in conn.execute(query).all():
            before, point, name = table.partition(".")
            if point and before.lower() == schema.lower():
                columns = found.setdefault(TableName(schema, name), [])
                if column not in LINEAGE:
                    columns.append(column)
        return found

    def list_stages(self, conn: sa.Connection) -> Sequence[tuple[TableName, int]]:
        """Return the tables of the stage schema; their names end in the load's id."""
        prefix = f"{self.schemas.stage}."
        query = sa.text("SELECT name FROM sqlite_master WHERE type='table'")
        names = [name for name in conn.execute(query).scalars() if name.startswith(prefix)]
        found = [(name, re.search(r"__(\d+)$", name)) for name in names]
        return [
            (TableName(self.schemas.stage, name.removeprefix(prefix)), int(match[1]))
            for name, match in found
            if match
        ]

    def drop_table(self, conn: sa.Connection, table: TableName) -> None:
        """Drop a stage or a backup."""
        if table.schema not in (self.schemas.stage, self.schemas.backup):
            raise ValueError(f"{table} is neither a stage nor a backup")
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS {self.quoted(table)}")

    def column_ddl(self, column_type: ColumnType) -> str:
        """Return a declaration whose affinity keeps the value (datatype3.html, section 3.1)."""
        return declaration(column_type)

    def measure(self, conn: sa.Connection, table: TableName, column: TableColumn) -> ColumnType:
        """Return what a number column needs; what is kept as text has no order of size."""
        if is_kept_as_text(column.type):
            return column.type
        return super().measure(conn, table, column)

    def text_of(self, value: Any, column_type: ColumnType) -> str | None:
        """Return a number in its column's form; everything else is stored as it was written."""
        return stored_text(value, column_type)

    # --- stage

    def create_stage(self, conn: sa.Connection, plan: Plan, stage: TableName) -> None:
        """Create the side table; it can become the table by a rename."""
        conn.exec_driver_sql(self._create_statement(stage, plan.table_columns, lineage=True))

    def _create_statement(
        self, table: TableName, columns: Sequence[TableColumn], *, lineage: bool
    ) -> str:
        parts = [f"{self.quoted_column(c.name)} {self.column_ddl(c.type)}" for c in columns]
        if lineage:
            parts += [f"{self.quoted_column(name)} INTEGER NOT NULL" for name in LINEAGE]
        return f"CREATE TABLE {self.quoted(table)} ({', '.join(parts)})"

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
        """Write the records with one prepared INSERT, `batch_rows` rows at a time."""
        names = [*(c.name for c in plan.columns), *LINEAGE]
        marks = ", ".join("?" * len(names))
        columns = ", ".join(self.quoted_column(name) for name in names)
        statement = f"INSERT INTO {self.quoted(stage)} ({columns}) VALUES ({marks})"  # noqa: S608 - quoted by the dialect
        arrays = [storable(records.column(c.position), c.type) for c in plan.columns]
        for start in range(0, records.num_rows, batch_rows):
            lists = [a.slice(start, batch_rows).to_pylist() for a in [*arrays, source_rows]]
            rows = [(*row[:-1], load_id, row[-1]) for row in zip(*lists, strict=True)]
            taken = conn.exec_driver_sql(statement, rows).rowcount
            if taken != len(rows):
                raise TransientError(f"SQLite took {taken} of {len(rows)} rows of a batch.")

    def takes_rows(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether it has neither triggers nor keys of its owner.

        Every side table that is made and dropped has SQLite prepare each statement of each
        connection anew, and read the whole schema.
        """
        return not self.may_change_rows(conn, table)

    def makes_tables_alone(self, conn: sa.Connection) -> bool:  # noqa: ARG002 - it is always so
        """Return True: a table is its definition, and a rename has the whole schema read anew."""
        return True

    def stream_rows(self, plan: Plan, stage: TableName, load_id: int) -> RowStream:
        """Have another process write the columns, while no transaction of ours has the file."""

        def arrange(records: "pa.RecordBatch", source_rows: "pa.Array") -> "pa.RecordBatch":
            return _arrange(plan, records, source_rows, load_id)

        return ColumnStream(self._bulk, self._checkpointer, str(stage), arrange)

    def close(self) -> None:
        """End the process that writes columns, and give back every connection."""
        self._bulk.close()
        self._checkpointer.close()
        super().close()

    def count_rows(self, conn: sa.Connection, table: TableName) -> int:
        """Return the number of rows."""
        counted = conn.exec_driver_sql(f"SELECT count(*) FROM {self.quoted(table)}")  # noqa: S608
        return int(counted.scalar_one())

    def count_up_to(self, conn: sa.Connection, table: TableName, most: int) -> int | None:
        """Return the number of rows, None when there are more than `most`: it looks no further.

        Where the last row id, or a column that hides it, says that there are few, they are counted
        by the page, which takes a hundredth of the time of looking at each (measured).
        """
        name = self.quoted(table)
        few = f"(SELECT max({_ROW_ID}) FROM {name}) <= {most}"  # noqa: S608 - quoted by the dialect
        by_page = f"(SELECT count(*) FROM {name})"  # noqa: S608
        some = f"(SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {most + 1}))"  # noqa: S608
        try:
            counted = conn.exec_driver_sql(f"SELECT CASE WHEN {few} THEN {by_page} ELSE {some} END")
        except sa.exc.OperationalError as exc:
            if "no such column" not in str(exc):
                raise
            return super().count_up_to(conn, table, most)  # its owner's, without row ids
        found = int(counted.scalar_one())
        return found if found <= most else None

    # --- publish

    def lock_queue(self, conn: sa.Connection, table: TableName) -> None:
        """Do nothing: a write transaction has the whole file to itself."""

    def lock_table(self, conn: sa.Connection, table: TableName) -> None:
        """Do nothing, for the same reason."""

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
        """Publish by rename where nothing hangs on the old table, else by copying rows."""
        if plan.creates_table:
            self._rename(conn, stage, plan.table)
            return Published(0, staged, staged, staged, None)
        if plan.load_type is LoadType.APPEND:
            return self.add_rows(conn, plan, staged, lambda: self._copy_into(conn, plan, stage))
        before = self.count_rows(conn, plan.table)
        backup = self.backup_name(plan.table, load_id) if keep_backup else None
        if backup is not None and plan.has_lineage and self._stands_alone(conn, plan.table):
            self._rename(conn, plan.table, backup)
            self._rename(conn, stage, plan.table)
            return Published(before, staged, staged, staged, backup)
        self.take_rows_out(conn, plan.table, backup)
        self._copy_into(conn, plan, stage)
        after = self.count_rows(conn, plan.table)
        return Published(before, after, staged, after, backup)

    def create_table(self, conn: sa.Connection, plan: Plan) -> None:
        """Make the table of a plan, without rows."""
        conn.exec_driver_sql(self._create_statement(plan.table, plan.table_columns, lineage=True))

    def copy_table(self, conn: sa.Connection, source: TableName, copy: TableName) -> None:
        """Copy into columns that are declared alike: it says how values are printed.

        CREATE TABLE AS would keep no more of a declaration than its affinity.
        """
        found = conn.exec_driver_sql(f"PRAGMA table_xinfo({self.quoted(source)})").all()
        quote = self.quoted_column
        columns = [quote(row.name) + (f" {quote(row.type)}" if row.type else "") for row in found]
        conn.exec_driver_sql(f"CREATE TABLE {self.quoted(copy)} ({', '.join(columns)})")
        rows = f"SELECT * FROM {self.quoted(source)}"  # noqa: S608 - quoted by the dialect
        conn.exec_driver_sql(f"INSERT INTO {self.quoted(copy)} {rows}")

    def _stands_alone(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether nothing of the owner's hangs on the table.

        A rename would take its indexes, triggers and rules along to the backup, and leave views
        and foreign keys behind.
        """
        if not self._is_plain(conn, table):
            return False
        name = str(table).lower()
        query = sa.text("SELECT lower(name), lower(tbl_name), lower(sql) FROM sqlite_master")
        for own, of_table, sql in conn.execute(query):
            if own != name and (of_table == name or _mentions(sql or "", name)):
                return False
        return True

    def _is_plain(self, conn: sa.Connection, table: TableName) -> bool:
        """Return whether a table made anew by its columns would be the same."""
        sql = self._definition_of(conn, table)
        # Only lineage is declared NOT NULL by dropload.
        demands_no_more = len(_NOT_NULL.findall(_QUOTED.sub("", sql))) <= len(LINEAGE)
        return demands_no_more and not _declares_rules(sql)

    def _definition_of(self, conn: sa.Connection, table: TableName) -> str:
        query = sa.text("SELECT sql FROM sqlite_master WHERE type='table' AND lower(name)=:n")
        return str(conn.execute(query, {"n": str(table).lower()}).scalar() or "")

    def _rename(self, conn: sa.Connection, old: TableName, new: TableName) -> None:
        conn.exec_driver_sql(f"ALTER TABLE {self.quoted(old)} RENAME TO {self.quoted(new)}")

    def _copy_into(self, conn: sa.Connection, plan: Plan, stage: TableName) -> int:
        self._change_columns(conn, plan)
        added = self.change_rows(conn, self._copy_statement(conn, plan, stage))
        self.drop_table(conn, stage)
        return added

    def _copy_statement(self, conn: sa.Connection, plan: Plan, stage: TableName) -> str:
        """Return what copies the rows in the order of their file: that in which they were staged.

        Between tables that are declared alike SQLite copies whole rows without looking into them
        (the "transfer optimization" of its insert.c), if nothing but `SELECT *` is asked for; they
        come in the order of the row ids then, too.
        """
        table, source = self.quoted(plan.table), self.quoted(stage)
        if self._declared(conn, plan.table) == self._declared(conn, stage):
            return f"INSERT INTO {table} SELECT * FROM {source}"  # noqa: S608 - quoted by the dialect
        names = [c.name for c in plan.columns] + (list(LINEAGE) if plan.has_lineage else [])
        columns = ", ".join(self.quoted_column(name) for name in names)
        # A column of that name hides the row id, also one that the file does not fill.
        is_hidden = any(c.name.lower() == _ROW_ID for c in plan.table_columns)
        order = SOURCE_ROW if is_hidden else _ROW_ID
        return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source} ORDER BY {order}"  # noqa: S608

    def _declared(self, conn: sa.Connection, table: TableName) -> list[tuple[Any, ...]]:
        found = conn.exec_driver_sql(f"PRAGMA table_xinfo({self.quoted(table)})")
        return [tuple(row)[1:] for row in found]

    def _change_columns(self, conn: sa.Connection, plan: Plan) -> None:
        if any(column.action == "widen" for column in plan.columns):
            self._rebuild(conn, plan)
            return
        for column in plan.columns:
            if column.action == "add":
                ddl = f"{self.quoted_column(column.name)} {self.column_ddl(column.type)}"
                conn.exec_driver_sql(f"ALTER TABLE {self.quoted(plan.table)} ADD COLUMN {ddl}")

    def _rebuild(self, conn: sa.Connection, plan: Plan) -> None:
        """Give the table its new column types; SQLite cannot alter a column's type.

        The order is SQLite's own (https://www.sqlite.org/lang_altertable.html, section 7): new
        table, copy, drop, rename, then indexes, triggers and views again.
        """
        if not self._is_plain(conn, plan.table):
            raise TargetError(
                f"{plan.table} needs wider columns, but has rules (defaults, checks, keys) of its "
                "owner that dropload would lose by making it anew.",
                hint="Change the columns by hand: " + "; ".join(plan.notes),
                code="column_change",
            )
        info = self.reflect(conn, plan.table)
        assert info is not None  # noqa: S101 - publish has seen it in this transaction
        attached = self._attached_objects(conn, plan.table)
        made_anew = self._rebuild_statements(plan, info.columns, lineage=info.has_lineage)
        for statement in [*made_anew, *attached]:
            conn.exec_driver_sql(statement)

    def _rebuild_statements(
        self, plan: Plan, before: Sequence[TableColumn], *, lineage: bool
    ) -> list[str]:
        """Return what makes a table anew, but for its indexes and triggers."""
        fresh = TableName(plan.table.schema, f"{plan.table.name}__rebuild")
        wanted = {c.name: c.type for c in plan.table_columns}
        names = [c.name for c in before]
        values = [self._converted(c, wanted[c.name]) for c in before]
        if lineage:
            names, values = [*names, *LINEAGE], [*values, LOAD_ID, SOURCE_ROW]
        listed = ", ".join(map(self.quoted_column, names))
        read = f"SELECT {', '.join(values)} FROM {self.quoted(plan.table)}"  # noqa: S608
        return [
            self._create_statement(fresh, plan.table_columns, lineage=lineage),
            f"INSERT INTO {self.quoted(fresh)} ({listed}) {read}",
            f"DROP TABLE {self.quoted(plan.table)}",
            f"ALTER TABLE {self.quoted(fresh)} RENAME TO {self.quoted(plan.table)}",
        ]

    def explain_changes(self, plan: Plan) -> list[str]:
        """Return the statements: SQLite cannot alter a column, so a wider table is made anew."""
        widened = any(column.action == "widen" for column in plan.columns)
        if plan.table_before is None or not widened:
            return super().explain_changes(plan)
        return self._rebuild_statements(plan, plan.table_before, lineage=plan.has_lineage)

    def _attached_objects(self, conn: sa.Connection, table: TableName) -> list[str]:
        query = sa.text(
            "SELECT sql FROM sqlite_master WHERE lower(tbl_name)=:n AND sql IS NOT NULL"
            " AND type IN ('index', 'trigger')"
        )
        return list(conn.execute(query, {"n": str(table).lower()}).scalars())

    def read_as(
        self,
        conn: sa.Connection,  # noqa: ARG002 - the function that prints is on every connection
        backup: TableName,  # noqa: ARG002
        column: TableColumn,
        wanted: ColumnType,
    ) -> str:
        """Return the expression that prints a value as it was written, where that is needed."""
        return self._converted(column, wanted)

    def _converted(self, column: TableColumn, wanted: ColumnType) -> str:
        """Return the expression that keeps an old value as it was written under its new type."""
        name = self.quoted_column(column.name)
        if not is_kept_as_text(wanted) or is_kept_as_text(column.type):
            return name
        decimals = wanted.scale if wanted.kind is Kind.DECIMAL else column.type.scale
        return f"{PRINT}({name}, '{column.type.kind}', {decimals})"


def _split_statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip() and not all(
        line.startswith("--") or not line.strip() for line in pending.splitlines()
    ):
        yield pending


def _declares_rules(sql: str) -> bool:
    return _RULES.search(_QUOTED.sub("", sql)) is not None


def _mentions(sql: str, name: str) -> bool:
    return any(f"{name}{quote}" in sql for quote in "\"`]'")


def _arrange(
    plan: Plan, records: "pa.RecordBatch", source_rows: "pa.Array", load_id: int
) -> "pa.RecordBatch":
    """Return the columns of the side table, named, with its lineage."""
    import pyarrow as pa  # noqa: PLC0415 - only what loads rows needs Arrow

    values = [storable(records.column(c.position), c.type) for c in plan.columns]
    ids = pa.repeat(pa.scalar(load_id, pa.int64()), records.num_rows)
    names = [*(c.name for c in plan.columns), *LINEAGE]
    return pa.RecordBatch.from_arrays([*values, ids, source_rows], names=names)
