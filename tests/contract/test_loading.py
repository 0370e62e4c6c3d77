"""What people are promised of a load, the same on every target that is there."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dropload import loading, small_files
from dropload.dock import Dock, open_dock
from dropload.errors import TransientError
from dropload.identity import worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.journal import ClaimRefused, apply_scripts, path_key, pending_scripts
from dropload.late_filing import recover
from dropload.model import (
    Area,
    FileVersion,
    Inbox,
    LoadType,
    Outcome,
    TableInfo,
    TableName,
    Verdict,
)
from dropload.parsers.delimited.columnar import read_columnar
from dropload.pipeline import process_drop
from dropload.recovery import Recovered
from dropload.stage_writer import StageWriter
from dropload.targets.base import Published
from dropload.targets.row_stream import RowStream
from tests.conftest import make_config

ORDERS = (
    "Id,Customer Name,amount,on,paid\n1,Łukasz,10.50,2026-01-02,true\n2,,7.25,2026-01-03,false\n"
)
COLUMNS = ("id", "customer name", "amount", "on", "paid")


@dataclass
class Site:
    dock: Dock

    def drop(
        self,
        name: str,
        content: str | bytes,
        load_type: str = "append",
        area: str = "non-reference",
        *,
        force: bool = False,
    ) -> Outcome:
        path = self.inbox(load_type, area).path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        drop = drop_of_path(path, self.dock.tree, None, None, force=force, requested_by="x")
        return process_drop(self.dock, drop, worker_name())

    def inbox(self, load_type: str, area: str = "non-reference") -> Inbox:
        [found] = [
            inbox
            for inbox in self.dock.tree.inboxes
            if inbox.area == area and inbox.load_type == load_type
        ]
        return found

    def table(self, name: str) -> TableName:
        return TableName(self.dock.target.schema_of(Area.NON_REFERENCE), name)

    def texts(self, table: TableName) -> list[tuple[str | None, ...]]:
        """Return the rows as their files wrote them, in their order."""
        target = self.dock.target
        with target.read() as conn:
            info = target.reflect(conn, table)
            assert isinstance(info, TableInfo)
            names = ", ".join(target.quoted_column(column.name) for column in info.columns)
            order = "ORDER BY _load_id, _source_row" if info.has_lineage else "ORDER BY 1"
            found = conn.exec_driver_sql(
                f"SELECT {names} FROM {target.quoted(table)} {order}"
            ).all()
        kinds = [column.type for column in info.columns]
        return [
            tuple(target.text_of(value, kind) for value, kind in zip(row, kinds, strict=True))
            for row in found
        ]

    def exists(self, table: TableName) -> bool:
        with self.dock.target.read() as conn:
            return self.dock.target.has_table(conn, table)

    def execute(self, *statements: str) -> None:
        with self.dock.target.write() as conn:
            for statement in statements:
                conn.exec_driver_sql(statement)

    def states(self) -> list[str]:
        with self.dock.target.read() as conn:
            return [row.state for row in reversed(self.dock.journal.history.latest(conn, None, 99))]


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    dock = open_dock(make_config(tmp_path, database={"url": database_url}))
    dock.tree.create()
    apply_scripts(dock.target)
    yield Site(dock)
    dock.target.close()


def test_the_journal_is_made_once_and_a_second_time_changes_nothing(site: Site) -> None:
    assert apply_scripts(site.dock.target) == []


def test_the_scripts_run_twice_without_harm(site: Site) -> None:
    from dropload.journal.migrations import scripts_of

    with site.dock.target.write() as conn:
        for _, path in scripts_of(site.dock.target):
            site.dock.target.run_script(conn, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_names_of_columns_may_have_any_sign(
    site: Site, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(small_files, "SMALL_BYTES", small)
    names = ["id", "%", "50%% off", 'a "quote"', "semi;colon", "back\\slash", "{brace}", "%s", "?"]
    text = ",".join('"' + name.replace('"', '""') + '"' for name in names) + "\n"
    for number in (1, 2):
        outcome = site.drop("signs.csv", text + f"{number},a,b,c,d,e,f,g,h\n")
        assert outcome.verdict is Verdict.LOADED, outcome
    rows = [(str(number), *"abcdefgh") for number in (1, 2)]
    assert site.texts(site.table("signs")) == rows


def test_an_append_and_a_fullload_bring_the_same_rows_everywhere(site: Site) -> None:
    table = site.table("orders")
    assert site.drop("orders.csv", ORDERS).verdict is Verdict.LOADED
    first = [
        ("1", "Łukasz", "10.50", "2026-01-02", "true"),
        ("2", None, "7.25", "2026-01-03", "false"),
    ]
    assert site.texts(table) == first
    more = "id,customer_name,AMOUNT,On,paid\n3,Eve,1000.00,2026-02-02,true\n"
    assert site.drop("orders.csv", more).rows_loaded == 1
    assert site.texts(table)[2] == ("3", "Eve", "1000.00", "2026-02-02", "true")
    replaced = site.drop("orders.csv", ORDERS.replace("Łukasz", "Bob"), "fullload")
    assert replaced.verdict is Verdict.LOADED
    assert [row[1] for row in site.texts(table)] == ["Bob", None]
    assert replaced.load_id is not None
    backup = site.dock.target.backup_name(table, replaced.load_id)
    assert len(site.texts(backup)) == 3
    assert site.states() == ["filed", "filed", "filed"]


def test_duplicates_holds_and_rejects_have_the_same_outcomes(site: Site) -> None:
    site.drop("orders.csv", ORDERS)
    assert site.drop("orders.csv", ORDERS).verdict is Verdict.DUPLICATE
    assert (
        site.drop("orders.csv", ORDERS.splitlines()[0] + "\n", "fullload").verdict is Verdict.HELD
    )
    assert site.drop("orders.csv", ORDERS + "3,only\n").verdict is Verdict.FAILED
    assert site.drop("orders.csv", "a,b\n1,2\n").verdict is Verdict.FAILED
    assert site.drop("orders.csv", ORDERS, force=True).verdict is Verdict.LOADED
    assert len(site.texts(site.table("orders"))) == 4


def test_a_later_file_adds_and_widens_columns(site: Site) -> None:
    site.drop("orders.csv", ORDERS)
    wider = (
        ORDERS.replace("on,paid", "on,paid,note")
        .replace("true\n", "true,x\n")
        .replace("false\n", "false,\n")
    )
    wider = wider.replace("1,Łukasz", "A1,Łukasz").replace("10.50", "n/a")
    assert site.drop("orders.csv", wider).verdict is Verdict.LOADED
    rows = site.texts(site.table("orders"))
    assert rows[0] == ("1", "Łukasz", "10.50", "2026-01-02", "true", None)
    assert rows[2] == ("A1", "Łukasz", "n/a", "2026-01-02", "true", "x")


def test_long_texts_of_any_script_come_back_whole(site: Site) -> None:
    """G5: lengths around the borders of declared widths and packets."""
    lengths = (1, 49, 50, 51, 255, 256, 3999, 4000, 4001, 8000, 70_000)
    texts = [f"{'ab東🎉'[n % 4]}" * length for n, length in enumerate(lengths)]
    content = "n,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts))
    assert site.drop("texts.csv", content).verdict is Verdict.LOADED
    assert [row[1] for row in site.texts(site.table("texts"))] == texts


def test_null_and_empty_text_stay_apart_on_every_target(site: Site) -> None:
    site.drop("texts.csv", 'code,count\nx,\ny,""\n,z\n')
    assert site.texts(site.table("texts")) == [("x", None), ("y", ""), (None, "z")]


def test_reference_tables_are_configured_in_the_publishing_transaction(site: Site) -> None:
    site.drop("airports.csv", "iata,size\nOSL,1\n", "fullload", "reference")
    site.drop("airports.csv", "iata,size\nOSL,2\n", "fullload", "reference")
    assert site.texts(TableName("ref", "airports")) == [("OSL", "2")]
    schema, name = site.dock.target.physical_name(TableName("ref", "Reference_Data_Cfg"))
    table = sa.table(sa.quoted_name(name, quote=True), sa.column("load_id"), schema=schema)
    with site.dock.target.read() as conn:
        assert conn.execute(sa.select(table.c.load_id)).scalars().all() == [2]


def test_a_rule_of_the_table_refuses_the_file_and_the_old_rows_stay(site: Site) -> None:
    """G1, G3"""
    table = site.dock.target.quoted(site.table("orders"))
    site.execute(
        f"CREATE TABLE {table} (id bigint PRIMARY KEY, name varchar(50))",
        f"INSERT INTO {table} (id, name) VALUES (1, 'old')",
    )
    refused = site.drop("orders.csv", "id,name\n2,b\n2,c\n3,d\n", "fullload")
    assert refused.verdict is Verdict.FAILED, refused
    assert site.texts(site.table("orders")) == [("1", "old")]
    assert site.drop("orders.csv", "id,name\n2,b\n3,d\n", "fullload").verdict is Verdict.LOADED
    assert site.texts(site.table("orders")) == [("2", "b"), ("3", "d")]


def test_one_open_load_per_path_and_recovery_frees_the_dead(site: Site) -> None:
    """C1"""
    [inbox] = [
        i
        for i in site.dock.tree.inboxes
        if i.area is Area.REFERENCE and i.load_type is LoadType.APPEND
    ]
    path = inbox.path / "a.csv"
    path.write_text(ORDERS)
    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
    named = name_drop(drop, site.dock.target)
    host, pid, _ = worker_name().rsplit("#", 2)
    with site.dock.target.write() as conn:
        site.dock.journal.claims.claim(conn, drop, named.table, f"{host}#{pid}#1")
    with site.dock.target.write() as conn:
        second = site.dock.journal.claims.claim(conn, drop, named.table, "elsewhere@0#1#1")
    assert not isinstance(second, ClaimRefused), "a dead worker's claim is taken over at once"
    with site.dock.target.write() as conn:
        third = site.dock.journal.claims.claim(conn, drop, named.table, "third@0#1#1")
    assert isinstance(third, ClaimRefused)
    assert recover(site.dock) == Recovered()


def test_a_stage_whose_load_is_over_is_swept_and_no_other_table(site: Site) -> None:
    """H5"""
    loaded = site.drop("orders.csv", "id\n1\n2\n")
    names = [f"orders__{loaded.load_id}", "orders__77", f"sales__{loaded.load_id}"]
    for name in names:
        quoted = site.dock.target.quoted(TableName("stg", name))
        site.execute(f"CREATE TABLE {quoted} (n integer)")
    assert recover(site.dock) == Recovered(stages_dropped=1)
    left = [name for name in names if site.exists(TableName("stg", name))]
    assert left == names[1:], "what no load of ours made is not ours to drop"


def test_a_nul_in_a_rejected_row_is_no_trouble_for_the_journal(site: Site) -> None:
    refused = site.drop("orders.csv", "id,name,n\n1,a,2\n3,x\0y,4\n5,b,6\n7,c,8\n")
    assert refused.verdict is Verdict.FAILED, refused
    assert refused.rows_rejected == 1


def test_a_path_longer_than_the_journal_keeps_fails_and_is_filed(
    database_url: str, tmp_path: Path
) -> None:
    root = tmp_path / ("d" * 200) / ("e" * 200)
    root.mkdir(parents=True)
    dock = open_dock(make_config(root, database={"url": database_url}))
    dock.tree.create()
    apply_scripts(dock.target)
    refused = Site(dock).drop("n" * 150 + ".csv", ORDERS)
    dock.target.close()
    assert refused.verdict is Verdict.FAILED
    assert refused.filed_path is not None


def test_two_that_note_the_same_new_file_do_not_collide(site: Site) -> None:
    from concurrent.futures import ThreadPoolExecutor

    inbox = site.dock.tree.inboxes[0]
    files = [(inbox.path / f"f{n}.csv", inbox, FileVersion(1, 2, n), "new") for n in range(5)]

    def note(_: int) -> None:
        with site.dock.target.write() as conn:
            site.dock.journal.tracking.upsert_waiting(conn, files)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(note, range(8)))
    with site.dock.target.read() as conn:
        assert site.dock.journal.tracking.counts(conn) == {"waiting": 5}


ALIKE = ("a.csv", "A.csv", "a.CSV", "a.csv ", "a.csv  ", " a.csv", "a .csv", "ł.csv", "l.csv")
"""Names of different files that some databases take for equal."""


def test_names_that_differ_in_case_or_blanks_only_are_different_files(site: Site) -> None:
    inbox = site.dock.tree.inboxes[0]
    files = [(inbox.path / name, inbox, FileVersion(1, 2, 3), name) for name in ALIKE]
    tracking = site.dock.journal.tracking
    for _ in range(2):
        with site.dock.target.write() as conn:
            tracking.upsert_waiting(conn, files)
    with site.dock.target.read() as conn:
        assert tracking.counts(conn) == {"waiting": len(ALIKE)}
        for path, *_, name in files:
            found = tracking.find(conn, path_key(path))
            assert found is not None
            assert found.reason == name


def test_files_whose_names_differ_in_case_only_are_loaded_each(site: Site) -> None:
    assert site.drop("orders.csv", ORDERS).verdict is Verdict.LOADED
    other = ORDERS.replace("10.50", "11.50")
    assert site.drop("ORDERS.csv", other).verdict is Verdict.LOADED
    assert site.drop("Orders.csv", other).verdict is Verdict.DUPLICATE
    assert len(site.texts(site.table("orders"))) == 4
    assert site.states() == ["filed", "filed", "duplicate"]


def test_a_name_that_ends_in_a_blank_does_not_touch_the_file_without_it(site: Site) -> None:
    assert site.drop("orders.csv", ORDERS).verdict is Verdict.LOADED
    assert site.drop("orders.csv ", ORDERS).verdict is Verdict.FAILED
    assert site.drop(" orders.csv", ORDERS).verdict is Verdict.DUPLICATE
    with site.dock.target.read() as conn:
        assert site.dock.journal.tracking.counts(conn) == {
            "filed": 1,
            "failed": 1,
            "duplicate": 1,
        }


def test_a_schema_that_is_missing_is_made_once(database_url: str, tmp_path: Path) -> None:
    """A schema's name is quoted like any other: it cannot end the statement."""
    config = make_config(
        tmp_path, database={"url": database_url}, schemas={"non_reference": "Sales 'n' \"more\" 5%"}
    )
    dock = open_dock(config)
    dock.tree.create()
    assert apply_scripts(dock.target) == [
        "0001_journal.sql",
        "0002_progress.sql",
        "0003_views.sql",
        "0004_audit.sql",
        "0005_measures.sql",
    ]
    assert apply_scripts(dock.target) == []
    site = Site(dock)
    loaded = site.drop("orders.csv", ORDERS)
    replaced = site.drop("orders.csv", ORDERS.replace("10.50", "11.50"), "fullload")
    dock.target.close()
    assert loaded.verdict is Verdict.LOADED, loaded
    assert replaced.verdict is Verdict.LOADED, replaced
    assert "Sales 'n'" in loaded.table


