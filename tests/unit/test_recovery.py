"""What a crash can leave behind, and what recovery makes of it."""

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest

from dropload.accounts import account_for_files
from dropload.errors import TargetError
from dropload.health import check_health
from dropload.identity import worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.interventions import cancel_load, release_file
from dropload.journal import ClaimRefused
from dropload.late_filing import _try_filing, recover
from dropload.model import Drop, Load, Progress, State, Step, Verdict
from dropload.pipeline import process_drop
from dropload.recovery import Recovered, settle_claims
from tests.conftest import Yard, open_yard

ORDERS = "id,name\n1,Ada\n2,Bob\n"
DEAD = "nobody@00000000#1#1"


def drop_of(yard: Yard, path: Path) -> Drop:
    return drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="somebody")


def claim(yard: Yard, path: Path, worker: str) -> Load | ClaimRefused:
    named = name_drop(drop_of(yard, path), yard.dock.target)
    with yard.dock.target.write() as conn:
        return yard.dock.journal.claims.claim(conn, named.drop, named.table, worker)


def dead_worker() -> str:
    """Return a worker of this machine whose process cannot be running."""
    host, pid, _started = worker_name().rsplit("#", 2)
    return f"{host}#{pid}#1"


def test_nothing_to_do_changes_nothing(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    assert recover(yard.dock) == Recovered()


def test_a_committed_file_that_was_not_moved_is_only_moved(yard: Yard) -> None:
    """C3"""
    path = yard.put("orders.csv", ORDERS)
    stat = path.stat()
    yard.load(path)
    [filed] = list((path.parent / "processed").iterdir())
    filed.rename(path)
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL, worker=NULL")
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
    assert yard.load(path).verdict is Verdict.SKIPPED, "not loaded again before it is moved"
    assert recover(yard.dock) == Recovered(moved=1)
    assert not path.exists()
    assert filed.exists()
    assert yard.states() == ["filed"]
    assert len(yard.table("dbo.orders")) == 2


def test_a_file_that_was_moved_before_the_crash_is_only_noted(yard: Yard) -> None:
    """C3"""
    yard.drop("orders.csv", ORDERS)
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL, worker=NULL")
    assert recover(yard.dock) == Recovered(moved=1)
    assert yard.states() == ["filed"]
    assert len(list((yard.inbox().path / "processed").iterdir())) == 1


def test_a_new_version_in_the_place_of_an_unmoved_one_stays_and_loads(yard: Yard) -> None:
    """B2"""
    path = yard.put("orders.csv", ORDERS)
    yard.load(path)
    yard.execute(
        "UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL, worker=NULL,"
        " filed_path=filed_path || '.gone'"
    )
    path.write_text("id,name\n3,Eve\n")
    assert recover(yard.dock) == Recovered(moved=1)
    assert path.exists()
    assert yard.load(path).verdict is Verdict.LOADED
    assert [row[0] for row in yard.table("dbo.orders")] == [1, 2, 3]


def test_a_failed_file_that_was_not_moved_gets_its_report_and_its_place(yard: Yard) -> None:
    path = yard.put("orders.csv", "id,name\n1\n")
    yard.load(path)
    error = path.parent / "error"
    for found in list(error.iterdir()):
        if found.name.endswith("Z_orders.csv"):
            found.rename(path)
        else:
            found.unlink()
    yard.execute('UPDATE "ref.Load_History" SET filed_at=NULL, worker=NULL')
    assert recover(yard.dock) == Recovered(moved=1)
    names = sorted(p.name.partition("Z_")[2] for p in error.iterdir())
    assert names == ["orders.csv", "orders.csv.report.txt", "orders.rejects.csv"]
    [report] = error.glob("*.report.txt")
    assert "cannot be loaded" in report.read_text()
    assert "line 2 (row 1)" in report.read_text(), "the file is read again for its answer"


def test_a_move_that_fails_is_tried_again_and_the_file_is_not_loaded_twice(yard: Yard) -> None:
    """C3: a folder that is gone when the file should be moved."""
    path = yard.put("orders.csv", ORDERS)
    processed = path.parent / "processed"
    processed.rename(path.parent.parent / "elsewhere")
    outcome = yard.load(path)
    assert (outcome.verdict, outcome.moved) == (Verdict.LOADED, False)
    assert yard.states() == ["committed"]
    assert recover(yard.dock) == Recovered(stuck=1)
    assert yard.load(path).verdict is Verdict.SKIPPED
    (path.parent.parent / "elsewhere").rename(processed)
    assert recover(yard.dock) == Recovered(moved=1)
    assert yard.states() == ["filed"]
    assert len(yard.table("dbo.orders")) == 2


def test_the_claim_of_a_dead_worker_is_freed_and_its_stage_replaced(yard: Yard) -> None:
    """C2"""
    path = yard.put("orders.csv", ORDERS)
    load = claim(yard, path, dead_worker())
    assert isinstance(load, Load)
    yard.execute(
        f'CREATE TABLE "stg.orders__{load.load_id}" (id, name, _load_id, _source_row);'
        "UPDATE \"ref.Load_History\" SET state='staging'"
    )
    assert recover(yard.dock) == Recovered(freed=1)
    outcome = yard.load(path)
    assert (outcome.verdict, outcome.load_id) == (Verdict.LOADED, load.load_id)
    assert len(yard.table("dbo.orders")) == 2
    assert yard.query('SELECT attempts FROM "ref.Load_History"') == [(2,)]


def test_the_claim_of_a_living_worker_is_left_alone_and_refused_to_others(yard: Yard) -> None:
    """C1"""
    path = yard.put("orders.csv", ORDERS)
    assert isinstance(claim(yard, path, worker_name()), Load)
    assert recover(yard.dock) == Recovered()
    refused = claim(yard, path, "another@0#1#1")
    assert isinstance(refused, ClaimRefused)
    assert worker_name() in refused.reason


def test_a_claim_from_elsewhere_is_taken_over_when_its_lease_has_run_out(yard: Yard) -> None:
    """C1"""
    path = yard.put("orders.csv", ORDERS)
    claim(yard, path, "elsewhere@0#1#1")
    assert yard.load(path).verdict is Verdict.SKIPPED
    yard.execute("UPDATE \"ref.Load_History\" SET lease_until='2000-01-01 00:00:00.000000'")
    assert yard.load(path).verdict is Verdict.LOADED


def test_a_worker_that_lost_its_claim_can_neither_stage_nor_publish(yard: Yard) -> None:
    """C1: the loser of a take-over finds out inside its own transaction."""
    path = yard.put("orders.csv", ORDERS)
    drop = drop_of(yard, path)

    def steal(step: str, _rows: int) -> None:
        if step == "staging":
            yard.execute("UPDATE \"ref.Load_History\" SET worker='thief@0#1#1'")

    outcome = process_drop(yard.dock, drop, worker_name(), steal)
    assert outcome.verdict is Verdict.SKIPPED
    assert "dbo.orders" not in yard.tables()
    assert path.exists()


def test_an_open_load_whose_file_is_gone_is_cancelled_and_its_stage_dropped(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    load = claim(yard, path, dead_worker())
    assert isinstance(load, Load)
    yard.execute(f'CREATE TABLE "stg.orders__{load.load_id}" (n)')
    path.unlink()
    assert recover(yard.dock) == Recovered(cancelled=1, stages_dropped=1)
    assert yard.states() == [State.CANCELLED]
    [(status,)] = yard.query('SELECT status FROM "ref.File_Monitor_Tracking"')
    assert status == "vanished"


def test_a_table_in_the_stage_schema_that_no_load_made_is_left(yard: Yard) -> None:
    yard.execute('CREATE TABLE "stg.orders__77" (n); CREATE TABLE "stg.note" (n)')
    assert recover(yard.dock) == Recovered()
    assert {"stg.orders__77", "stg.note"} <= set(yard.tables())


def test_the_third_death_of_a_worker_on_one_file_is_the_files_fault(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    for _ in range(3):
        claim(yard, path, dead_worker())
        with yard.dock.target.write() as conn:
            yard.dock.journal.claims.record_crash(conn, path)
    outcome = yard.load(path)
    assert outcome.verdict is Verdict.FAILED
    assert "died on this file 3 times" in outcome.message
    assert "workers.memory_limit_mb" in outcome.hint


def crashes(yard: Yard) -> list[tuple[int, str | None]]:
    return yard.query('SELECT crashes, worker FROM "ref.Load_History" ORDER BY load_id')


def test_a_claim_that_another_daemons_worker_has_taken_over_stays_its_own(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    claim(yard, path, "elsewhere@0#1#1")
    with yard.dock.target.write() as conn:
        yard.dock.journal.claims.record_crash(conn, path)
    assert crashes(yard) == [(0, "elsewhere@0#1#1")]


def test_running_out_of_time_counts_while_the_file_is_read_and_not_while_it_is_written(
    yard: Yard,
) -> None:
    path = yard.put("orders.csv", ORDERS)
    claim(yard, path, dead_worker())
    with yard.dock.target.write() as conn:
        yard.dock.journal.claims.record_crash(conn, path, timed_out=True)
    assert crashes(yard) == [(1, None)]
    load = claim(yard, path, dead_worker())
    assert isinstance(load, Load)
    with yard.dock.target.write() as conn:
        yard.dock.journal.loads.advance(conn, load, State.PUBLISHING)
        yard.dock.journal.claims.record_crash(conn, path, timed_out=True)
    assert crashes(yard) == [(1, None)]
    # A small file is claimed until it is published: how far it is says what it waits for.
    small = claim(yard, path, dead_worker())
    assert isinstance(small, Load)
    with yard.dock.target.write() as conn:
        progress = Progress(Step.PUBLISHING, 2, 20, None)
        yard.dock.journal.claims.renew(conn, small, progress)
        yard.dock.journal.claims.record_crash(conn, path, timed_out=True)
    assert crashes(yard) == [(1, None)]


def test_a_loaded_file_that_was_gone_and_is_back_is_moved_and_not_loaded_again(yard: Yard) -> None:
    """C3: the share went away between the commit and the move."""
    path = yard.put("orders.csv", ORDERS)
    yard.load(path)
    [filed] = list((path.parent / "processed").iterdir())
    filed.rename(yard.root / "elsewhere")
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL, worker=NULL")
    assert recover(yard.dock) == Recovered(moved=1)
    assert yard.states() == ["filed"]
    (yard.root / "elsewhere").rename(path)
    yard.execute('UPDATE "ref.Load_History" SET once_key=NULL')  # nor is it a duplicate
    assert yard.load(path).verdict is Verdict.SKIPPED
    assert recover(yard.dock) == Recovered(moved=1)
    assert len(yard.table("dbo.orders")) == 2
    [moved] = list((path.parent / "processed").iterdir())
    assert yard.query('SELECT state, filed_path FROM "ref.Load_History"') == [("filed", str(moved))]
    assert account_for_files(yard.dock).missing == ()


def unmove(yard: Yard, path: Path) -> None:
    """Put a loaded file back where it was dropped, as if it had not been moved yet."""
    [filed] = list((path.parent / "processed").iterdir())
    filed.rename(path)
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL, worker=NULL")


def test_a_file_that_grows_between_commit_and_move_is_held(yard: Yard) -> None:
    """B2: its first rows are in the table, and are not loaded again with the new ones."""
    path = yard.put("orders.csv", ORDERS)
    yard.load(path)
    unmove(yard, path)
    with path.open("a") as file:
        file.write("3,Cyd\n")
    recover(yard.dock)
    held = yard.load(path)
    assert held.verdict is Verdict.HELD
    assert "loaded again, those rows would be there twice" in held.message
    with path.open("a") as file:
        file.write("4,Dan\n")
    assert yard.load(path).verdict is Verdict.HELD, "also when it goes on growing"
    assert len(yard.table("dbo.orders")) == 2
    release_file(yard.dock, path, "ada")
    assert yard.load(path).verdict is Verdict.LOADED
    assert len(yard.table("dbo.orders")) == 6


def test_a_fullload_that_is_dropped_again_after_another_is_a_new_drop(yard: Yard) -> None:
    path = yard.put("prices.csv", "id\n1\n2\n", load_type="fullload")
    yard.load(path)
    unmove(yard, path)
    path.rename(yard.root / "elsewhere")
    recover(yard.dock)
    yard.drop("prices_20260102.csv", "id\n3\n4\n", load_type="fullload")
    (yard.root / "elsewhere").rename(path)
    assert yard.load(path).verdict is Verdict.LOADED
    assert yard.table("dbo.prices") == [(1,), (2,)]


def test_only_one_of_two_daemons_moves_a_file_late(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    yard.load(path)
    unmove(yard, path)
    with yard.dock.target.read() as conn:
        [stale] = yard.dock.journal.history.unfiled(conn)
    assert recover(yard.dock) == Recovered(moved=1)
    [before] = yard.query('SELECT state, filed_path FROM "ref.Load_History"')
    assert before[1] is not None
    assert _try_filing(yard.dock, stale, in_short=False), "nothing is left to do"
    with yard.dock.target.write() as conn:
        yard.dock.journal.loads.mark_gone(conn, stale.load_id, None)
    assert yard.query('SELECT state, filed_path FROM "ref.Load_History"') == [before]


def test_a_name_that_is_not_utf8_is_found_where_a_crash_left_it(yard: Yard) -> None:
    """A8"""
    path = yard.put("orders.csv", ORDERS)
    strange = Path(os.fsdecode(os.fsencode(path.parent) + b"/orders_\xff.csv"))
    path.rename(strange)
    outcome = yard.load(strange)
    assert outcome.verdict is Verdict.LOADED
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL, worker=NULL")
    assert recover(yard.dock) == Recovered(moved=1)
    [(filed,)] = yard.query('SELECT filed_path FROM "ref.Load_History"')
    assert filed is not None
    assert account_for_files(yard.dock).missing == ()


def test_what_was_loaded_in_part_is_answered_in_short_where_it_cannot_be_read_again(
    tmp_path: Path,
) -> None:
    yard = open_yard(tmp_path, load={"max_rejected_rows": 1})
    path = yard.put("orders.csv", "id,name\n1,Ada\n2\n")
    yard.load(path)
    for left in (path.parent / "processed").iterdir():
        left.rename(path) if left.name.endswith("_orders.csv") else left.unlink()
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL, crashes=1")
    assert recover(yard.dock) == Recovered(moved=1)
    [report] = (path.parent / "processed").glob("*.report.txt")
    assert "except for 1 of its 2 rows" in report.read_text()
    assert "line 3" in report.read_text()
    yard.dock.target.close()


def test_a_cancelled_file_stays_held_when_its_inbox_was_away_for_a_moment(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    note_waiting(yard, path)
    claim(yard, path, dead_worker())
    cancel_load(yard.dock, 1, "ada")
    with yard.dock.target.write() as conn:
        yard.dock.journal.tracking.mark_vanished(conn, [path])
    note_waiting(yard, path)
    held = yard.load(path)
    assert held.verdict is Verdict.HELD
    assert "Cancelled by ada" in held.message


def note_waiting(yard: Yard, path: Path) -> None:
    noted = (path, yard.inbox(), drop_of(yard, path).version, "seen")
    with yard.dock.target.write() as conn:
        yard.dock.journal.tracking.upsert_waiting(conn, [noted])


def test_the_loads_of_another_tree_are_left_to_its_own_daemon(yard: Yard) -> None:
    """One journal may serve two trees, and the other's share need not be mounted here."""
    path = yard.put("orders.csv", ORDERS)
    claim(yard, path, dead_worker())
    theirs = "/srv/elsewhere/reference_data_table/append/orders.csv"
    yard.execute(f"UPDATE \"ref.Load_History\" SET file_path='{theirs}'")
    assert recover(yard.dock) == Recovered()
    assert yard.states() == ["claimed"]


def test_a_stage_that_cannot_be_dropped_keeps_nothing_else_from_being_recovered(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    for name in ("a.csv", "b.csv"):
        load = yard.drop(name, ORDERS)
        yard.execute(f'CREATE TABLE "stg.{name[0]}__{load.load_id}" (n)')
    drop_table = yard.dock.target.drop_table

    def refuse_one(conn: Any, table: Any) -> None:
        if table.name.startswith("a__"):
            raise TargetError("no right to drop it")
        drop_table(conn, table)

    monkeypatch.setattr(yard.dock.target, "drop_table", refuse_one)
    assert recover(yard.dock) == Recovered(stages_dropped=1)
    assert "no right to drop it" in logs.getvalue()


def test_a_duplicate_that_grows_after_it_was_moved_is_said(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    again = yard.drop("orders.csv", ORDERS)
    assert again.verdict is Verdict.DUPLICATE
    assert again.filed_path is not None
    with again.filed_path.open("a") as file:
        file.write("3,Eve\n")
    recover(yard.dock)
    said = "SELECT error_message FROM \"ref.Load_History\" WHERE error_category = 'late_write'"
    [(message,)] = yard.query(said)
    assert message.startswith("The same bytes")
    assert "was written to after" in message


def test_a_file_that_changes_between_the_two_reads_is_not_loaded(yard: Yard) -> None:
    """B6"""
    path = yard.put("orders.csv", ORDERS)
    drop = drop_of(yard, path)

    def rewrite(step: str, _rows: int) -> None:
        if step == "profiling":
            path.write_text(ORDERS.replace("Ada", "Eve"))

    outcome = process_drop(yard.dock, drop, worker_name(), rewrite)
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "file_changed")
    assert yard.states() == ["cancelled"]
    assert "dbo.orders" not in yard.tables()
    assert yard.load(path).verdict is Verdict.LOADED
    assert [row[1] for row in yard.table("dbo.orders")] == ["Eve", "Bob"]


def test_a_file_that_changes_while_it_is_staged_is_not_published(yard: Yard) -> None:
    """B6: same size, same time, same inode; only the hash tells."""
    import os

    path = yard.put("orders.csv", ORDERS)
    stat = path.stat()
    drop = drop_of(yard, path)
    steps: list[str] = []

    def rewrite(step: str, _rows: int) -> None:
        if step == "profiling" and not steps:
            steps.append(step)
            with path.open("r+") as file:
                file.write(ORDERS.replace("Ada", "Eve"))
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    outcome = process_drop(yard.dock, drop, worker_name(), rewrite)
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "file_changed")
    assert "dbo.orders" not in yard.tables()


def test_a_locked_database_leaves_the_file_where_it_is(yard: Yard) -> None:
    """G7, B4"""
    import sqlite3

    from tests.conftest import open_yard

    impatient = open_yard(yard.root, database={"busy_timeout_seconds": 0.05})
    path = yard.put("orders.csv", ORDERS)
    blocker = sqlite3.connect(yard.root / "dropload.db")
    blocker.execute("BEGIN IMMEDIATE")
    outcome = impatient.load(path)
    blocker.rollback()
    blocker.close()
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "transient")
    assert path.exists()
    assert impatient.load(path).verdict is Verdict.LOADED
    impatient.dock.target.close()


def test_a_full_disk_pauses_the_table_and_the_file_waits(tmp_path: Path) -> None:
    """G8: SQLite says FULL, here because one connection may not grow the database."""
    import sqlalchemy as sa

    yard = open_yard(tmp_path, database={"bulk": False})
    path = yard.put("orders.csv", "id,text\n" + "".join(f"{n},{'x' * 500}\n" for n in range(2000)))

    @sa.event.listens_for(yard.dock.target.engine, "checkout")
    def limit(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute("PRAGMA max_page_count = 60")

    outcome = yard.load(path)
    assert (outcome.verdict, outcome.category) == (Verdict.PAUSED, "target")
    assert "disk of the database is full" in outcome.hint
    assert path.exists()
    sa.event.remove(yard.dock.target.engine, "checkout", limit)
    yard.dock.target.close()
    assert yard.load(path).verdict is Verdict.LOADED
    assert len(yard.table("dbo.orders")) == 2000


def test_a_folder_that_refuses_costs_one_file_its_turn_and_not_the_others(yard: Yard) -> None:
    """A file where the folder for errors should be: whatever is asked of it raises an OSError."""
    first, second = yard.put("a.csv", ORDERS), yard.put("b.csv", ORDERS)
    for path in (first, second):
        yard.load(path)
    for name in ("a.csv", "b.csv"):
        [filed] = (first.parent / "processed").glob(f"*_{name}")
        filed.rename(first.parent / name)
    yard.execute(
        "UPDATE \"ref.Load_History\" SET filed_at=NULL, worker=NULL, state='committed';"
        "UPDATE \"ref.Load_History\" SET state='failed', filed_path="
        "replace(filed_path, '/processed/', '/error/x/') WHERE load_id=1"
    )
    (first.parent / "error" / "x").write_text("in the way")
    assert recover(yard.dock) == Recovered(moved=1, stuck=1)
    assert first.exists()
    assert not second.exists()


def test_a_companion_that_cannot_be_moved_does_not_undo_the_filing(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    companion = path.with_name("orders.csv.done")
    companion.mkdir()
    outcome = yard.load(path)
    assert (outcome.verdict, outcome.moved) == (Verdict.LOADED, True)
    assert yard.states() == ["filed"]


def test_a_load_that_takes_longer_than_its_lease_keeps_its_claim(tmp_path: Path) -> None:
    from tests.conftest import open_yard

    yard = open_yard(tmp_path, workers={"lease_seconds": 3})
    path = yard.put("orders.csv", ORDERS)
    drop = drop_of(yard, path)
    seen: list[object] = []

    def dawdle(step: str, _rows: int) -> None:
        if step == "profiling":
            time.sleep(4)
            seen.append(recover(yard.dock))
            seen.append(claim(yard, path, "another@0#1#1"))

    outcome = process_drop(yard.dock, drop, worker_name(), dawdle)
    assert seen[0] == Recovered()
    assert isinstance(seen[1], ClaimRefused)
    assert outcome.verdict is Verdict.LOADED
    yard.dock.target.close()


def test_a_command_that_was_killed_leaves_no_load_open(yard: Yard) -> None:
    from dropload.model import Area, LoadType

    path = yard.root / "elsewhere.csv"
    path.write_text(ORDERS)
    drop = drop_of_path(
        path, yard.dock.tree, Area.REFERENCE, LoadType.APPEND, force=False, requested_by="x"
    )
    named = name_drop(drop, yard.dock.target)
    with yard.dock.target.write() as conn:
        yard.dock.journal.claims.claim(conn, named.drop, named.table, dead_worker())
    assert recover(yard.dock) == Recovered(cancelled=1)
    assert recover(yard.dock) == Recovered()


def test_a_restart_does_not_forget_what_is_held_or_released(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    path = yard.put("orders.csv", "id,name\n", load_type="fullload")
    yard.load(path)
    inbox = yard.inbox(load_type="fullload")
    version = drop_of(yard, path).version
    status = 'SELECT status FROM "ref.File_Monitor_Tracking"'
    for decided in ("held", "released"):
        yard.execute(f"UPDATE \"ref.File_Monitor_Tracking\" SET status='{decided}'")
        with yard.dock.target.write() as conn:
            yard.dock.journal.tracking.upsert_waiting(conn, [(path, inbox, version, "new look")])
        assert yard.query(status) == [(decided,)]


def test_the_longest_names_there_are_can_be_filed(yard: Yard) -> None:
    """E2"""
    name = "n" * 251 + ".csv"
    outcome = yard.drop(name, ORDERS)
    assert (outcome.verdict, outcome.moved) == (Verdict.LOADED, True), outcome
    assert yard.states() == ["filed"]


def test_a_report_that_a_crash_left_as_a_reserved_name_is_written(yard: Yard) -> None:
    path = yard.put("orders.csv", "id,name\n1\n")
    yard.load(path)
    error = path.parent / "error"
    [report] = error.glob("*.report.txt")
    [filed] = error.glob("*Z_orders.csv")
    filed.rename(path)
    report.write_text("dropload keeps this name free for /somewhere/orders.csv\n")
    yard.execute('UPDATE "ref.Load_History" SET filed_at=NULL, worker=NULL')
    assert recover(yard.dock) == Recovered(moved=1)
    assert "cannot be loaded" in report.read_text()


def test_a_file_that_another_daemon_loaded_is_not_said_to_have_vanished(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    version = drop_of(yard, path).version
    yard.load(path)
    tracking = yard.dock.journal.tracking
    with yard.dock.target.write() as conn:
        tracking.upsert_waiting(conn, [(path, yard.inbox(), version, "seen late")])
        tracking.mark_vanished(conn, [path])
    assert yard.query('SELECT status FROM "ref.File_Monitor_Tracking"') == [("filed",)]


def test_a_clock_that_is_set_back_does_not_change_what_a_table_holds(yard: Yard) -> None:
    yard.drop("x.csv", "n\n1\n2\n", load_type="fullload")
    yard.drop("x.csv", "n\n3\n4\n", load_type="fullload")
    yard.execute(
        "UPDATE \"ref.Load_History\" SET committed_at='2001-01-01 00:00:00.000000' WHERE load_id=2"
    )
    assert yard.drop("x.csv", "n\n3\n4\n", load_type="fullload").verdict is Verdict.DUPLICATE
    assert yard.drop("x.csv", "n\n1\n2\n", load_type="fullload").verdict is Verdict.LOADED


def test_a_release_outlives_a_hiccup_of_the_load_that_used_it(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    path = yard.put("orders.csv", "id,name\n", load_type="fullload")
    yard.load(path)
    yard.execute("UPDATE \"ref.File_Monitor_Tracking\" SET status='released'")
    load = claim(yard, path, dead_worker())
    assert isinstance(load, Load)
    assert load.drop.force
    assert recover(yard.dock) == Recovered(freed=1)
    assert yard.load(path).verdict is Verdict.LOADED
    assert yard.table("dbo.orders") == []


def test_a_path_too_long_for_the_journal_is_refused_with_the_reason(tmp_path: Path) -> None:
    from tests.conftest import open_yard

    yard = open_yard(tmp_path / ("d" * 200) / ("e" * 200))
    name = "n" * 150 + ".csv"
    outcome = yard.drop(name, ORDERS)
    assert outcome.verdict is Verdict.FAILED
    assert "the journal holds 500" in outcome.message
    [(kept,)] = yard.query('SELECT file_path FROM "ref.File_Monitor_Tracking"')
    assert len(kept) == 500
    yard.dock.target.close()


def test_rejected_rows_do_not_take_the_place_of_a_file_that_stands_there(yard: Yard) -> None:
    """D2"""
    first = yard.drop("orders.csv", "id,name\n1\n")
    assert first.filed_path is not None
    assert first.report_path is not None
    theirs = first.filed_path.with_name(first.filed_path.stem + ".rejects.csv")
    theirs.write_text("something else")
    first.report_path.unlink()
    first.filed_path.rename(yard.inbox().path / "orders.csv")
    yard.execute('UPDATE "ref.Load_History" SET filed_at=NULL, worker=NULL')
    assert recover(yard.dock) == Recovered(moved=1)
    assert theirs.read_text() == "something else"
    [ours] = theirs.parent.glob("*Z-2_orders.rejects.csv")
    assert "_error_line" in ours.read_text()
    assert ours.name in first.report_path.read_text()
    again = name_drop(drop_of(yard, yard.put(ours.name, ours.read_bytes())), yard.dock.target)
    assert again.table.name == "orders", "it can be corrected and dropped like any other"


def test_a_newer_success_does_not_hide_an_older_failure(yard: Yard) -> None:
    """C6"""
    failed = yard.drop("orders.csv", "id,name\n1\n")
    assert yard.drop("orders.csv", ORDERS).verdict is Verdict.LOADED
    assert yard.states() == ["failed", "filed"]
    assert account_for_files(yard.dock).counts["error"] == 1
    assert failed.report_path is not None
    assert failed.report_path.exists()
    [(message,)] = yard.query(
        "SELECT error_message FROM \"ref.Load_History\" WHERE state = 'failed'"
    )
    assert "1 row cannot be loaded" in message


def test_a_writer_that_goes_on_after_the_load_is_noticed_and_said_once(
    yard: Yard, logs: io.StringIO
) -> None:
    """B2: it paused for longer than the gate waits."""
    loaded = yard.drop("orders.csv", ORDERS)
    yard.drop("other.csv", ORDERS)
    assert loaded.filed_path is not None
    with loaded.filed_path.open("a") as file:
        file.write("3,Cyd\n")
    recover(yard.dock)
    recover(yard.dock)
    told = [line for line in logs.getvalue().splitlines() if "file_written_late" in line]
    assert len(told) == 1
    assert "raise gate.checks" in told[0]
    [row] = yard.query(
        "SELECT load_id, state FROM \"ref.Load_History\" WHERE error_category = 'late_write'"
    )
    assert row == (loaded.load_id, "filed")
    checks = {check.name: check for check in check_health(yard.dock.config).checks}
    assert checks["late writers"].message.endswith("orders.csv")


def test_a_file_waits_for_the_one_of_its_table_that_another_daemon_loads(yard: Yard) -> None:
    """C1: those of one table keep their order, however many daemons there are."""
    first, second = (
        yard.put("orders_20260101.csv", ORDERS),
        yard.put("orders.csv", ORDERS + "3,C\n"),
    )
    assert isinstance(claim(yard, first, "elsewhere@1#1#1"), Load)
    waiting = yard.load(second)
    assert (waiting.verdict, waiting.category) == (Verdict.SKIPPED, "table_busy")
    assert waiting.message == "load 1 of orders_20260101.csv into dbo.orders comes first"
    assert yard.drop("other.csv", ORDERS).verdict is Verdict.LOADED


def put_off(yard: Yard) -> None:
    yard.execute("UPDATE \"ref.Load_History\" SET worker=NULL WHERE state='claimed'")


@pytest.mark.parametrize("kinds", [("fullload", "append"), ("append", "fullload")])
def test_a_file_that_was_put_off_comes_first_where_one_of_the_two_replaces_all_rows(
    yard: Yard, kinds: tuple[str, str]
) -> None:
    """C1: else the table would end with other rows than the order of the files gives."""
    old = yard.put("prices_20260101.csv", "price\n1\n1\n", load_type=kinds[0])
    assert isinstance(claim(yard, old, "elsewhere@1#1#1"), Load)
    put_off(yard)
    new = yard.put("prices_20260102.csv", "price\n2\n2\n", load_type=kinds[1])
    assert yard.load(new).category == "table_busy"
    assert yard.load(old).verdict is Verdict.LOADED
    assert yard.load(new).verdict is Verdict.LOADED
    expected = {"append": [(1,), (1,), (2,), (2,)], "fullload": [(2,), (2,)]}
    assert yard.table("dbo.prices") == expected[kinds[1]]


def test_appends_do_not_wait_for_one_that_cannot_be_read(yard: Yard) -> None:
    """H4"""
    assert isinstance(claim(yard, yard.put("t_20260101.csv", ORDERS), "elsewhere@1#1#1"), Load)
    put_off(yard)
    assert yard.drop("t.csv", ORDERS + "3,C\n").verdict is Verdict.LOADED


@pytest.mark.parametrize("crashes", [0, 3])
def test_a_new_version_has_its_own_load_its_own_place_and_its_own_tries(
    yard: Yard, crashes: int
) -> None:
    path = yard.put("prices.csv", "price\n1\n1\n", load_type="fullload")
    assert isinstance(claim(yard, path, "elsewhere@1#1#1"), Load)
    put_off(yard)
    yard.execute(f'UPDATE "ref.Load_History" SET crashes={crashes}')
    replaced = yard.drop("prices.csv", "price\n3\n3\n", load_type="fullload")
    assert (replaced.verdict, replaced.load_id) == (Verdict.LOADED, 2)
    assert yard.states() == ["cancelled", "filed"]
    assert yard.table("dbo.prices") == [(3,), (3,)]


def test_a_time_that_no_database_can_hold_harms_nobody(yard: Yard) -> None:
    """B1"""
    path = yard.put("orders.csv", ORDERS)
    os.utime(path, ns=(2**63 + 10**18, 2**63 + 10**18))
    assert yard.load(path).verdict is Verdict.LOADED
    assert not path.exists()


def test_an_old_fullload_that_was_overtaken_does_not_replace_newer_rows(yard: Yard) -> None:
    """C1: its file was out of reach when the newer one came."""
    old = yard.put("prices_20260101.csv", "price\n1\n1\n", load_type="fullload")
    assert isinstance(claim(yard, old, "elsewhere@1#1#1"), Load)
    put_off(yard)
    hidden = yard.root / "hidden"
    old.rename(hidden)
    yard.drop("prices_20260102.csv", "price\n2\n2\n", load_type="fullload")
    hidden.rename(old)
    overtaken = yard.load(old)
    assert overtaken.verdict is Verdict.DUPLICATE
    assert "prices_20260102.csv came later" in overtaken.message
    assert yard.table("dbo.prices") == [(2,), (2,)]
    again = yard.drop("prices_20260101.csv", "price\n1\n1\n", load_type="fullload")
    assert again.verdict is Verdict.LOADED, "dropped again it is the newest"


def test_an_old_fullload_is_held_when_rows_were_appended_after_it_came(yard: Yard) -> None:
    """C1: it would take newer rows away."""
    old = yard.put("prices_20260101.csv", "price\n1\n1\n", load_type="fullload")
    assert isinstance(claim(yard, old, "elsewhere@1#1#1"), Load)
    put_off(yard)
    hidden = yard.root / "hidden"
    old.rename(hidden)
    yard.drop("prices.csv", "price\n2\n2\n")
    hidden.rename(old)
    assert yard.load(old).verdict is Verdict.HELD
    assert yard.table("dbo.prices") == [(2,), (2,)]
    assert yard.load(old, force=True).verdict is Verdict.LOADED


def test_whoever_waits_hears_of_each_file_that_was_recovered(yard: Yard) -> None:
    """H2: many files, or one that is copied to another file system, take their time."""
    for name in ("a.csv", "b.csv"):
        claim(yard, yard.put(name, ORDERS), dead_worker())
    heard: list[int] = []
    assert settle_claims(yard.dock, lambda: heard.append(1)).freed == 2
    assert len(heard) == 2
