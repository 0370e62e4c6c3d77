"""SQLite's fast way: another process writes the columns, and the rows are the same."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from dropload import small_files
from dropload.column_types import ConversionError
from dropload.errors import ConfigError, DroploadError, LockedError, TransientError
from dropload.model import ColumnType, Kind, State, Verdict
from dropload.targets.sqlite import SQLiteTarget, bulk, columns
from dropload.targets.sqlite.checkpoints import EVERY_BYTES, Checkpointer
from tests.conftest import Yard, open_yard

NOTES = ["", '""', "x", "Łódź", "東京 🚢", "line\nbreak", "'quoted'", "0" * 300, "NULL", " blank "]
ROWS = [
    ("n", "big", "price", "long", "share", "day", "at", "flag", "id", "note"),
    *(
        (
            str(n),
            str(9_007_199_254_740_993 + n),
            f"{n}.{n % 100:02d}",
            f"{n}.12345678901234567890",
            f"{n / 3!r}" if n else "",
            f"2024-02-{n % 28 + 1:02d}",
            f"2024-02-{n % 28 + 1:02d} 12:00:{n % 60:02d}",
            "true" if n % 2 else "false",
            f"{n:08x}-0000-4000-8000-000000000000",
            '"' + NOTES[n % len(NOTES)].replace('"', '""') + '"' if n % len(NOTES) else "",
        )
        for n in range(200)
    ),
]
FILE = "".join(",".join(row) + "\n" for row in ROWS)


@pytest.fixture(autouse=True)
def however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LEAST_BYTES", 0)
    monkeypatch.setattr(small_files, "SMALL_BYTES", 0)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = open_yard(tmp_path)
    yield made
    made.dock.target.close()


def writer_of(yard: Yard) -> bulk.BulkWriter:
    assert isinstance(yard.dock.target, SQLiteTarget)
    return yard.dock.target._bulk


def write(yard: Yard, table: str, *batches: pa.RecordBatch) -> bool:
    numbered = [(batch, pa.array(range(1, batch.num_rows + 1))) for batch in batches]
    return writer_of(yard).write(table, numbered, lambda records, _: records)


def stored(yard: Yard, table: str = "dbo.t") -> list[tuple[object, ...]]:
    names = [row[1] for row in yard.query(f'PRAGMA table_info("{table}")')]
    cells = ", ".join(f'quote("{name}"), typeof("{name}")' for name in names if name != "_load_id")
    return yard.query(f'SELECT {cells} FROM "{table}" ORDER BY _source_row')


def test_columns_by_the_other_process_are_what_rows_would_be(yard: Yard, tmp_path: Path) -> None:
    by_rows = open_yard(tmp_path / "rows", database={"bulk": False})
    for each in (yard, by_rows):
        outcome = each.drop("t.csv", FILE)
        assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, 200), outcome
    assert writer_of(yard)._process is not None
    assert writer_of(by_rows)._process is None
    declared = 'PRAGMA table_info("dbo.t")'
    assert yard.query(declared) == by_rows.query(declared)
    assert {"REAL", "BOOLEAN", "DATE", "INTEGER"} <= {row[2] for row in yard.query(declared)}
    assert stored(yard) == stored(by_rows)
    by_rows.dock.target.close()


@pytest.mark.parametrize("by_columns", [True, False])
def test_decimals_of_up_to_fifteen_digits_are_kept_to_the_last(
    tmp_path: Path, by_columns: bool
) -> None:
    """SQLite 3.40 reads one long decimal of 13,000 as its neighbour, when it is given text."""
    prices = ["9999.999999957", "-9999.999999957", "74.198468321", "5.000000000", "0.100000000"]
    yard = open_yard(tmp_path, database={"bulk": by_columns})
    outcome = yard.drop("t.csv", "price\n" + "".join(f"{price}\n" for price in prices))
    assert outcome.rows_loaded == len(prices), outcome
    assert (writer_of(yard)._process is not None) == by_columns
    [(declared,)] = yard.query("SELECT type FROM pragma_table_info('dbo.t') WHERE name = 'price'")
    assert declared == "DECIMAL(15,9)"
    found = yard.query('SELECT price FROM "dbo.t" ORDER BY _source_row')
    assert found == [(9999.999999957,), (-9999.999999957,), (74.198468321,), (5,), (0.1,)]
    yard.dock.target.close()


def test_numbers_are_handed_over_as_numbers() -> None:
    """The thread that all rows pass through would read them: a twelfth of a load's time."""
    texts = pa.array(["1", None, "-12"])
    for column_type, expected in (
        (ColumnType(Kind.INTEGER), pa.array([1, None, -12])),
        (ColumnType(Kind.DECIMAL, precision=15, scale=2), pa.array([1.0, None, -12.0])),
        (ColumnType(Kind.DECIMAL, precision=16, scale=2), texts),
        (ColumnType(Kind.TEXT), texts),
    ):
        assert columns.storable(texts, column_type).equals(expected)
    decimal = ColumnType(Kind.DECIMAL, precision=3, scale=2)
    for column_type, text in (
        (ColumnType(Kind.INTEGER), "n/a"),
        (decimal, "n/a"),
        (decimal, "nan"),
        (decimal, "inf"),
    ):
        with pytest.raises(ConversionError, match=text):
            columns.storable(pa.array(["1", None, text]), column_type)