def test_a_journal_of_an_earlier_version_gets_what_is_new(
    database_url: str, tmp_path: Path
) -> None:
    from dropload.journal.migrations import scripts_of

    dock = open_dock(make_config(tmp_path, database={"url": database_url}))
    dock.tree.create()
    [(_, first), *later] = scripts_of(dock.target)
    with dock.target.write() as conn:
        dock.target.run_script(conn, first.read_text(encoding="utf-8"))
    assert [path.name for path in pending_scripts(dock.target)] == [path.name for _, path in later]
    assert apply_scripts(dock.target) == [path.name for _, path in later]
    loaded = Site(dock).drop("orders.csv", ORDERS)
    dock.target.close()
    assert loaded.verdict is Verdict.LOADED, loaded


def test_types_that_only_a_server_has_take_their_texts(site: Site) -> None:
    kinds = {"postgresql": ("uuid", "timestamptz"), "mssql": ("uniqueidentifier", "datetime")}
    if site.dock.target.name not in kinds:
        pytest.skip("this target has no types of its own")
    key, moment = kinds[site.dock.target.name]
    table = site.dock.target.quoted(site.table("events"))
    site.execute(f"CREATE TABLE {table} (k {key}, at {moment}, n bigint)")
    rows = "6f9619ff-8b86-d011-b42d-00c04fc964ff,2024-02-01 10:20:30,1\n,2024-02-02 00:00:00,2\n"
    loaded = site.drop("events.csv", f"k,at,n\n{rows}")
    assert loaded.verdict is Verdict.LOADED, loaded
    assert len(site.texts(site.table("events"))) == 2


