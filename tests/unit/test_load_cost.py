"""What a load may cost: how often it asks, commits and counts. No seconds: machines differ."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
import sqlalchemy as sa

from dropload import in_order, small_files
from dropload.error_codes import code_of
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.model import TableName, Verdict
from dropload.parsers.base import Batch
from dropload.pipeline import process_drop
from dropload.stage_writer import StageWriter
from dropload.targets import base
from dropload.targets.row_stream import RowStream
from tests.conftest import Yard
from tests.documents import ROOT

SMALL = "id,amount,day,name\n" + "".join(
    f"{n},{n}.25,2024-01-{n % 28 + 1:02d},x{n}\n" for n in range(1, 31)
)


@contextmanager
def statements_of(yard: Yard) -> Iterator[list[str]]:
    """Gather what the database is asked meanwhile, commits included."""
    said: list[str] = []
    engine = yard.dock.target.engine

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    def note_commit(_conn: object) -> None:
        said.append("COMMIT")

    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", note_commit)
    try:
        yield said
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
        sa.event.remove(engine, "commit", note_commit)


def _counts(said: list[str]) -> list[str]:
    return [text for text in said if "count(*)" in text.lower() and '"dbo.t"' in text]


@pytest.mark.parametrize(
    "made",
    [
        "(id INTEGER)",
        "(id INTEGER PRIMARY KEY) WITHOUT ROWID",
        "(id INTEGER, _rowid_ TEXT DEFAULT 'x')",
        "(id INTEGER, _rowid_ INTEGER DEFAULT 0)",
    ],
)
def test_rows_are_counted_up_to_a_limit_whatever_the_table(yard: Yard, made: str) -> None:
    target, table = yard.dock.target, TableName("dbo", "t")
    yard.execute(f'CREATE TABLE "dbo.t" {made}')
    found = []
    for number in range(5):
        with target.read() as conn:
            found.append(target.count_up_to(conn, table, 3))
        yard.execute(f'INSERT INTO "dbo.t" (id) VALUES ({number})')
    assert found == [0, 1, 2, 3, None]
    yard.execute('DELETE FROM "dbo.t" WHERE id < 3')
    with target.read() as conn:
        assert target.count_up_to(conn, table, 3) == 2, "though a row id is larger than that"


def test_a_table_with_few_row_ids_is_counted_by_the_page(yard: Yard) -> None:
    yard.execute('CREATE TABLE "dbo.t" (id INTEGER)')
    steps: dict[int, int] = {}
    for most in (1000, 10):
        yard.execute('DELETE FROM "dbo.t"')
        yard.execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)"
            ' INSERT INTO "dbo.t" SELECT n FROM n'
        )
        with yard.dock.target.read() as conn:
            driver: Any = conn.connection.driver_connection
            ticks: list[int] = []
            driver.set_progress_handler(lambda ticks=ticks: ticks.append(1), 1)
            yard.dock.target.count_up_to(conn, TableName("dbo", "t"), most)
            driver.set_progress_handler(None, 0)
            steps[most] = len(ticks)
    assert max(steps.values()) < 500, f"steps of SQLite's machine for 1000 rows: {steps}"


def test_appending_counts_the_rows_of_the_table_once(yard: Yard) -> None:
    yard.drop("t_20240101.csv", SMALL)
    with statements_of(yard) as said:
        assert yard.drop("t_20240102.csv", SMALL.replace("x", "y")).verdict is Verdict.LOADED
    assert len(_counts(said)) == 1
    assert yard.query('SELECT rows_before, rows_after FROM "ref.Load_History"')[1] == (30, 60)


def test_a_table_that_takes_the_place_of_another_is_counted_once(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_files, "SMALL_BYTES", 0)
    yard.drop("t_20240101.csv", SMALL, load_type="fullload")
    with statements_of(yard) as said:
        yard.drop("t_20240102.csv", SMALL[: SMALL.rindex("30,")], load_type="fullload")
    stages = [text for text in said if "count(*)" in text.lower() and '"stg.t__2"' in text]
    assert len(stages) == 1
    assert len(_counts(said)) == 2, "what is replaced: for the guard rails, and as it goes"
    assert yard.query('SELECT rows_before, rows_after FROM "ref.Load_History"')[1] == (30, 29)


def test_a_small_file_changes_no_more_of_the_schema_than_what_stays(yard: Yard) -> None:
    """Each change of it takes SQLite as long as there are many tables, in every connection."""
    words = ("CREATE", "DROP", "ALTER")
    changes = []
    for number, load_type in enumerate(("append", "append", "fullload", "fullload"), start=1):
        with statements_of(yard) as said:
            rows = SMALL.replace("x", "abcd"[number - 1])
            yard.drop(f"t_2024010{number}.csv", rows, load_type=load_type)
        changes.append([text.partition(" (")[0] for text in said if text.startswith(words)])
    backups = [['CREATE TABLE "bkp.t__3"'], ['CREATE TABLE "bkp.t__4"']]
    assert changes == [['CREATE TABLE "dbo.t"'], [], *backups]
    assert yard.query('SELECT rows_before, rows_after FROM "ref.Load_History"') == [
        (0, 30),
        (30, 60),
        (60, 30),
        (30, 30),
    ]
    assert {row[3][0] for row in yard.table("dbo.t")} == {"d"}


def test_appending_to_a_large_table_costs_what_the_file_costs(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "COUNTED_ROWS", 20)
    yard.drop("t_20240101.csv", SMALL)
    with statements_of(yard) as said:
        yard.drop("t_20240102.csv", "id,amount,day,name\n1,2.25,2024-01-01,a\n")
    [counted] = _counts(said)
    assert "LIMIT" in counted, "no further than to 21"
    history = yard.query('SELECT rows_loaded, rows_before, rows_after FROM "ref.Load_History"')
    assert history[-1] == (1, None, None)
    assert len(yard.table("dbo.t")) == 31


def test_rows_of_a_table_like_its_stage_are_copied_without_being_looked_into(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_files, "SMALL_BYTES", 0)
    yard.drop("t_20240101.csv", SMALL)
    with statements_of(yard) as said:
        assert yard.drop("t_20240102.csv", SMALL.replace("x", "y")).verdict is Verdict.LOADED
    copies = [text for text in said if text.startswith('INSERT INTO "dbo.t"')]
    assert copies == ['INSERT INTO "dbo.t" SELECT * FROM "stg.t__2"']
    assert [row[3] for row in yard.table("dbo.t")][30:33] == ["y1", "y2", "y3"]


@pytest.mark.parametrize("extra", ["", ",_rowid_"])
def test_rows_of_another_table_are_copied_in_the_order_of_the_file(yard: Yard, extra: str) -> None:
    lines = [
        "id,name,more" + extra,
        *(f"{n},x{n},{n}{f',{99 - n}' if extra else ''}" for n in range(30)),
    ]
    names = ", ".join(["id INTEGER", "name TEXT", "more INTEGER", *([extra[1:]] if extra else [])])
    yard.execute(f"CREATE TABLE \"dbo.t\" ({names}, own TEXT DEFAULT 'mine')")
    outcome = yard.drop("t.csv", "\n".join(lines) + "\n", load_type="append")
    assert outcome.verdict is Verdict.LOADED, outcome
    rows = yard.query('SELECT id, name, own FROM "dbo.t" ORDER BY rowid')
    assert rows == [(n, f"x{n}", "mine") for n in range(30)]


def test_a_column_that_hides_the_row_id_decides_no_order(yard: Yard) -> None:
    yard.execute('CREATE TABLE "dbo.t" (id INTEGER, name TEXT, more INTEGER, _rowid_ TEXT)')
    with statements_of(yard) as said:
        assert yard.drop("t.csv", "id,name,more\n1,x,2\n").verdict is Verdict.LOADED
    [copy] = [text for text in said if text.startswith('INSERT INTO "dbo.t"')]
    assert copy.endswith("ORDER BY _source_row")


@pytest.mark.parametrize(("is_ahead", "noted"), [(True, [3, 5]), (False, [1, 2, 3, 4, 5])])
def test_rows_that_are_committed_by_others_are_noted_once_a_second(
    is_ahead: bool, noted: list[int]
) -> None:
    """Each note is a commit, which waits for the disk; what waits for it anyway is noted there"""
    now, notes, settled = 0.0, list[int](), list[float]()
    target: Any = SimpleNamespace(
        stage_name=lambda *_: None,
        commit_bytes=1,
        settle_seconds=1.0,
        stream_rows=lambda *_: SimpleNamespace(
            gathers=True, send=lambda _batches: is_ahead, settle=lambda: settled.append(now)
        ),
        write=lambda **_: nullcontext(),
        write_batches=lambda *_: None,
    )
    writer = StageWriter(
        target,
        1,
        cast("Any", SimpleNamespace(table=None)),
        990,
        lambda _conn, rows: notes.append(rows),
        clock=lambda: now,
    )
    for number in range(1, 5):
        records = pa.record_batch({"a": ["x"]})
        writer.add(Batch(records, pa.array([number], pa.int64())))
        now += 0.5
    writer.add(Batch(pa.record_batch({"a": ["x"]}), pa.array([5], pa.int64())))
    writer.finish(lambda _conn, rows: notes.append(-rows))
    assert notes == [*noted, -5]
    assert len(settled) == len(notes), "what is noted is settled before"


def test_transactions_grow_where_a_target_likes_them_large() -> None:
    """The first is small: a database that has nothing to do yet gets something soon"""
    sizes = list[int]()
    target: Any = SimpleNamespace(
        stage_name=lambda *_: None,
        commit_bytes=16 << 20,
        settle_seconds=1.0,
        stream_rows=lambda *_: RowStream(),
        write=lambda **_: nullcontext(),
        write_batches=lambda _conn, _plan, _stage, batches, *_: sizes.append(len(batches)),
    )
    plan: Any = SimpleNamespace(table=None)
    writer = StageWriter(target, 1, plan, 990, lambda *_: None)
    megabyte = pa.record_batch({"a": ["x" * (1 << 20)]})
    for number in range(1, 49):
        writer.add(Batch(megabyte, pa.array([number], pa.int64())))
    writer.finish(lambda *_: None)
    assert sizes == [1, 2, 4, 8, 16, 16, 1]


_LOAD_IN_A_WORKER = """
import sys
from pathlib import Path
from dropload import staging_ahead
from dropload.arrow_settings import spare_memory
from dropload.model import Verdict
from dropload.parsers.base import Batch
from dropload.stage_writer import StageWriter
from tests.conftest import open_yard