def test_a_column_that_keeps_decimals_as_text_is_none_of_numbers() -> None:
    declared = columns.parse_declared("DECIMAL_TEXT(10,2)")
    assert columns.is_kept_as_text(declared)
    assert (declared.kind, declared.scale) == (Kind.DECIMAL, 2)
    assert columns.parse_declared("DECIMAL_TEXT") == ColumnType(Kind.TEXT)


def test_rows_that_were_rejected_and_rewritten_go_the_same_way(tmp_path: Path) -> None:
    text = "id;price\n1;1.234,50\nx;2,00\n3;3,00\n" + "".join(f"{n};7,25\n" for n in range(4, 60))
    found = []
    for name, wanted in (("columns", True), ("rows", False)):
        yard = open_yard(tmp_path / name, database={"bulk": wanted}, load={"max_rejected_rows": 1})
        yard.execute('CREATE TABLE "dbo.t" (id INTEGER, price DECIMAL(9,2))')
        outcome = yard.drop("t.csv", text)
        assert (outcome.rows_loaded, outcome.rows_rejected) == (58, 1), outcome
        found.append(yard.query('SELECT id, typeof(id), price, typeof(price) FROM "dbo.t"'))
        yard.dock.target.close()
    assert found[0] == found[1]


def test_a_small_file_starts_no_process(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LEAST_BYTES", 1 << 20)
    assert yard.drop("t.csv", FILE).verdict is Verdict.LOADED
    assert writer_of(yard)._process is None


def test_rows_take_the_other_way_when_the_process_refuses_them(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "refuses.py"
    program.write_text(
        "import sys\nsys.stdin.buffer.readline()\n"
        'print(\'{"error": "no driver", "code": null}\', flush=True)\n'
    )
    monkeypatch.setattr(bulk, "_PROGRAM", program)
    assert yard.drop("t.csv", FILE).rows_loaded == 200
    assert not writer_of(yard)._is_usable, "it never worked: it rests"
    assert yard.drop("u.csv", FILE).rows_loaded == 200


def test_a_process_that_dies_costs_a_try_and_no_row(yard: Yard) -> None:
    assert yard.drop("t.csv", FILE).verdict is Verdict.LOADED
    process = writer_of(yard)._process
    assert process is not None
    os.kill(process._popen.pid, signal.SIGKILL)
    outcome = yard.drop("u.csv", FILE)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, 200), outcome
    assert yard.query('SELECT count(*), count(DISTINCT _source_row) FROM "dbo.u"') == [(200, 200)]
    assert writer_of(yard)._process not in (None, process), "one death is no reason to give up"


def test_a_request_that_broke_off_leaves_no_answer_for_the_next(yard: Yard) -> None:
    yard.execute('CREATE TABLE "dbo.t" (a TEXT)')
    other = pa.record_batch([pa.array([1])], names=["b"])
    with pytest.raises(ValueError, match="other columns"):
        write(yard, "dbo.t", rows_of(3), other)
    assert yard.query('SELECT count(*) FROM "dbo.t"') == [(0,)], "half of it is none of it"
    assert not write(yard, "no such table", rows_of(3))


def test_a_batch_is_sent_in_one_piece_before_the_next_is_made() -> None:
    made = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(3):
            made.append(number)
            yield rows_of(10)

    pieces = bulk._messages(batches())
    assert len([next(pieces), next(pieces)]) == 2, "the schema, and the first"
    assert made == [0]
    assert len(list(pieces)) == 3, "two more, and the end"


def test_the_process_needs_no_new_memory_for_each_batch(yard: Yard) -> None:
    """Page after page: 256 for each megabyte that is given back and asked for anew."""
    yard.execute('CREATE TABLE "dbo.t" (a TEXT, b TEXT, c TEXT, d TEXT)')
    sizes = (200_000, 50_000, 250_000, 100_000)

    def batch(number: int) -> pa.RecordBatch:
        rows = sizes[number % len(sizes)] // 10
        return pa.record_batch([pa.array(["x" * 9] * rows)] * 4, names=["a", "b", "c", "d"])

    assert write(yard, "dbo.t", *map(batch, range(4)))
    before = new_pages_of(yard)
    assert write(yard, "dbo.t", *map(batch, range(16)))
    assert new_pages_of(yard) - before < 300


def new_pages_of(yard: Yard) -> int:
    """Return how many pages of memory the process has been given (proc_pid_stat(5), minflt)."""
    process = writer_of(yard)._process
    assert process is not None
    stat = Path(f"/proc/{process._popen.pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[7])


def test_where_no_thread_can_be_had_rows_take_the_other_way(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_timer: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", refuse)
    assert not write(yard, "dbo.t", rows_of(3))
    assert writer_of(yard)._process is None


def test_rows_that_the_journal_does_not_know_of_are_not_loaded_twice(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process has committed; the transaction that tells the journal breaks off."""
    advance, calls = yard.dock.journal.loads.advance, []

    def breaks_once(conn: sa.Connection, *rest: object, **values: object) -> None:
        calls.append(rest[1])
        if rest[1] is State.PUBLISHING and calls.count(State.PUBLISHING) == 1:
            raise TransientError("cut off")
        advance(conn, *rest, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(yard.dock.journal.loads, "advance", breaks_once)
    outcome = yard.drop("t.csv", FILE)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, 200), outcome
    assert calls.count(State.PUBLISHING) == 2
    assert len(stored(yard)) == 200


def test_a_lock_of_somebody_else_is_waited_for_and_then_said(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, database={"busy_timeout_seconds": 0.2})
    yard.execute('CREATE TABLE "dbo.t" (a INTEGER)')
    batch = rows_of(3)
    assert write(yard, "dbo.t", batch)
    with yard.dock.target.write() as conn:
        conn.exec_driver_sql('INSERT INTO "dbo.t" VALUES (9)')
        with pytest.raises(LockedError):
            write(yard, "dbo.t", batch)
    assert write(yard, "dbo.t", batch), "a lock is no reason to give up"
    assert yard.query('SELECT count(*) FROM "dbo.t"') == [(7,)]
    yard.dock.target.close()


def test_a_process_that_hangs_is_ended_when_a_statement_may_not_take_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "hangs.py"
    program.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(bulk, "_PROGRAM", program)
    yard = open_yard(tmp_path, database={"statement_timeout_seconds": 1})
    with pytest.raises(TransientError, match="statement_timeout_seconds"):
        write(yard, "dbo.t", rows_of(100_000))
    assert writer_of(yard)._process is None
    yard.dock.target.close()


def test_the_process_ends_with_its_target(yard: Yard) -> None:
    yard.drop("t.csv", FILE)
    process = writer_of(yard)._process
    assert process is not None
    began = time.monotonic()
    yard.dock.target.close()
    assert process.status == 0
    assert time.monotonic() - began < bulk._GOODBYE_SECONDS, "it was not killed"


def rows_of(count: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array([str(n) for n in range(count)])], names=["a"])


@pytest.mark.parametrize("page_bytes", [512, 4096, 16_384, 65_536])
def test_the_process_counts_its_log_in_the_pages_of_the_file(
    page_bytes: int, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute(f"PRAGMA page_size={page_bytes}")
        connection.execute("PRAGMA journal_mode=WAL")
    # Not in this process: the driver brings an SQLite of its own.
    program = (
        "import sys; from pathlib import Path; from dropload.targets.sqlite import ingest_process;"
        " print(ingest_process._page_bytes(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "x.db")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(said) == page_bytes


def test_only_a_database_of_its_own_gets_large_pages(tmp_path: Path) -> None:
    """They make many rows cheaper; what somebody else made stays as it is."""
    (theirs := tmp_path / "theirs").mkdir()
    with closing(sqlite3.connect(theirs / "dropload.db")) as connection:
        connection.execute("PRAGMA page_size=1024")
        connection.execute("CREATE TABLE theirs AS SELECT 1 AS n")
    for folder, page_bytes in ((tmp_path / "own", 16_384), (theirs, 1024)):
        yard = open_yard(folder)
        path = yard.put("t.csv", FILE)
        assert yard.load(path).verdict is Verdict.LOADED
        assert yard.query("PRAGMA page_size") == [(page_bytes,)]
        with yard.dock.target.read() as conn:
            pages = conn.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one()
        assert pages * page_bytes == 16 << 20
        assert len(yard.table("dbo.t")) == len(ROWS) - 1
        yard.dock.target.close()


def test_the_log_of_changes_is_written_into_the_file_beside_the_load(tmp_path: Path) -> None:
    path, alone = tmp_path / "x.db", tmp_path / "alone.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        for words in ("PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0"):
            writer.execute(words)
        writer.execute("CREATE TABLE t AS SELECT 1 AS n")
        before = path.stat().st_size
        checkpointer = Checkpointer(path)
        checkpointer.note(EVERY_BYTES - 1)
        checkpointer.close()
        assert path.stat().st_size == before, "it is not worth it yet"
        checkpointer.note(1)
        checkpointer.close()
        shutil.copy(path, alone)
    with closing(sqlite3.connect(alone)) as reader:
        assert reader.execute("SELECT n FROM t").fetchall() == [(1,)]
    (tmp_path / "no.db").mkdir()
    nowhere = Checkpointer(tmp_path / "no.db")
    nowhere.note(EVERY_BYTES)
    nowhere.close()


@pytest.mark.parametrize("small", [0, 1 << 16])
@pytest.mark.parametrize(
    ("made", "changed"),
    [
        ("", 'ALTER TABLE "dbo.t" ADD COLUMN twice INTEGER AS (id * 2)'),
        ('CREATE TABLE "dbo.t" (id INTEGER, name TEXT, {}) STRICT', ""),
        ('CREATE TABLE "dbo.t" (id INTEGER NOT NULL, name TEXT, {})', ""),
    ],
)
def test_what_an_owner_has_declared_stays_across_a_fullload(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, small: int, made: str, changed: str
) -> None:
    monkeypatch.setattr(small_files, "SMALL_BYTES", small)
    definition = "SELECT sql FROM sqlite_master WHERE name = 'dbo.t'"
    yard.execute(made.format('"_load_id" INTEGER NOT NULL, "_source_row" INTEGER NOT NULL'))
    before = yard.query(definition)
    yard.drop("t_20240101.csv", "id,name\n1,a\n2,b\n", load_type="fullload")
    yard.execute(changed)
    before = before or yard.query(definition)
    outcome = yard.drop("t_20240102.csv", "id,name\n3,c\n4,d\n", load_type="fullload")
    assert outcome.verdict is Verdict.LOADED, outcome
    assert yard.query(definition) == before
    assert yard.query('SELECT id, name FROM "dbo.t"') == [(3, "c"), (4, "d")]


@pytest.mark.parametrize("synced", [True, False])
def test_a_file_that_was_damaged_meanwhile_is_told_in_our_words(yard: Yard, synced: bool) -> None:
    """Also where what is said before a transaction finds it: it is no fault of a file's"""
    target = yard.dock.target
    with pytest.raises(ConfigError), target.write(synced=synced) as conn:
        # What is known of the schema goes with it: whatever is asked next reads the file.
        conn.exec_driver_sql("CREATE TABLE t (a)")
        raise ConfigError("never mind")
    with sqlite3.connect(yard.root / "dropload.db") as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    (yard.root / "dropload.db").write_bytes(b"no database " * 4000)
    with pytest.raises(DroploadError), target.write(synced=not synced):
        pass
