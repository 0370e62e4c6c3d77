"""Rows that are staged while their file is read for the first time are those of the file."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from dropload import examination, profiling, small_files, staging_ahead
from dropload.detection import layout as layout_module
from dropload.detection import sample
from dropload.dock import open_dock
from dropload.errors import TransientError
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.journal import apply_scripts
from dropload.model import Layout, TableName, Verdict
from dropload.parsers.delimited import DelimitedParser, blocks, columnar
from dropload.pipeline import process_drop
from dropload.stage_writer import StageWriter
from dropload.write_behind import WriteBehind
from tests.conftest import make_config
from tests.contract.test_loading import Site

COUNT = 4000
HEAD = "id,amount,day,note\n"
BODY = [f"{n},{n}.25,{n % 28 + 1:02d}.01.2024,x{n}\n" for n in range(COUNT)]
MANY = HEAD + "".join(BODY)
EXPECTED = [(str(n), f"{n}.25", f"2024-01-{n % 28 + 1:02d}", f"x{n}") for n in range(COUNT)]
GIVEN_UP = "staging_ahead_given_up"


@pytest.fixture(autouse=True)
def however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage files of this size ahead, in several batches and several commits."""
    monkeypatch.setattr(staging_ahead, "AHEAD_BYTES", 0)
    monkeypatch.setattr(staging_ahead, "APPEND_BYTES", 0)
    monkeypatch.setattr(small_files, "SMALL_BYTES", 0)
    usual = columnar.read_columnar.__kwdefaults__
    small = {**(usual or {}), "block_bytes": 16 << 10}
    monkeypatch.setattr(columnar.read_columnar, "__kwdefaults__", small)
    monkeypatch.setattr(staging_ahead, "_BEGINNING_BYTES", 16 << 10)


@pytest.fixture
def site(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    dock = open_dock(
        make_config(tmp_path, database={"url": database_url}, load={"max_rejected_rows": 1})
    )
    monkeypatch.setattr(type(dock.target), "commit_bytes", 32 << 10)
    dock.tree.create()
    apply_scripts(dock.target)
    yield Site(dock)
    dock.target.close()


def stages(site: Site) -> list[TableName]:
    with site.dock.target.read() as conn:
        return [name for name, _ in site.dock.target.list_stages(conn)]


@pytest.mark.parametrize("load_type", ["append", "fullload"])
def test_a_file_like_its_beginning_is_read_once(
    site: Site, readings: list[str], load_type: str
) -> None:
    for name in ("orders_20240101.csv", "orders_20240102.csv"):
        content = MANY if name.endswith("1.csv") else MANY.replace("x", "y")
        outcome = site.drop(name, content, load_type)
        assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert readings == []
    renamed = [(*row[:3], row[3].replace("x", "y")) for row in EXPECTED]
    rows = EXPECTED + renamed if load_type == "append" else renamed
    assert site.texts(site.table("orders")) == rows
    assert stages(site) == []
    with site.dock.target.read() as conn:
        load = site.dock.journal.history.row(conn, 2)
    assert load is not None
    assert (load.rows_staged, load.rows_loaded, load.rows_read) == (COUNT, COUNT, COUNT)
    assert load.staged_at is not None
    assert load.file_hash


def test_a_file_is_read_for_its_hash_its_types_its_plan_and_its_rows_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, opening = list[str](), profiling.open_hashed

    def note(path: Path, algorithm: str) -> Any:
        opened.append(path.name)
        return opening(path, algorithm)

    monkeypatch.setattr(profiling, "open_hashed", note)
    outcome = site.drop("orders.csv", MANY)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert opened == ["orders.csv"]


def test_a_file_is_judged_when_there_is_a_plan_of_its_beginning(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planning for its beginning may take longer than reading it."""
    plan, begun = examination.plan_beginning, list[bool]()
    take = staging_ahead.StagingAhead.take_no_more

    def plan_late(*arguments: Any) -> Any:
        time.sleep(0.3)
        return plan(*arguments)

    def look(ahead: staging_ahead.StagingAhead) -> None:
        take(ahead)
        begun.append(ahead._attempt is not None and ahead._attempt.plan is not None)

    monkeypatch.setattr(staging_ahead, "plan_beginning", plan_late)
    monkeypatch.setattr(staging_ahead.StagingAhead, "take_no_more", look)
    few = HEAD + "".join(BODY[:40])
    for content, count in ((MANY, COUNT), (few, 40)):
        outcome = site.drop("orders.csv", content)
        assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, count), outcome
    assert begun == [True, True]
    assert readings == []


@pytest.mark.parametrize("content", [MANY, HEAD + "".join(BODY[:40])])
def test_trouble_with_the_plan_of_the_beginning_is_no_trouble_of_the_load(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    def fail(*_arguments: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(staging_ahead, "plan_beginning", fail)
    with capture_logs() as lines:
        outcome = site.drop("orders.csv", content)
    assert (outcome.verdict, outcome.rows_read) == (Verdict.LOADED, content.count("\n") - 1)
    assert readings == ["orders.csv"]
    assert [line["reason"] for line in lines if line["event"] == GIVEN_UP] == ["no room"]
    assert stages(site) == []


@pytest.mark.parametrize("content", [MANY, HEAD + "".join(BODY[:40])])
def test_a_thread_that_ends_before_it_has_begun_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    def fail(_attempt: object, _item: object) -> None:
        raise OSError("no thread")

    monkeypatch.setattr(staging_ahead._Attempt, "work", fail)
    outcome = site.drop("orders.csv", content)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, content.count("\n") - 1)


def test_rows_on_the_way_are_stopped_before_their_side_table_is_made_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bulk copy under way holds locks on it, and would go on to fill it"""
    kind = type(site.dock.target)
    monkeypatch.setattr(site.dock.target, "settle_seconds", 1000.0)
    done: list[str] = []

    def noting(kind: type, name: str) -> Any:
        really = getattr(kind, name)

        def note(*what: Any) -> Any:
            done.append(name)
            return really(*what)

        return note

    for owner, name in ((kind, "drop_table"), (kind, "create_stage"), (StageWriter, "abandon")):
        monkeypatch.setattr(owner, name, noting(owner, name))
    outcome = site.drop("orders.csv", MANY + "7,n/a,01.01.2024,x\n")
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT + 1), outcome
    anew = ["drop_table", "create_stage"]
    assert done[:6] == [*anew, "abandon", *anew, "abandon"]


@pytest.mark.parametrize(
    "last",
    ["7,n/a,01.01.2024,x\n", "a,7.25,01.01.2024,x\n", "7,7.25,2024-01-31,x\n", "7,7.255,,x\n"],
)
def test_a_file_that_goes_on_otherwise_is_staged_anew(
    site: Site, readings: list[str], last: str
) -> None:
    outcome = site.drop("orders.csv", MANY + last)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT + 1), outcome
    assert readings == ["orders.csv"]
    found = site.texts(site.table("orders"))
    assert len(found) == COUNT + 1
    assert [row[3] for row in found[:COUNT]] == [row[3] for row in EXPECTED]
    written = last.rstrip("\n").split(",")
    assert [found[-1][at] or "" for at in (0, 3)] == [written[0], written[3]]
    assert stages(site) == []


