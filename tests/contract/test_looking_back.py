"""The views of the history, the same on every target that is there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from dropload.error_groups import find_repeated_failures
from dropload.errors import RefusedError
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.interventions import cancel_load, release_file, retry_load
from dropload.journal import ActionFilter
from dropload.journal.tables import journal_tables
from dropload.looking_back import (
    group_errors,
    list_actions,
    list_duplicates,
    list_loads,
    show_load,
)
from dropload.model import State, Verdict
from dropload.pipeline import process_drop
from dropload.undo import plan_undo, undo_load
from tests.conftest import let_audit_be_changed
from tests.contract.test_loading import ORDERS, Site, site

__all__ = ["site"]

BAD = "id,name\n1\n"


def age_loads(site: Site, hours: int, *load_ids: int) -> None:
    """Make loads look as if they had been so long ago."""
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        then = site.dock.target.now(conn) - timedelta(hours=hours)
        times = {"claimed_at": then, "finished_at": then}
        conn.execute(sa.update(loads).where(loads.c.load_id.in_(load_ids)).values(times))


def test_a_duplicate_names_the_load_that_it_repeats(site: Site) -> None:
    first = site.drop("orders_20261101.csv", ORDERS).load_id
    forced = site.drop("orders_20261102.csv", ORDERS, force=True)
    assert forced.verdict is Verdict.LOADED
    again = site.drop("orders_20261103.csv", ORDERS)
    assert again.verdict is Verdict.DUPLICATE
    site.drop("prices.csv", "p\n1\n")
    other = site.drop("prices_20261102.csv", "p\n1\n")
    [newest, found] = list_duplicates(site.dock)
    assert newest.load_id == other.load_id
    table = str(site.table("orders"))
    assert (found.load_id, found.file_name, found.table) == (
        again.load_id,
        "orders_20261103.csv",
        table,
    )
    assert (found.duplicate_of, found.original_file_name) == (first, "orders_20261101.csv")
    assert found.load_type == "append"
    assert found.original_committed_at is not None
    assert found.found_at >= found.original_committed_at
    assert f"load {first} of orders_20261101.csv" in found.message
    assert [one.load_id for one in list_duplicates(site.dock, "orders")] == [again.load_id]
    assert [one.load_id for one in list_duplicates(site.dock, limit=1)] == [other.load_id]
    age_loads(site, 5, again.load_id or 0)
    recent = list_duplicates(site.dock, since=timedelta(hours=4))
    assert [one.load_id for one in recent] == [other.load_id]
    assert show_load(site.dock, again.load_id or 0).load.duplicate_of == first


def test_a_duplicate_outlives_the_load_that_it_repeats(site: Site) -> None:
    first = site.drop("orders.csv", ORDERS).load_id
    site.drop("orders.csv", ORDERS)
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        conn.execute(sa.delete(loads).where(loads.c.load_id == first))
    [found] = list_duplicates(site.dock)
    assert (found.duplicate_of, found.original_file_name) == (first, None)


def test_errors_are_grouped_by_category_table_and_the_names_of_files(site: Site) -> None:
    for day in ("20261118", "20261119", "20261120"):
        site.drop(f"sales_{day}.csv", BAD)
    site.drop("prices.csv", BAD)
    site.drop("sales_20261121.csv", ORDERS)
    site.drop("2026.csv", BAD)
    held = site.drop("sales_20261122.csv", ORDERS.splitlines()[0] + "\n", "fullload")
    assert held.verdict is Verdict.HELD
    groups = group_errors(site.dock)
    table = str(site.table("sales"))
    assert [(g.category, g.table, g.file_pattern, g.count) for g in groups] == [
        ("file", table, "sales_########.csv", 3),
        ("held", table, "sales_########.csv", 1),
        ("file", str(site.table("t_2026")), "####.csv", 1),
        ("file", str(site.table("prices")), "prices.csv", 1),
    ]
    first = groups[0]
    assert (first.last_load_id, first.last_file_name) == (3, "sales_20261120.csv")
    assert first.first_at <= first.last_at
    assert "1 row cannot be loaded" in first.last_message
    assert [g.count for g in group_errors(site.dock, "sales")] == [3, 1]
    assert [g.count for g in group_errors(site.dock, table, limit=1)] == [3]
    age_loads(site, 24 * 8, 1, 2)
    [recent] = group_errors(site.dock, "sales", timedelta(days=7), limit=1)
    assert (recent.count, recent.last_load_id, recent.category) == (1, 7, "held")


def test_a_sender_whose_files_keep_failing_is_named_until_one_loads(site: Site) -> None:
    def repeated() -> list[tuple[str, int]]:
        with site.dock.target.read() as conn:
            since = site.dock.target.now(conn) - timedelta(days=7)
            groups = find_repeated_failures(site.dock, conn, since + timedelta(days=7))
            arrivals = list(site.dock.journal.listings.arrivals(conn, since))
        assert len(arrivals) == len(list_loads(site.dock))
        return [(group.file_pattern, group.count) for group in groups]

    site.drop("sales_1.csv", BAD)
    site.drop("sales_2.csv", BAD)
    assert repeated() == []
    site.drop("sales_3.csv", BAD)
    site.drop("other_sales.csv", ORDERS)
    assert repeated() == [("sales_#.csv", 3)]
    site.drop("sales_4.csv", ORDERS)
    assert repeated() == []


def test_more_errors_than_are_fetched_at_a_time_are_all_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.journal.listings._CHUNK", 3)
    for number in range(8):
        site.drop(f"sales_2026110{number + 1}.csv", BAD)
        site.drop(f"{'x' * (number + 1)}.csv", BAD)
    groups = group_errors(site.dock)
    assert [g.count for g in groups] == [8] + [1] * 8
    assert all("cannot be loaded" in g.last_message for g in groups)


def test_loads_are_listed_from_a_time_on(site: Site) -> None:
    site.drop("orders.csv", ORDERS)
    site.drop("orders.csv", ORDERS + "3,Eve,1.00,2026-02-02,true\n")
    age_loads(site, 30, 1)
    assert [row.load_id for row in list_loads(site.dock, None, timedelta(hours=29))] == [2]
    assert [row.load_id for row in list_loads(site.dock, None, timedelta(hours=31))] == [2, 1]
    now = datetime.now(UTC)
    assert len(list_loads(site.dock, None, now - timedelta(days=3))) == 2
    assert list_loads(site.dock, None, now + timedelta(hours=1)) == []
    assert list_loads(site.dock, None, (now + timedelta(hours=1)).replace(tzinfo=None)) == []


def test_actions_are_listed_newest_first_and_filtered(site: Site) -> None:
    site.drop("orders.csv", ORDERS)
    path = held_file(site)
    release_file(site.dock, path, "Ada (svc)", "closing")
    [held, _] = list_loads(site.dock)
    assert (held.state, held.outcome) == (State.CANCELLED, "released")
    everything = list_actions(site.dock)
    assert [one.action for one in everything][:4] == ["release", "load", "load", "init"]
    [released] = list_actions(site.dock, ActionFilter(actor="ada"))
    assert (released.actor, released.action, released.reason) == ("Ada (svc)", "release", "closing")
    assert (released.file_name, released.load_state) == ("orders.csv", "released")
    assert released.table == str(site.table("orders"))
    assert [one.load_id for one in list_actions(site.dock, ActionFilter(action="load"))] == [2, 1]
    assert [one.action for one in list_actions(site.dock, ActionFilter(load_id=1))] == ["load"]
    assert len(list_actions(site.dock, ActionFilter(table="orders"))) == 3
    assert list_actions(site.dock, ActionFilter(actor="%")) == []
    assert [one.id for one in list_actions(site.dock, limit=1)] == [everything[0].id]
    log = journal_tables(site.dock.target).audit
    let_audit_be_changed(site.dock.target)
    with site.dock.target.write() as conn:
        then = site.dock.target.now(conn) - timedelta(days=2)
        conn.execute(sa.update(log).where(log.c.action != "release").values(at=then))
    assert [one.action for one in list_actions(site.dock, since=timedelta(days=1))] == ["release"]


def test_a_load_names_who_let_its_file_through_and_who_undid_it(site: Site) -> None:
    site.drop("orders.csv", ORDERS)
    path = held_file(site)
    release_file(site.dock, path, "Ada (svc)", "closing")
    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="daemon")
    let_through = process_drop(site.dock, drop, worker_name())
    assert let_through.verdict is Verdict.LOADED
    load_id = let_through.load_id or 0
    said = [(one.actor, one.action, one.load_id) for one in show_load(site.dock, load_id).actions]
    assert ("Ada (svc)", "release", 2) in said
    undo_load(site.dock, load_id, "Bob (svc)", reason="not closed")
    [released, *_, undone] = show_load(site.dock, load_id).actions
    assert (released.action, released.reason) == ("release", "closing")
    assert (undone.actor, undone.action, undone.load_id) == ("Bob (svc)", "undo", load_id)
    # Another version of the file is not what was released.
    other = site.drop("orders.csv", ORDERS + "3,Eve,1.00,2026-02-02,true\n", "fullload")
    assert "release" not in [one.action for one in show_load(site.dock, other.load_id or 0).actions]
    assert "release" not in [one.action for one in show_load(site.dock, 1).actions]


def held_file(site: Site) -> Path:
    outcome = site.drop("orders.csv", ORDERS.splitlines()[0] + "\n", "fullload")
    assert outcome.verdict is Verdict.HELD
    return outcome.path


@pytest.mark.parametrize("load_id", [99, 0, -1, 2**63, -(2**63) - 1, 10**30])
def test_a_load_that_is_not_there_is_refused(site: Site, load_id: int) -> None:
    ask: list[Callable[[], object]] = [
        lambda: show_load(site.dock, load_id),
        lambda: plan_undo(site.dock, load_id),
        lambda: undo_load(site.dock, load_id, "Ada"),
        lambda: cancel_load(site.dock, load_id, "Ada"),
        lambda: retry_load(site.dock, load_id, "Ada"),
    ]
    for refused in ask:
        with pytest.raises(RefusedError, match=f"There is no load {load_id}\\."):
            refused()


def test_actions_on_a_load_that_cannot_be_there_are_refused(site: Site) -> None:
    assert list_actions(site.dock, ActionFilter(load_id=99)) == []
    with pytest.raises(RefusedError, match="There is no load 1000"):
        list_actions(site.dock, ActionFilter(load_id=10**30))
