"""What loads have cost, the same on every target that is there."""

import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from dropload.api import ReferenceDataAPI
from dropload.comparison import find_unusual
from dropload.journal import LoadEffort
from dropload.journal.tables import journal_tables
from dropload.load_stats import collect_stats
from dropload.model import Verdict
from tests.contract.test_loading import Site, site

__all__ = ["site"]

STEPS = {"profiling": 0.4, "checking": 0.0, "planning": 0.1, "staging": 0.5, "publishing": 1.0}


def fill(site: Site, loads: int, rows: int = 20, load_type: str = "append") -> list[int]:
    """Load so many files into one table, each an hour after the one before."""
    done = []
    for number in range(loads):
        lines = "".join(f"{number},{row}\n" for row in range(rows))
        outcome = site.drop(f"orders_202601{number + 1:02}.csv", f"n,row\n{lines}", load_type)
        assert outcome.verdict is Verdict.LOADED, outcome
        assert outcome.load_id is not None
        done.append(outcome.load_id)
    for number, load_id in enumerate(reversed(done)):
        rewrite(site, load_id, hours_ago=number, steps=STEPS)
    return done


def rewrite(
    site: Site, load_id: int, *, hours_ago: float, steps: dict[str, float], retried: int = 0
) -> None:
    """Have a load taken place then, with these steps."""
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        begin = site.dock.target.now(conn) - timedelta(hours=hours_ago + 1)
        values = {
            "claimed_at": begin,
            "committed_at": begin + timedelta(seconds=sum(steps.values())),
            "step_seconds": json.dumps(steps),
            "steps_retried": retried,
        }
        conn.execute(sa.update(loads).where(loads.c.load_id == load_id).values(values))


def effort(site: Site, load_id: int) -> LoadEffort:
    with site.dock.target.read() as conn:
        [found] = site.dock.journal.efforts.of(conn, [load_id])
    return found


def test_a_load_leaves_what_each_step_has_cost(site: Site) -> None:
    outcome = site.drop("orders.csv", "a,b\n1,2\n")
    found = effort(site, outcome.load_id or 0)
    assert list(found.step_seconds) == [
        *("detecting", "profiling", "checking", "planning", "staging", "publishing"),
        *("filing", "journal"),
    ]
    assert found.seconds == pytest.approx(sum(found.step_seconds.values()))
    assert min(found.step_seconds.values()) >= 0
    assert found.step_seconds["publishing"] == pytest.approx(
        outcome.step_seconds["publishing"], abs=1e-3
    )
    assert (found.rows, found.size_bytes, found.steps_retried) == (1, 8, 0)


def test_a_load_that_nobody_measured_counts_from_claim_to_commit(site: Site) -> None:
    [load_id] = fill(site, 1)
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        change = sa.update(loads).where(loads.c.load_id == load_id)
        conn.execute(change.values(step_seconds=None, steps_retried=None))
    assert effort(site, load_id).seconds == pytest.approx(2.0)
    with site.dock.target.write() as conn:
        conn.execute(sa.update(loads).where(loads.c.load_id == load_id).values(attempts=2))
    assert effort(site, load_id).seconds is None
    [stats] = collect_stats(site.dock)
    assert (stats.loads, stats.seconds, stats.rows_per_second, stats.steps) == (1, None, None, ())


def test_the_figures_of_a_table_add_up(site: Site) -> None:
    fill(site, 4)
    site.drop("prices.csv", "p\n1\n")
    site.drop("bad.csv", "a,b\n1\n")
    [orders, prices] = collect_stats(site.dock)
    assert (orders.table, orders.load_type) == (str(site.table("orders")), "append")
    assert prices.table == str(site.table("prices"))
    assert (orders.loads, orders.rows) == (4, 80)
    assert orders.busy_seconds == pytest.approx(8.0)
    assert orders.rows_per_second == pytest.approx(10.0)
    assert orders.seconds is not None
    assert orders.seconds.median == pytest.approx(2.0)
    assert [(one.step, round(one.share, 2)) for one in orders.steps][-2:] == [
        ("staging", 0.25),
        ("publishing", 0.5),
    ]
    assert sum(point.loads for point in orders.trend) == 4
    assert sum(point.rows for point in orders.trend) == 80
    assert [one.table for one in collect_stats(site.dock, "prices")] == [prices.table]
    [late] = collect_stats(site.dock, "orders", since=timedelta(hours=2, minutes=30))
    assert late.loads == 2


