"""Taking a load back, the same on every target that is there."""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dropload.dock import open_dock
from dropload.errors import RefusedError
from dropload.intake import drop_of_path
from dropload.journal import apply_scripts
from dropload.model import Drop, State, TableName, Verdict
from dropload.undo import plan_undo, undo_load
from tests.conftest import make_config
from tests.contract.test_loading import Site
from tests.replay import Replay, dies_at

ADA = "id,name\n1,Ada\n"
BOB = "id,name\n2,Bob\n"
CYD = "id,name\n3,Cyd\n4,Dan\n"


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    config = make_config(
        tmp_path, database={"url": database_url}, retention={"backups_per_table": 99}
    )
    dock = open_dock(config)
    dock.tree.create()
    apply_scripts(dock.target)
    yield Site(dock)
    dock.target.close()


def load(site: Site, content: str, load_type: str = "append", area: str = "non-reference") -> int:
    outcome = site.drop("people.csv", content, load_type, area, force=load_type == "fullload")
    assert outcome.verdict is Verdict.LOADED, outcome
    assert outcome.load_id is not None
    return outcome.load_id


def names(site: Site) -> list[str]:
    return sorted(row[1] or "" for row in site.texts(site.table("people")))


def audited(site: Site) -> list[tuple[Any, ...]]:
    target = site.dock.target
    table = target.quoted(TableName(target.schemas.reference, "Audit_Log"))
    columns = "actor, action, load_id, detail, reason"
    query = f"SELECT {columns} FROM {table} WHERE action = 'undo' AND result = 'done' ORDER BY id"
    with target.read() as conn:
        return [tuple(row) for row in conn.exec_driver_sql(query)]


def test_an_older_append_is_undone_below_newer_ones(site: Site) -> None:
    first, second = load(site, ADA), load(site, BOB)
    plan = plan_undo(site.dock, first)
    assert (plan.rows_now, plan.rows_removed, plan.rows_restored, plan.rows_after) == (2, 1, 0, 1)
    assert plan.notes == (f"The table {site.table('people')} was made by this load; it stays.",)
    assert names(site) == ["Ada", "Bob"], "a plan changes nothing"
    assert undo_load(site.dock, first, "ada", reason="wrong month") == plan
    assert names(site) == ["Bob"]
    assert site.states() == ["undone", "filed"]
    undo_load(site.dock, second, "ada")
    assert names(site) == []
    [entry, _] = audited(site)
    table = site.table("people")
    assert entry == ("ada", "undo", first, f"{table}: 1 row removed, 0 restored", "wrong month")


def test_a_fullload_gives_back_what_it_replaced(site: Site) -> None:
    load(site, ADA)
    load(site, BOB)
    replacing = load(site, CYD, "fullload")
    plan = undo_load(site.dock, replacing, "ada")
    assert (plan.rows_removed, plan.rows_restored) == (2, 2)
    assert names(site) == ["Ada", "Bob"]
    assert plan.backup is not None
    assert not site.exists(plan.backup)
    first = plan_undo(site.dock, 1)
    assert (first.refused, first.rows_removed) == ("", 1), "its rows carry their load again"


def test_a_fullload_that_made_its_table_leaves_it_empty(site: Site) -> None:
    made = load(site, CYD, "fullload")
    plan = undo_load(site.dock, made, "ada")
    assert (plan.rows_removed, plan.backup) == (2, None)
    assert names(site) == []
    assert load(site, CYD, "fullload") == made + 1


def test_a_table_left_empty_with_wrong_columns_is_made_anew_as_said(site: Site) -> None:
    plan = undo_load(site.dock, load(site, "wrong;one,columns\n1,2\n"), "ada")
    drop = site.dock.target.drop_words(site.table("people"))
    [note] = plan.notes
    assert f"stays, empty, with its columns. Were they wrong, too: `{drop}`" in note
    refused = site.drop("people.csv", ADA)
    assert refused.verdict is Verdict.FAILED
    assert f"it is empty: if its columns are the wrong ones, `{drop}`" in refused.hint
    with site.dock.target.write() as conn:
        conn.exec_driver_sql(drop)
    load(site, ADA)
    assert names(site) == ["Ada"]


def test_what_something_later_rests_on_is_refused_with_the_order(site: Site) -> None:
    append, full, on_top = load(site, ADA), load(site, BOB, "fullload"), load(site, CYD)
    for load_id, order in ((append, f"{on_top}, {full}, {append}"), (full, f"{on_top}, {full}")):
        with pytest.raises(RefusedError) as refused:
            undo_load(site.dock, load_id, "ada")
        assert refused.value.hint == f"Undo in this order: {order}."
    assert [later.load_id for later in plan_undo(site.dock, append).in_the_way] == [on_top, full]
    assert names(site) == ["Bob", "Cyd", "Dan"]
    for load_id in (on_top, full, append):
        undo_load(site.dock, load_id, "ada")
    assert names(site) == []


