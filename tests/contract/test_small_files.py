"""Small files go into their table with no side table between, where the database allows for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dropload import small_files
from dropload.model import Verdict
from dropload.undo import undo_load
from tests.contract.test_loading import Site
from tests.contract.test_owned_tables import opened_site

ADA = "id,price,name\n1,1.50,Ada\n2,20.00,\n"
BOB = "id,price,name\n3,3.25,Bob\n"
TWO = [("1", "1.50", "Ada"), ("2", "20.00", None)]
ONE = [("3", "3.25", "Bob")]


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    with opened_site(database_url, tmp_path) as opened:
        yield opened


def stages_of(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the names of side tables noted that are made from now on."""
    target = site.dock.target
    made, create = list[str](), target.create_stage

    def note(conn: object, plan: object, stage: object) -> None:
        made.append(str(stage))
        create(conn, plan, stage)  # type: ignore[arg-type]

    monkeypatch.setattr(target, "create_stage", note)
    return made


def load(site: Site, content: str, load_type: str) -> int:
    outcome = site.drop("people.csv", content, load_type, force=load_type == "fullload")
    assert outcome.verdict is Verdict.LOADED, outcome
    assert outcome.load_id is not None
    return outcome.load_id


def counts(site: Site, load_id: int) -> tuple[int | None, int | None, int | None]:
    with site.dock.target.read() as conn:
        row = site.dock.journal.history.row(conn, load_id)
    assert row is not None
    return row.rows_before, row.rows_loaded, row.rows_after


def test_tables_are_made_filled_and_replaced_without_a_side_table(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stages_of(site, monkeypatch)
    table = site.table("people")
    first = load(site, ADA, "fullload")
    assert site.texts(table) == TWO
    second = load(site, BOB, "append")
    third = load(site, BOB, "fullload")
    assert site.texts(table) == ONE
    found = [counts(site, number) for number in (first, second, third)]
    assert found == [(0, 2, 2), (2, 1, 3), (3, 1, 1)]
    assert site.texts(site.dock.target.backup_name(table, third)) == [*TWO, *ONE]
    undo_load(site.dock, third, "ada")
    assert site.texts(table) == [*TWO, *ONE]
    goes_straight = site.dock.target.name != "mssql"
    assert bool(made) is not goes_straight, made


def test_more_rows_than_are_copied_in_a_moment_are_replaced_by_a_side_table(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(site, ADA, "fullload")
    made = stages_of(site, monkeypatch)
    monkeypatch.setattr(small_files, "SMALL_ROWS", 1)
    replacing = load(site, BOB, "fullload")
    assert len(made) == 1
    assert site.texts(site.table("people")) == ONE
    assert counts(site, replacing) == (2, 1, 1)
    undo_load(site.dock, replacing, "ada")
    assert site.texts(site.table("people")) == TWO


def test_long_rows_are_replaced_by_a_side_table_however_few(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would keep every other writer waiting while they are copied."""
    load(site, ADA, "append")
    load(site, BOB, "append")
    made = stages_of(site, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(small_files, "_REPLACED_BYTES", len(ADA + BOB) - 1)
        load(site, BOB, "fullload")
    assert len(made) == 1
    monkeypatch.setattr(small_files, "_REPLACED_BYTES", len(BOB))
    load(site, BOB.replace("Bob", "Eve"), "fullload")
    assert len(made) == (1 if site.dock.target.name != "mssql" else 2), "what stands is small"
    assert site.texts(site.table("people")) == [("3", "3.25", "Eve")]


def test_a_table_that_changes_gets_its_rows_by_a_side_table(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(site, ADA, "fullload")
    made = stages_of(site, monkeypatch)
    load(site, "id,price,name,city\n3,3.25,Bob,Bonn\n", "fullload")
    assert len(made) == 1
    assert site.texts(site.table("people")) == [("3", "3.25", "Bob", "Bonn")]


def test_rows_that_the_table_refuses_leave_those_that_were_there(site: Site) -> None:
    load(site, ADA, "fullload")
    people = site.dock.target.quoted(site.table("people"))
    site.execute(f"CREATE UNIQUE INDEX ux_people ON {people} (id)")
    failed = site.drop("people.csv", "id,price,name\n3,3.25,Bob\n3,4.00,Eve\n", "fullload")
    assert failed.verdict is Verdict.FAILED, failed
    assert site.texts(site.table("people")) == TWO
    assert failed.load_id is not None
    backup = site.dock.target.backup_name(site.table("people"), failed.load_id)
    assert not site.exists(backup)
    load(site, BOB, "fullload")
    assert site.texts(site.table("people")) == ONE
