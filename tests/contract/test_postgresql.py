"""What only PostgreSQL has: versions that are too old, side tables that become the table."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from dropload.errors import ConfigError
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.loading import publish_rows
from dropload.model import DAEMON, ColumnType, Kind, Plan, TableColumn, TableName, Verdict
from dropload.pipeline import process_drop
from dropload.targets.postgresql.target import refuse_old_server
from tests.conftest import drop_database, make_database
from tests.contract.test_loading import Site
from tests.contract.test_owned_tables import opened_site
from tests.contract.test_targets import make_plan, records


def connection(version: int) -> SimpleNamespace:
    return SimpleNamespace(info=SimpleNamespace(server_version=version))


def test_a_server_that_is_too_old_is_refused_by_its_version() -> None:
    with pytest.raises(ConfigError, match="PostgreSQL 11; dropload needs 12 or later"):
        refuse_old_server(connection(110_022), None)
    refuse_old_server(connection(120_000), None)


@pytest.fixture
def site(postgresql_server: str, tmp_path: Path) -> Iterator[Site]:
    url = make_database(postgresql_server)
    with opened_site(url, tmp_path) as opened:
        yield opened
    drop_database(postgresql_server, url)


def copies_of(site: Site, text: str) -> list[str]:
    """Drop a file; return the statements that copied rows into its table."""
    said: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    engine = site.dock.target.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        outcome = site.drop("orders.csv", text)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    assert outcome.verdict is Verdict.LOADED, outcome
    table = site.dock.target.quoted(site.table("orders"))
    return [words for words in said if words.startswith(f"INSERT INTO {table} ")]


def ask(site: Site, query: str) -> list[tuple[Any, ...]]:
    with site.dock.target.read() as conn:
        return [tuple(row) for row in conn.exec_driver_sql(query)]


def test_rows_of_a_new_table_are_counted_once_while_nobody_can_add_others(site: Site) -> None:
    target = site.dock.target
    stage = target.stage_name(site.table("orders"), 1)
    counted: list[str] = []
    count = target.count_rows

    def note(conn: sa.Connection, table: TableName) -> int:
        counted.append(table.name)
        late = f"INSERT INTO {target.quoted(stage)} VALUES (3, 'late', 1, 3)"
        with target.engine.connect() as other, other.begin():
            other.exec_driver_sql("SET LOCAL lock_timeout = 50")
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                other.exec_driver_sql(late)
        return count(conn, table)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, "count_rows", note)
        # Staged in transactions of its own, as large files are.
        patch.setattr("dropload.small_files.SMALL_BYTES", 0)
        outcome = site.drop("orders.csv", "id,name\n1,a\n2,b\n")
    assert outcome.verdict is Verdict.LOADED, outcome
    assert counted == [stage.name]


def test_rows_of_a_new_table_are_written_once_and_its_side_table_moves_in(site: Site) -> None:
    assert copies_of(site, "id,name\n1,a\n2,\n") == []
    assert ask(site, 'SELECT * FROM "public"."orders"') == [(1, "a", 1, 1), (2, None, 1, 2)]
    kind = "SELECT relnamespace::regnamespace::text, relpersistence FROM pg_class"
    assert ask(site, f"{kind} WHERE relname ~ '^orders'") == [("public", "p")]
    named = ask(site, "SELECT conname FROM pg_constraint WHERE conrelid = 'orders'::regclass")
    assert not [name for (name,) in named if "__1" in name], "nothing keeps the side table's name"
    assert len(copies_of(site, "id,name,more\n3,c,x\n")) == 1, "a table that is there stays"
    assert ask(site, "SELECT id, _load_id FROM orders ORDER BY 1") == [(1, 1), (2, 1), (3, 2)]


@pytest.mark.parametrize(
    ("owner", "copies"),
    [
        ("SELECT 1", 0),
        ("CREATE RULE also AS ON INSERT TO orders DO ALSO SELECT 1", 1),
        ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", 1),
        ("ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES others", 1),
    ],
)
def test_a_small_append_needs_a_side_table_only_where_the_owner_has_a_say(
    site: Site, owner: str, copies: int
) -> None:
    site.execute(
        "CREATE TABLE others (id bigint PRIMARY KEY)", "INSERT INTO others VALUES (1), (2)"
    )
    assert copies_of(site, "id,name\n1,a\n") == []
    site.execute(owner)
    assert len(copies_of(site, 'id,name\n2,""\n1,\n')) == copies
    rows = ask(site, "SELECT id, name, _load_id, _source_row FROM orders ORDER BY 3, 4")
    assert rows == [(1, "a", 1, 1), (2, "", 2, 1), (1, None, 2, 2)]
    history = ask(site, "SELECT rows_before, rows_after FROM ref.load_history ORDER BY load_id")
    assert history == [(0, 1), (1, 3)]


ELSEWHERE = """
CREATE TABLE others (LIKE orders);
CREATE RULE elsewhere AS ON INSERT TO orders DO INSTEAD INSERT INTO others VALUES (new.*)
"""
SWEPT = "CREATE RULE swept AS ON INSERT TO orders DO ALSO DELETE FROM orders WHERE id = 2"
SWEEPING = """
CREATE FUNCTION sweep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders WHERE id = 2;
RETURN NULL; END';
CREATE TRIGGER sweep AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION sweep()
"""
DROPPING = """
CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER drop_it BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION drop_it()
"""
PARTS = """
CREATE TABLE orders (id bigint, name text, _load_id bigint, _source_row bigint)
PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF orders DEFAULT
"""


@pytest.mark.parametrize(
    "owner",
    [
        "CREATE TABLE orders (id bigint, name text);" + ELSEWHERE,
        "CREATE TABLE orders (id bigint, name text);" + SWEPT,
        "CREATE TABLE orders (id bigint, name text, _load_id bigint, _source_row bigint);"
        + ELSEWHERE,
        PARTS + ";" + SWEEPING,
        PARTS + ";" + DROPPING,
    ],
)
def test_rows_that_go_elsewhere_unseen_are_not_taken_for_success(site: Site, owner: str) -> None:
    """H4: the statement counts them all the same"""
    site.execute(owner)
    outcome = site.drop("orders.csv", "id,name\n1,a\n2,b\n")
    assert outcome.verdict is Verdict.PAUSED, outcome
    assert "where 2 are right" in outcome.message
    assert ask(site, "SELECT * FROM orders") == []


@pytest.mark.parametrize(
    "reason",
    [
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA stg GRANT SELECT ON TABLES TO PUBLIC",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION noted()",
        'CREATE TABLE "public"."orders__1" (there integer)',
    ],
)
def test_where_somebody_would_notice_the_rows_are_copied(
    site: Site, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.small_files.SMALL_BYTES", 0)
    site.execute(
        "CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'", reason
    )
    assert len(copies_of(site, "id,name\n1,a\n")) == 1
    assert ask(site, "SELECT id, name FROM orders") == [(1, "a")]
    anybody = ask(site, "SELECT relacl::text FROM pg_class WHERE relname = 'orders'")[0][0] or ""
    assert ("=r/" in anybody) is ("public GRANT" in reason), "the rights of a table of its schema"


def test_what_an_event_trigger_hangs_on_a_new_table_is_obeyed(site: Site) -> None:
    """COPY knows no rules: the rows of a small file go by a side table there."""
    site.execute(
        "CREATE TABLE kept (id bigint)",
        """
        CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
          IF to_regclass('public.orders') IS NOT NULL THEN
            CREATE RULE noted AS ON INSERT TO orders DO ALSO INSERT INTO kept VALUES (new.id);
          END IF;
        END $$
        """,
        "CREATE EVENT TRIGGER watching ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
        " EXECUTE FUNCTION watch()",
    )
    assert site.drop("orders.csv", "id,name\n1,a\n2,b\n").verdict is Verdict.LOADED
    assert ask(site, "SELECT id FROM kept ORDER BY id") == [(1,), (2,)]
    assert ask(site, "SELECT id, name FROM orders ORDER BY id") == [(1, "a"), (2, "b")]


def test_a_small_file_makes_its_table_with_the_rights_of_its_schema(site: Site) -> None:
    site.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC")
    assert copies_of(site, "id,name\n1,a\n") == []
    assert ask(site, "SELECT id, name FROM orders") == [(1, "a")]
    assert "=r/" in ask(site, "SELECT relacl::text FROM pg_class WHERE relname = 'orders'")[0][0]


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("small", [0, 1 << 20])
def test_somebody_who_makes_the_table_in_that_moment_does_not_fail_the_file(
    site: Site, monkeypatch: pytest.MonkeyPatch, small: int, copied: bool
) -> None:
    monkeypatch.setattr("dropload.small_files.SMALL_BYTES", small)
    if copied:
        site.execute("CREATE PUBLICATION everything")
    publish, target, owner = publish_rows, site.dock.target, ExitStack()

    def make_and_publish(*arguments: Any, **more: Any) -> Any:
        if not owner_has_come:
            owner_has_come.append("here")
            conn = owner.enter_context(target.engine.connect())
            conn.exec_driver_sql("CREATE TABLE orders (id bigint, name text)")
            timer = threading.Timer(0.5, conn.commit)
            timer.start()
            owner.callback(timer.join)
        return publish(*arguments, **more)

    owner_has_come: list[str] = []
    monkeypatch.setattr("dropload.pipeline.publish_rows", make_and_publish)
    with owner:
        first = site.drop("orders.csv", "id,name\n1,a\n")
    assert first.verdict is Verdict.RETRY, first
    assert site.drop("orders.csv", "id,name\n1,a\n").verdict is Verdict.LOADED
    assert ask(site, "SELECT id, name FROM orders") == [(1, "a")]


def test_what_changes_before_the_rows_are_published_is_seen(site: Site) -> None:
    target = site.dock.target
    stage = target.stage_name(site.table("orders"), 1)
    plans: list[Plan] = []
    create = target.create_stage

    def create_and_change(conn: sa.Connection, plan: Plan, name: TableName) -> None:
        create(conn, plan, name)
        plans.append(plan)
        conn.exec_driver_sql("CREATE PUBLICATION everything FOR ALL TABLES")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dropload.small_files.SMALL_BYTES", 0)
        patch.setattr(target, "create_stage", create_and_change)
        assert len(copies_of(site, "id,name\n1,a\n")) == 1
    assert plans[0].creates_table
    with target.read() as conn:
        assert not target.has_table(conn, stage)
    assert ask(site, "SELECT id, name FROM orders") == [(1, "a")]


def test_a_per_cent_sign_is_shown_as_it_is(site: Site) -> None:
    column = TableColumn("50% off", ColumnType(Kind.TEXT))
    plan = replace(make_plan(rows=3), table_before=None, table_columns=(column,))
    [statement] = site.dock.target.explain_changes(plan)
    assert '"50% off" text' in statement


def test_what_is_staged_in_a_transaction_goes_by_one_copy(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, said, copy = site.dock.target, list[str](), psycopg.Cursor.copy

    def note(cursor: Any, statement: bytes) -> Any:
        said.append(statement.decode().partition(" (")[0])
        return copy(cursor, statement)

    monkeypatch.setattr(psycopg.Cursor, "copy", note)
    plan = make_plan(rows=3)
    stage = target.stage_name(plan.table, 1)
    batches = [
        (records(["1", "2"], ["a", None]), pa.array([1, 2], pa.int64())),
        (records(["3"], ["c"]), pa.array([3], pa.int64())),
    ]
    with target.write() as conn:
        target.create_stage(conn, plan, stage)
        target.write_batches(conn, plan, stage, batches, 1, 990)
    assert [words.replace('"', "") for words in said] == ["COPY stg.orders__1"]
    assert ask(site, f"SELECT id, name FROM {target.quoted(stage)} ORDER BY 1") == [
        (1, "a"),
        (2, None),
        (3, "c"),
    ]


def test_a_change_that_a_load_has_waited_for_is_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is locked first, and compared with the plan then."""
    monkeypatch.setattr("dropload.targets.waiting.PATIENCE_SECONDS", 0.01)
    assert site.drop("orders_20260101.csv", "a,b\n1,2\n").verdict is Verdict.LOADED
    target, waits = site.dock.target, threading.Event()
    target.lock_wait.tell = waits.set
    table = target.quoted(site.table("orders"))
    with ThreadPoolExecutor(1) as pool:
        with target.engine.connect() as owner, owner.begin():
            owner.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN remark text")
            load = pool.submit(site.drop, "orders_20260102.csv", "a,b\n3,4\n")
            assert waits.wait(60)
        outcome = load.result()
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "stale_plan"), outcome
    assert ask(site, f"SELECT a, b, remark FROM {table}") == [(1, 2, None)]


