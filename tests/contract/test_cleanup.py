"""What is kept for long enough goes, and nothing else: the same on every target that is there."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from dropload.accounts import Account, account_for_files
from dropload.cleanup import clean_up, remove_old, take_turn
from dropload.dock import open_dock
from dropload.identity import worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.journal import AuditAction, apply_scripts
from dropload.journal.tables import journal_tables
from dropload.late_filing import recover
from dropload.model import Area, Load, LoadType, State, TableName, Verdict
from dropload.pipeline import process_drop
from dropload.recovery import Recovered
from tests.conftest import let_audit_be_changed, make_config
from tests.contract.test_loading import Site

ROWS = "id,name\n1,Ada\n2,Bob\n"
FULL = "id,name\n1,Ada\n2,Eve\n"
BAD = "id,name\n1\n"
RETENTION = {"backups_days": 30, "filed_days": 90, "journal_days": 400}


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    dock = open_dock(make_config(tmp_path, database={"url": database_url}, retention=RETENTION))
    dock.tree.create()
    apply_scripts(dock.target)
    yield Site(dock)
    dock.target.close()


def make_older(site: Site, days: int, *load_ids: int) -> None:
    """Let some loads, or all, with their paths and files have happened so long ago."""
    tables, shift = journal_tables(site.dock.target), timedelta(days=days)
    columns = ("claimed_at", "planned_at", "staged_at", "committed_at", "finished_at", "filed_at")
    with site.dock.target.write() as conn:
        for row in conn.execute(sa.select(tables.loads)).mappings().all():
            if load_ids and row["load_id"] not in load_ids:
                continue
            times = {name: row[name] and row[name] - shift for name in columns}
            is_it = tables.loads.c.load_id == row["load_id"]
            conn.execute(sa.update(tables.loads).where(is_it).values(times))
            path = tables.tracking.c.id == row["tracking_id"]
            first = row["claimed_at"] - shift
            conn.execute(
                sa.update(tables.tracking)
                .where(path)
                .values(created_at=first, changed_at=first, processed_at=first)
            )


def count(site: Site, name: str) -> int:
    table = getattr(journal_tables(site.dock.target), name)
    with site.dock.target.read() as conn:
        return int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def numbers(site: Site, *, dry_run: bool = False) -> dict[str, int]:
    """Return what a cleanup counted; a dry run says the same before, and does nothing."""
    cleaned = clean_up(site.dock, "somebody", dry_run=dry_run)
    assert cleaned.left == []
    return {kind: number for kind, number in cleaned.numbers.items() if number}


def account(site: Site) -> Account:
    found = account_for_files(site.dock, lambda _seconds: None)
    assert found.missing == ()
    return found


def filed(site: Site) -> list[str]:
    """Return the names of everything in processed/ and error/, without their prefix."""
    root = site.dock.tree.root
    return sorted(
        path.name.partition("Z_")[2]
        for folder in ("processed", "error")
        for path in root.glob(f"*/*/{folder}/*")
    )


def backups(site: Site) -> list[int]:
    with site.dock.target.read() as conn:
        rows = site.dock.journal.history.latest(conn, None, 99)
        target = site.dock.target
        names = {
            row.load_id: target.backup_name(TableName(row.schema_name, row.table_name), row.load_id)
            for row in rows
        }
        kept = sorted(load for load, name in names.items() if target.has_table(conn, name))
        assert kept == sorted(row.load_id for row in rows if row.backup_table)
    return kept


def test_nothing_that_is_young_goes(site: Site) -> None:
    site.drop("orders.csv", ROWS)
    site.drop("broken.csv", BAD)
    site.drop("orders.csv", FULL, "fullload")
    before = filed(site)
    assert numbers(site) == {}
    assert filed(site) == before
    assert backups(site) == [3]
    assert recover(site.dock) == Recovered()


def test_filed_files_go_with_their_answers_and_every_file_stays_accounted_for(site: Site) -> None:
    site.drop("orders.csv", ROWS)
    site.drop("broken.csv", BAD)
    site.drop("young.csv", BAD)
    account_before = account(site)
    make_older(site, 91, 1, 2)
    old = {"files": 4}
    assert numbers(site, dry_run=True) == old
    assert "orders.csv" in filed(site), "a dry run removes nothing"
    assert numbers(site) == old
    assert filed(site) == ["young.csv", "young.csv.report.txt", "young.rejects.csv"]
    assert account(site) == account_before
    assert numbers(site) == {}, "a second time there is nothing left to do"
    assert len(site.texts(site.table("orders"))) == 2, "the rows stay"


def test_only_what_a_load_has_put_there_is_ever_removed(site: Site) -> None:
    first, second = site.drop("orders.csv", ROWS), site.drop("broken.csv", BAD)
    assert first.filed_path is not None
    assert second.filed_path is not None
    theirs = [
        first.filed_path.with_name("20200101T000000Z_theirs.csv"),
        first.filed_path.with_name(first.filed_path.stem + ".rejects.csv"),
        second.filed_path.with_name("notes.txt"),
    ]
    for path in theirs:
        path.write_text("id\n1\n")
        os.utime(path, (0, 0))
    make_older(site, 1000)
    clean_up(site.dock, "somebody")
    assert [path.exists() for path in theirs] == [True] * 3
    assert not first.filed_path.exists()


def test_a_file_that_has_the_name_of_anothers_rejects_is_kept_for_its_own_time(
    site: Site,
) -> None:
    broken = site.drop("broken.csv", BAD)
    assert broken.filed_path is not None
    [rejects] = broken.filed_path.parent.glob("*rejects.csv")
    other = site.drop("other.csv", ROWS)
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        its_row = sa.update(loads).where(loads.c.load_id == other.load_id)
        conn.execute(its_row.values(filed_path=str(rejects)))
    make_older(site, 91, 1)
    assert numbers(site) == {"files": 2}
    assert rejects.exists()


def test_a_file_that_somebody_works_on_in_error_is_left_and_named(site: Site) -> None:
    broken = site.drop("broken.csv", BAD)
    assert broken.filed_path is not None
    broken.filed_path.write_text("id,name\n1,Ada\n")
    make_older(site, 91)
    cleaned = clean_up(site.dock, "somebody")
    assert broken.filed_path.exists()
    assert [left.reason for left in cleaned.left] == ["it was changed after it had been filed"]
    account(site)


def test_a_filed_file_that_is_being_loaded_again_stays(site: Site) -> None:
    filed_path = site.drop("orders.csv", ROWS).filed_path
    assert filed_path is not None
    make_older(site, 91)
    place = (Area.NON_REFERENCE, LoadType.APPEND)
    drop = drop_of_path(filed_path, site.dock.tree, *place, force=True, requested_by="somebody")
    table = name_drop(drop, site.dock.target).table
    with site.dock.target.write() as conn:
        claimed = site.dock.journal.claims.claim(conn, drop, table, worker_name())
    assert isinstance(claimed, Load)
    assert numbers(site) == {}
    assert filed_path.exists()
    with site.dock.target.write() as conn:
        site.dock.journal.claims.free_claim(conn, drop.path, claimed.worker)


def test_the_files_of_another_tree_with_the_same_journal_stay(
    site: Site, database_url: str, tmp_path: Path
) -> None:
    config = make_config(tmp_path / "b", database={"url": database_url}, retention=RETENTION)
    dock = open_dock(config)
    dock.tree.create()
    other = Site(dock)
    theirs = other.drop("orders.csv", ROWS).filed_path
    ours = site.drop("items.csv", ROWS).filed_path
    assert ours is not None
    assert theirs is not None
    make_older(site, 91)
    assert numbers(site) == {"files": 1}
    assert (ours.exists(), theirs.exists()) == (False, True)
    assert numbers(other) == {"files": 1}
    assert not theirs.exists()
    dock.target.close()


def test_files_are_not_taken_for_gone_while_their_share_is_away(site: Site) -> None:
    loaded = site.drop("orders.csv", ROWS)
    make_older(site, 91)
    assert loaded.filed_path is not None
    kept = loaded.filed_path.parent.with_name("kept")
    loaded.filed_path.parent.rename(kept)
    loaded.filed_path.parent.mkdir()
    assert numbers(site) == {}
    loaded.filed_path.parent.rmdir()
    kept.rename(loaded.filed_path.parent)
    assert numbers(site) == {"files": 1}


def test_backups_go_by_age_and_by_number(site: Site) -> None:
    for name in ("Ada", "Bob", "Cyd", "Dan"):
        site.drop("orders.csv", f"id,name\n1,{name}\n", "fullload")
    assert backups(site) == [2, 3, 4]
    make_older(site, 31, 2)
    assert numbers(site, dry_run=True) == {"backups": 1}
    assert numbers(site) == {"backups": 1}
    assert backups(site) == [3, 4]
    fewer = site.dock.config.retention.model_copy(update={"backups_per_table": 1})
    config = site.dock.config.model_copy(update={"retention": fewer})
    site.dock = type(site.dock)(config, site.dock.tree, site.dock.target, site.dock.journal)
    assert numbers(site) == {"backups": 1}
    assert backups(site) == [4]
    make_older(site, 31)
    assert numbers(site) == {"backups": 1}
    assert backups(site) == []


def test_the_backup_of_a_load_whose_file_was_not_moved_is_kept(site: Site) -> None:
    site.drop("orders.csv", ROWS, "fullload")
    site.drop("orders.csv", FULL, "fullload")
    make_older(site, 31)
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        unmoved = {"state": State.COMMITTED.value, "filed_at": None}
        conn.execute(sa.update(loads).where(loads.c.load_id == 2).values(unmoved))
    assert numbers(site) == {}
    assert backups(site) == [2]


def test_the_journal_forgets_what_is_old_but_not_which_bytes_were_loaded(site: Site) -> None:
    site.drop("orders.csv", ROWS)
    site.drop("orders_20260101.csv", ROWS)
    site.drop("broken.csv", BAD)
    site.drop("prices.csv", ROWS, "fullload")
    site.drop("prices.csv", FULL, "fullload")
    make_older(site, 401)
    counted = numbers(site, dry_run=True)
    done = numbers(site)
    assert counted == done
    # Load 2 was a duplicate, load 3 failed, load 4 was replaced by load 5.
    assert done == {"backups": 1, "files": 7, "loads": 3, "shortened": 2, "rejects": 1, "paths": 2}
    assert count(site, "loads") == 2
    assert count(site, "rejects") == 0
    assert site.drop("orders_new.csv", ROWS).verdict is Verdict.LOADED, "another table"
    assert site.drop("orders.csv", ROWS).verdict is Verdict.DUPLICATE
    assert site.drop("prices.csv", FULL, "fullload").verdict is Verdict.DUPLICATE
    assert site.drop("prices.csv", ROWS, "fullload").verdict is Verdict.LOADED
    account(site)


def test_the_audit_log_is_kept_as_long_as_the_journal(site: Site) -> None:
    audit = journal_tables(site.dock.target).audit
    let_audit_be_changed(site.dock.target)
    with site.dock.target.write() as conn:
        for _ in range(3):
            site.dock.journal.audit.add(conn, "somebody", AuditAction.RELEASE, None)
        long_ago = site.dock.target.now(conn) - timedelta(days=401)
        newest = conn.execute(sa.select(sa.func.max(audit.c.id))).scalar_one()
        aged = conn.execute(sa.update(audit).where(audit.c.id < newest).values(at=long_ago))
    assert aged.rowcount >= 2
    assert numbers(site, dry_run=True) == {"actions": aged.rowcount}
    assert numbers(site) == {"actions": aged.rowcount}
    with site.dock.target.read() as conn:
        rows = conn.execute(sa.select(audit).order_by(audit.c.id)).mappings().all()
    assert [row["action"] for row in rows] == ["release", "cleanup", "cleanup_done"]
    assert rows[-1]["detail"] == f"{aged.rowcount} actions"
    assert rows[-1]["actor"] == "somebody"


def test_what_is_held_or_still_has_to_be_moved_is_kept_however_old(site: Site) -> None:
    site.drop("orders.csv", ROWS, "fullload")
    assert site.drop("orders.csv", "id,name\n", "fullload").verdict is Verdict.HELD
    broken = site.drop("broken.csv", BAD)
    make_older(site, 1000, 2, 3)
    loads = journal_tables(site.dock.target).loads
    with site.dock.target.write() as conn:
        conn.execute(sa.update(loads).where(loads.c.load_id == 3).values(filed_at=None))
    assert numbers(site) == {}
    assert count(site, "loads") == 3
    assert broken.filed_path is not None
    assert broken.filed_path.exists()
    assert account(site).counts["held"] == 1


def test_a_path_that_a_file_comes_back_to_starts_anew(site: Site) -> None:
    site.drop("broken.csv", BAD)
    make_older(site, 401)
    clean_up(site.dock, "somebody")
    assert count(site, "tracking") == 0
    assert site.drop("broken.csv", ROWS).verdict is Verdict.LOADED
    assert count(site, "tracking") == 1


def test_a_cleanup_that_was_cut_off_anywhere_is_finished_by_the_next(site: Site) -> None:
    """Whatever it was about to do when it was killed."""
    site.drop("orders.csv", ROWS)
    site.drop("broken.csv", BAD)
    for rows in (ROWS, FULL):
        site.drop("prices.csv", rows, "fullload")
    make_older(site, 401)
    site.drop("young.csv", BAD)
    whole = account(site).seen
    for steps in range(1, 9):
        for _ in zip(range(steps), remove_old(site.dock), strict=False):
            account(site)
        assert recover(site.dock) == Recovered()
    clean_up(site.dock, "somebody")
    young = ["young.csv", "young.csv.report.txt", "young.rejects.csv"]
    assert filed(site) == young
    assert account(site).seen == whole - 2, "the two loads that were forgotten"
    assert numbers(site) == {}


def test_of_two_daemons_one_cleans_up_and_a_restart_does_not_repeat_it(site: Site) -> None:
    day = timedelta(days=1)
    assert take_turn(site.dock, "daemon", day) == timedelta(0)
    wait = take_turn(site.dock, "daemon", day)
    assert timedelta(hours=23) < wait <= day
    audit = journal_tables(site.dock.target).audit
    let_audit_be_changed(site.dock.target)
    with site.dock.target.write() as conn:
        now = site.dock.target.now(conn)
        conn.execute(sa.update(audit).values(at=now - day))
    assert take_turn(site.dock, "daemon", day) == timedelta(0)
    with site.dock.target.write() as conn:
        conn.execute(sa.update(audit).values(at=now + 30 * day))
    assert take_turn(site.dock, "daemon", day) == timedelta(0), "the clock was set back"


def test_leftovers_of_a_crash_go_after_a_day(site: Site) -> None:
    inbox = site.dock.tree.inboxes[0].path
    names = (
        ".dropload-12-0a1b2c3d.tmp",
        ".20260101T000000Z_orders.rejects.csv.tmp",
        ".dropload-mine.tmp",
        "orders.tmp",
    )
    paths = [inbox / "error" / name for name in names]
    young = inbox / ".dropload-13-0a1b2c3d.tmp"
    for path in (*paths, young):
        path.write_text("x")
    for path in paths:
        os.utime(path, (time.time() - 90_000,) * 2)
    assert numbers(site) == {"leftovers": 2}
    assert [path.exists() for path in paths] == [False, False, True, True]
    assert young.exists()


def test_a_load_goes_on_while_everything_around_it_is_cleaned_up(site: Site) -> None:
    inbox = next(i for i in site.dock.tree.inboxes if i.load_type == "fullload")
    path = inbox.path / "orders.csv"
    left: list[object] = []

    def clean(_step: str, _rows: int) -> None:
        left.extend(clean_up(site.dock, "somebody").left)

    for rows in (ROWS, FULL, ROWS + "3,Cyd\n"):
        path.write_text(rows)
        make_older(site, 1000)
        drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="x")
        outcome = process_drop(site.dock, drop, worker_name(), clean)
        assert (outcome.verdict, left) == (Verdict.LOADED, [])
        account(site)


def test_two_cleanups_at_once_remove_everything_and_count_it_once(
    site: Site, database_url: str
) -> None:
    for number in range(6):
        site.drop(f"t{number}.csv", ROWS, "fullload")
        site.drop(f"t{number}.csv", FULL, "fullload")
        site.drop(f"broken{number}.csv", BAD)
    make_older(site, 1000)
    site.drop("young.csv", BAD)
    root = site.dock.tree.root.parent
    docks = [
        open_dock(make_config(root, database={"url": database_url}, retention=RETENTION))
        for _ in range(2)
    ]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda dock: clean_up(dock, "somebody"), docks))
    for dock in docks:
        dock.target.close()
    assert [cleaned.left for cleaned in done] == [[], []]
    # Twelve in all, and none of them twice.
    assert sum(cleaned.numbers["loads"] for cleaned in done) == 12
    assert sum(cleaned.numbers["backups"] for cleaned in done) == 6
    assert numbers(site) == {}
    assert count(site, "loads") == 7
    account(site)