def test_rows_that_cannot_be_read_are_rejects_and_the_others_are_loaded(
    site: Site, readings: list[str]
) -> None:
    broken = [*BODY[:3000], "1,2,3,4,5\n", *BODY[3000:]]
    outcome = site.drop("orders.csv", HEAD + "".join(broken))
    assert (outcome.verdict, outcome.rows_loaded, outcome.rows_rejected) == (
        Verdict.LOADED,
        COUNT,
        1,
    ), outcome
    assert site.texts(site.table("orders")) == EXPECTED
    assert readings == [], "it is not read again"


def test_a_quote_within_a_cell_and_a_cell_of_several_lines_are_staged_ahead(
    site: Site, readings: list[str]
) -> None:
    odd = f'{COUNT},1.25,01.01.2024,5" pipe\n{COUNT + 1},1.25,01.01.2024,"two\nlines"\n'
    quoted = [re.sub(r"x\d+", r'"\g<0>"', line) for line in BODY]
    outcome = site.drop("orders.csv", HEAD + "".join([*quoted[:3000], odd, *quoted[3000:]]))
    expected = [
        *EXPECTED,
        (str(COUNT), "1.25", "2024-01-01", '5" pipe'),
        (str(COUNT + 1), "1.25", "2024-01-01", "two\nlines"),
    ]
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, len(expected)), outcome
    assert sorted(site.texts(site.table("orders"))) == sorted(expected)
    assert readings == []


