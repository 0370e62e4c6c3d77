"""One file on its way: what each kind of file becomes, in the table, the folders, the journal."""

import gzip
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from dropload import pipeline
from dropload.accounts import account_for_files
from dropload.cli.status_screen import parts, show_all
from dropload.errors import LockedError, TransientError
from dropload.filing import plan_filing
from dropload.loading import publish_rows
from dropload.model import Verdict
from dropload.parsers.base import Batch
from dropload.small_files import RowsInHand
from dropload.status import Status, read_status
from dropload.targets.base import Published
from tests.conftest import Yard, open_yard

ORDERS = "id,name,amount,on\n1,Ada,10.50,2026-01-02\n2,,7.25,2026-01-03\n"


def only_file(folder: Path, ending: str = "") -> Path:
    [found] = [path for path in folder.iterdir() if path.name.endswith(ending)]
    return found


# --- what becomes of a good file


def test_an_append_creates_the_table_with_types_rows_and_lineage(yard: Yard) -> None:
    outcome = yard.drop("orders_20260102.csv", ORDERS)
    assert (outcome.verdict, outcome.table, outcome.rows_loaded) == (
        Verdict.LOADED,
        "dbo.orders",
        2,
    )
    assert yard.table("dbo.orders") == [
        (1, "Ada", 10.5, "2026-01-02"),
        (2, None, 7.25, "2026-01-03"),
    ]
    assert yard.query('SELECT _load_id, _source_row FROM "dbo.orders"') == [(1, 1), (1, 2)]
    declared = {row[1]: row[2] for row in yard.query('PRAGMA table_info("dbo.orders")')}
    assert declared == {
        "id": "INTEGER",
        "name": "TEXT",
        "amount": "DECIMAL(15,2)",
        "on": "DATE",
        "_load_id": "INTEGER",
        "_source_row": "INTEGER",
    }


def test_a_loaded_file_stands_in_processed_under_its_utc_name(yard: Yard) -> None:
    outcome = yard.drop("orders.csv", ORDERS)
    filed = only_file(yard.inbox().path / "processed")
    assert outcome.filed_path == filed
    assert filed.name.endswith("Z_orders.csv")
    assert filed.read_text() == ORDERS
    assert not (yard.inbox().path / "orders.csv").exists()
    assert yard.states() == ["filed"]


