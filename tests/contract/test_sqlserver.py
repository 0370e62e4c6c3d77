"""What only SQL Server has: connection string, native error numbers, wording of statements."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from dropload.config import DatabaseConfig, SchemasConfig
from dropload.errors import (
    ConfigError,
    ConstraintError,
    DroploadError,
    FileError,
    LockedError,
    TargetError,
    TransientError,
)
from dropload.loading import lock_as_planned
from dropload.model import ColumnType, Kind, LoadType
from tests.contract.test_targets import make_plan

# The driver of the extra needs a library of the system, which not every machine has.
pyodbc = pytest.importorskip(
    "pyodbc", reason="libodbc.so.2 is missing (libodbc2)", exc_type=ImportError
)

from dropload.targets.mssql import SQLServerTarget, bulk, columns  # noqa: E402
from dropload.targets.mssql.bulk import BulkStream, BulkWriter  # noqa: E402
from dropload.targets.mssql.engine import refuse_lazy_commits, refuse_old_server  # noqa: E402
from dropload.targets.mssql.odbc import (  # noqa: E402
    Driver,
    connection_string,
    find_driver,
    settings_of,
)

GOLDEN = Path(__file__).parents[1] / "files" / "golden"


def settings(**values: object) -> DatabaseConfig:
    return DatabaseConfig.model_validate({"type": "mssql", "host": "db", **values})


def target(**values: object) -> SQLServerTarget:
    return SQLServerTarget(settings(**values), SchemasConfig())


# --- connecting


def test_the_connection_string_encrypts_and_checks_the_certificate_unless_told_otherwise() -> None:
    text = connection_string(settings(name="sales", user="me"), Driver("D18", ""), "pw")
    assert text == (
        "DRIVER=D18;SERVER=db;DATABASE=sales;UID=me;PWD=pw;Encrypt=yes;"
        "TrustServerCertificate=no;APP=dropload"
    )


@pytest.mark.parametrize(
    ("values", "password", "expected"),
    [
        ({"port": 1444}, None, "SERVER=db,1444;"),
        ({"instance": "SQLEXPRESS"}, None, "SERVER=db\\SQLEXPRESS;"),
        ({}, "a;b}c", "PWD={a;b}}c};"),
        ({"trusted_connection": True}, None, "Trusted_Connection=yes"),
        ({"authentication": "ActiveDirectoryMsi"}, None, "Authentication=ActiveDirectoryMsi"),
        ({"encrypt": "strict"}, None, "Encrypt=strict"),
        ({"trust_server_certificate": True}, None, "TrustServerCertificate=yes"),
    ],
)
def test_each_part_stands_where_the_driver_looks_for_it(
    values: dict[str, object], password: str | None, expected: str
) -> None:
    assert expected in connection_string(settings(**values), Driver("D", ""), password) + ";"


def test_without_a_registered_driver_the_one_of_the_wheel_is_used() -> None:
    driver = find_driver(None)
    if pyodbc.drivers():
        pytest.skip(f"this system has registered {driver.name}")
    assert "wheel" in driver.origin
    assert Path(driver.name).is_file()
    assert find_driver("My Driver") == Driver("My Driver", "database.odbc_driver")


def test_the_password_comes_from_its_file_or_systemds_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropload.targets.server import database_password

    (tmp_path / "password").write_text("from file\n")
    assert database_password(settings(password_file=tmp_path / "password")) == "from file"
    assert database_password(settings()) is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert database_password(settings()) == "from file"
    assert database_password(settings(password="direct")) == "direct"
    with pytest.raises(ConfigError, match="password_file"):
        database_password(settings(password_file=tmp_path / "none"))


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("encrypt=perhaps", "database.url is wrong: encrypt"),
        ("MultiSubnetFailover=yes", "does not know: multisubnetfailover"),
    ],
)
def test_an_option_of_the_url_that_cannot_be_is_refused(option: str, complaint: str) -> None:
    wrong = DatabaseConfig.model_validate({"url": f"mssql://u:p@db/x?{option}"})
    with pytest.raises(ConfigError, match=complaint):
        settings_of(wrong)


def test_the_drivers_other_words_for_encryption_are_taken() -> None:
    named = DatabaseConfig.model_validate({"url": "mssql://u:p@db/x?encrypt=Mandatory"})
    assert settings_of(named).encrypt == "yes"


# --- errors


@pytest.mark.parametrize(
    ("state", "number", "text", "expected"),
    [
        ("40001", 1205, "was deadlocked on lock resources", TransientError),
        ("HYT00", 1222, "Lock request time out period exceeded", LockedError),
        ("42000", 40613, "Database is not currently available", TransientError),
        ("42000", 49918, "Not enough resources to process request", TransientError),
        ("08S01", 10054, "Connection reset by peer", TransientError),
        ("08001", 258, "Login timeout expired", TransientError),
        ("42000", 9002, "The transaction log is full", TargetError),
        ("42000", 1105, "Could not allocate space", TargetError),
        ("42000", 229, "The SELECT permission was denied", TargetError),
        ("42S01", 2714, "There is already an object named 'orders' in the database", TargetError),
        ("42000", 2760, "The specified schema name does not exist or you do not", TargetError),
        ("42000", 4902, "Cannot find the object because it does not exist or", TargetError),
        ("42000", 8104, "The current user is not the database or object owner", TargetError),
        ("42000", 4613, "Grantor does not have GRANT permission", TargetError),
        ("28000", 18456, "Login failed for user 'x'", ConfigError),
        ("01000", 0, "Can't open lib 'x' : file not found", ConfigError),
        ("08001", 20, "SSL Provider: certificate verify failed", ConfigError),
        ("23000", 2627, "Violation of PRIMARY KEY constraint", ConstraintError),
        ("22001", 2628, "String or binary data would be truncated", ConstraintError),
        ("22003", 8115, "Arithmetic overflow error", ConstraintError),
        ("42S02", 208, "Invalid object name", TargetError),
        ("42000", 4060, "Cannot open database requested by the login", TransientError),
        ("23000", 2627, "Violation of UNIQUE KEY in dbo.certificates", ConstraintError),
        ("22018", 245, "Conversion failed for 'file not found (1205) (SQLX) '", ConstraintError),
        ("42000", 922, "Database is being recovered", TransientError),
        ("42000", 51000, "zero is no number", ConstraintError),
        ("42000", 2705, "Column names in each table must be unique", FileError),
        ("42000", 511, "Cannot create a row of size 9000", FileError),
        ("42000", 1702, "CREATE TABLE failed: column exceeds the maximum of columns", FileError),
    ],
)
def test_errors_are_sorted_by_who_must_act(
    state: str, number: int, text: str, expected: type[DroploadError]
) -> None:
    """Promise 6"""
    message = f"[{state}] [Microsoft][ODBC Driver 18][SQL Server]{text} ({number}) (SQLExecDirectW)"
    original = pyodbc.ProgrammingError(state, message)
    error = target().translate(sa.exc.ProgrammingError("SELECT 1", {}, original))
    assert type(error) is expected
    assert text.partition(":")[0].partition("'")[0] in error.message
    assert "[Microsoft]" not in error.message


@pytest.mark.parametrize("number", [102, 156])
def test_a_server_that_does_not_know_our_statements_is_called_too_old(number: int) -> None:
    class Old:
        def execute(self, _statement: str) -> None:
            message = f"[42000] [Microsoft][SQL Server]Incorrect syntax ({number}) (SQLExecDirectW)"
            raise pyodbc.ProgrammingError("42000", message)

    with pytest.raises(ConfigError, match="too old for dropload, which needs 2016"):
        refuse_old_server(Old(), None)


@pytest.mark.parametrize("setting", ["FORCED", "ALLOWED", "DISABLED"])
def test_a_database_that_may_lose_commits_is_refused(setting: str) -> None:
    """Promise 3"""

    class Asked:
        def execute(self, _statement: str) -> "Asked":
            return self

        def fetchone(self) -> tuple[str]:
            return (setting,)

        def rollback(self) -> None:
            pass

    if setting != "FORCED":
        refuse_lazy_commits(Asked(), None)
        return
    with pytest.raises(TargetError, match="may lose commits"):
        refuse_lazy_commits(Asked(), None)


def test_another_error_of_a_new_connection_is_not_called_age() -> None:
    class Denied:
        def execute(self, _statement: str) -> None:
            raise pyodbc.ProgrammingError(
                "42000", "[42000] permission denied (229) (SQLExecDirectW)"
            )

    with pytest.raises(pyodbc.Error, match="229"):
        refuse_old_server(Denied(), None)


# --- bulk copy


class Copier(BulkWriter):
    """Copies as it is told, without a server."""

    def __init__(self) -> None:
        self.now = 0.0
        self.is_cut = False
        self.lost_rows = 0
        self.logins: list[str] = []
        self.committed: dict[str, list[str]] = {}
        super().__init__(settings(), None, lambda: self.now)

    def copy(self, table: str, rows: pa.RecordBatchReader) -> int:
        self.logins.append(table)
        found: list[str] = []
        for batch in rows:
            if self.is_cut:
                raise RuntimeError("connection reset")
            found += batch.column(0).to_pylist()
        self.committed.setdefault(table, []).extend(found)
        return len(found) - self.lost_rows

    def stream(self, table: str = "t") -> BulkStream:
        return BulkStream(self, table, lambda records, _rows: records)

    def try_once(self) -> str:
        stream = self.stream()
        try:
            is_sent = stream.send(batch_of("x"))
            stream.settle()
        except TransientError:
            return "again"
        return "bulk" if is_sent else "insert"


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LEAST_BYTES", 0)


def batch_of(*texts: str) -> list[tuple[pa.RecordBatch, pa.Array]]:
    numbers = pa.array([1], pa.int64())
    return [(pa.RecordBatch.from_pydict({"c": [text]}), numbers) for text in texts]


@pytest.mark.usefixtures("any_size")
def test_one_login_serves_all_rows_until_they_are_settled() -> None:
    """Each bulk copy is a connection of its own, which costs more than the rows it brings."""
    copier = Copier()
    stream = copier.stream()
    for text in ("a", "b", "c"):
        assert stream.send(batch_of(text))
    assert copier.committed == {}
    stream.settle()
    assert (copier.logins, copier.committed) == (["t"], {"t": ["a", "b", "c"]})
    assert stream.send(batch_of("d"))
    stream.settle()
    stream.settle()
    assert (copier.logins, copier.committed) == (["t", "t"], {"t": ["a", "b", "c", "d"]})


@pytest.mark.usefixtures("any_size")
def test_rows_that_nobody_wants_any_more_are_not_committed() -> None:
    copier = Copier()
    stream = copier.stream()
    assert stream.send(batch_of("a"))
    stream.abandon()
    stream.abandon()
    stream.settle()
    assert copier.committed == {}
    assert copier.try_once() == "bulk", "that was no failure of the server's"


@pytest.mark.usefixtures("any_size")
def test_loads_of_several_threads_have_a_copy_each() -> None:
    copier = Copier()
    one, other = copier.stream("t"), copier.stream("u")
    for text in ("a", "b"):
        assert one.send(batch_of(text))
        assert other.send(batch_of(text.upper()))
    other.abandon()
    one.settle()
    assert copier.committed == {"t": ["a", "b"]}


@pytest.mark.usefixtures("any_size")
def test_many_threads_bring_each_row_to_its_own_table() -> None:
    copier = Copier()

    def load(table: str) -> None:
        stream = copier.stream(table)
        for n in range(200):
            assert stream.send(batch_of(f"{table}{n}"))
            if n % 50 == 49:
                stream.settle()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load, "abcd"))
    assert copier.committed == {table: [f"{table}{n}" for n in range(200)] for table in "abcd"}


@pytest.mark.usefixtures("any_size")
def test_a_copy_that_breaks_off_is_told_to_who_sends_however_much_is_left() -> None:
    copier = Copier()
    copier.is_cut = True
    stream = copier.stream()
    with pytest.raises(TransientError, match="broke off"):
        for _ in range(100):
            stream.send(batch_of("a"))


@pytest.mark.usefixtures("any_size")
def test_a_copy_that_loses_rows_rests_like_one_that_breaks_off() -> None:
    copier = Copier()
    copier.lost_rows = 1
    stream = copier.stream()
    assert stream.send(batch_of("a", "b"))
    with pytest.raises(TransientError, match="took 1 of 2 rows"):
        stream.settle()
    assert copier.try_once() == "insert"


@pytest.mark.usefixtures("any_size")
def test_a_driver_that_stops_early_leaves_nobody_waiting() -> None:
    class Sated(Copier):
        def copy(self, _table: str, rows: pa.RecordBatchReader) -> int:
            return int(rows.read_next_batch().num_rows)

    stream = Sated().stream()
    with pytest.raises(TransientError, match="broke off"):
        for _ in range(100):
            stream.send(batch_of("a"))


def test_a_few_rows_are_not_worth_a_login() -> None:
    copier = Copier()
    assert copier.try_once() == "insert"
    stream = copier.stream()
    assert stream.send(batch_of("x" * bulk.LEAST_BYTES))
    assert stream.send(batch_of("y")), "the login is there now"
    stream.settle()
    assert copier.committed["t"][1:] == ["y"]


@pytest.mark.usefixtures("any_size")
def test_bulk_copy_that_never_worked_rests_at_once() -> None:
    copier = Copier()
    copier.is_cut = True
    assert [copier.try_once() for _ in range(3)] == ["again", "insert", "insert"]
    copier.is_cut = False
    copier.now += 3600
    assert copier.try_once() == "bulk"


@pytest.mark.usefixtures("any_size")
def test_bulk_copy_that_was_cut_once_goes_on_and_rests_after_the_second_time() -> None:
    copier = Copier()
    said = [copier.try_once()]
    for is_cut in (True, False, True, True, True):
        copier.is_cut = is_cut
        said.append(copier.try_once())
    assert said == ["bulk", "again", "bulk", "again", "again", "insert"]


class Connections(BulkWriter):
    """Has connections that bring what they are given, or break."""

    def __init__(self) -> None:
        self.opened: list[Connection] = []
        super().__init__(settings(statement_timeout_seconds=7), None)

    def _connect(self) -> "Connection":
        self.opened.append(Connection())
        return self.opened[-1]


class Connection:
    def __init__(self) -> None:
        self.is_broken = self.is_closed = False

    def cursor(self) -> "Cursor":
        return Cursor(self)

    def close(self) -> None:
        self.is_closed = True


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def bulkcopy_arrow(self, _table: str, rows: pa.RecordBatchReader, **how: Any) -> dict[str, int]:
        assert how == {"timeout": 7, "keep_nulls": True}
        if self._connection.is_broken:
            raise RuntimeError("connection reset")
        return {"rows_copied": sum(batch.num_rows for batch in rows)}

    def close(self) -> None:
        pass


def test_a_connection_serves_one_copy_after_the_other_until_it_breaks() -> None:
    writer = Connections()

    def copy_once() -> int:
        schema = pa.schema({"c": pa.string()})
        batches = [batch_of("a")[0][0]]
        return writer.copy("t", pa.RecordBatchReader.from_batches(schema, batches))

    assert [copy_once(), copy_once(), len(writer.opened)] == [1, 1, 1]
    [first] = writer.opened
    first.is_broken = True
    with pytest.raises(RuntimeError):
        copy_once()
    assert first.is_closed
    assert [copy_once(), len(writer.opened)] == [1, 2]
    writer.close()
    assert writer.opened[1].is_closed


# --- statements


class Recorder:
    """Takes statements as a connection would and answers that the table is there and empty."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self.statements: list[str] = []
        self.has_tables = True
        self._dialect = dialect

    def execute(self, query: Any, _parameters: object = None) -> "Recorder":
        return self.exec_driver_sql(str(query.compile(dialect=self._dialect)))

    def exec_driver_sql(
        self, statement: str, parameters: tuple[object, ...] | None = None
    ) -> "Recorder":
        del parameters
        self.statements.append(statement)
        return self

    def scalar_one(self) -> int:
        return int(self.has_tables)

    def scalar(self) -> int:
        return 0

    def first(self) -> None:
        return None

    def mappings(self) -> "Recorder":
        return self

    def all(self) -> list[dict[str, object]]:
        unknown = dict.fromkeys(("length", "precision", "scale", "fraction", "code_page"))
        common = {**unknown, "nullable": 1, "has_value": 0, "computed": 0, "numbered": 0}
        common |= {"numbered_always": 0, "collation": None}
        return [
            {**common, "name": "id", "type": "bigint"},
            {**common, "name": "name", "type": "nvarchar", "length": 50},
        ]


