"""The commands that look after the reference configuration."""

import json

import pytest

from tests.conftest import Yard
from tests.unit.test_cli import Run, run

__all__ = ["run"]

PRICES = "id,name\n1,Ada\n"


def test_the_reference_tables_are_listed_with_what_is_wrong(run: Run, yard: Yard) -> None:
    assert run("reference", "list")[:2] == (0, "No reference tables yet.\n")
    yard.drop("prices.csv", PRICES, "reference", "fullload")
    yard.drop("gone.csv", PRICES, "reference", "fullload")
    yard.execute('DROP TABLE "ref.gone"')
    status, text, _ = run("reference", "list")
    assert status == 0
    assert [line.split("\t")[0] for line in text.splitlines()[1:]] == ["ref.gone", "ref.prices"]
    assert [line.split("\t")[-1] for line in text.splitlines()[1:]] == [
        "its table is gone",
        "ok",
    ]
    rows = [json.loads(line) for line in run("reference", "list", "--json")[1].splitlines()]
    assert rows[1]["columns"] == [
        {"name": "id", "type": "integer"},
        {"name": "name", "type": "text"},
    ]
    assert [row["flaw"] for row in rows] == ["no table", None]


def test_check_fails_until_repair_has_put_it_right(run: Run, yard: Yard) -> None:
    yard.drop("prices.csv", PRICES, "reference", "fullload")
    right = "Every reference table has its row, and every row its table.\n"
    assert run("reference", "check")[:2] == (0, right)
    yard.execute('ALTER TABLE "ref.prices" ADD COLUMN more DATE')
    status, text, _ = run("reference", "check")
    assert status == 1
    assert "column 'more' (date) is new" in text
    status, text, _ = run("reference", "repair", "--dry-run")
    assert status == 0
    assert "what a repair does" in text
    assert run("reference", "check", "--json")[0] == 1
    status, text, _ = run("reference", "repair", "--json")
    assert status == 0
    [finding] = json.loads(text)["findings"]
    assert finding["repair"] == "writes the table's columns into the row"
    assert run("reference", "check")[:2] == (0, right)
    assert run("reference", "repair")[:2] == (0, right)


def test_a_person_hears_what_a_repair_does_and_leaves_alone(
    run: Run, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.cli.output.is_terminal", lambda: True)
    yard.drop("gone.csv", PRICES, "reference", "fullload")
    assert "reference check" not in run("reference", "list")[1]
    yard.execute('DROP TABLE "ref.gone"')
    listed = run("reference", "list")[1]
    assert "its table is gone" in listed
    assert "`dropload reference check` says what differs" in listed
    assert "writes rows of Reference_Data_Cfg only" in run("reference", "check")[1]
    assert "no table was touched" in run("reference", "repair")[1]