@pytest.mark.parametrize(
    ("odd", "is_as_begun"),
    [
        ('{},1.25,01.01.2024,"a, b"\n', True),
        ("{},1.25,01.01.2024,\x1b[31mred\n", True),
        ("{},1.25,01.01.2024,näme\n", False),
        ('{},1.25,01.01.2024,"big" pipe\n', False),
    ],
    ids=["quote", "escape", "code page", "quotes that enclose nothing"],
)
def test_what_comes_for_the_first_time_behind_the_beginning_of_a_large_file_is_loaded(
    site: Site,
    readings: list[str],
    monkeypatch: pytest.MonkeyPatch,
    odd: str,
    *,
    is_as_begun: bool,
) -> None:
    monkeypatch.setattr(layout_module, "SEEN_BYTES", 70_000)
    monkeypatch.setattr(sample, "_STRETCHES", 0)
    detected, detect = list[bool](), DelimitedParser.detect

    def note(parser: DelimitedParser, path: Path, **how: bool) -> Layout:
        detected.append(how.get("whole", False))
        return detect(parser, path, **how)

    monkeypatch.setattr(DelimitedParser, "detect", note)
    lines = [*BODY[:3500], odd.format(COUNT), *BODY[3500:]]
    content = (HEAD + "".join(lines)).encode("cp1252")
    outcome = site.drop("orders.csv", content)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT + 1), outcome
    note_of_odd = re.sub('^"(.*)"$', r"\1", odd.split(",", 3)[3].strip())
    expected = [*EXPECTED, (str(COUNT), "1.25", "2024-01-01", note_of_odd)]
    assert sorted(site.texts(site.table("orders"))) == sorted(expected)
    assert detected == [False, True]
    assert readings == ([] if is_as_begun else ["orders.csv"])


def test_a_file_that_another_reader_has_to_read_is_read_again(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not read alike comes late, and then it is much."""
    monkeypatch.setattr(blocks, "_FREE_DOUBTS_BYTES", 1 << 10)
    quoted = [re.sub(r"x\d+", r'"\g<0>"', line) for line in BODY[:1000]]
    inches = [re.sub(r"x(\d+)", r'\1" pipe', line) for line in BODY[1000:]]
    outcome = site.drop("orders.csv", HEAD + "".join([*quoted, *inches]))
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    inch = [(*row[:3], re.sub(r"x(\d+)", r'\1" pipe', row[3])) for row in EXPECTED[1000:]]
    assert sorted(site.texts(site.table("orders"))) == sorted([*EXPECTED[:1000], *inch])
    assert readings == ["orders.csv"]


def test_a_file_of_many_doubtful_quotes_is_staged_ahead_by_the_reader_for_them(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_FREE_DOUBTS_BYTES", 1 << 10)
    inches = [re.sub(r"x(\d+)", r'\1" pipe', line) for line in BODY]
    outcome = site.drop("orders.csv", HEAD + '0,1.25,01.01.2024,"a, b"\n' + "".join(inches))
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT + 1), outcome
    assert readings == []


def test_values_that_a_table_of_somebody_else_cannot_hold_are_rejects(site: Site) -> None:
    kind = "varchar(4)" if site.dock.target.name != "sqlite" else "INTEGER"
    table = site.dock.target.quoted(site.table("orders"))
    site.execute(f"CREATE TABLE {table} (id integer, note {kind})")
    values = "".join(f"{n},{n % 100}\n" for n in range(COUNT))
    outcome = site.drop("orders.csv", "id,note\n" + values + "5,abcdefgh\n")
    assert (outcome.verdict, outcome.rows_loaded, outcome.rows_rejected) == (
        Verdict.LOADED,
        COUNT,
        1,
    ), outcome


def test_bytes_that_are_there_already_leave_no_side_table(site: Site) -> None:
    site.drop("orders_20240101.csv", MANY)
    outcome = site.drop("orders_20240102.csv", MANY)
    assert outcome.verdict is Verdict.DUPLICATE
    assert stages(site) == []
    assert len(site.texts(site.table("orders"))) == COUNT


def test_a_file_that_is_refused_leaves_no_side_table(site: Site) -> None:
    site.drop("orders_20240101.csv", MANY, "fullload")
    outcome = site.drop("orders_20240102.csv", HEAD + "".join(BODY[:1000]), "fullload")
    assert outcome.verdict is Verdict.HELD, outcome
    assert stages(site) == []
    assert len(site.texts(site.table("orders"))) == COUNT


@pytest.mark.parametrize("at", [0, 2])
def test_trouble_of_the_database_meanwhile_is_no_trouble_of_the_load(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    flush, count = StageWriter._flush, 0

    def fail_once(writer: StageWriter, note_rows: Any, **how: Any) -> None:
        nonlocal count
        count += 1
        if count == at + 1:
            raise TransientError("The connection was lost.")
        flush(writer, note_rows, **how)

    monkeypatch.setattr(StageWriter, "_flush", fail_once)
    with capture_logs() as lines:
        outcome = site.drop("orders.csv", MANY)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert site.texts(site.table("orders")) == EXPECTED
    assert readings == ["orders.csv"]
    assert [line["reason"] for line in lines if line["event"] == GIVEN_UP] == [
        "The connection was lost."
    ]


def test_a_lost_answer_to_the_last_commit_doubles_no_row(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = StageWriter.finish

    def lose_answer(writer: StageWriter, note_rows: Any, **how: Any) -> None:
        finish(writer, note_rows)
        monkeypatch.setattr(StageWriter, "finish", finish)
        raise TransientError("The connection was lost.")

    monkeypatch.setattr(StageWriter, "finish", lose_answer)
    outcome = site.drop("orders.csv", MANY)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert site.texts(site.table("orders")) == EXPECTED
    assert readings == ["orders.csv"], "it goes on behind the last row, and finds none"


def test_a_claim_that_is_lost_meanwhile_ends_the_load(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = StageWriter._flush

    def lose_claim(writer: StageWriter, note_rows: Any, **how: Any) -> None:
        site.execute(
            f"UPDATE {site.dock.target.quoted(TableName('ref', 'Load_History'))} "
            "SET worker = 'another'"
        )
        flush(writer, note_rows, **how)

    monkeypatch.setattr(StageWriter, "_flush", lose_claim)
    outcome = site.drop("orders.csv", MANY)
    assert outcome.verdict is Verdict.SKIPPED, outcome
    assert not site.exists(site.table("orders"))


def test_a_file_that_changes_while_it_is_read_is_not_loaded(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[object] = []
    take = staging_ahead.StagingAhead.take

    def change(ahead: staging_ahead.StagingAhead, *batch: Any) -> None:
        take(ahead, *batch)
        if not accepted:
            path = site.inbox("append").path / "orders.csv"
            with path.open("a") as file:
                file.write("9,9.25,01.01.2024,late\n")
            accepted.append(ahead._attempt)

    monkeypatch.setattr(staging_ahead.StagingAhead, "take", change)
    outcome = site.drop("orders.csv", MANY)
    assert accepted
    assert outcome.verdict is Verdict.RETRY, outcome
    assert not site.exists(site.table("orders"))
    assert stages(site) == []


def test_a_file_that_changes_before_all_rows_are_staged_is_not_loaded(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new version would bring the rows of the old one once more."""
    finish = WriteBehind.finish

    def change(behind: WriteBehind[Any]) -> None:
        finish(behind)
        with (site.inbox("append").path / "orders.csv").open("a") as file:
            file.write("9,9.25,01.01.2024,late\n")

    monkeypatch.setattr(WriteBehind, "finish", change)
    outcome = site.drop("orders.csv", MANY)
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "file_changed"), outcome
    assert not site.exists(site.table("orders"))
    assert stages(site) == []
    assert readings == []