def test_rows_of_a_side_table_wait_for_no_disk_and_the_commit_that_counts_on_them_does(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.small_files.SMALL_BYTES", 0)
    waits: list[tuple[str, str]] = []

    def note(conn: sa.Connection) -> None:
        found = conn.exec_driver_sql("SHOW synchronous_commit").scalar_one()
        state = conn.exec_driver_sql("SELECT max(state) FROM ref.load_history").scalar_one()
        waits.append((str(state), str(found)))

    sa.event.listen(site.dock.target.engine, "commit", note)
    assert site.drop("orders.csv", "id,name\n1,a\n").verdict is Verdict.LOADED
    assert ("publishing", "off") in waits, "the rows are staged"
    assert ("committed", "on") in waits
    assert {state for state, wait in waits if wait == "off"} == {"publishing"}


def test_the_daemons_claims_wait_for_the_disk(site: Site) -> None:
    """A server that crashes leaves the worker, and would give the number of its load out again"""
    waits = set[tuple[str, str]]()

    def note(conn: sa.Connection) -> None:
        found = conn.exec_driver_sql("SHOW synchronous_commit").scalar_one()
        state = conn.exec_driver_sql("SELECT max(state) FROM ref.load_history").scalar_one()
        waits.add((str(state), str(found)))

    sa.event.listen(site.dock.target.engine, "commit", note)
    path = site.inbox("append", "non-reference").path / "orders.csv"
    path.write_text("id,name\n1,a\n")
    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by=DAEMON)
    assert process_drop(site.dock, drop, worker_name()).verdict is Verdict.LOADED
    assert {("claimed", "on"), ("committed", "on"), ("filed", "on")} == waits