def test_a_load_far_outside_is_found_with_what_was_different(site: Site) -> None:
    [*before, odd, last] = fill(site, 12)
    rewrite(site, odd, hours_ago=1, steps=STEPS | {"publishing": 40.0}, retried=2)
    # Two that ran at the same time: another table's, and one that failed.
    others = [site.drop("prices.csv", "p\n1\n"), site.drop("bad.csv", "a,b\n1\n")]
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        at = effort_time(conn, loads, odd)
        times = {"claimed_at": at + timedelta(seconds=1)}
        end = at + timedelta(seconds=9)
        for other, column in zip(others, ("committed_at", "finished_at"), strict=True):
            change = sa.update(loads).where(loads.c.load_id == other.load_id)
            conn.execute(change.values({**times, column: end}))
    [stats] = collect_stats(site.dock, "orders")
    assert stats.unusual_count == 1
    [found] = stats.unusual
    assert (found.load_id, found.compared_with) == (odd, len(before))
    assert [(one.name, one.value, one.usual) for one in found.outside] == [("seconds", 41, 2)]
    assert [(one.name, one.value, one.usual) for one in found.different] == [
        ("publishing", 40, 1),
        ("other loads", 2, 0),
        ("retries", 2, 0),
    ]
    assert found.text == (
        "41.0 s (usually 2.0 s): publishing 40.0 s (usually 1.0 s); 2 other loads at the same "
        "time (usually 0); 2 steps tried again (usually 0)"
    )
    assert stats.retried_loads == 1
    assert last not in {one.load_id for one in stats.unusual}


def test_each_load_is_compared_with_those_that_were_committed_before_it(site: Site) -> None:
    """Also one that was put off, and has an old number; whoever else is asked for with it."""
    [late, *others] = fill(site, 12)
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        change = sa.update(loads).where(loads.c.load_id == late)
        conn.execute(change.values(commit_no=100, rows_loaded=5_000))
        found = find_unusual(site.dock.journal, conn, [late, others[-1]])
    assert list(found) == [late]
    assert found[late].compared_with == len(others)
    assert [one.name for one in found[late].outside] == ["rows"]


def effort_time(conn: sa.Connection, loads: sa.Table, load_id: int) -> datetime:
    query = sa.select(loads.c.claimed_at).where(loads.c.load_id == load_id)
    found = conn.execute(query).scalar()
    assert isinstance(found, datetime)
    return found


def test_a_load_that_only_has_more_rows_is_said_to_be_as_fast_by_row(site: Site) -> None:
    fill(site, 9)
    lines = "".join(f"9,{row}\n" for row in range(2000))
    large = site.drop("orders_20260201.csv", f"n,row\n{lines}").load_id or 0
    rewrite(site, large, hours_ago=-0.5, steps={step: took * 100 for step, took in STEPS.items()})
    [found] = collect_stats(site.dock, "orders")[0].unusual
    assert [one.name for one in found.outside] == ["seconds", "rows"]
    assert found.is_as_fast_by_row
    assert "2,000 rows (usually 20)" in found.text
    assert found.text.endswith("as long for each row as usual")


def test_loads_before_the_period_still_say_what_is_usual(site: Site) -> None:
    *_, odd = fill(site, 10)
    rewrite(site, odd, hours_ago=0, steps=STEPS | {"staging": 30.0})
    [stats] = collect_stats(site.dock, "orders", since=timedelta(hours=1, minutes=30))
    assert stats.loads == 1
    assert [one.load_id for one in stats.unusual] == [odd]