@pytest.mark.parametrize(
    ("kind", "load_type", "rows"),
    [
        ("append", LoadType.APPEND, 2),
        ("append_large", LoadType.APPEND, 200_000),
        ("fullload", LoadType.FULLLOAD, 2),
        ("fullload_large", LoadType.FULLLOAD, 200_000),
        ("new_large", LoadType.APPEND, 200_000),
    ],
)
def test_the_statements_of_a_load_are_those_that_were_reviewed(
    kind: str, load_type: LoadType, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed statement is seen in review: the golden file changes with it."""
    server = target()
    recorder: Any = Recorder(server.engine.dialect)

    def note_change(_conn: object, statement: str) -> int:
        recorder.exec_driver_sql(f"SET NOCOUNT ON; {statement}")
        return 1

    def note_lock(_conn: object, statement: str, *_values: object) -> list[tuple[int]]:
        recorder.exec_driver_sql(statement)
        return [(0,)]

    monkeypatch.setattr(server, "change_rows", note_change)
    monkeypatch.setattr("dropload.targets.mssql.target._run_to_end", note_lock)
    plan = make_plan(load_type, rows=rows)
    recorder.has_tables = not kind.startswith("new")
    info = server.reflect(recorder, plan.table)
    plan = replace(plan, table_before=info.columns if info else None)
    recorder.statements.clear()
    stage = server.stage_name(plan.table, 7)
    server.create_stage(recorder, plan, stage)
    server.lock_queue(recorder, plan.table)
    staged = server.count_rows(recorder, stage)
    lock_as_planned(server, recorder, plan)
    server.publish(recorder, plan, stage, 7, staged=staged, keep_backup=True)
    golden = GOLDEN / f"mssql_{kind}.sql"
    written = ";\n".join(recorder.statements) + ";\n"
    assert written == golden.read_text(encoding="utf-8"), f"if it is right, write it to {golden}"


# --- the side table


def plan_of_texts(*longest: int) -> Any:
    plan = make_plan(columns={f"c{n}": ColumnType(Kind.TEXT) for n in range(len(longest))})
    profiled = [
        replace(column, max_length=length)
        for column, length in zip(plan.profile.columns, longest, strict=True)
    ]
    return replace(plan, profile=replace(plan.profile, columns=tuple(profiled)))


def test_a_side_table_declares_its_texts_no_wider_than_they_need_be() -> None:
    plan = plan_of_texts(0, 127, 128, 2000, 2001)
    widths = [columns.staged_ddl(plan, column) for column in plan.columns]
    assert widths == [f"nvarchar({width})" for width in (255, 255, 4000, 4000, "max")]


@pytest.mark.parametrize("text", [None, "x" * 255, "\N{GRINNING FACE}" * 127, "\u0142" * 127])
def test_texts_that_have_room_in_the_side_table_are_sent(text: str | None) -> None:
    columns.check_room(plan_of_texts(5), pa.record_batch({"c0": [text, "x"]}))


@pytest.mark.parametrize("text", ["x" * 256, "\N{GRINNING FACE}" * 128])
def test_a_text_longer_than_its_files_beginning_promised_has_the_side_table_made_anew(
    text: str,
) -> None:
    with pytest.raises(TransientError, match="c0"):
        columns.check_room(plan_of_texts(5), pa.record_batch({"c0": [text]}))
    columns.check_room(plan_of_texts(2001), pa.record_batch({"c0": [text]}))


@pytest.mark.parametrize(
    ("rows", "is_new", "is_bulk"), [(102_399, 1, 0), (102_400, 1, 1), (102_400, 0, 0)]
)
def test_only_many_rows_of_a_new_table_are_added_in_bulk(
    rows: int, is_new: int, is_bulk: int
) -> None:
    """Readers of a heap wait for such an insert whatever their isolation."""
    plan = make_plan(rows=rows)
    if not is_new:
        plan = replace(plan, table_before=plan.table_columns)
    assert ("TABLOCK" in target().insert_words(plan)) == bool(is_bulk)
