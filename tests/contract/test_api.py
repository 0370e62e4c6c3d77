"""The API for Python programs, the same on every target that is there."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from dropload.api import AsyncReferenceDataAPI, Error, Failure, ReferenceDataAPI
from dropload.config import Config
from dropload.health import Level
from dropload.model import Area, Kind, LoadType, Outcome, State, Verdict
from tests.conftest import make_config

ORDERS = "id,name,amount\n1,Ada,10.50\n2,Bob,7.25\n"
TYPED = (
    "n,d,f,b,day,at,offset,clock,key,text\n"
    "1,1.50,0.1,true,2024-02-29,2024-02-29 10:11:12,2024-02-29 10:11:12+02:00,10:11:12,"
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8,007\n"
    "2,20.25,12.25,false,0999-01-01,2500-01-01 00:00:00,2024-02-29 10:11:12-05:00,23:59:59,"
    '6ba7b811-9dad-11d1-80b4-00c04fd430c8,""\n'
    ",,,,,,,,,\n"
)


@dataclass
class Program:
    """A program with the API, over one tree and database."""

    api: ReferenceDataAPI
    config: Config

    def put(
        self, name: str, content: str, area: str = "none_reference", kind: str = "append"
    ) -> Path:
        folder = self.config.paths.dropoff / f"{area}_data_table" / kind
        path = folder / name
        path.write_text(content, encoding="utf-8")
        return path

    def load(
        self, name: str, content: str, area: str = "none_reference", kind: str = "append"
    ) -> Outcome:
        result = self.api.load(self.put(name, content, area, kind))
        assert result.ok, result
        return result.value


@pytest.fixture
def program(database_url: str, tmp_path: Path) -> Iterator[Program]:
    config = make_config(tmp_path, database={"url": database_url})
    with ReferenceDataAPI(config, actor="nightly") as api:
        assert api.init().ok
        yield Program(api, config)


def test_a_file_is_inspected_planned_loaded_looked_at_and_undone(program: Program) -> None:
    api, path = program.api, program.put("orders.csv", ORDERS)
    inspected = api.inspect(path)
    assert inspected.ok
    assert inspected.value.layout is not None
    assert inspected.value.layout.delimiter == ","
    planned = api.plan(path)
    assert planned.ok
    assert planned.value.creates_table
    steps: list[str] = []
    loaded = api.load(path, reason="month end", on_step=lambda step, _rows: steps.append(step))
    assert loaded.ok
    assert (loaded.value.verdict, loaded.value.rows_loaded) == (Verdict.LOADED, 2)
    assert "profiling" in steps
    load_id = loaded.value.load_id or 0
    shown = api.show(load_id)
    assert shown.ok
    assert shown.value.load.state is State.FILED
    assert shown.value.layout is not None
    listed = api.history("orders", since=timedelta(hours=1))
    assert listed.ok
    assert [row.load_id for row in listed.value] == [load_id]
    looked = api.undo(load_id, dry_run=True)
    assert looked.ok
    assert looked.value.rows_removed == 2
    assert api.history("orders").value[0].state is State.FILED  # type: ignore[index]
    undone = api.undo(load_id, reason="wrong month")
    assert undone.ok
    assert undone.value.rows_after == 0
    actions = api.audit(load_id=load_id)
    assert actions.ok
    assert [(one.action, one.load_state) for one in actions.value] == [
        ("undo", "undone"),
        ("load", "undone"),
    ]
    assert all(one.actor.startswith("nightly (") for one in actions.value)
    assert actions.value[1].reason == "month end"


def test_what_is_expected_to_go_wrong_is_a_failure_and_no_exception(
    program: Program, tmp_path: Path
) -> None:
    api = program.api
    errors: list[Error] = []
    for result in (
        api.inspect(tmp_path / "nowhere.csv"),
        api.plan(tmp_path / "nowhere.csv"),
        api.load(tmp_path / "nowhere.csv"),
        api.release(tmp_path / "nowhere.csv"),
        api.show(99),
        api.undo(99),
        api.cancel(99),
        api.retry(99),
        api.table_info("nothing"),
        api.read_table("nothing"),
    ):
        assert not result
        assert isinstance(result, Failure)
        errors.append(result.error)
    assert {error.category for error in errors} == {"refused"}
    assert all(error.message for error in errors)
    bad = api.load(program.put("orders.csv", "id,name\n1\n"))
    assert isinstance(bad, Failure)
    assert bad.error.category == "file"
    assert bad.error.hint
    assert bad.value is not None
    assert bad.value.report_path is not None
    assert api.retry(bad.value.load_id or 0, reason="mended").ok
    binary = program.put("binary.csv", "")
    binary.write_bytes(b"%PDF-1.4\n" + bytes(100))
    unreadable = api.inspect(binary)
    assert isinstance(unreadable, Failure)
    assert (unreadable.error.category, unreadable.error.code) == ("file", "not_delimited")


def test_held_and_duplicate_files_come_back_as_such(program: Program) -> None:
    api = program.api
    first = program.load("orders.csv", ORDERS, kind="fullload")
    again = program.load("orders.csv", ORDERS, kind="fullload")
    assert again.verdict is Verdict.DUPLICATE
    duplicates = api.duplicates()
    assert duplicates.ok
    assert [one.duplicate_of for one in duplicates.value] == [first.load_id]
    path = program.put("orders.csv", "id,name,amount\n", kind="fullload")
    held = api.load(path)
    assert isinstance(held, Failure)
    assert held.error.category == "held"
    errors = api.errors()
    assert errors.ok
    assert [(one.category, one.count) for one in errors.value] == [("held", 1)]
    released = api.release(path, reason="closing")
    assert released.ok
    assert released.value.status == "held"
    assert api.load(path).ok
    info = api.table_info("orders")
    assert info.ok
    assert info.value.rows == 0


def test_a_refused_undo_says_what_is_in_the_way(program: Program) -> None:
    first = program.load("orders.csv", ORDERS)
    full = program.load("orders.csv", ORDERS, kind="fullload")
    refused = program.api.undo(first.load_id or 0)
    assert isinstance(refused, Failure)
    assert refused.value is not None
    assert [load.load_id for load in refused.value.in_the_way] == [full.load_id]
    assert "Undo in this order" in refused.error.hint


def test_tables_are_listed_and_described(program: Program) -> None:
    api = program.api
    loaded = program.load("orders.csv", ORDERS)
    program.load("colours.csv", "code,name\n1,red\n", "reference", "fullload")
    tables = api.tables()
    assert tables.ok
    found = {table.table.partition(".")[2]: table for table in tables.value}
    assert set(found) == {"orders", "colours"}
    assert (found["orders"].area, found["colours"].area) == (Area.NON_REFERENCE, Area.REFERENCE)
    assert found["orders"].columns == ("id", "name", "amount")
    assert found["orders"].last_load_id == loaded.load_id
    assert found["orders"].last_committed_at is not None
    info = api.table_info("ORDERS")
    assert info.ok
    assert [str(column.type).partition("(")[0] for column in info.value.columns] == [
        "integer",
        "text",
        "decimal",
    ]
    assert (info.value.rows, info.value.has_lineage, info.value.reference) == (2, True, None)
    assert info.value.last_load is not None
    assert info.value.last_load.file_name == "orders.csv"
    colours = api.table_info(found["colours"].table)
    assert colours.ok
    assert colours.value.reference is not None
    assert [name for name, _ in colours.value.reference.columns] == ["code", "name"]


@pytest.mark.parametrize(
    "name", ["order", "orders; DROP TABLE orders", 'orders" --', "Audit_Log", "audit_log", ""]
)
def test_only_tables_that_are_there_come_into_a_statement(program: Program, name: str) -> None:
    program.load("orders.csv", ORDERS)
    refused = program.api.read_table(name)
    assert isinstance(refused, Failure)
    assert refused.error.category == "refused"
    assert "There is no table" in refused.error.message
    assert program.api.read_table("orders").ok


def test_a_name_that_is_in_both_areas_must_be_said_whole(program: Program) -> None:
    program.load("orders.csv", ORDERS)
    program.load("orders.csv", ORDERS, "reference", "fullload")
    refused = program.api.table_info("orders")
    assert isinstance(refused, Failure)
    assert refused.error.hint == "Say which: schema.name."
    assert program.api.table_info("ref.orders").ok


def test_a_table_is_read_into_a_frame_without_damage(program: Program) -> None:
    program.load("typed.csv", TYPED)
    result = program.api.read_table("typed")
    assert result.ok, result
    frame = result.value
    info = program.api.table_info("typed")
    assert info.ok
    # Not every database has a type that keeps the offset; the others keep the text.
    keeps_offset = info.value.columns[6].type.kind is Kind.TIMESTAMP_OFFSET
    assert [str(kind) for kind in frame.dtypes] == [
        "Int64",
        "object",
        "Float64",
        "boolean",
        "datetime64[us]",
        "datetime64[us]",
        "object" if keeps_offset else "string",
        "object",
        "string",
        "string",
    ]
    first, second, nothing = (frame.iloc[row].to_list() for row in range(3))
    assert first[:4] == [1, Decimal("1.50"), 0.1, True]
    assert str(first[1]) == "1.50"
    assert first[4] == pd.Timestamp(date(2024, 2, 29))
    assert first[5] == pd.Timestamp("2024-02-29 10:11:12")
    at = datetime(2024, 2, 29, 10, 11, 12, tzinfo=timezone(timedelta(hours=2)))
    assert first[6] == (at if keeps_offset else "2024-02-29 10:11:12+02:00")
    assert str(first[7]) == "10:11:12"
    assert first[8:] == ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "007"]
    assert str(second[4]) == "0999-01-01 00:00:00"
    assert second[5].year == 2500
    assert second[9] == ""
    assert all(pd.isna(value) for value in nothing)


def test_columns_limit_and_lineage_are_as_asked(program: Program) -> None:
    load_id = program.load("orders.csv", ORDERS).load_id
    program.load("orders.csv", "id,name,amount\n3,Cyd,1.00\n")
    api = program.api
    frame = api.read_table("orders", columns=["name", "id"], limit=2)
    assert frame.ok
    assert frame.value.to_dict("list") == {"name": ["Ada", "Bob"], "id": [1, 2]}
    whole = api.read_table("orders", lineage=True)
    assert whole.ok
    assert list(whole.value) == ["id", "name", "amount", "_load_id", "_source_row"]
    assert whole.value["_load_id"].to_list()[:2] == [load_id, load_id]
    assert whole.value["_source_row"].to_list() == [1, 2, 1]
    none = api.read_table("orders", limit=0)
    assert none.ok
    assert (len(none.value), str(none.value["id"].dtype)) == (0, "Int64")
    asked = api.read_table("orders", columns=["_load_id"])
    assert asked.ok
    missing = api.read_table("orders", columns=["nam"])
    assert isinstance(missing, Failure)
    assert missing.error.hint == "Did you mean 'name'?"
    with pytest.raises(ValueError, match="negative"):
        api.read_table("orders", limit=-1)


def test_threads_load_and_read_at_the_same_time(program: Program) -> None:
    program.load("base.csv", ORDERS)
    paths = [program.put(f"table_{letter}.csv", ORDERS) for letter in "abcdef"]
    with ThreadPoolExecutor(6) as threads:
        loads = [threads.submit(program.api.load, path) for path in paths]
        reads = [threads.submit(program.api.read_table, "base") for _ in range(6)]
    assert [load.result().ok for load in loads] == [True] * 6
    assert all(len(read.result().value) == 2 for read in reads)  # type: ignore[arg-type]


def test_one_file_that_two_threads_load_is_loaded_once(program: Program) -> None:
    path, together = program.put("orders.csv", ORDERS), threading.Barrier(2)

    def wait(step: str, _rows: int) -> None:
        if step == "staging":
            time.sleep(0.2)

    def load() -> object:
        together.wait()
        return program.api.load(path, on_step=wait)

    with ThreadPoolExecutor(2) as threads:
        results = [threads.submit(load) for _ in range(2)]
    assert sum(bool(result.result()) for result in results) == 1
    info = program.api.table_info("orders")
    assert info.ok
    assert info.value.rows == 2


def test_a_load_that_a_callback_breaks_leaves_no_claim_behind(program: Program) -> None:
    path = program.put("orders.csv", ORDERS)

    def explode(_step: str, _rows: int) -> None:
        raise ZeroDivisionError("a wrong program")

    with pytest.raises(ZeroDivisionError):
        program.api.load(path, on_step=explode)
    assert program.api.load(path).ok


def test_the_asynchronous_api_does_the_same_and_leaves_the_loop_free(program: Program) -> None:
    paths = [program.put(f"table_{letter}.csv", ORDERS) for letter in "abc"]
    loading, go_on = threading.Event(), threading.Event()

    def hold(_step: str, _rows: int) -> None:
        loading.set()
        assert go_on.wait(60)

    async def work() -> None:
        async with AsyncReferenceDataAPI(program.config, actor="loop", threads=2) as api:
            slow = asyncio.create_task(api.load(paths[0], on_step=hold))
            while not loading.is_set():
                await asyncio.sleep(0.01)
            status = await api.status()
            assert status.ok
            assert not slow.done(), "the loop and another thread went on meanwhile"
            go_on.set()
            assert (await slow).ok
            results = await asyncio.gather(*(api.load(path) for path in paths[1:]))
            assert all(results)
            assert (await api.health()).value is not None
            frame = await api.read_table("table_a", columns=["id"])
            assert frame.ok
            assert frame.value["id"].to_list() == [1, 2]

    asyncio.run(work())


def test_a_cancelled_task_loses_its_answer_and_its_load_goes_on(program: Program) -> None:
    path, later = program.put("orders.csv", ORDERS), program.put("later.csv", ORDERS)
    loading, go_on = threading.Event(), threading.Event()

    def hold(_step: str, _rows: int) -> None:
        loading.set()
        assert go_on.wait(60)

    async def work() -> None:
        async with AsyncReferenceDataAPI(program.config, threads=1) as api:
            running = asyncio.create_task(api.load(path, on_step=hold))
            while not loading.is_set():
                await asyncio.sleep(0.01)
            waiting = asyncio.create_task(api.load(later))
            await asyncio.sleep(0)
            for task in (running, waiting):
                task.cancel()
            ended = await asyncio.gather(running, waiting, return_exceptions=True)
            assert [type(one) for one in ended] == [asyncio.CancelledError] * 2
            go_on.set()

    asyncio.run(work())
    history = program.api.history()
    assert history.ok
    assert [(row.file_name, row.state) for row in history.value] == [("orders.csv", State.FILED)]
    assert later.exists()


def test_a_file_elsewhere_needs_its_place_and_stays(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "colours.csv"
    path.write_text("code\n1\n", encoding="utf-8")
    assert not program.api.load(path)
    assert program.api.load(path, Area.REFERENCE, "fullload").ok
    assert program.api.load(path, "reference", LoadType.FULLLOAD, force=True).ok
    assert path.exists()
    with pytest.raises(ValueError, match="sideways"):
        program.api.load(path, "reference", "sideways")


def test_health_and_status_are_answers_also_when_they_are_bad(program: Program) -> None:
    health = program.api.health()
    assert health.ok
    assert health.value.level is Level.CRITICAL
    program.put("new.csv", ORDERS)
    status = program.api.status()
    assert status.ok
    assert [Path(file.path).name for file in status.value.files] == ["new.csv"]