def test_the_journal_counts_what_was_read_staged_and_loaded(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders.csv", "id,name,amount,on\n3,Eve,1.00,2026-01-04\n")
    rows = yard.query(
        "SELECT rows_read, rows_staged, rows_loaded, rows_rejected, rows_before, rows_after "
        'FROM "ref.Load_History" ORDER BY load_id'
    )
    assert rows == [(2, 2, 2, 0, 0, 2), (1, 1, 1, 0, 2, 3)]
    [(status, delimiter, headers, reference)] = yard.query(
        "SELECT status, detected_delimiter, detected_headers, is_reference_data "
        'FROM "ref.File_Monitor_Tracking"'
    )
    assert (status, delimiter, reference) == ("filed", ",", 0)
    assert json.loads(headers) == ["id", "name", "amount", "on"]


def test_the_outcome_tells_how_long_each_step_took_that_the_load_came_to(yard: Yard) -> None:
    loaded = yard.drop("orders.csv", ORDERS)
    assert list(loaded.step_seconds) == [
        *("detecting", "profiling", "checking", "planning", "staging", "publishing"),
        *("filing", "journal"),
    ]
    began = [span.began_ns for span in loaded.spans]
    assert began == sorted(began)
    assert [span.step for span in loaded.spans if span.within is None] == [
        *("journal", "detecting", "profiling", "checking", "planning", "staging", "publishing"),
        "filing",
    ]
    assert abs(began[0] - time.time_ns()) < 3600 * 10**9, "on the clock on the wall"
    failed = yard.drop("orders.csv", "id,name\n1,Ada,too many\n")
    assert [span.step for span in failed.spans if span.broke_off] == ["planning"]
    assert list(failed.step_seconds) == [
        *("detecting", "profiling", "checking", "planning", "filing", "journal")
    ]
    assert min(*loaded.step_seconds.values(), *failed.step_seconds.values()) > 0


def test_the_outcome_tells_how_often_a_step_was_done_again(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = iter([True, False])

    def publish_at_the_second_try(*args: Any, **kwargs: Any) -> Published:
        if next(fails):
            raise TransientError("The database is busy.")
        return publish_rows(*args, **kwargs)

    monkeypatch.setattr(pipeline, "publish_rows", publish_at_the_second_try)
    outcome = yard.drop("orders.csv", ORDERS)
    assert (outcome.verdict, outcome.steps_retried) == (Verdict.LOADED, 1)


def test_the_status_tells_that_a_load_waits_for_its_table_and_for_whom(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.leases.BEAT_SECONDS", 0.01)
    told: list[Status] = []
    fails = iter([True, False])

    def wait_for(said: str) -> None:
        give_up_at = time.monotonic() + 60
        while said not in str(told[-1:]):
            assert time.monotonic() < give_up_at, told
            told[:] = [read_status(yard.dock)]

    def publish_at_the_second_try(*args: Any, **kwargs: Any) -> Published:
        if next(fails):
            wait_for("step='publishing'")
            raise LockedError("Table busy: session 57 of ada (active).")
        wait_for("session 57")
        return publish_rows(*args, **kwargs)

    monkeypatch.setattr(pipeline, "publish_rows", publish_at_the_second_try)
    outcome = yard.drop("orders.csv", ORDERS)
    [load], [file] = told[-1].loads, told[-1].files
    assert re.fullmatch(
        r"Table busy: session 57 of ada \(active\); tried again \S+ UTC",
        load.progress.trouble or "",
    )
    assert file.why.text == load.progress.trouble
    assert (load.progress.share, load.progress.seconds_left) == (None, None)
    assert f"Load {outcome.load_id} waits: {load.progress.trouble}." in parts(
        show_all(told[-1]), 80
    )
    assert outcome.verdict is Verdict.LOADED
    assert read_status(yard.dock).last[0].error_message is None


def test_an_append_adds_and_matches_columns_by_name_not_by_position(yard: Yard) -> None:
    """G4"""
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders_2.csv", "x\n")
    yard.drop("orders-20260201.csv", "Amount,ID,NAME,On\n3.00,3,Eve,2026-01-04\n")
    assert yard.table("dbo.orders")[-1] == (3, "Eve", 3, "2026-01-04")


def test_a_fullload_replaces_the_rows_and_keeps_the_old_ones(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    yard.drop("orders.csv", ORDERS.replace("Ada", "Bob"), load_type="fullload")
    assert [row[1] for row in yard.table("dbo.orders")] == ["Bob", None]
    assert [row[1] for row in yard.table("bkp.orders__2")] == ["Ada", None]


def test_only_the_newest_backups_of_a_table_are_kept(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, retention={"backups_per_table": 2})
    for number in range(5):
        yard.drop("orders.csv", ORDERS.replace("Ada", f"A{number}"), load_type="fullload")
    backups = sorted(name for name in yard.tables() if name.startswith("bkp."))
    assert backups == ["bkp.orders__4", "bkp.orders__5"]
    yard.dock.target.close()


def test_no_stage_is_left_when_a_load_is_over(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders.csv", ORDERS + "x\n")
    yard.drop("orders.csv", ORDERS + "5,Eve,1.00,2026-01-04\n")
    assert not [name for name in yard.tables() if name.startswith("stg.")]


def test_the_reference_area_goes_to_its_own_schema_and_is_configured_once(yard: Yard) -> None:
    yard.drop("airports.csv", "iata,name\nOSL,Oslo\n", "reference", "fullload")
    yard.drop("airports.csv", "iata,name\nOSL,Oslo!\n", "reference", "fullload")
    assert yard.table("ref.airports") == [("OSL", "Oslo!")]
    assert yard.query('SELECT table_name, load_id FROM "ref.Reference_Data_Cfg"') == [
        ("airports", 2)
    ]
    assert yard.query('SELECT reference_config_inserted FROM "ref.File_Monitor_Tracking"') == [(1,)]


def test_the_other_area_is_not_configured_as_reference_data(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    assert yard.query('SELECT count(*) FROM "ref.Reference_Data_Cfg"') == [(0,)]


def test_a_companion_is_filed_with_its_file(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    (path.parent / "orders.csv.done").touch()
    yard.load(path)
    filed = only_file(path.parent / "processed", ".csv")
    assert (filed.parent / f"{filed.name}.done").exists()
    assert not (path.parent / "orders.csv.done").exists()


# --- duplicates


def test_the_same_bytes_are_appended_once_whatever_the_file_is_called(yard: Yard) -> None:
    """C4"""
    yard.drop("orders.csv", ORDERS)
    outcome = yard.drop("orders_20260103.csv", ORDERS)
    assert outcome.verdict is Verdict.DUPLICATE
    assert "load 1 of orders.csv" in outcome.message
    assert len(yard.table("dbo.orders")) == 2
    assert len(list((yard.inbox().path / "processed").iterdir())) == 2
    assert yard.states() == ["filed", "duplicate"]


def test_a_forced_load_takes_the_same_bytes_again(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    assert yard.drop("orders.csv", ORDERS, force=True).verdict is Verdict.LOADED
    assert len(yard.table("dbo.orders")) == 4


def test_the_configuration_can_allow_the_same_bytes_again(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, load={"reload_duplicates": True})
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders.csv", ORDERS)
    assert len(yard.table("dbo.orders")) == 4
    yard.dock.target.close()


def test_a_fullload_is_a_duplicate_only_of_what_the_table_holds_now(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    assert yard.drop("orders.csv", ORDERS, load_type="fullload").verdict is Verdict.DUPLICATE
    yard.drop("orders.csv", "id,name,amount,on\n9,Z,1.00,2026-01-09\n", load_type="append")
    assert yard.drop("orders.csv", ORDERS, load_type="fullload").verdict is Verdict.LOADED


def test_a_failed_file_that_is_mended_loads_under_the_same_name(yard: Yard) -> None:
    """C4"""
    yard.drop("orders.csv", "id,name\n1,Ada,too,much\n2,Bob\n")
    outcome = yard.drop("orders.csv", "id,name\n1,Ada\n2,Bob\n")
    assert outcome.verdict is Verdict.LOADED
    assert yard.states() == ["failed", "filed"]


def test_a_filed_name_that_is_dropped_again_goes_to_the_same_table(yard: Yard) -> None:
    outcome = yard.drop("orders.csv", "id,name\n1,Ada,too,much\n2,Bob\n")
    assert outcome.filed_path is not None
    again = yard.drop(outcome.filed_path.name, "id,name\n1,Ada\n2,Bob\n")
    assert (again.verdict, again.table) == (Verdict.LOADED, "dbo.orders")


# --- what becomes of a bad file


def test_a_bad_row_sends_the_whole_file_to_error_with_a_report(yard: Yard) -> None:
    """F6"""
    outcome = yard.drop("orders.csv", ORDERS + "3,Eve\n4,Zoe,1.00,2026-02-01,extra\n")
    assert outcome.verdict is Verdict.FAILED
    error = yard.inbox().path / "error"
    report = only_file(error, ".report.txt").read_text()
    assert "orders.csv was not loaded." in report
    assert "2 rows cannot be loaded, of 4" in report
    assert "line 4 (row 3)" in report
    assert "line 5 (row 4)" in report
    assert "dropload show 1" in report
    assert "dbo.orders" not in yard.tables()
    assert only_file(error, "Z_orders.csv").read_text().startswith("id,name")


def test_every_bad_row_is_listed_in_the_rejects_file_in_the_files_own_layout(yard: Yard) -> None:
    rows = "".join(f"{n};only\n" for n in range(1, 251))
    yard.drop("orders.csv", "id;name;note\n0;a;b\n" + rows)
    rejects = only_file(yard.inbox().path / "error", ".rejects.csv").read_text().splitlines()
    assert rejects[0] == "id;name;note;_error_line;_error_column;_error_reason;_error_surplus"
    assert len(rejects) == 251
    assert rejects[1].startswith("1;only;;3;;")


def test_allowed_rejects_come_back_and_can_be_dropped_again(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, load={"max_rejected_rows": 1})
    outcome = yard.drop("orders.csv", ORDERS + "3,Eve\n")
    assert (outcome.verdict, outcome.rows_loaded, outcome.rows_rejected) == (Verdict.LOADED, 2, 1)
    processed = yard.inbox().path / "processed"
    assert (
        "was loaded into dbo.orders, except for 1"
        in only_file(processed, ".report.txt").read_text()
    )
    rejects = only_file(processed, ".rejects.csv")
    mended = rejects.read_text().replace("3,Eve,,", "3,Eve,5.00,2026-02-02")
    again = yard.drop(rejects.name, mended)
    assert (again.verdict, again.table) == (Verdict.LOADED, "dbo.orders"), again
    assert yard.table("dbo.orders")[-1] == (3, "Eve", 5, "2026-02-02")
    assert yard.query('SELECT count(*) FROM "ref.Load_Reject"') == [(1,)]
    yard.dock.target.close()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.csv", b"", "0 bytes"),
        ("blank.csv", b"\n\n  \n", "blanks"),
        ("header.csv", b"id,name\n", "a header and no rows"),
        ("binary.csv", bytes(range(256)) * 20, "not"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(200), "PNG"),
        ("notes.docx", b"hello", ".docx"),
        ("noending", b"a,b\n1,2\n", "without an ending"),
        ("quote.csv", b'id,name\n1,"open\n2,b\n3,c\n', "quote"),
        ("20261120.csv", b"id,name\n1,a\n", "name"),
        ("load_history.csv", b"id,name\n1,a\n", "load_history"),
    ],
)
def test_a_file_that_cannot_be_loaded_goes_to_error_and_says_why(
    yard: Yard, name: str, content: bytes, expected: str
) -> None:
    outcome = yard.drop(name, content)
    assert outcome.verdict is Verdict.FAILED, outcome
    error = yard.inbox().path / "error"
    report = only_file(error, ".report.txt").read_text()
    assert expected in report
    assert "What to do" in report
    assert only_file(error, f"Z_{name}").read_bytes() == content
    assert yard.states() == ["failed"]
    [(status, message)] = yard.query(
        'SELECT status, error_message FROM "ref.File_Monitor_Tracking"'
    )
    assert status == "failed"
    assert expected in message


def test_a_file_that_vanished_before_its_claim_leaves_no_trace_in_the_history(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    from dropload.identity import worker_name
    from dropload.intake import drop_of_path
    from dropload.pipeline import process_drop

    drop = drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="x")
    path.unlink()
    outcome = process_drop(yard.dock, drop, worker_name())
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "file_changed")
    assert yard.states() == []


# --- guard rails


def test_an_empty_fullload_is_held_and_the_table_keeps_its_rows(yard: Yard) -> None:
    """B5"""
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    for content in ("", "id,name,amount,on\n"):
        outcome = yard.drop("orders.csv", content, load_type="fullload")
        assert outcome.verdict is Verdict.HELD
        assert "without rows" in outcome.message
    assert len(yard.table("dbo.orders")) == 2
    assert (yard.inbox(load_type="fullload").path / "orders.csv").exists()


@pytest.mark.parametrize("load_type", ["append", "fullload"])
def test_a_file_of_delimiters_only_is_refused(yard: Yard, load_type: str) -> None:
    yard.drop("orders.csv", ORDERS, load_type=load_type)
    outcome = yard.drop("orders.csv", ",,,\n,,,\n", load_type=load_type)
    assert outcome.verdict is Verdict.FAILED
    assert "2 rows hold no value at all" in outcome.message
    assert len(yard.table("dbo.orders")) == 2


def test_a_file_wider_than_any_table_is_refused_before_its_rows_are_read(yard: Yard) -> None:
    wide = ",".join(f"c{n}" for n in range(100_000))
    outcome = yard.drop("wide.csv", f"{wide}\n{wide}\n")
    assert outcome.verdict is Verdict.FAILED
    assert "100,000 columns; a table can have 1,990" in outcome.message
    assert yard.query('SELECT rows_read FROM "ref.Load_History"') == [(None,)]


def test_a_fullload_that_shrinks_or_narrows_its_table_is_held_with_the_numbers(yard: Yard) -> None:
    many = "id,name\n" + "".join(f"{n},x{n}\n" for n in range(1, 11))
    yard.drop("orders.csv", many, load_type="fullload")
    shrunk = yard.drop("orders.csv", "id,name\n1,a\n2,b\n3,c\n4,d\n", load_type="fullload")
    assert (shrunk.verdict, "60% fewer" in shrunk.message) == (Verdict.HELD, True)
    wide = yard.drop("wide.csv", "a,b,c,d\n1,2,3,4\n", load_type="fullload")
    assert wide.verdict is Verdict.LOADED
    narrow = yard.drop("wide.csv", "a,b,c\n1,2,3\n", load_type="fullload")
    assert (narrow.verdict, '"d"' in narrow.message) == (Verdict.HELD, True)


def test_a_held_file_stays_held_until_it_is_forced_or_changed(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    path = yard.put("orders.csv", "id,name,amount,on\n", load_type="fullload")
    assert yard.load(path).verdict is Verdict.HELD
    assert yard.load(path).verdict is Verdict.HELD
    assert yard.states() == ["filed", "cancelled"], "the second look makes no second load"
    path.write_text(ORDERS.replace("Ada", "Bob"))
    assert yard.load(path).verdict is Verdict.LOADED


def test_a_forced_fullload_may_empty_a_table_and_can_be_taken_from_the_backup(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    outcome = yard.drop("orders.csv", "id,name,amount,on\n", load_type="fullload", force=True)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, 0)
    assert yard.table("dbo.orders") == []
    assert len(yard.table("bkp.orders__2")) == 2


# --- known tables


def test_a_file_of_another_table_is_refused_with_the_mismatch(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    outcome = yard.drop("orders.csv", "city,zip,id\nOslo,0150,1\n")
    assert outcome.verdict is Verdict.FAILED
    assert "1 of the 4 columns" in outcome.message
    assert '"name", "amount", "on"' in outcome.message
    assert '"city", "zip"' in outcome.message


def test_new_columns_are_added_and_missing_ones_are_null(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders.csv", "id,name,amount,colour\n3,Eve,1.00,red\n")
    rows = yard.table("dbo.orders")
    assert rows[0] == (1, "Ada", 10.5, "2026-01-02", None)
    assert rows[-1] == (3, "Eve", 1, None, "red")


def test_a_wider_value_widens_a_table_of_ours_and_old_values_read_as_written(yard: Yard) -> None:
    """G5"""
    yard.drop("orders.csv", ORDERS)
    yard.execute('CREATE INDEX "own index" ON "dbo.orders" (name)')
    yard.drop("orders.csv", "id,name,amount,on\nA7,Eve,n/a,2026-01-04\n")
    assert yard.table("dbo.orders") == [
        ("1", "Ada", "10.50", "2026-01-02"),
        ("2", None, "7.25", "2026-01-03"),
        ("A7", "Eve", "n/a", "2026-01-04"),
    ]
    assert yard.query("SELECT count(*) FROM sqlite_master WHERE name='own index'") == [(1,)]


def test_a_table_of_somebody_else_is_filled_but_not_changed(yard: Yard) -> None:
    yard.execute('CREATE TABLE "dbo.orders" (id INTEGER, name TEXT)')
    assert yard.drop("orders.csv", "id,name\n1,Ada\n").verdict is Verdict.LOADED
    assert yard.table("dbo.orders") == [(1, "Ada")]
    refused = yard.drop("orders.csv", "id,name\nx7,Ada\n")
    assert refused.verdict is Verdict.FAILED
    assert "holds integer" in refused.message


def test_a_table_with_indexes_triggers_and_views_keeps_them_across_a_fullload(yard: Yard) -> None:
    """G3"""
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    yard.execute(
        'CREATE INDEX own_index ON "dbo.orders" (name);'
        'CREATE VIEW names AS SELECT name FROM "dbo.orders";'
        "CREATE TABLE seen (n);"
        'CREATE TRIGGER own_trigger AFTER INSERT ON "dbo.orders" '
        "BEGIN INSERT INTO seen VALUES (new.id); END;"
    )
    yard.drop("orders.csv", ORDERS.replace("Ada", "Bob"), load_type="fullload")
    assert yard.query("SELECT name FROM names WHERE name IS NOT NULL") == [("Bob",)]
    assert yard.query("SELECT n FROM seen") == [(1,), (2,)]
    owners = yard.query("SELECT tbl_name FROM sqlite_master WHERE name LIKE 'own_%'")
    assert owners == [("dbo.orders",)] * 2
    assert [row[1] for row in yard.table("bkp.orders__2")] == ["Ada", None]


def test_a_constraint_that_refuses_a_row_leaves_the_table_as_it_was(yard: Yard) -> None:
    """G1"""
    yard.execute(
        'CREATE TABLE "dbo.orders" (id INTEGER PRIMARY KEY, name TEXT);'
        "INSERT INTO \"dbo.orders\" VALUES (1, 'old')"
    )
    outcome = yard.drop("orders.csv", "id,name\n2,b\n2,c\n3,d\n", load_type="fullload")
    assert outcome.verdict is Verdict.FAILED
    assert "UNIQUE" in outcome.message
    assert yard.table("dbo.orders") == [(1, "old")]


def test_hostile_names_are_names_and_nothing_else(yard: Yard) -> None:
    """E2"""
    header = '"x]; DROP TABLE y;--","a""b",`c`,"d\'e"'
    outcome = yard.drop("a'; DROP TABLE t;--.csv", f"{header}\n1,2,3,4\n")
    assert outcome.verdict is Verdict.LOADED
    assert outcome.table == "dbo.a_drop_table_t"
    columns = [row[1] for row in yard.query('PRAGMA table_info("dbo.a_drop_table_t")')]
    assert columns[:4] == ["x]; DROP TABLE y;--", 'a"b', "`c`", "d'e"]


def test_a_table_wider_than_the_database_can_hold_is_refused(yard: Yard) -> None:
    header = ",".join(f"c{n}" for n in range(2500))
    outcome = yard.drop("wide.csv", f"{header}\n{','.join('1' * 2500)}\n")
    assert outcome.verdict is Verdict.FAILED
    assert "2,500 columns" in outcome.message


def test_null_and_empty_text_stay_apart(yard: Yard) -> None:
    """F7"""
    yard.drop("texts.csv", 'code,count\nx,\ny,""\n,z\n')
    assert yard.table("dbo.texts") == [("x", None), ("y", ""), (None, "z")]


def test_a_file_whose_layout_is_not_sure_is_held_where_that_is_wanted(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, load={"min_confidence": 0.9})
    held = yard.drop("notes.csv", "a b c\nd e f\ng h i\n")
    assert held.verdict is Verdict.HELD
    assert "(needed: 90%)" in held.message
    assert "release" in held.hint
    assert yard.load(held.path, force=True).verdict is Verdict.LOADED
    many = "".join(f"{n},x,1.50,2026-01-02\n" for n in range(9, 40))
    sure = yard.drop("orders.csv", ORDERS + many)
    assert sure.verdict is Verdict.LOADED, sure
    yard.dock.target.close()


def test_a_layout_that_the_whole_file_contradicts_is_looked_for_again(yard: Yard) -> None:
    """The first lines, and the few places that a first look sees, have no quotes."""
    plain = "".join(f"{n},plain {n}\n" for n in range(2000))
    quoted = "".join(f"{n},'Doe, J. {n}'\n" for n in range(400))
    path = yard.put("people.csv", f"id,name\n{plain}{quoted}{plain * 12}{quoted * 9}")
    loaded = yard.load(path)
    assert loaded.verdict is Verdict.LOADED, loaded
    assert loaded.rows_loaded == 13 * 2000 + 10 * 400
    assert yard.table("dbo.people")[2000] == (0, "Doe, J. 0")


def test_a_lone_quote_far_down_in_a_file_without_quoting_is_text(yard: Yard) -> None:
    rows = [f"{n}\tname {n}\t{n % 7}\n" for n in range(9000)]
    rows[8000] = '8000\t"oops\t3\n'
    loaded = yard.drop("names.tsv", "".join(["id\tname\tv\n", *rows]))
    assert loaded.verdict is Verdict.LOADED, loaded
    assert yard.table("dbo.names")[8000] == (8000, '"oops', 3)


@pytest.mark.parametrize(
    "rows", ['1\tA\n2\t"oops, cut o', '1,A\n2,"never closed\n3,B\n', '1\tA\n2\t"oops\n'], ids=repr
)
def test_a_quote_that_may_have_meant_something_is_an_error(yard: Yard, rows: str) -> None:
    delimiter = rows[1]
    refused = yard.drop("names.csv", f"id{delimiter}name\n{rows}")
    assert refused.verdict is Verdict.FAILED
    assert "a quote" in refused.message


def test_values_that_no_number_could_give_back_stay_text(yard: Yard) -> None:
    """F7"""
    yard.drop(
        "codes.csv",
        "zip,day,big,exp,amount\n007,03/02/2018,12345678901234567890123456789012345678901,1.1E+11,"
        '"1,500"\n010,04/02/2018,1,2,"2,500"\n',
    )
    assert yard.table("dbo.codes")[0] == (
        "007",
        "03/02/2018",
        "12345678901234567890123456789012345678901",
        "1.1E+11",
        "1,500",
    )


def test_a_file_outside_the_tree_is_loaded_and_left_where_it_is(yard: Yard) -> None:
    from dropload.identity import worker_name
    from dropload.intake import drop_of_path
    from dropload.model import Area, LoadType
    from dropload.pipeline import process_drop

    path = yard.root / "elsewhere.csv"
    path.write_text(ORDERS)
    drop = drop_of_path(
        path,
        yard.dock.tree,
        Area.NON_REFERENCE,
        LoadType.APPEND,
        force=False,
        requested_by="x",
    )
    outcome = process_drop(yard.dock, drop, worker_name())
    assert (outcome.verdict, outcome.filed_path) == (Verdict.LOADED, None)
    assert path.exists()
    assert yard.states() == ["filed"]


@pytest.mark.parametrize(
    ("name", "content", "verdict"),
    [
        (b"odd\xff_name.csv", ORDERS, Verdict.LOADED),
        (b"odd\xff_name.csv", "id,name\n1\n", Verdict.FAILED),
        (b"odd\xff_name.docx", "hello", Verdict.FAILED),
    ],
)
def test_a_name_that_is_not_utf_8_is_loaded_or_filed_like_any_other(
    yard: Yard, name: bytes, content: str, verdict: Verdict
) -> None:
    """A10"""
    import os

    path = yard.inbox().path / os.fsdecode(name)
    path.write_text(content)
    assert yard.load(path).verdict is verdict
    assert not path.exists()
    [(file_path, message)] = yard.query('SELECT file_path, error_message FROM "ref.Load_History"')
    assert r"odd\xff_name" in file_path
    if verdict is Verdict.FAILED:
        assert message
        folder = yard.inbox().path / "error"
        assert any(entry.name.endswith(os.fsdecode(name)) for entry in folder.iterdir())
        [report] = folder.glob("*.report.txt")
        assert "What to do" in report.read_text()
    assert "dbo.odd_name" in yard.tables() or verdict is Verdict.FAILED


def test_a_load_that_changes_its_table_is_reported_beside_its_file(yard: Yard) -> None:
    assert yard.drop("orders.csv", "id,name\n1,Ada\n").report_path is None
    outcome = yard.drop("orders_20260102.csv", "id,name,city\n2,Bob,Bern\n")
    assert outcome.report_path is not None
    text = outcome.report_path.read_text()
    assert "was loaded into dbo.orders, which was changed for it." in text
    assert 'Column "city" is new and is added to the table.' in text
    assert "What to do" not in text
    assert yard.drop("orders_20260103.csv", "id,name,city\n3,Cyd,Bern\n").report_path is None


def test_reports_are_json_where_programs_read_them(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, load={"report_format": "json", "max_rejected_rows": 1})
    outcome = yard.drop("orders.csv", "id,name\n1,Ada\n2\n")
    assert outcome.report_path is not None
    assert outcome.report_path.name.endswith("_orders.csv.report.json")
    told = json.loads(outcome.report_path.read_text())
    assert (told["load_id"], told["table"], told["load_type"]) == (1, "dbo.orders", "append")
    assert (told["rows_read"], told["rows_good"], told["rows_rejected"]) == (2, 1, 1)
    [reject] = told["rejects"]
    assert (reject["line"], reject["row"], reject["fields"]) == (3, 2, ["2"])
    assert told["rejects_file"].endswith("_orders.rejects.csv")
    assert account_for_files(yard.dock).missing == ()
    yard.dock.target.close()


def test_a_fullload_is_no_duplicate_of_rows_that_somebody_has_deleted(yard: Yard) -> None:
    assert yard.drop("orders.csv", ORDERS, load_type="fullload").verdict is Verdict.LOADED
    assert yard.drop("orders.csv", ORDERS, load_type="fullload").verdict is Verdict.DUPLICATE
    yard.execute('DELETE FROM "dbo.orders"')
    again = yard.drop("orders.csv", ORDERS, load_type="fullload")
    assert (again.verdict, len(yard.table("dbo.orders"))) == (Verdict.LOADED, 2)


@pytest.mark.parametrize("load_type", ["append", "fullload"])
def test_a_file_is_no_duplicate_of_a_load_that_is_undone_in_the_same_moment(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, load_type: str
) -> None:
    first = yard.drop("orders.csv", ORDERS, load_type=load_type)
    undone: list[int] = []

    def plan(*args: Any, **kwargs: Any) -> Path | None:
        # Between the answer "duplicate" and the transaction that writes it down.
        if first.load_id is not None and not undone:
            undone.append(first.load_id)
            yard.execute(
                f"UPDATE \"ref.Load_History\" SET state='undone', once_key=NULL"
                f" WHERE load_id={first.load_id}"
            )
            yard.execute('DELETE FROM "dbo.orders"')
        return plan_filing(*args, **kwargs)

    monkeypatch.setattr("dropload.endings.plan_filing", plan)
    path = yard.put("orders.csv", ORDERS, load_type=load_type)
    assert yard.load(path).verdict is Verdict.RETRY
    assert path.exists()
    assert yard.load(path).verdict is Verdict.LOADED
    assert len(yard.table("dbo.orders")) == 2


def test_a_packed_file_of_many_rows_is_not_taken_for_a_small_one(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    add = RowsInHand.add

    def count(rows: RowsInHand, batch: Batch) -> None:
        kept.append(1)
        add(rows, batch)

    monkeypatch.setattr(RowsInHand, "add", count)
    packed = gzip.compress(b"id\n" + b"1\n" * 20_000)
    assert len(packed) < 1000
    assert yard.drop("orders.csv.gz", packed).rows_loaded == 20_000
    assert kept == []
    assert yard.drop("others.csv.gz", gzip.compress(b"id\n1\n")).rows_loaded == 1
    assert kept == [1]


def test_an_empty_fullload_advises_a_release_only_of_a_table_that_is_there(yard: Yard) -> None:
    held = yard.drop("orders.csv", "id\n", load_type="fullload")
    assert held.verdict is Verdict.HELD
    assert "no such table yet" in held.hint
    yard.drop("prices_20240101.csv", "id\n1\n", load_type="fullload")
    assert "release the file" in yard.drop("prices_20240102.csv", "id\n", load_type="fullload").hint
