"""What every target must do the same way; one suite, run on each target that is there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from dropload.errors import ConfigError, DroploadError, TargetError, TransientError
from dropload.journal import apply_scripts
from dropload.model import (
    Area,
    ColumnProfile,
    ColumnType,
    Kind,
    Layout,
    LoadType,
    Plan,
    PlannedColumn,
    Profile,
    TableColumn,
    TableName,
)
from dropload.targets import open_target, restoring
from dropload.targets.base import Published, Target
from tests.conftest import make_config

ORDERS = TableName("ref", "orders")
LAYOUT = Layout("utf-8", ",", '"', "", True, 0, ("id", "name"), 1.0)
INTEGER, TEXT = ColumnType(Kind.INTEGER), ColumnType(Kind.TEXT)


@pytest.fixture
def target(database_url: str, tmp_path: Path) -> Iterator[Target]:
    made = open_target(make_config(tmp_path, database={"url": database_url}))
    apply_scripts(made)
    yield made
    made.close()


def make_plan(
    load_type: LoadType = LoadType.FULLLOAD,
    columns: dict[str, ColumnType] | None = None,
    *,
    lineage: bool = True,
    rows: int = 2,
    longest: int = 5,
) -> Plan:
    types = columns or {"id": INTEGER, "name": TEXT}
    profile = Profile(
        "0" * 64,
        "sha256",
        10,
        rows,
        tuple(ColumnProfile(name, name, kind, 0, longest) for name, kind in types.items()),
        0,
        (),
        "tolerant",
    )
    planned = tuple(
        PlannedColumn(name, kind, position) for position, (name, kind) in enumerate(types.items())
    )
    return Plan(
        ORDERS,
        load_type,
        LAYOUT,
        profile,
        planned,
        (),
        table_before=None,
        table_columns=tuple(TableColumn(name, kind) for name, kind in types.items()),
        has_lineage=lineage,
        rows_before=0,
    )


def records(*columns: list[str | None]) -> pa.RecordBatch:
    arrays = [pa.array(column, pa.string()) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{n}" for n in range(len(arrays))])


def stage(target: Target, plan: Plan, load_id: int, batch: pa.RecordBatch) -> TableName:
    name = target.stage_name(plan.table, load_id)
    numbers = pa.array(range(1, batch.num_rows + 1), pa.int64())
    # Two transactions, as a load does it: a bulk protocol has a connection of its own.
    with target.write() as conn:
        target.create_stage(conn, plan, name)
    stream = target.stream_rows(plan, name, load_id)
    if stream.send([(batch, numbers)]):
        stream.settle()
        return name
    with target.write() as conn:
        target.write_batch(conn, plan, name, batch, numbers, load_id, 990)
    return name


def publish(
    target: Target, conn: sa.Connection, plan: Plan, name: TableName, load_id: int
) -> Published:
    """Publish into the table as it is now, as a load does whose plan was made of that."""
    staged = target.count_staged(conn, plan, name)
    target.lock_table(conn, plan.table)
    info = target.reflect(conn, plan.table)
    plan = replace(plan, table_before=info.columns if info else None)
    return target.publish(conn, plan, name, load_id, staged=staged, keep_backup=True)


def load(target: Target, plan: Plan, load_id: int, batch: pa.RecordBatch) -> None:
    name = stage(target, plan, load_id, batch)
    with target.write() as conn:
        publish(target, conn, plan, name, load_id)


def rows_of(target: Target, table: TableName, *names: str) -> list[tuple[object, ...]]:
    columns = ", ".join(target.quoted_column(name) for name in names)
    with target.read() as conn:
        query = f"SELECT {columns} FROM {target.quoted(table)} ORDER BY 1"
        return [tuple(row) for row in conn.exec_driver_sql(query)]


def test_it_says_what_it_is(target: Target) -> None:
    assert target.describe()
    assert target.schema_of(Area.REFERENCE) == "ref"
    assert target.system_name in ("sqlite", "postgresql", "microsoft.sql_server")
    assert target.namespace in target.place


def test_a_missing_table_reflects_as_none(target: Target) -> None:
    with target.read() as conn:
        assert target.reflect(conn, ORDERS) is None
        assert not target.has_table(conn, ORDERS)


def test_every_type_is_reflected_as_it_was_created(target: Target) -> None:
    types = {
        "t": TEXT,
        "b": ColumnType(Kind.BOOLEAN),
        "i": INTEGER,
        "d": ColumnType(Kind.DECIMAL, precision=12, scale=3),
        "long": ColumnType(Kind.DECIMAL, precision=38, scale=10),
        "f": ColumnType(Kind.FLOAT),
        "day": ColumnType(Kind.DATE),
        "at": target.with_room(ColumnType(Kind.TIMESTAMP)),
        "time": target.with_room(ColumnType(Kind.TIME)),
        "key": ColumnType(Kind.UUID),
        "moment": target.with_room(ColumnType(Kind.TIMESTAMP_OFFSET)),
    }
    plan = make_plan(columns=types, rows=0)
    load(target, plan, 1, records(*([] for _ in types)))
    with target.read() as conn:
        info = target.reflect(conn, ORDERS)
    assert info is not None
    assert {c.name: c.type for c in info.columns} == types
    assert info.has_lineage


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TEXT, ["", " ", "Łódź", "東京 🎉", "a'b\"c]d`e", "x" * 100_000, "line\nbreak", "007"]),
        (INTEGER, ["0", "-1", "9223372036854775807", "-9223372036854775808"]),
        (ColumnType(Kind.DECIMAL, precision=15, scale=2), ["0.01", "-9999999999999.99", "12.50"]),
        (ColumnType(Kind.DECIMAL, precision=38, scale=2), ["123456789012345678901234567890.12"]),
        (ColumnType(Kind.FLOAT), ["0.1", "1.7976931348623157", "0.30000000000000004", "-2.5"]),
        (ColumnType(Kind.BOOLEAN), ["true", "false"]),
        (ColumnType(Kind.DATE), ["0001-01-01", "2024-02-29", "9999-12-31"]),
        (ColumnType(Kind.TIMESTAMP, precision=6), ["2024-02-29 23:59:59.999999"]),
        (ColumnType(Kind.TIME), ["00:00:00", "23:59:59"]),
        (ColumnType(Kind.TIME, precision=6), ["10:20:30.000001"]),
        (ColumnType(Kind.UUID), ["6f9619ff-8b86-d011-b42d-00c04fc964ff"]),
        (
            ColumnType(Kind.TIMESTAMP_OFFSET, precision=3, spelling="T"),
            ["2024-02-29T23:59:59.999+05:30", "1900-01-01T00:00:00.000-14:00"],
        ),
        (
            ColumnType(Kind.TIMESTAMP_OFFSET, spelling="TZ"),
            ["2024-02-29T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"],
        ),
    ],
)
def test_values_come_back_as_they_were_written_and_null_stays_null(
    target: Target, kind: ColumnType, values: list[str]
) -> None:
    """Promise 5, G5"""
    texts: list[str | None] = [*values, None]
    stored = kind if kind is TEXT else target.with_room(kind)
    longest = max(map(len, values))
    plan = make_plan(columns={"n": INTEGER, "v": stored}, rows=len(texts), longest=longest)
    load(target, plan, 1, records([str(n) for n in range(len(texts))], texts))
    found = [target.text_of(value, kind) for _, value in rows_of(target, ORDERS, "n", "v")]
    assert found == texts


def test_a_fullload_replaces_and_keeps_the_old_rows(target: Target) -> None:
    load(target, make_plan(), 1, records(["1", "2"], ["a", "b"]))
    load(target, make_plan(rows=1), 2, records(["3"], ["c"]))
    assert rows_of(target, ORDERS, "id", "name") == [(3, "c")]
    backup = target.backup_name(ORDERS, 2)
    assert rows_of(target, backup, "id", "name") == [(1, "a"), (2, "b")]
    with target.read() as conn:
        assert target.list_stages(conn) == []


def test_restoring_a_backup_gives_the_old_rows_back_in_the_same_table(target: Target) -> None:
    load(target, make_plan(), 1, records(["1", "2"], ["a", None]))
    load(target, make_plan(rows=1), 2, records(["3"], ["c"]))
    with target.write() as conn:
        assert restoring.restore(target, conn, ORDERS, target.backup_name(ORDERS, 2)) == 2
    assert rows_of(target, ORDERS, "id", "name", "_load_id", "_source_row") == [
        (1, "a", 1, 1),
        (2, None, 1, 2),
    ]
    with target.read() as conn:
        assert target.has_table(conn, target.backup_name(ORDERS, 2)), "dropped by who asked"


def test_a_backup_is_restored_into_a_table_that_got_wider_since(target: Target) -> None:
    old = {"id": INTEGER, "share": ColumnType(Kind.FLOAT), "day": ColumnType(Kind.DATE)}
    load(target, make_plan(columns=old, rows=1), 1, records(["7"], ["0.1"], ["2024-02-29"]))
    load(target, make_plan(columns=old, rows=1), 2, records(["8"], ["0.2"], ["2024-03-01"]))
    new = {**dict.fromkeys(old, TEXT), "more": TEXT}
    plan = replace(
        make_plan(LoadType.APPEND, columns=new, rows=1),
        columns=tuple(
            PlannedColumn(name, TEXT, at, "widen" if name in old else "add")
            for at, name in enumerate(new)
        ),
    )
    load(target, plan, 3, records(["x"], ["y"], ["z"], ["m"]))
    with target.write() as conn:
        assert restoring.restore(target, conn, ORDERS, target.backup_name(ORDERS, 2)) == 1
    assert rows_of(target, ORDERS, *new) == [("7", "0.1", "2024-02-29", None)]


def test_a_backup_whose_column_has_no_place_is_not_restored(target: Target) -> None:
    """Nothing is lost: the rows of today stay when those of the past do not fit."""
    load(target, make_plan(), 1, records(["1", "2"], ["a", "b"]))
    load(target, make_plan(rows=1), 2, records(["3"], ["c"]))
    with target.write() as conn:
        conn.exec_driver_sql(f"ALTER TABLE {target.quoted(ORDERS)} DROP COLUMN name")
    with pytest.raises(TargetError, match="has no column 'name'"), target.write() as conn:
        restoring.restore(target, conn, ORDERS, target.backup_name(ORDERS, 2))
    with pytest.raises(TargetError, match="is not there any more"), target.write() as conn:
        restoring.restore(target, conn, ORDERS, target.backup_name(ORDERS, 99))
    assert rows_of(target, ORDERS, "id") == [(3,)]


def test_an_append_adds_and_says_how_many_there_were(target: Target) -> None:
    load(target, make_plan(), 1, records(["1", "2"], ["a", "b"]))
    plan = make_plan(LoadType.APPEND, rows=1)
    name = stage(target, plan, 2, records(["3"], ["c"]))
    with target.write() as conn:
        published = publish(target, conn, plan, name, 2)
    assert (published.rows_before, published.rows_after, published.rows_loaded) == (2, 3, 1)
    assert rows_of(target, ORDERS, "_load_id", "_source_row") == [(1, 1), (1, 2), (2, 1)]


def test_a_publish_that_is_rolled_back_leaves_table_and_stage_as_they_were(target: Target) -> None:
    """Promise 4, G1"""
    load(target, make_plan(), 1, records(["1", "2"], ["a", "b"]))
    name = stage(target, make_plan(rows=1), 2, records(["3"], ["c"]))
    with pytest.raises(RuntimeError, match="pulled the plug"), target.write() as conn:
        publish(target, conn, make_plan(rows=1), name, 2)
        raise RuntimeError("pulled the plug")
    assert rows_of(target, ORDERS, "id", "name") == [(1, "a"), (2, "b")]
    with target.read() as conn:
        assert list(target.list_stages(conn)) == [(name, 2)]
        assert not target.has_table(conn, target.backup_name(ORDERS, 2))


def test_who_waits_for_another_writer_is_told_once(
    target: Target, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.targets.waiting.PATIENCE_SECONDS", 0.01)
    settings = {"url": database_url, "busy_timeout_seconds": 1}
    other, told = open_target(make_config(tmp_path, database=settings)), list[str]()
    other.lock_wait.tell = lambda: told.append("told")
    with target.write() as conn:
        target.lock_queue(conn, ORDERS)
        for _ in range(2):
            with pytest.raises(TransientError), other.write() as waiting:
                other.lock_queue(waiting, ORDERS)
    other.close()
    assert told == ["told"]


def test_readers_see_the_old_rows_until_the_commit(target: Target) -> None:
    """Promise 4"""
    load(target, make_plan(), 1, records(["1", "2"], ["a", "b"]))
    name = stage(target, make_plan(rows=1), 2, records(["3"], ["c"]))
    with target.write() as conn:
        publish(target, conn, make_plan(rows=1), name, 2)
        assert rows_of(target, ORDERS, "id") == [(1,), (2,)]
    assert rows_of(target, ORDERS, "id") == [(3,)]


@pytest.mark.parametrize(
    "name",
    ["x]; DROP TABLE y;--", 'a"b', "it's", "emoji 🎉", "select", "with space", "a.b", "[x]", "`"],
)
def test_any_column_name_is_a_name_and_nothing_else(target: Target, name: str) -> None:
    """E2"""
    if target.name == "mssql" and not _takes_name(target, name):
        pytest.skip(f"this server itself cannot have a column {name!r}")
    load(target, make_plan(columns={name: TEXT}, rows=1), 1, records(["kept"]))
    assert rows_of(target, ORDERS, name) == [("kept",)]


def _takes_name(target: Target, name: str) -> bool:
    """Return whether the server takes a name that is quoted as Microsoft documents it."""
    quoted = "[" + name.replace("]", "]]") + "]"
    try:
        with target.write() as conn:
            conn.exec_driver_sql(f"CREATE TABLE stg.probe ({quoted} nvarchar(10))")
            many = [("x",), ("y",)]
            conn.exec_driver_sql(f"INSERT INTO stg.probe ({quoted}) VALUES (?)", many)
            conn.exec_driver_sql(f"SELECT {quoted} FROM stg.probe").all()
            conn.exec_driver_sql("DROP TABLE stg.probe")
    except DroploadError:
        target.close()
        return False
    return True


def test_a_wider_type_keeps_the_old_values_as_they_were_written(target: Target) -> None:
    columns = {
        "id": INTEGER,
        "amount": ColumnType(Kind.DECIMAL, precision=15, scale=2),
        "share": ColumnType(Kind.FLOAT),
        "flag": ColumnType(Kind.BOOLEAN),
        "day": ColumnType(Kind.DATE),
        "at": target.with_room(ColumnType(Kind.TIMESTAMP)),
        "time": target.with_room(ColumnType(Kind.TIME)),
        "key": ColumnType(Kind.UUID),
        "moment": target.with_room(ColumnType(Kind.TIMESTAMP_OFFSET)),
    }
    first: tuple[str | None, ...] = (
        *("7", "10.50", "0.30000000000000004", "true", "2024-02-29", "2024-02-29 10:20:30.125"),
        *("10:20:30", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "2024-02-29 10:20:30+05:30"),
    )
    plan = make_plan(columns=columns, rows=1)
    load(target, plan, 1, records(*([text] for text in first)))
    wide = make_plan(LoadType.APPEND, columns=dict.fromkeys(columns, TEXT), rows=1)
    plan = Plan(
        **{
            **{field: getattr(wide, field) for field in wide.__dataclass_fields__},
            "columns": tuple(
                PlannedColumn(c.name, TEXT, c.position, "widen") for c in wide.columns
            ),
        }
    )
    second: tuple[str | None, ...] = ("x", "n/a", "-", "?", "today", "now", "noon", "none", "then")
    load(target, plan, 2, records(*([text] for text in second)))
    assert rows_of(target, ORDERS, *columns) == [first, second]


def test_only_stages_and_backups_can_be_dropped(target: Target) -> None:
    with pytest.raises(ValueError, match="neither a stage nor a backup"), target.write() as conn:
        target.drop_table(conn, ORDERS)


def test_two_writers_do_not_mix_and_the_second_one_waits_or_is_told(tmp_path: Path) -> None:
    config = make_config(tmp_path, database={"busy_timeout_seconds": 0.2})
    first, second = open_target(config), open_target(config)
    with (
        first.write() as conn,
        pytest.raises(TransientError, match="locked"),
    ):
        conn.exec_driver_sql("CREATE TABLE t (n)")
        with second.write() as other:
            other.exec_driver_sql("CREATE TABLE u (n)")
    first.close()
    second.close()


def test_a_file_that_is_no_database_is_the_owners_to_mend(tmp_path: Path) -> None:
    (tmp_path / "dropload.db").write_bytes(b"this is not a database" * 100)
    broken = open_target(make_config(tmp_path))
    with pytest.raises(TargetError, match="not a database"), broken.write():
        pass
    broken.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("nonsense", "not a database URL"),
        ("oracle://x/y", "no target 'oracle'"),
        ("sqlite:////dev/null/x.db", "cannot be made"),
    ],
)
def test_a_database_that_cannot_be_is_refused_with_what_to_write(
    tmp_path: Path, url: str, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        open_target(make_config(tmp_path, database={"url": url}))


def test_a_database_on_a_network_share_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C7"""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"srv:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("dropload.mounts._MOUNTS", mounts)
    with pytest.raises(ConfigError, match="network share"):
        open_target(make_config(tmp_path))


def test_errors_of_the_driver_do_not_leave_the_target_raw(target: Target) -> None:
    with pytest.raises(DroploadError), target.read() as conn:
        conn.execute(sa.text("SELECT nonsense FROM nowhere"))


def test_a_database_file_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    """Rows must not go into a file that has been deleted while a connection kept it open."""
    held = open_target(make_config(tmp_path))
    with held.write() as conn:
        conn.exec_driver_sql("CREATE TABLE old (n)")
    for path in tmp_path.glob("dropload.db*"):
        path.unlink()
    with held.write() as conn:
        conn.exec_driver_sql("CREATE TABLE new (n)")
    held.close()
    again = open_target(make_config(tmp_path))
    with again.read() as conn:
        names = conn.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all()
    again.close()
    assert names == ["new"]