def test_advice_says_only_what_was_measured(site: Site) -> None:
    load_ids = fill(site, 9)
    [stats] = collect_stats(site.dock)
    assert stats.advice == ("50% of the time is publishing, 1.0 s for a load.",)
    for number, load_id in enumerate(reversed(load_ids)):
        even = {"profiling": 0.4, "staging": 0.4, "publishing": 0.4}
        rewrite(site, load_id, hours_ago=number, steps=even, retried=number % 2)
    [stats] = collect_stats(site.dock)
    [said] = stats.advice
    assert said.startswith("In 4 of 9 loads a step was done again")
    for number, load_id in enumerate(reversed(load_ids)):
        rewrite(site, load_id, hours_ago=number, steps={"staging": 2.0, "publishing": 0.1})
    [stats] = collect_stats(site.dock)
    assert stats.advice == ("95% of the time is staging: 10 rows a second go to the side table.",)
    for number, load_id in enumerate(reversed(load_ids)):
        rewrite(site, load_id, hours_ago=number, steps={"filing": 2.0, "publishing": 0.1})
    [stats] = collect_stats(site.dock)
    assert stats.advice == ("95% of the time is filing, 2.0 s for a file.",)


def test_programs_get_the_same_figures(site: Site) -> None:
    fill(site, 2)
    with ReferenceDataAPI(site.dock.config) as api:
        found = api.stats("orders", since=None)
    assert found.ok
    assert [one.loads for one in found.value] == [2]


def test_a_key_that_no_index_serves_is_advised_to_get_one(site: Site) -> None:
    if site.dock.target.name not in ("sqlite", "postgresql"):
        pytest.skip("asks for a server whose catalogue is whole")
    orders, lines = (site.dock.target.quoted(site.table(name)) for name in ("orders", "lines"))
    site.execute(f"CREATE TABLE {orders} (n integer, row integer, PRIMARY KEY (n, row))")
    site.execute(
        f"CREATE TABLE {lines} (id integer PRIMARY KEY, n integer, row integer, "
        f"FOREIGN KEY (n, row) REFERENCES {orders} (n, row))"
    )
    for number in range(1, 9):
        loaded = site.drop(f"orders_2026010{number}.csv", f"n,row\n{number},1\n", "fullload")
        assert loaded.verdict is Verdict.LOADED, loaded
        steps = {"staging": 0.1, "publishing": 3.0}
        rewrite(site, loaded.load_id or 0, hours_ago=1, steps=steps)
    # An index on an empty table would save nothing.
    assert index_advice(site) == []
    values = ", ".join(f"({number}, NULL, NULL)" for number in range(1_000))
    site.execute(f"INSERT INTO {lines} (id, n, row) VALUES {values}")
    # Embedded, foreign keys are not looked after while rows are loaded: nor would it there.
    if site.dock.target.name == "sqlite":
        assert index_advice(site) == []
        return
    [said] = index_advice(site)
    assert "for each of them the 1,000 rows of" in said
    assert said.endswith(f"add an index on {site.table('lines')} (n, row).")
    site.execute(f"CREATE INDEX ix_lines ON {lines} (row, n, id)")
    assert index_advice(site) == []


def index_advice(site: Site) -> list[str]:
    [stats] = collect_stats(site.dock, "orders")
    return [line for line in stats.advice if "add an index on" in line]


def test_a_folder_on_another_file_system_is_named_for_the_tables_it_concerns(site: Site) -> None:
    other = Path("/dev/shm")  # noqa: S108 - it is asked for as another file system
    if not other.is_dir() or other.stat().st_dev == site.dock.tree.root.stat().st_dev:
        pytest.skip("there is no other file system at hand")
    load_ids = fill(site, 8)
    for load_id in load_ids:
        rewrite(site, load_id, hours_ago=1, steps={"filing": 2.0, "publishing": 0.1})
    with tempfile.TemporaryDirectory(dir=other) as folder:
        for inbox in site.dock.tree.inboxes:
            processed = site.dock.tree.processed(inbox)
            processed.rename(processed.with_name("processed.before"))
            processed.symlink_to(folder)
        [stats] = collect_stats(site.dock)
    [said] = [line for line in stats.advice if "another file system" in line]
    assert "none_reference_data_table/append/processed is on another file system" in said
