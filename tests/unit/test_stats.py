"""`dropload stats` as people and scripts see it, and the log line of an unusual load."""

import io
import json
from collections.abc import Callable

import pytest

from dropload.cli.stats import sparkline
from dropload.config import LogConfig
from dropload.logs import configure_logs
from tests.conftest import Yard
from tests.unit.test_cli import run

__all__ = ["run"]

Run = Callable[..., tuple[int, str, str]]


def rows_of(number: int, rows: int = 3) -> str:
    return "n,row\n" + "".join(f"{number},{row}\n" for row in range(rows))


@pytest.fixture
def loaded(yard: Yard) -> Yard:
    """Nine loads of three rows, and one of three hundred that took its time."""
    for number in range(9):
        yard.drop(f"orders_202601{number + 1:02}.csv", rows_of(number))
    yard.drop("orders_20260110.csv", rows_of(10, 300))
    steps = json.dumps({"profiling": 0.5, "staging": 0.5, "publishing": 2.0})
    odd = json.dumps({"profiling": 0.5, "staging": 0.5, "publishing": 100.0})
    yard.execute(
        f"""UPDATE "ref.Load_History" SET step_seconds = '{steps}';
        UPDATE "ref.Load_History" SET step_seconds = '{odd}' WHERE load_id = 10;"""
    )
    return yard


def test_people_who_pipe_it_get_plain_numbers(run: Run, loaded: Yard) -> None:
    header, line = run("stats")[1].splitlines()
    cells = dict(zip(header.split("\t"), line.split("\t"), strict=True))
    assert (cells["table"], cells["type"], cells["loads"]) == ("dbo.orders", "append", "10")
    assert (cells["rows"], cells["median"], cells["longest"]) == ("327", "3.0 s", "101.0 s")
    assert cells["unusual"] == "1"
    assert set(cells["trend"]) <= set("0123456789.,")


def test_one_table_is_told_at_length(run: Run, loaded: Yard) -> None:
    text = run("stats", "orders")[1]
    assert text.startswith("dbo.orders, append: 10 loads, ")
    assert "median 3.0 s, " in text
    assert "publishing\t92%\t2.0 s" in text
    assert "load 10 of orders_20260110.csv: 101.0 s (usually 3.0 s), 300 rows (usually 3): " in text
    assert "publishing 100.0 s (usually 2.0 s)" in text
    assert "92% of the time is publishing, 11.8 s for a load." in text
    assert "▁" not in text


def test_scripts_get_one_object_a_line(run: Run, loaded: Yard) -> None:
    loaded.drop("prices.csv", "p\n1\n")
    found = [json.loads(line) for line in run("stats", "--json")[1].splitlines()]
    assert [one["table"] for one in found] == ["dbo.orders", "dbo.prices"]
    assert found[0]["unusual"][0]["outside"][0]["name"] == "seconds"
    assert found[0]["seconds"]["median"] == 3.0


def test_a_period_and_a_table_without_loads_are_said(run: Run, loaded: Yard) -> None:
    assert run("stats", "nothing")[1] == "No loads of nothing in that time.\n"
    assert run("stats", "--since", "2099-01-01")[1] == "No loads in that time.\n"
    assert run("stats", "--since", "long ago")[0] == 2
    assert run("stats", "orders", "--table", "prices")[0] == 2


def test_triggers_that_fire_meanwhile_are_named(run: Run, loaded: Yard) -> None:
    loaded.execute(
        'CREATE TRIGGER tell AFTER INSERT ON "dbo.orders" BEGIN DELETE FROM "dbo.orders" '
        "WHERE n = 'x'; END"
    )
    assert 'The table has triggers that fire meanwhile: "tell".' in run("stats", "orders")[1]


def test_blocks_are_as_high_as_the_values() -> None:
    assert sparkline([0, 1, None, 4, 8]) == "▁▂ ▅█"
    assert sparkline([0.0, None]) == "▁ "


def test_a_load_far_outside_is_logged_when_it_is_over(loaded: Yard) -> None:
    lines = io.StringIO()
    configure_logs(LogConfig(format="json"), lines)
    loaded.drop("orders_20260111.csv", rows_of(11))
    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()] == [
        "load_committed"
    ]
    outcome = loaded.drop("orders_20260112.csv", rows_of(12, 400))
    told = json.loads(lines.getvalue().splitlines()[-1])
    assert (told["event"], told["level"], told["load_id"]) == ("load_unusual", "warning", 12)
    assert told["what"].startswith("400 rows (usually 3): 2,696 bytes (usually 18)")
    assert outcome.unusual == told["what"], "for notifications and metrics"