def test_the_same_file_can_be_dropped_again_after_an_undo(site: Site) -> None:
    first = load(site, ADA)
    assert site.drop("people.csv", ADA).verdict is Verdict.DUPLICATE
    undo_load(site.dock, first, "ada")
    load(site, ADA)
    assert site.drop("people.csv", ADA).verdict is Verdict.DUPLICATE
    full = load(site, CYD, "fullload")
    undo_load(site.dock, full, "ada")
    again = site.drop("people.csv", ADA)
    assert again.verdict is Verdict.DUPLICATE, "its rows are in the table again"
    assert load(site, CYD, "fullload") > full, "not what the table holds now"


def test_bytes_that_were_forced_in_twice_stay_duplicates_until_both_are_undone(site: Site) -> None:
    first = load(site, ADA)
    second = site.drop("people.csv", ADA, force=True).load_id or 0
    undo_load(site.dock, first, "ada")
    assert site.drop("people.csv", ADA).verdict is Verdict.DUPLICATE
    undo_load(site.dock, second, "ada")
    assert names(site) == []
    load(site, ADA)


def test_columns_that_a_load_added_or_widened_stay_and_are_said(site: Site) -> None:
    load(site, ADA)
    wider = load(site, "id,name,city\nx,Bob,Bonn\n", "fullload")
    plan = undo_load(site.dock, wider, "ada")
    added, widened = plan.notes
    assert (added, widened) == (
        'Columns that it added stay so: "city".',
        'Columns that it widened stay so: "id".',
    )
    assert site.texts(site.table("people")) == [("1", "Ada", None)]


@pytest.mark.parametrize("owned", [False, True])
def test_values_that_come_back_read_as_they_were_written_in_a_column_widened_since(
    site: Site, owned: bool
) -> None:
    before = "id,price,day\n1,1.50,2024-01-31\n2,20.00,2024-02-29\n"
    load(site, before, "fullload")
    if owned:
        people = site.dock.target.quoted(site.table("people"))
        site.execute(f"CREATE INDEX ix_people ON {people} (id)")
    numbers = load(site, "id,price,day\n3,7.25,2024-03-31\n", "fullload")
    words = load(site, "id,price,day\n4,none yet,soon\n", "fullload")
    undo_load(site.dock, words, "ada")
    undo_load(site.dock, numbers, "ada")
    found = sorted(row[:3] for row in site.texts(site.table("people")))
    assert found == [("1", "1.50", "2024-01-31"), ("2", "20.00", "2024-02-29")]


def test_the_reference_configuration_names_the_load_that_stands(site: Site) -> None:
    first = load(site, ADA, "fullload", "reference")
    second = load(site, "id,name,city\n2,Bob,Bonn\n", "fullload", "reference")
    target = site.dock.target
    table = target.quoted(TableName(target.schemas.reference, "Reference_Data_Cfg"))
    query = f"SELECT load_id, columns FROM {table}"

    def configured() -> tuple[int, bool]:
        with target.read() as conn:
            [(load_id, columns)] = conn.exec_driver_sql(query).all()
        return load_id, "city" in columns

    assert configured() == (second, True)
    undo_load(site.dock, second, "ada")
    assert configured() == (first, True), "the column stays, and so it is told of"
    undo_load(site.dock, first, "ada")
    assert configured() == (first, True), "the table stays, empty"


def test_a_table_without_lineage_keeps_its_appends_and_gives_fullloads_back(site: Site) -> None:
    quoted = site.dock.target.quoted(site.table("people"))
    site.execute(f"CREATE TABLE {quoted} (id bigint, name varchar(20))")
    append = load(site, ADA)
    assert "does not say which load" in plan_undo(site.dock, append).refused
    full = load(site, BOB, "fullload")
    undo_load(site.dock, full, "ada")
    assert names(site) == ["Ada"]


def test_rows_that_no_load_brought_are_not_thrown_away_unasked(site: Site) -> None:
    load(site, ADA)
    full = load(site, CYD, "fullload")
    quoted = site.dock.target.quoted(site.table("people"))
    site.execute(f"INSERT INTO {quoted} (id, name, _load_id, _source_row) VALUES (9, 'X', 0, 1)")
    with pytest.raises(RefusedError, match="holds 1 row that no load has brought"):
        undo_load(site.dock, full, "ada")
    assert names(site) == ["Cyd", "Dan", "X"]
    assert undo_load(site.dock, full, "ada", force=True).rows_removed == 3
    assert names(site) == ["Ada"]