class Breaking:
    """Makes staging fail once after some batches, and remembers which records were sent.

    Small blocks: every batch is worth a transaction of its own.
    """

    def __init__(
        self,
        site: Site,
        monkeypatch: pytest.MonkeyPatch,
        good_batches: int,
        settle_seconds: float = 0.0,
    ) -> None:
        self.sent: list[int] = []
        self._left = good_batches
        self._stream_rows = site.dock.target.stream_rows
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(read_columnar, "__kwdefaults__", {"block_bytes": 50_000})
        monkeypatch.setattr(type(site.dock.target), "commit_bytes", 20_000)
        monkeypatch.setattr(site.dock.target, "settle_seconds", settle_seconds)
        monkeypatch.setattr(site.dock.target, "stream_rows", self.stream_rows)

    def stream_rows(self, *whose: Any) -> RowStream:
        """Return the target's stream, which is asked first before rows go another way."""
        stream = self._stream_rows(*whose)
        really_send = stream.send

        def send(batches: Any) -> bool:
            self._left -= 1
            if self._left == -1:
                raise TransientError("the connection broke")
            self.sent += [row for _, rows in batches for row in rows.to_pylist()]
            return really_send(batches)

        self._monkeypatch.setattr(stream, "send", send)
        return stream


MANY = "id,name\n" + "".join(f"{n},{'x' * 30}{n}\n" for n in range(30_000))