spare_memory()
staging_ahead.AHEAD_BYTES = 1000
yard = open_yard(Path(sys.argv[1]))
text = "id,name\\n" + "".join(f"{n},x{n}\\n" for n in range(200_000))
assert yard.drop("t.csv", text).verdict is Verdict.LOADED
writer = yard.dock.target._bulk._process
mapped = Path(f"/proc/{writer._popen.pid}/maps").read_text()
assert "adbc_driver_sqlite" in mapped, "the process that writes columns is at work"
print("pandas" in sys.modules, "libarrow" in mapped, "numpy" in mapped)
import pandas
print(pandas.DataFrame({"a": [1]})["a"].sum())
"""


def test_neither_a_worker_nor_its_writer_carries_what_it_does_not_use(tmp_path: Path) -> None:
    """Memory of a worker: pandas in it, and pyarrow in the writer, would be 60 and 100 MB."""
    run = [sys.executable, "-c", _LOAD_IN_A_WORKER, str(tmp_path)]
    done = subprocess.run(run, check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split()[-4:] == ["False", "False", "False", "1"]


def test_a_small_file_is_appended_without_a_side_table(yard: Yard) -> None:
    """What makes or drops a table has every statement of every connection prepared anew."""
    yard.drop("t_20240101.csv", SMALL)
    with statements_of(yard) as said:
        assert yard.drop("t_20240102.csv", SMALL.replace("x", "y")).verdict is Verdict.LOADED
    assert [text for text in said if "stg." in text or text.startswith(("CREATE", "DROP"))] == []
    assert [row[3] for row in yard.table("dbo.t")][29:32] == ["x30", "y1", "y2"]
    assert [row[4:6] for row in yard.query('SELECT * FROM "dbo.t"')][29:31] == [(1, 30), (2, 1)]


MOST_STATEMENTS = 27
"""Of one file of a hand-over into a known table, its BEGIN and its share of the rest included."""


def test_small_files_together_cost_few_statements_each(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "MOST_SECONDS", inf)
    yard.drop("t_20240101.csv", SMALL)
    paths = [yard.put(f"t_202402{n:02}.csv", SMALL.replace("x", f"y{n}")) for n in range(1, 9)]
    drops = [
        drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="daemon")
        for path in paths
    ]
    with statements_of(yard) as said:
        ended = in_order.load_in_order(yard.dock, drops, worker_name())
    assert [one.outcome.verdict for one in ended if one.outcome] == [Verdict.LOADED] * len(drops)
    asked = [text for text in said if text != "COMMIT"]
    assert len(asked) <= MOST_STATEMENTS * len(drops), Counter(text[:90] for text in asked)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ('CREATE UNIQUE INDEX "once" ON "dbo.t" (id)', "constraint"),
        (
            'CREATE TRIGGER "drops" BEFORE INSERT ON "dbo.t" BEGIN SELECT RAISE(IGNORE); END',
            "row_count",
        ),
    ],
)
def test_a_rule_of_the_owner_that_refuses_or_drops_rows_keeps_all_of_them_out(
    yard: Yard, rule: str, code: str
) -> None:
    yard.drop("t_20240101.csv", SMALL)
    yard.execute(rule)
    outcome = yard.drop("t_20240102.csv", SMALL + "31,1.25,2024-01-01,z\n")
    assert outcome.verdict is (Verdict.FAILED if code == "constraint" else Verdict.PAUSED), outcome
    assert outcome.code == code_of(code)
    assert len(yard.table("dbo.t")) == 30


def load_for(yard: Yard, who: str, path: Path) -> None:
    drop = drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by=who)
    assert process_drop(yard.dock, drop, worker_name()).verdict is Verdict.LOADED


@pytest.mark.parametrize(("who", "claim"), [("daemon", "NORMAL"), ("anna", "FULL")])
def test_a_claim_waits_for_no_disk_and_rows_do(yard: Yard, who: str, claim: str) -> None:
    """A claim that a crash takes back was none; what a person has asked for stays written down"""
    levels: dict[str, str] = {}
    said: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    def note_commit(conn: sa.Connection) -> None:
        driver: Any = conn.connection.driver_connection
        [level] = driver.execute("PRAGMA synchronous").fetchone()
        begun = "".join(said)
        for words in ('INSERT INTO "ref.Load_History"', 'INSERT INTO "dbo.t"'):
            if words in begun:
                levels[words.split('"')[1]] = ("OFF", "NORMAL", "FULL")[level]
        said.clear()

    engine = yard.dock.target.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", note_commit)
    load_for(yard, who, yard.put("t.csv", SMALL))
    assert levels == {"ref.Load_History": claim, "dbo.t": "FULL"}
