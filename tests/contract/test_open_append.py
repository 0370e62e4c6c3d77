"""Rows that are added to their table (PostgreSQL) while their file is still being read."""

import gzip
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from dropload import (
    examination,
    loading,
    small_files,
    staging_ahead,
    write_behind,
)
from dropload.dock import Dock
from dropload.errors import (
    DuplicateError,
    FileError,
    HeldError,
    TargetError,
    TransientError,
)
from dropload.examination import Examined, KnownTable
from dropload.identity import worker_name
from dropload.intake import NamedDrop, drop_of_path
from dropload.model import Kind, Outcome, Plan, TableName, Verdict
from dropload.open_append import OpenAppend
from dropload.parsers.delimited import columnar
from dropload.pipeline import process_drop
from dropload.staging_ahead import StagingAhead
from dropload.targets.base import Published
from dropload.targets.postgresql import opening
from dropload.targets.postgresql import target as postgresql
from dropload.targets.postgresql.errors import translate_error
from dropload.targets.row_stream import Rows
from dropload.write_behind import WriteBehind
from tests.conftest import drop_database, make_database
from tests.contract.test_loading import Site
from tests.contract.test_owned_tables import opened_site
from tests.contract.test_postgresql import ask

COUNT = 2000
HEAD = "id,amount,day,at,clock,paid,key,note\n"
KEY = "6f9619ff-8b86-d011-b42d-00c04fc9{:04x}"


def lines_of(word: str, count: int = COUNT) -> list[str]:
    return [
        f"{n},{n}.25,2024-01-{n % 28 + 1:02d},2024-01-01 10:00:00.{n:06d},10:00:00.{n:06d},"
        f"{'true' if n % 2 else 'false'},{KEY.format(n)},{word}{n if n % 3 else ''}\n"
        for n in range(count)
    ]


OLD = HEAD + "".join(lines_of("old ", 300))
NEW = HEAD + "".join(lines_of("ne "))