def test_staging_goes_on_behind_the_last_staged_row(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G6"""
    breaking = Breaking(site, monkeypatch, good_batches=4)
    loaded = site.drop("orders.csv", MANY)
    assert (loaded.verdict, loaded.rows_loaded) == (Verdict.LOADED, 30_000), loaded.message
    assert breaking.sent == list(range(1, 30_001)), "no row is sent twice"
    assert [row[0] for row in site.texts(site.table("orders"))] == [str(n) for n in range(30_000)]


def test_rows_that_were_on_their_way_when_staging_broke_off_are_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy under way holds locks on its side table, and would go on to fill it."""
    breaking = Breaking(site, monkeypatch, good_batches=4, settle_seconds=1000.0)
    done: list[str] = []
    abandon, trim_stage = StageWriter.abandon, type(site.dock.target).trim_stage

    def note_abandon(writer: StageWriter) -> None:
        abandon(writer)
        done.append("abandon")

    def note_trim(target: Any, conn: Any, stage: TableName, rows: int) -> int | None:
        done.append("trim")
        return trim_stage(target, conn, stage, rows)

    monkeypatch.setattr(StageWriter, "abandon", note_abandon)
    monkeypatch.setattr(type(site.dock.target), "trim_stage", note_trim)
    loaded = site.drop("orders.csv", MANY)
    assert (loaded.verdict, loaded.rows_loaded) == (Verdict.LOADED, 30_000), loaded.message
    assert done == ["trim", "abandon", "trim", "abandon"]
    assert breaking.sent[-1] == 30_000
    assert [row[0] for row in site.texts(site.table("orders"))] == [str(n) for n in range(30_000)]


def test_what_is_in_the_side_table_beyond_the_journals_word_is_thrown_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bulk protocol commits on its own: rows may be there that the journal does not know of."""
    breaking = Breaking(site, monkeypatch, good_batches=3)
    meddled: list[int] = []

    def meddle(target: Any, conn: Any, stage: TableName, rows: int) -> int | None:
        if rows:
            meddled.append(rows)
            table = target.quoted(stage)
            conn.exec_driver_sql(f"INSERT INTO {table} (_load_id, _source_row) VALUES (1, 29000)")
        return trim_stage(target, conn, stage, rows)

    trim_stage = type(site.dock.target).trim_stage
    monkeypatch.setattr(type(site.dock.target), "trim_stage", meddle)
    loaded = site.drop("orders.csv", MANY)
    assert meddled
    assert (loaded.verdict, loaded.rows_loaded) == (Verdict.LOADED, 30_000)
    assert breaking.sent == list(range(1, 30_001))


@pytest.mark.parametrize("small_bytes", [0, small_files.SMALL_BYTES], ids=["staged", "small"])
@pytest.mark.parametrize("load_type", ["append", "fullload"])
def test_rows_that_the_database_counts_otherwise_are_not_committed(
    site: Site, monkeypatch: pytest.MonkeyPatch, load_type: str, small_bytes: int
) -> None:
    monkeypatch.setattr(small_files, "SMALL_BYTES", small_bytes)
    site.drop("orders.csv", ORDERS, load_type)
    before = site.texts(site.table("orders"))
    publish, missing = loading._publish, [1, 1]

    def miscount(*arguments: Any, **more: Any) -> Published:
        published = publish(*arguments, **more)
        fewer = missing.pop() if missing else 0
        return replace(published, rows_loaded=published.rows_loaded - fewer)

    monkeypatch.setattr(loading, "_publish", miscount)
    other = ORDERS.replace("Łukasz", "Ada")
    refused = site.drop("orders.csv", other, load_type)
    assert refused.verdict is Verdict.RETRY, refused
    assert site.texts(site.table("orders")) == before
    loaded = site.drop("orders.csv", other, load_type)
    assert (loaded.verdict, loaded.rows_loaded) == (Verdict.LOADED, 2), loaded
    kept = before if load_type == "append" else []
    assert [row[1] for row in site.texts(site.table("orders"))] == [
        *(row[1] for row in kept),
        "Ada",
        None,
    ]


def test_a_side_table_with_a_row_too_many_is_made_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking = Breaking(site, monkeypatch, good_batches=3)

    def double(target: Any, conn: Any, stage: TableName, rows: int) -> int | None:
        if rows:
            table = target.quoted(stage)
            conn.exec_driver_sql(f"INSERT INTO {table} (_load_id, _source_row) VALUES (1, 1)")
        return trim_stage(target, conn, stage, rows)

    trim_stage = type(site.dock.target).trim_stage
    monkeypatch.setattr(type(site.dock.target), "trim_stage", double)
    loaded = site.drop("orders.csv", MANY)
    assert (loaded.verdict, loaded.rows_loaded) == (Verdict.LOADED, 30_000), loaded.message
    assert breaking.sent[-30_000:] == list(range(1, 30_001)), "all of them once more"
    assert len(breaking.sent) > 30_000


def test_other_notations_are_loaded_as_what_they_mean(site: Site) -> None:
    """Promise 5, G5"""
    text = "day;amount;ok\n31.01.2024;1.234,50;True\n1.2.2024;-0,75;False\n;;\n"
    assert site.drop("bookings.csv", text).verdict is Verdict.LOADED
    expected: list[tuple[str | None, ...]] = [
        ("2024-01-31", "1234.50", "true"),
        ("2024-02-01", "-0.75", "false"),
        (None, None, None),
    ]
    assert site.texts(site.table("bookings")) == expected
    more = site.drop("bookings.csv", "day;amount;ok\n2024-03-01;7.25;true\n")
    assert more.verdict is Verdict.LOADED
    assert site.texts(site.table("bookings"))[3:] == [("2024-03-01", "7.25", "true")]


def test_a_rejected_row_comes_back_as_its_file_wrote_it(site: Site) -> None:
    quoted = site.dock.target.quoted(site.table("bookings"))
    site.execute(f"CREATE TABLE {quoted} (day date, amount decimal(5,2))")
    text = "day;amount\n31.01.2024;1.234,50\n1.2.2024;0,75\n"
    refused = site.drop("bookings.csv", text)
    assert refused.verdict is Verdict.FAILED
    with site.dock.target.read() as conn:
        [reject] = site.dock.journal.history.rejects(conn, refused.load_id or 0)
    assert (reject.line, reject.row_text) == (2, "31.01.2024\t1.234,50")
    assert "3 digits before the point" in reject.message


def test_a_file_with_anothers_name_hears_which_table_it_fits(site: Site) -> None:
    site.drop("orders.csv", "id,customer,amount,day\n1,a,2,2024-01-02\n")
    site.drop("customers.csv", "id,customer_name,city\n1,a,b\n")
    refused = site.drop("orders.csv", "id,customer_name,city\n2,c,d\n")
    assert refused.verdict is Verdict.FAILED
    assert "would fit" in refused.hint
    assert f"{site.table('customers')} (100% of its columns)" in refused.hint


def test_a_renamed_column_is_proposed_and_nothing_is_guessed(site: Site) -> None:
    site.drop("customers.csv", "id,customer_name,city,country\n1,a,b,c\n")
    loaded = site.drop("customers.csv", "id,cust_nm,city,country\n2,x,y,z\n")
    assert loaded.verdict is Verdict.LOADED
    with site.dock.target.read() as conn:
        record = site.dock.journal.history.row(conn, loaded.load_id or 0)
    assert record is not None
    assert '"cust_nm\\" of the file looks like \\"customer_name' in (record.plan or "")
    assert site.texts(site.table("customers"))[1] == ("2", None, "y", "z", "x")


def test_a_view_that_has_the_name_of_a_table_is_no_fault_of_a_file(site: Site) -> None:
    target = site.dock.target
    view = target.quoted(site.table("orders"))
    site.execute(f"CREATE VIEW {view} AS SELECT 1 AS a, 2 AS b, 3 AS c")
    outcome = site.drop("orders.csv", ORDERS)
    assert outcome.verdict is Verdict.PAUSED, outcome
    with target.read() as conn:
        assert target.reflect(conn, site.table("orders")) is None
