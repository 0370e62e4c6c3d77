"""The reference configuration says what is there, and can be put right: on every target."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from dropload.dock import open_dock
from dropload.journal import NO_LOAD, apply_scripts
from dropload.journal.tables import journal_tables
from dropload.model import Area, TableName
from dropload.references import (
    Flaw,
    check_references,
    list_references,
    repair_references,
)
from tests.conftest import make_config
from tests.contract.test_loading import ORDERS, Site

AREA = Area.REFERENCE.value
KINDS = (
    "id;code;price;ratio;day;moment;at;clock;key;flag;note;long\n"
    "1;007;10.50;1e300;2026-01-02;2026-01-02 10:00:00.5;2026-01-02T10:00:00+02:00;10:20:30;"
    "123e4567-e89b-12d3-a456-426614174000;true;x;12345678901234567890123.5\n"
    "9223372036854775807;012;1.25;2.5;2026-01-03;2026-01-02 10:00:01.25;2026-01-02T10:00:00Z;"
    "10:20:31;123e4567-e89b-12d3-a456-426614174001;false;;1.5\n"
)


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    dock = open_dock(make_config(tmp_path, database={"url": database_url}))
    dock.tree.create()
    apply_scripts(dock.target)
    yield Site(dock)
    dock.target.close()


def ref(site: Site, name: str) -> TableName:
    return TableName(site.dock.target.schema_of(Area.REFERENCE), name)


def flaws(site: Site) -> list[tuple[str, Flaw]]:
    return [(found.table.name, found.flaw) for found in check_references(site.dock)]


def test_what_loads_have_written_is_right_whatever_they_did(site: Site) -> None:
    assert flaws(site) == []
    site.drop("orders.csv", ORDERS, "fullload", AREA)
    site.drop("kinds.csv", KINDS, "append", AREA)
    assert flaws(site) == []
    site.drop("orders.csv", ORDERS.replace("Id,", "Zip,Id,").replace("\n1,", "\n1,1,"), area=AREA)
    wider = "Id,Customer Name,amount,on,paid,more\n12345678901,A,1234567.125,2026-01-02,true,x\n"
    site.drop("orders.csv", wider, "append", AREA)
    site.drop("orders.csv", "Id,Customer Name,amount,on,paid\nX1,A,x,y,z\n" * 1, area=AREA)
    site.drop("theirs.csv", ORDERS)
    assert flaws(site) == []
    listed = list_references(site.dock)
    assert [(t.row.table.name, t.finding) for t in listed] == [("kinds", None), ("orders", None)]
    assert listed[1].row.load_id > listed[0].row.load_id


def test_each_flaw_is_found_and_repaired_and_the_repair_audited(site: Site) -> None:
    for name in ("gone", "changed", "sound", "lost"):
        site.drop(f"{name}.csv", "id,name\n1,Ada\n", "fullload", AREA)
    quoted = site.dock.target.quoted
    table = journal_tables(site.dock.target).reference
    site.execute(
        f"DROP TABLE {quoted(ref(site, 'gone'))}",
        f"ALTER TABLE {quoted(ref(site, 'changed'))} ADD more integer",
        f"CREATE TABLE {quoted(ref(site, 'theirs'))} (id integer)",
    )
    with site.dock.target.write() as conn:
        conn.execute(sa.delete(table).where(table.c.table_name == "lost"))
    wanted = [
        ("changed", Flaw.OTHER_COLUMNS),
        ("gone", Flaw.NO_TABLE),
        ("lost", Flaw.NO_ROW),
        ("theirs", Flaw.NO_ROW),
    ]
    assert flaws(site) == wanted
    [changed] = [f for f in check_references(site.dock) if f.flaw is Flaw.OTHER_COLUMNS]
    assert changed.differences == ("column 'more' (integer) is new",)
    done = repair_references(site.dock, "somebody")
    assert [(found.table.name, found.flaw) for found in done] == wanted
    assert flaws(site) == []
    assert repair_references(site.dock, "somebody") == []
    rows = {t.row.table.name: t.row for t in list_references(site.dock)}
    assert sorted(rows) == ["changed", "lost", "sound", "theirs"]
    assert (rows["lost"].load_id, rows["theirs"].load_id) == (4, NO_LOAD)
    assert [name for name, _ in rows["changed"].columns] == ["id", "name", "more"]
    audit = journal_tables(site.dock.target).audit
    with site.dock.target.read() as conn:
        log = conn.execute(sa.select(audit).order_by(audit.c.id)).mappings().all()
    repairs = [row for row in log if row["actor"] == "somebody"]
    assert [row["action"] for row in repairs] == ["reference_repair"] * 4
    assert "gone: deletes the row" in repairs[1]["detail"]


def test_changed_and_missing_columns_are_told_apart(site: Site) -> None:
    site.drop("prices.csv", "id,name\n1,Ada\n", "fullload", AREA)
    table = journal_tables(site.dock.target).reference
    columns = [{"name": "id", "type": "text"}, {"name": "old", "type": "date"}]
    with site.dock.target.write() as conn:
        conn.execute(sa.update(table).values(columns=json.dumps(columns)))
    [finding] = check_references(site.dock)
    assert finding.differences == (
        "column 'id' was text and is integer",
        "column 'name' (text) is new",
        "column 'old' (date) is gone",
    )


def test_a_load_that_comes_first_needs_no_repair(site: Site) -> None:
    site.drop("prices.csv", "id,name\n1,Ada\n", "fullload", AREA)
    table = journal_tables(site.dock.target).reference
    with site.dock.target.write() as conn:
        conn.execute(sa.delete(table))
    assert flaws(site) == [("prices", Flaw.NO_ROW)]
    site.drop("prices.csv", "id,name\n1,Bob\n", "fullload", AREA)
    assert repair_references(site.dock, "somebody") == []


def test_where_both_areas_share_a_schema_only_reference_tables_count(
    database_url: str, tmp_path: Path
) -> None:
    shared = {"reference": "ref", "non_reference": "ref"}
    config = make_config(tmp_path, database={"url": database_url}, schemas=shared)
    dock = open_dock(config)
    dock.tree.create()
    apply_scripts(dock.target)
    site = Site(dock)
    site.drop("orders.csv", ORDERS)
    site.drop("prices.csv", ORDERS, area=AREA)
    assert flaws(site) == []
    table = journal_tables(dock.target).reference
    with dock.target.write() as conn:
        conn.execute(sa.delete(table))
    assert flaws(site) == [("prices", Flaw.NO_ROW)]
    dock.target.close()