@pytest.fixture
def site(postgresql_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Get a table with rows, and have files of this size added to it in several COPYs."""
    monkeypatch.setattr(staging_ahead, "AHEAD_BYTES", 0)
    monkeypatch.setattr(small_files, "SMALL_BYTES", 0)
    usual = columnar.read_columnar.__kwdefaults__
    small = {**(usual or {}), "block_bytes": 16 << 10}
    monkeypatch.setattr(columnar.read_columnar, "__kwdefaults__", small)
    monkeypatch.setattr(staging_ahead, "_BEGINNING_BYTES", 16 << 10)
    monkeypatch.setattr(postgresql.PostgreSQLTarget, "commit_bytes", 32 << 10)
    url = make_database(postgresql_server)
    with opened_site(url, tmp_path) as opened:
        outcome = opened.drop("orders_20240101.csv", OLD)
        assert outcome.verdict is Verdict.LOADED, outcome
        yield opened
    drop_database(postgresql_server, url)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Get the table of each COPY, without quotes, and its format."""
    found: list[tuple[str, str]] = []
    copy = psycopg.Cursor.copy

    def note(cursor: Any, statement: bytes) -> Any:
        words = statement.decode()
        found.append((words.split()[1].replace('"', ""), words.split()[-1].rstrip(")")))
        return copy(cursor, statement)

    monkeypatch.setattr(psycopg.Cursor, "copy", note)
    return found


def after_first_rows(monkeypatch: pytest.MonkeyPatch, do: Callable[[OpenAppend], None]) -> None:
    """Do something once when the first rows are in the table, uncommitted."""
    send, done = OpenAppend.send, list[str]()

    def send_and_do(append: OpenAppend, batches: Rows) -> bool:
        is_sent = send(append, batches)
        if not done:
            done.append("done")
            do(append)
        return is_sent

    monkeypatch.setattr(OpenAppend, "send", send_and_do)


def check_loaded(site: Site, outcome: Outcome) -> None:
    """Both files are in the table, each row once, whichever way it came."""
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    expected = [line.rstrip("\n").split(",") for line in lines_of("old ", 300) + lines_of("ne ")]
    found = [[text or "" for text in row] for row in site.texts(site.table("orders"))]
    assert found == expected
    with site.dock.target.read() as conn:
        assert site.dock.target.list_stages(conn) == []
    columns = "state, rows_before, rows_after, rows_loaded, rows_staged"
    history = ask(site, f"SELECT {columns} FROM ref.load_history ORDER BY load_id")
    assert history[1:] == [("filed", 300, 300 + COUNT, COUNT, COUNT)]


def drop_new(site: Site) -> Outcome:
    return site.drop("orders_20240102.csv", NEW)


def test_rows_that_are_appended_are_written_once(
    site: Site, readings: list[str], copies: list[tuple[str, str]]
) -> None:
    said: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    sa.event.listen(site.dock.target.engine, "before_cursor_execute", note)
    check_loaded(site, drop_new(site))
    assert copies == [("public.orders", "binary")]
    table = site.dock.target.quoted(site.table("orders"))
    assert not [words for words in said if words.startswith((f"INSERT INTO {table}", "CREATE"))]
    assert readings == []


def test_a_table_is_made_while_its_file_is_read(
    site: Site, readings: list[str], copies: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[Any, ...]] = []
    seen = "SELECT count(*) FROM pg_tables WHERE tablename IN ('fresh', 'stg.fresh__2')"
    after_first_rows(monkeypatch, lambda _append: found.extend(ask(site, seen)))
    outcome = site.drop("fresh.csv", NEW)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert found == [(0,)], "nobody sees it"
    assert (copies, readings) == ([("public.fresh", "binary")], [])
    lines = [[text or "" for text in row] for row in site.texts(site.table("fresh"))]
    assert lines == [line.rstrip("\n").split(",") for line in lines_of("ne ")]
    history = "SELECT rows_before, rows_after FROM ref.load_history WHERE load_id = 2"
    assert ask(site, history) == [(0, COUNT)]
    kind = "SELECT relpersistence FROM pg_class WHERE relname = 'fresh'"
    assert ask(site, kind) == [("p",)]


@pytest.mark.parametrize("load_type", ["append", "fullload"])
def test_a_table_that_its_owner_has_dropped_is_made_anew_of_the_same_file(
    site: Site, copies: list[tuple[str, str]], load_type: str
) -> None:
    for _time in range(2):
        outcome = site.drop("fresh.csv", NEW, load_type)
        assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
        assert ask(site, "SELECT count(*) FROM fresh") == [(COUNT,)]
        site.execute("DROP TABLE fresh")
    assert copies == [("public.fresh", "binary")] * 2


@pytest.mark.parametrize("last", ["7,7.255,,,,,,n\n", "x,1.25,,,,,,n\n"])
def test_a_new_table_of_which_the_whole_file_wants_another_is_made_anew(
    site: Site, readings: list[str], copies: list[tuple[str, str]], last: str
) -> None:
    outcome = site.drop("fresh.csv", NEW + last)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT + 1), outcome
    assert {table for table, _ in copies} == {"public.fresh", "stg.fresh__2"}
    assert readings == ["fresh.csv"]
    assert len(ask(site, "SELECT id FROM fresh")) == COUNT + 1


GUARDED = """
CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made record; BEGIN
  FOR made IN SELECT * FROM pg_event_trigger_ddl_commands()
    WHERE command_tag = 'CREATE TABLE' AND schema_name = 'public'
  LOOP EXECUTE 'ALTER TABLE ' || made.object_identity || ' ENABLE ROW LEVEL SECURITY'; END LOOP;
END $$;
CREATE EVENT TRIGGER guarding ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
EXECUTE FUNCTION guard()
"""


@pytest.mark.parametrize("is_foreseen", [True, False])
@pytest.mark.parametrize("end", ["", "x,1.25,,,,,,n\n"])
def test_a_table_that_takes_no_copy_is_not_left_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch, end: str, is_foreseen: bool
) -> None:
    """Its owner has new tables guarded: where that shows only then, it is made for nothing."""
    site.execute(GUARDED)
    if not is_foreseen:
        monkeypatch.setattr(postgresql.PostgreSQLTarget, "makes_tables_alone", lambda *_: True)
    fresh, seen = site.table("fresh"), list[bool]()
    take_no_more = StagingAhead.take_no_more

    def look(ahead: StagingAhead) -> None:
        seen.append(site.exists(fresh))
        take_no_more(ahead)

    monkeypatch.setattr(StagingAhead, "take_no_more", look)
    outcome = site.drop("fresh.csv", NEW + end)
    assert outcome.verdict is Verdict.LOADED, outcome
    assert seen == [False]
    assert outcome.rows_loaded == len(site.texts(fresh)) == COUNT + bool(end)
    [[guarded]] = ask(site, "SELECT relrowsecurity FROM pg_class WHERE relname = 'fresh'")
    assert guarded is True