def test_a_backup_that_is_gone_is_said(site: Site) -> None:
    load(site, ADA)
    full = load(site, BOB, "fullload")
    later = load(site, CYD, "fullload")
    backup = site.dock.target.backup_name(site.table("people"), full)
    with site.dock.target.write() as conn:
        site.dock.target.drop_table(conn, backup)
        site.dock.journal.loads.forget_backup(conn, full)
    assert f"what load {full} replaced is not kept" in plan_undo(site.dock, 1).refused
    undo_load(site.dock, later, "ada")
    plan = plan_undo(site.dock, full)
    assert plan.refused == f"The rows that load {full} replaced are not kept any more."
    for key in ("retention.backups_per_table", "30 days (retention.backups_days)"):
        assert key in plan.hint
    assert names(site) == ["Bob"]


@pytest.mark.parametrize(
    ("per_table", "days", "said"),
    [
        (0, 30, "retention.backups_per_table is 0"),
        (1, 1, "the last 1 fullload of a table replaced (retention.backups_per_table), for 1 day "),
    ],
)
def test_why_a_backup_is_gone_is_said_by_the_keys_in_force(
    site: Site, per_table: int, days: int, said: str
) -> None:
    load(site, ADA)
    full = load(site, BOB, "fullload")
    with site.dock.target.write() as conn:
        site.dock.target.drop_table(conn, site.dock.target.backup_name(site.table("people"), full))
    retention = {"backups_per_table": per_table, "backups_days": days}
    config = site.dock.config.model_copy(
        update={"retention": site.dock.config.retention.model_copy(update=retention)}
    )
    plan = plan_undo(replace(site.dock, config=config), full)
    assert "are not kept any more" in plan.refused
    assert said in plan.hint


def test_what_was_not_counted_is_not_said_to_be_zero(site: Site) -> None:
    first = load(site, ADA)
    full = load(site, BOB, "fullload")
    refused = plan_undo(site.dock, first)
    assert refused.refused
    assert (refused.rows_now, refused.rows_removed) == (1, None)
    assert (refused.rows_restored, refused.rows_after) == (None, None)
    undo_load(site.dock, full, "ada")
    early = plan_undo(site.dock, full)
    assert "is undone already" in early.refused
    assert (early.rows_now, early.rows_after) == (None, None)


def test_an_undo_that_is_killed_at_any_statement_has_changed_nothing(site: Site) -> None:
    load(site, ADA)
    full = load(site, CYD, "fullload")
    deaths = 0
    for statement in range(200):
        if not dies_at(site.dock, statement, lambda: undo_load(site.dock, full, "ada")):
            break
        deaths += 1
        assert names(site) == ["Cyd", "Dan"]
        assert site.states()[-1] == State.FILED
        assert audited(site) == []
    assert deaths >= 10, "a walk that never died proves nothing"
    assert names(site) == ["Ada"]
    assert site.states()[-1] == State.UNDONE


SEEDS = range(
    int(os.environ.get("DROPLOAD_TEST_SEED", "1")),
    int(os.environ.get("DROPLOAD_TEST_SEED", "1"))
    + int(os.environ.get("DROPLOAD_TEST_REPLAYS", "3")),
)
"""The same sequences in every run; more, or others, by these two variables. A test's name has its
seed."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_table_equals_the_replay_of_the_loads_that_stand(site: Site, seed: int) -> None:
    target, table = site.dock.target, site.table("people")

    def look() -> list[object]:
        with target.read() as conn:
            if not target.has_table(conn, table):
                return []
            return list(conn.execute(sa.text(f"SELECT n FROM {target.quoted(table)}")).scalars())

    def drop(load_type: str, text: str) -> Drop:
        path = site.inbox(load_type).path / "people.csv"
        path.write_text(text, encoding="utf-8")
        force = load_type == "fullload"
        return drop_of_path(path, site.dock.tree, None, None, force=force, requested_by="x")

    replay = Replay(site.dock, drop, look)
    chance = random.Random(seed)  # noqa: S311 - the same steps each time
    replay.load_and_die("append", 3, [chance.randint(0, 20)])
    assert replay.deaths == 1, "a sequence in which no load dies proves less"
    for _ in range(20):
        replay.take_random_step(chance)
        replay.check()