def test_trouble_that_says_nothing_is_trouble_all_the_same(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_behind: WriteBehind[Any]) -> None:
        raise MemoryError

    monkeypatch.setattr(WriteBehind, "finish", fail)
    outcome = site.drop("orders.csv", MANY)
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, COUNT), outcome
    assert readings == ["orders.csv"]


def test_what_another_try_has_staged_is_gone_on_with(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died between staging and publishing: the rows are there."""

    class Died(BaseException):
        pass

    def die(*_arguments: object, **_named: object) -> None:
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("dropload.pipeline.publish_rows", die)
        site.drop("orders.csv", MANY)
    assert len(stages(site)) == 1
    made: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        made.append(statement)

    sa.event.listen(site.dock.target.engine, "before_cursor_execute", note)
    path = site.inbox("append").path / "orders.csv"
    with capture_logs() as lines:
        drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
        outcome = process_drop(site.dock, drop, worker_name())
    assert outcome.verdict is Verdict.LOADED, outcome
    assert site.texts(site.table("orders")) == EXPECTED
    assert readings == ["orders.csv"]
    assert [line["rows"] for line in lines if line["event"] == "staging_resumed"] == [COUNT]
    assert not any("CREATE" in text and "__1" in text for text in made)


def test_a_load_that_is_cut_off_again_and_again_gets_further(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    monkeypatch.setattr(site.dock.target, "settle_seconds", 0.0)
    flush, count = StageWriter._flush, 0

    def die_at_third(writer: StageWriter, note_rows: Any, **how: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise Died
        flush(writer, note_rows, **how)

    path = site.inbox("append").path / "orders.csv"
    path.write_text(MANY)
    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
    for _try in range(2):
        with monkeypatch.context() as patch, pytest.raises(Died):
            count = 0
            patch.setattr(StageWriter, "_flush", die_at_third)
            process_drop(site.dock, drop, worker_name())
    with capture_logs() as lines:
        outcome = process_drop(site.dock, drop, worker_name())
    assert outcome.verdict is Verdict.LOADED, outcome
    assert site.texts(site.table("orders")) == EXPECTED
    [resumed] = [line["rows"] for line in lines if line["event"] == "staging_resumed"]
    assert 0 < resumed < COUNT


NUMBERS = {
    "sqlite": "number INTEGER PRIMARY KEY",
    "postgresql": "number serial",
    "mssql": "number int IDENTITY",
}
TEXTS = {"sqlite": "text", "postgresql": "text", "mssql": "varchar(max)"}


def number_in_order_of_file(site: Site, *statements: str) -> None:
    """Load rows of very different lengths: short ones may fill gaps that long ones have left."""
    target = site.dock.target
    table = target.quoted(site.table("orders"))
    site.execute(*statements)
    rows = [(n * 7919 % COUNT, "x" * (1 + n * 733 % 1900)) for n in range(COUNT)]
    content = "id,a,b,note\n" + "".join(f"{n},1,2,{note}\n" for n, note in rows)
    outcome = site.drop("orders.csv", content)
    assert outcome.verdict is Verdict.LOADED, outcome
    with target.read() as conn:
        query = f"SELECT id, note FROM {table} WHERE a = 1 ORDER BY number"
        found = conn.exec_driver_sql(query).all()
    assert [tuple(row) for row in found] == rows


def test_a_table_that_numbers_its_rows_does_so_in_the_order_of_the_file(site: Site) -> None:
    table = site.dock.target.quoted(site.table("orders"))
    number, text = NUMBERS[site.dock.target.name], TEXTS[site.dock.target.name]
    columns = f"{number}, id integer, a integer, b integer, note {text}"
    number_in_order_of_file(site, f"CREATE TABLE {table} ({columns})")


def test_a_table_of_ours_that_its_owner_has_number_the_rows_does_so_in_the_order_of_the_file(
    site: Site,
) -> None:
    target = site.dock.target
    if target.name == "sqlite":
        pytest.skip("a column that numbers cannot be added there")
    site.drop("orders.csv", f"id,a,b,note\n1,0,2,{'x' * 1900}\n")
    table = target.quoted(site.table("orders"))
    number_in_order_of_file(site, f"ALTER TABLE {table} ADD {NUMBERS[target.name]}")


def test_a_load_whose_worker_died_is_staged_so_that_the_next_can_go_on(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_arguments: object) -> None:
        raise Died

    path = site.inbox("append").path / "orders.csv"
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("dropload.pipeline.plan_load", die)
        site.drop("orders.csv", MANY)
    assert len(stages(site)) == 1, "it was being staged"
    history = site.dock.target.quoted(TableName("ref", "Load_History"))
    site.execute(f"UPDATE {history} SET crashes = 1")
    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
    outcome = process_drop(site.dock, drop, worker_name())
    assert outcome.verdict is Verdict.LOADED, outcome
    assert readings == ["orders.csv"]
    assert site.texts(site.table("orders")) == EXPECTED
    assert stages(site) == []


@pytest.mark.parametrize("small", [False, True])
def test_bytes_that_change_without_a_trace_are_found_by_their_hash(
    site: Site, readings: list[str], monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    """B6: same size, same time, same inode."""
    if small:
        monkeypatch.setattr(staging_ahead, "AHEAD_BYTES", 1 << 40)
        monkeypatch.setattr(small_files, "SMALL_BYTES", 1 << 40)
    path = site.inbox("append").path / "orders.csv"
    path.write_text(MANY)
    stat = path.stat()
    done: list[str] = []

    def change(step: str, _rows: int) -> None:
        if step == "profiling" and not done:
            done.append(step)
            with path.open("r+") as file:
                file.write(MANY.replace("x", "y"))
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
    outcome = process_drop(site.dock, drop, worker_name(), change)
    assert done
    assert set(readings) == {"orders.csv"}, "read again, to compare the hashes"
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "file_changed")
    assert not site.exists(site.table("orders"))


def test_a_file_that_is_only_touched_is_read_again_and_loaded(
    site: Site, readings: list[str]
) -> None:
    path = site.inbox("append").path / "orders.csv"
    path.write_text(MANY)

    def touch(step: str, _rows: int) -> None:
        if step == "profiling":
            path.chmod(0o600)

    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
    outcome = process_drop(site.dock, drop, worker_name(), touch)
    assert outcome.verdict is Verdict.LOADED, outcome
    assert readings == ["orders.csv"]
    assert site.texts(site.table("orders")) == EXPECTED