def test_somebody_who_makes_the_same_table_is_hardly_waited_for(
    site: Site, readings: list[str], copies: list[tuple[str, str]]
) -> None:
    take_no_more, limits = StagingAhead.take_no_more, list[str]()
    with site.dock.target.engine.connect() as owner:
        owner.exec_driver_sql("CREATE TABLE fresh (id bigint)")

        def give_way(ahead: StagingAhead) -> None:
            owner.rollback()
            take_no_more(ahead)

        def note(_conn: object, _cursor: object, words: str, *_rest: object) -> None:
            limits.extend([words] if "lock_timeout" in words else [])

        sa.event.listen(site.dock.target.engine, "before_cursor_execute", note)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StagingAhead, "take_no_more", give_way)
            outcome = site.drop("fresh.csv", NEW)
    assert outcome.verdict is Verdict.LOADED, outcome
    assert limits == ["SET LOCAL lock_timeout = '100ms'"], "and it was not had in that time"
    assert {table for table, _ in copies} == {"stg.fresh__2"}
    assert readings == []
    assert len(site.texts(site.table("fresh"))) == COUNT


def test_a_schema_that_gets_another_name_meanwhile_splits_no_rows(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(append: OpenAppend) -> None:
        append.settle()  # what comes next looks for the table by its name
        site.execute(
            "ALTER SCHEMA public RENAME TO older",
            "CREATE SCHEMA public",
            "CREATE TABLE public.orders (LIKE older.orders)",
        )

    after_first_rows(monkeypatch, rename)
    with capture_logs() as said:
        outcome = drop_new(site)
    assert outcome.verdict is Verdict.LOADED, outcome
    given_up = [entry["reason"] for entry in said if entry["event"] == "append_given_up"]
    assert given_up == ["public.orders was renamed while the file was being read."]
    assert len(ask(site, "SELECT id FROM older.orders")) == 300
    assert len(ask(site, "SELECT id FROM public.orders")) == COUNT


def test_what_is_known_of_the_table_ends_with_what_kept_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner ends the session to change the table: the file is good for what it is now."""

    def change(_append: OpenAppend) -> None:
        kill_session(site)
        site.execute("ALTER TABLE orders ALTER COLUMN id TYPE text")

    after_first_rows(monkeypatch, change)
    outcome = site.drop("orders_20240102.csv", NEW + "x,1.25,,,,,,n\n")
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT + 1), outcome


@pytest.mark.parametrize("changed", [True, False])
def test_a_verdict_on_a_table_that_was_kept_no_longer_is_none(
    site: Site, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    """The session ends when all rows are sent: nobody has noticed when the plan is made."""
    plan_load = examination.plan_load

    def change_and_plan(dock: Dock, named: NamedDrop, found: Examined, known: KnownTable) -> Plan:
        kill_session(site)
        if known.info.columns[0].type.kind is Kind.INTEGER:
            if changed:
                site.execute("ALTER TABLE orders ALTER COLUMN id TYPE text")
            raise HeldError("Column id is no text.")
        return plan_load(dock, named, found, known)

    monkeypatch.setattr("dropload.pipeline.plan_load", change_and_plan)
    outcome = drop_new(site)
    if not changed:
        assert (outcome.verdict, outcome.message) == (Verdict.HELD, "Column id is no text.")
        return
    assert outcome.verdict is Verdict.RETRY, outcome
    assert "was changed" in outcome.message
    assert drop_new(site).verdict is Verdict.LOADED


def test_a_statement_may_take_a_minute_at_most(
    site: Site, monkeypatch: pytest.MonkeyPatch, copies: list[tuple[str, str]]
) -> None:
    """Whoever is stopped, or vanishes, within a COPY holds the table no longer than that."""
    monkeypatch.setattr(opening, "MOST_SECONDS", 0.3)

    def stand_still(append: OpenAppend) -> None:
        append.send([])
        time.sleep(1)

    after_first_rows(monkeypatch, stand_still)
    check_loaded(site, drop_new(site))
    assert {table for table, _ in copies} == {"public.orders", "stg.orders__2"}


def test_threads_that_use_up_the_connections_leave_enough_for_the_others(
    site: Site, copies: list[tuple[str, str]]
) -> None:
    engine = site.dock.target.engine
    with ExitStack() as held:
        for _ in range(5):
            held.enter_context(engine.connect())
        outcome = site.drop("fresh.csv", NEW)
    assert outcome.verdict is Verdict.LOADED, outcome
    assert {table for table, _ in copies} == {"stg.fresh__2"}


def test_meanwhile_others_read_and_write_the_table_and_nobody_changes_it(
    site: Site, copies: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    def use(_append: OpenAppend) -> None:
        with site.dock.target.engine.connect() as other, other.begin():
            other.exec_driver_sql("SET LOCAL lock_timeout = 50")
            found.append(other.exec_driver_sql("SELECT count(*) FROM orders").scalar_one())
            other.exec_driver_sql("UPDATE orders SET note = upper(note) WHERE id = 7")
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                other.exec_driver_sql("ALTER TABLE orders ADD COLUMN more text")
        with site.dock.target.engine.connect() as other, other.begin():
            other.exec_driver_sql("UPDATE orders SET note = 'mine' WHERE id = 7")

    after_first_rows(monkeypatch, use)
    outcome = drop_new(site)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert found == [300], "the old rows"
    assert {table for table, _ in copies} == {"public.orders"}
    notes = ask(site, "SELECT note FROM orders WHERE id = 7 ORDER BY _load_id")
    assert notes == [("mine",), ("ne 7",)]


OWNERS = {
    "another type": "ALTER TABLE orders ALTER COLUMN id TYPE integer",
    "a shorter text": "ALTER TABLE orders ALTER COLUMN note TYPE varchar(20)",
    "a number of four bytes": "ALTER TABLE orders ALTER COLUMN id TYPE real",
    "another type of lineage": "ALTER TABLE orders ALTER COLUMN _load_id TYPE double precision",
    "a key": "CREATE UNIQUE INDEX ON orders (_load_id, id)",
    "a rule": "CREATE RULE also AS ON INSERT TO orders DO ALSO SELECT 1",
    "row level security": "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
    "a trigger": "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN RETURN new; END'; CREATE TRIGGER pass BEFORE INSERT ON orders FOR EACH ROW "
    "EXECUTE FUNCTION pass()",
}


@pytest.mark.parametrize("owner", OWNERS)
def test_where_the_owner_has_a_say_rows_go_by_a_side_table(
    site: Site, copies: list[tuple[str, str]], owner: str
) -> None:
    site.execute(OWNERS[owner])
    outcome = drop_new(site)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert {table for table, _ in copies} == {"stg.orders__2"}
    assert len(ask(site, "SELECT id FROM orders WHERE _load_id = 2")) == COUNT


@pytest.mark.parametrize("kind", ["double precision", "integer", "numeric"])
def test_a_small_file_finds_lineage_of_another_type_as_its_owner_has_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(small_files, "SMALL_BYTES", 1 << 20)
    monkeypatch.setattr(staging_ahead, "AHEAD_BYTES", 1 << 40)
    for name in ("_load_id", "_source_row"):
        site.execute(f"ALTER TABLE orders ALTER COLUMN {name} TYPE {kind}")
    outcome = drop_new(site)
    assert outcome.verdict is Verdict.LOADED, outcome
    query = "SELECT _source_row::int FROM orders WHERE _load_id = 2 ORDER BY 1"
    assert ask(site, query) == [(n,) for n in range(1, COUNT + 1)]


def test_a_change_before_the_table_is_held_is_seen(
    site: Site, copies: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = OpenAppend.begin

    def change_and_begin(append: OpenAppend) -> bool:
        site.execute("ALTER TABLE orders ADD COLUMN more text")
        return begin(append)

    monkeypatch.setattr(OpenAppend, "begin", change_and_begin)
    outcome = drop_new(site)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert {table for table, _ in copies} == {"stg.orders__2"}


def test_nobody_waits_for_who_waits_for_the_load(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To look at the table's defaults once more would mean to stand behind its owner."""
    site.execute("ALTER TABLE orders ADD COLUMN remark text DEFAULT 'none'")
    owner: list[Future[None]] = []
    take = staging_ahead.StagingAhead.take_no_more
    waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted"
    with ThreadPoolExecutor(1) as pool:

        def alter(ahead: staging_ahead.StagingAhead) -> None:
            take(ahead)
            owner.append(pool.submit(site.execute, "ALTER TABLE orders ADD COLUMN more text"))
            deadline = time.monotonic() + 60
            while ask(site, waiting) == [(0,)]:
                assert time.monotonic() < deadline, "the owner does not wait"

        monkeypatch.setattr(staging_ahead.StagingAhead, "take_no_more", alter)
        outcome = drop_new(site)
        owner[0].result()
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert readings == []


def test_columns_that_the_file_does_not_have_get_what_the_owner_gives_them(
    site: Site, copies: list[tuple[str, str]]
) -> None:
    site.execute("ALTER TABLE orders ADD COLUMN number bigserial")
    site.execute("ALTER TABLE orders ADD COLUMN remark text DEFAULT 'none'")
    outcome = drop_new(site)
    assert outcome.verdict is Verdict.LOADED, outcome
    assert {table for table, _ in copies} == {"public.orders"}
    query = "SELECT remark, _source_row FROM orders WHERE _load_id = 2 ORDER BY number"
    assert ask(site, query) == [("none", n) for n in range(1, COUNT + 1)]


def test_a_file_of_a_size_that_was_loaded_before_may_be_a_duplicate(
    site: Site, copies: list[tuple[str, str]]
) -> None:
    """Rows that are taken back would leave as much room in the table to be cleared up."""
    check_loaded(site, drop_new(site))
    copies.clear()
    again = site.drop("orders_20240103.csv", NEW)
    assert again.verdict is Verdict.DUPLICATE, again
    other = site.drop("orders_20240104.csv", NEW.replace("ne ", "no "))
    assert (other.verdict, other.rows_loaded) == (Verdict.LOADED, COUNT), other
    assert {table for table, _ in copies} == {"stg.orders__3", "stg.orders__4"}


def test_the_rows_of_a_very_large_file_go_to_a_side_table(
    site: Site, copies: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_ahead, "APPEND_BYTES", len(NEW) - 1)
    check_loaded(site, drop_new(site))
    assert {table for table, _ in copies} == {"stg.orders__2"}


@pytest.mark.parametrize(("times", "place"), [(15, "stg.orders__2"), (17, "public.orders")])
def test_a_packed_file_counts_for_more_than_its_size(
    site: Site,
    copies: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    place: str,
) -> None:
    packed = gzip.compress(NEW.encode())
    monkeypatch.setattr(staging_ahead, "APPEND_BYTES", times * len(packed))
    path = site.inbox("append").path / "orders_20240102.csv.gz"
    path.write_bytes(packed)
    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
    check_loaded(site, process_drop(site.dock, drop, worker_name()))
    assert {table for table, _ in copies} == {place}


@pytest.mark.parametrize(
    "lock",
    [
        "LOCK TABLE orders IN SHARE MODE",
        "SELECT pg_advisory_xact_lock(hashtextextended('dropload public.orders', 0))",
    ],
)
def test_nobody_is_waited_for_before_the_file_is_read(
    site: Site, copies: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    take = staging_ahead.StagingAhead.take_no_more
    with site.dock.target.engine.connect() as owner:
        transaction = owner.begin()
        owner.exec_driver_sql(lock)

        def let_go(ahead: staging_ahead.StagingAhead) -> None:
            transaction.rollback()
            take(ahead)

        monkeypatch.setattr(staging_ahead.StagingAhead, "take_no_more", let_go)
        check_loaded(site, drop_new(site))
    assert {table for table, _ in copies} == {"stg.orders__2"}


def test_a_file_is_judged_when_it_is_known_that_its_table_is_kept(
    site: Site, copies: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planning for its beginning may take longer than reading it."""
    plan, take = examination.plan_beginning, staging_ahead.StagingAhead.take_no_more
    kept: list[bool] = []

    def plan_late(*arguments: Any) -> Any:
        time.sleep(0.3)
        return plan(*arguments)

    def look(ahead: staging_ahead.StagingAhead) -> None:
        take(ahead)
        kept.append(ahead.kept_table is not None)

    monkeypatch.setattr(staging_ahead, "plan_beginning", plan_late)
    monkeypatch.setattr(staging_ahead, "_BEGINNING_BYTES", len(NEW))
    monkeypatch.setattr(staging_ahead.StagingAhead, "take_no_more", look)
    check_loaded(site, drop_new(site))
    assert kept == [True]
    assert {table for table, _ in copies} == {"public.orders"}


def kill_session(site: Site) -> None:
    """Have the server end the sessions that have rows in the table, uncommitted."""
    site.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'orders'::regclass"
        " AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()"
    )


def test_a_connection_that_breaks_meanwhile_takes_its_rows_with_it(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    after_first_rows(monkeypatch, lambda _append: kill_session(site))
    check_loaded(site, drop_new(site))
    assert readings == ["orders_20240102.csv"]


def test_a_connection_that_breaks_when_all_is_read_takes_its_rows_with_it(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = staging_ahead.StagingAhead.accept

    def accept_and_break(ahead: staging_ahead.StagingAhead, plan: Plan) -> None:
        accept(ahead, plan)
        kill_session(site)

    monkeypatch.setattr(staging_ahead.StagingAhead, "accept", accept_and_break)
    with capture_logs() as lines:
        check_loaded(site, drop_new(site))
    assert [line["event"] for line in lines if line["event"].endswith("given_up")] == [
        "append_given_up"
    ]
    assert readings == ["orders_20240102.csv"]


def test_a_lost_answer_to_the_commit_doubles_no_row(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = loading.publish_rows

    def lose_answer(*arguments: Any, **named: Any) -> None:
        publish(*arguments, **named)
        raise TransientError("The connection was lost.")

    monkeypatch.setattr("dropload.pipeline.publish_rows", lose_answer)
    check_loaded(site, drop_new(site))
    assert readings == [], "the journal says that they are there"


def test_a_file_that_hangs_does_not_keep_the_table_from_its_owner(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = str(opening._LIMIT)
    monkeypatch.setattr(opening, "_LIMIT", sa.text(words.replace("'5s'", "'50ms'")))
    monkeypatch.setattr(write_behind, "PAUSE_SECONDS", 0.05)
    take, taken = staging_ahead.StagingAhead.take, list[object]()
    locks = "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass"

    def wait_until(*, is_locked: bool, otherwise: str) -> None:
        deadline = time.monotonic() + 60
        while (ask(site, locks) != [(0,)]) is not is_locked:
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.005)

    def take_and_hang(ahead: staging_ahead.StagingAhead, *batch: Any) -> None:
        take(ahead, *batch)
        taken.append(batch)
        if len(taken) == 3:
            wait_until(is_locked=True, otherwise="no row has come to the table")
            wait_until(is_locked=False, otherwise="the server has not ended the transaction")

    monkeypatch.setattr(staging_ahead.StagingAhead, "take", take_and_hang)
    check_loaded(site, drop_new(site))
    assert readings == ["orders_20240102.csv"]


def test_a_database_of_another_isolation_has_rows_written_once(
    site: Site, copies: list[tuple[str, str]]
) -> None:
    [(name,)] = ask(site, "SELECT current_database()")
    words = "SET default_transaction_isolation = 'repeatable read'"
    site.execute(f'ALTER DATABASE "{name}" {words}')
    site.dock.target.engine.dispose()
    check_loaded(site, drop_new(site))
    assert {table for table, _ in copies} == {"public.orders"}


def test_where_no_row_comes_the_figures_are_those_of_the_table(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []
    after_first_rows(monkeypatch, lambda append: plans.append(append._plan))
    check_loaded(site, drop_new(site))
    append = OpenAppend(site.dock.target, plans[0], 9)
    assert append.begin()
    with append.transaction():
        assert append.published() == Published(300 + COUNT, 300 + COUNT, 0, 0, None)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (FileError("It is wrong."), Verdict.FAILED),
        (HeldError("Somebody must look."), Verdict.HELD),
        (DuplicateError("It is there.", load_id=1), Verdict.DUPLICATE),
        (TargetError("The owner must act."), Verdict.PAUSED),
    ],
)
def test_a_load_that_does_not_end_well_takes_its_rows_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception, verdict: Verdict
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(OpenAppend, "check_table", fail)
    outcome = drop_new(site)
    assert outcome.verdict is verdict, outcome
    assert ask(site, "SELECT count(*) FROM orders") == [(300,)]
    locks = "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass"
    assert ask(site, locks) == [(0,)], "nothing is left open"


def test_a_second_try_goes_by_a_side_table(
    site: Site, copies: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_arguments: object) -> None:
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("dropload.pipeline.plan_load", die)
        drop_new(site)
    assert ask(site, "SELECT count(*) FROM orders") == [(300,)]
    copies.clear()
    path = site.inbox("append").path / "orders_20240102.csv"
    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
    check_loaded(site, process_drop(site.dock, drop, worker_name()))
    assert {table for table, _ in copies} == {"stg.orders__2"}


@pytest.mark.parametrize("state", ["25P03", "25P04"])
def test_an_end_for_a_transaction_that_takes_too_long_passes(state: str) -> None:
    found = psycopg.errors.lookup("25P03")("terminating connection")
    found.sqlstate = state
    assert isinstance(translate_error(found), TransientError)


def test_how_long_an_owner_lets_a_transaction_stand_still_stays_as_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, found = "idle_in_transaction_session_timeout", list[object]()

    begin = OpenAppend.begin

    def begin_and_ask(append: OpenAppend) -> bool:
        is_open = begin(append)
        found.append(append._open_conn().exec_driver_sql(f"SHOW {name}").scalar_one())
        return is_open

    monkeypatch.setattr(OpenAppend, "begin", begin_and_ask)
    site.execute(f"ALTER ROLE current_user SET {name} = '7min'")
    try:
        site.dock.target.engine.dispose()
        check_loaded(site, drop_new(site))
    finally:
        site.execute(f"ALTER ROLE current_user RESET {name}")
    assert found == ["7min"]


def test_rows_that_the_table_refuses_leave_it_as_it_was_and_are_told_of(site: Site) -> None:
    site.execute("ALTER TABLE orders ADD CONSTRAINT early CHECK (id < 1990)")
    outcome = drop_new(site)
    assert (outcome.verdict, outcome.category) == (Verdict.FAILED, "file"), outcome
    assert "early" in outcome.message
    assert len(ask(site, "SELECT id FROM orders")) == 300


def test_a_claim_that_is_lost_meanwhile_ends_the_load_and_its_rows(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = site.dock.target.quoted(TableName("ref", "Load_History"))

    def lose_claim(_append: OpenAppend) -> None:
        site.execute(f"UPDATE {history} SET worker = 'another' WHERE load_id = 2")

    after_first_rows(monkeypatch, lose_claim)
    outcome = drop_new(site)
    assert outcome.verdict is Verdict.SKIPPED, outcome
    assert len(ask(site, "SELECT id FROM orders")) == 300
    locks = "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND granted"
    assert ask(site, locks) == [(0,)], "nothing is left open"


def test_a_machine_without_threads_to_spare_leaves_nothing_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_behind: WriteBehind[Any]) -> None:
        raise RuntimeError("can't start new thread")

    found: list[tuple[Any, ...]] = []
    take = staging_ahead.StagingAhead.take_no_more

    def look(ahead: staging_ahead.StagingAhead) -> None:
        found.extend(ask(site, "SELECT mode FROM pg_locks WHERE relation = 'orders'::regclass"))
        take(ahead)

    monkeypatch.setattr(WriteBehind, "start", refuse)
    monkeypatch.setattr(staging_ahead.StagingAhead, "take_no_more", look)
    check_loaded(site, drop_new(site))
    assert found == []


@pytest.mark.parametrize("last", ["7,7.255,,,,,,n\n", f"7,{'9' * 30}.25,,,,,,n\n"])
def test_a_file_that_goes_on_otherwise_is_staged_anew(
    site: Site, readings: list[str], copies: list[tuple[str, str]], last: str
) -> None:
    outcome = site.drop("orders_20240102.csv", NEW + last)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT + 1), outcome
    assert {table for table, _ in copies} == {"public.orders", "stg.orders__2"}
    assert readings == ["orders_20240102.csv"]
    assert len(ask(site, "SELECT id FROM orders")) == 300 + COUNT + 1
