"""Stopping a load, and trying a failed one's file again, the same on every target that is there."""

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dropload.dock import open_dock
from dropload.errors import ConstraintError, RefusedError, TransientError
from dropload.identity import worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.interventions import Cancelled, cancel_file, cancel_load, release_file, retry_load
from dropload.journal import apply_scripts, path_key
from dropload.late_filing import recover
from dropload.model import Drop, Load, LoadRecord, Outcome, State, Verdict
from dropload.pipeline import process_drop
from dropload.stage_writer import StageWriter
from dropload.status import read_status
from tests.conftest import make_config
from tests.contract.test_loading import ORDERS, Site

MORE = ORDERS.replace("10.50", "11.50")


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    dock = open_dock(make_config(tmp_path, database={"url": database_url}))
    dock.tree.create()
    apply_scripts(dock.target)
    yield Site(dock)
    dock.target.close()


def put(site: Site, content: str, load_type: str = "append") -> Path:
    [inbox] = [
        inbox
        for inbox in site.dock.tree.inboxes
        if (inbox.area, inbox.load_type) == ("non-reference", load_type)
    ]
    path = inbox.path / "orders.csv"
    path.write_text(content, encoding="utf-8")
    return path


def drop_of(site: Site, path: Path, *, force: bool = False) -> Drop:
    return drop_of_path(path, site.dock.tree, None, None, force=force, requested_by="x")


def load(site: Site, path: Path, on_step: Callable[[str, int], None]) -> Outcome:
    return process_drop(site.dock, drop_of(site, path), worker_name(), on_step)


def again(site: Site, path: Path) -> Outcome:
    return load(site, path, lambda _step, _rows: None)


def claim(site: Site, path: Path, worker: str) -> int:
    named = name_drop(drop_of(site, path), site.dock.target)
    with site.dock.target.write() as conn:
        claimed = site.dock.journal.claims.claim(conn, named.drop, named.table, worker)
    assert isinstance(claimed, Load)
    return claimed.load_id


def release(site: Site, path: Path) -> None:
    assert release_file(site.dock, path, "ada", "looked at").status == "held"


def stages(site: Site) -> int:
    with site.dock.target.read() as conn:
        return len(site.dock.target.list_stages(conn))


@pytest.mark.parametrize("moment", ["profiling", "staging", "publishing"])
def test_a_load_is_cancelled_at_any_moment_before_its_commit(
    site: Site, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = put(site, ORDERS)
    done: list[Cancelled] = []

    def stop(step: str, _rows: int = 0) -> None:
        if step == moment and not done:
            done.append(cancel_load(site.dock, 1, "ada", "wrong file"))

    if moment == "publishing":
        monkeypatch.setattr("dropload.pipeline.plan_filing", lambda *_a, **_k: stop("publishing"))
    stopped = load(site, path, stop)
    assert (stopped.verdict, stopped.category) == (Verdict.CANCELLED, "cancelled")
    assert stopped.message == "Cancelled by ada: wrong file."
    assert done[0].is_ending
    assert site.states() == ["cancelled"]
    assert not site.exists(site.table("orders"))
    assert stages(site) == 0
    assert path.exists()
    assert again(site, path).verdict is Verdict.HELD, "not offered again"
    path.write_text(MORE, encoding="utf-8")
    assert again(site, path).verdict is Verdict.LOADED, "a new version is"


@pytest.mark.parametrize("moment", ["profiling", "staging"])
def test_a_cancel_is_noticed_in_the_middle_of_a_large_file(
    site: Site, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO, moment: str
) -> None:
    """Not only when the file has been read, at the next write."""
    monkeypatch.setattr("dropload.leases.BEAT_SECONDS", 0.01)
    # No write of the load itself may be what notices it.
    monkeypatch.setattr(type(site.dock.target), "commit_bytes", 1 << 40)
    if moment == "staging":
        monkeypatch.setattr("dropload.staging_ahead.AHEAD_BYTES", 1 << 40)
    rows = 400_000
    path = put(site, "id,text\n" + "1,some more text in each row\n" * rows)
    seen: list[tuple[str, int]] = []

    def stop(step: str, done: int) -> None:
        seen.append((step, done))
        if step == moment and "claim_lost" not in logs.getvalue():
            if [name for name, _ in seen].count(moment) == 1:
                cancel_load(site.dock, 1, "ada")
            wait_until(lambda: "claim_lost" in logs.getvalue())

    stopped = load(site, path, stop)
    assert (stopped.verdict, stopped.category) == (Verdict.CANCELLED, "cancelled")
    assert seen[-1][0] == moment
    assert seen[-1][1] < rows
    assert stages(site) == 0


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_how_far_a_load_is_can_be_read_from_anywhere(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.leases.BEAT_SECONDS", 0.01)
    path = put(site, ORDERS)
    seen: list[LoadRecord] = []

    def look(step: str, _rows: int) -> None:
        def is_told() -> bool:
            with site.dock.target.read() as conn:
                seen.extend(site.dock.journal.history.under_way(conn))
            return seen[-1].step == step

        wait_until(is_told)

    assert load(site, path, look).verdict is Verdict.LOADED
    profiled = next(row for row in seen if row.step == "profiling")
    assert (profiled.rows_done, profiled.bytes_read) == (2, path_size(ORDERS))
    assert profiled.state is State.CLAIMED
    assert profiled.progress_at is not None
    assert seen[-1].step == "publishing"


def path_size(content: str) -> int:
    return len(content.encode())


def test_a_side_table_that_vanished_under_a_cancelled_load_pauses_no_queue(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(site, ORDERS)

    def break_off(*_: object) -> None:
        cancel_load(site.dock, 1, "ada")
        recover(site.dock)
        raise TransientError("the side table is not there")

    monkeypatch.setattr(StageWriter, "finish", break_off)
    # As with a file that is worth a transaction of its own.
    monkeypatch.setattr("dropload.small_files.SMALL_BYTES", 0)
    # Recovery would wait for the writer's own transaction where that holds the side table.
    monkeypatch.setattr("dropload.recovery._sweep_stages", lambda _dock: 0)
    if site.dock.target.name == "sqlite":
        pytest.skip("a write transaction has the whole file to itself")
    assert again(site, path).verdict is Verdict.CANCELLED
    assert stages(site) == 0


def test_a_load_that_waits_is_cancelled_with_its_side_table(site: Site) -> None:
    path = put(site, ORDERS)
    load_id = claim(site, path, "nobody@00000000#1#1")
    stage = site.dock.target.stage_name(site.table("orders"), load_id)
    site.execute(f"CREATE TABLE {site.dock.target.quoted(stage)} (n bigint)")
    with site.dock.target.write() as conn:
        site.dock.journal.claims.free_claim(conn, path, "nobody@00000000#1#1")
    done = cancel_load(site.dock, load_id, "ada")
    assert not done.is_ending
    assert stages(site) == 0
    assert again(site, path).message == "Cancelled by ada."


def test_a_release_lets_a_cancelled_file_load_and_guard_rails_still_count(site: Site) -> None:
    put(site, ORDERS)
    again(site, put(site, ORDERS))
    path = put(site, ORDERS)
    load_id = claim(site, path, worker_name())
    cancel_load(site.dock, load_id, "ada")
    release(site, path)
    assert again(site, path).verdict is Verdict.DUPLICATE
    path = put(site, MORE)
    cancel_load(site.dock, claim(site, path, worker_name()), "ada")
    release(site, path)
    assert again(site, path).verdict is Verdict.LOADED


def test_what_is_committed_or_over_is_not_cancelled(site: Site) -> None:
    loaded = again(site, put(site, ORDERS)).load_id or 0
    with pytest.raises(RefusedError, match=r"committed: its rows are in") as refused:
        cancel_load(site.dock, loaded, "ada")
    assert refused.value.hint == f"`dropload undo {loaded}` takes them back."
    path = put(site, MORE)
    load_id = claim(site, path, worker_name())
    cancel_load(site.dock, load_id, "ada")
    with pytest.raises(RefusedError, match=r"is over \(cancelled\)\. Cancelled by ada\."):
        cancel_load(site.dock, load_id, "bob")
    with pytest.raises(RefusedError, match="There is no load 99"):
        cancel_load(site.dock, 99, "ada")
    assert site.states() == ["filed", "cancelled"]


def test_a_commit_that_comes_first_wins_over_the_cancel(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def too_late(*_: object, **__: object) -> None:
        with pytest.raises(RefusedError) as error:
            cancel_load(site.dock, 1, "ada")
        refused.append(error.value.message)
        raise TransientError("the folder is away")

    monkeypatch.setattr("dropload.endings.file_away", too_late)
    again(site, put(site, ORDERS))
    assert "is committed" in refused[0]
    assert site.states() == [State.COMMITTED]
    assert len(site.texts(site.table("orders"))) == 2


def test_a_failed_file_goes_back_into_its_inbox_under_its_name(site: Site) -> None:
    path = put(site, "a,b\n1\n")
    failed = again(site, path)
    assert failed.verdict is Verdict.FAILED
    assert failed.filed_path is not None
    assert failed.report_path is not None
    failed.filed_path.write_text(ORDERS, encoding="utf-8")
    beside = {p.name for p in failed.filed_path.parent.iterdir()} - {failed.filed_path.name}
    assert retry_load(site.dock, failed.load_id or 0, "ada").path == path
    assert {p.name for p in failed.filed_path.parent.iterdir()} == beside
    assert failed.report_path.exists()
    with site.dock.target.read() as conn:
        row = site.dock.journal.tracking.find(conn, path_key(path))
    assert row is not None
    assert (row.status, row.reason) == ("waiting", "load 1 is tried again by ada")
    assert again(site, path).verdict is Verdict.LOADED
    assert site.states() == ["failed", "filed"]


def test_a_file_that_waits_is_cancelled_by_its_path(site: Site) -> None:
    path = put(site, ORDERS)
    done = cancel_file(site.dock, path, "ada", "wrong month")
    assert (done.was, done.is_ending) == ("waiting", False)
    assert (done.load.state, done.load.outcome) == (State.CANCELLED, "cancelled")
    assert again(site, path).verdict is Verdict.HELD
    [file] = read_status(site.dock).files
    assert file.why.text == "held: Cancelled by ada: wrong month."
    assert file.why.next_step == f"dropload release {done.load.load_id}"
    with pytest.raises(RefusedError, match="not waiting: Cancelled by ada"):
        cancel_file(site.dock, path, "bob")
    release_file(site.dock, done.load.load_id, "ada")
    cancel_file(site.dock, path, "ada", "no")
    last = release_file(site.dock, path, "ada").load_id
    assert last != done.load.load_id
    assert again(site, path).verdict is Verdict.LOADED
    assert site.states() == ["cancelled", "cancelled", "filed"]
    with pytest.raises(RefusedError, match="not held"):
        release_file(site.dock, last or 0, "ada")


def test_what_comes_after_a_cancelled_file_was_gone_loads(site: Site) -> None:
    path = put(site, ORDERS)
    old = cancel_file(site.dock, path, "ada").load.load_id
    path.unlink()
    with site.dock.target.write() as conn:
        # Seen gone: the file system may give the next one the same inode.
        site.dock.journal.tracking.mark_vanished(conn, [path])
    path = put(site, MORE)
    assert again(site, path).verdict is Verdict.LOADED
    path = put(site, ORDERS)
    new = cancel_file(site.dock, path, "ada").load.load_id
    with pytest.raises(RefusedError, match="older version") as refused:
        release_file(site.dock, old, "ada")
    assert f"release {new}" in refused.value.hint


def test_a_file_that_is_still_written_to_stays_cancelled(site: Site) -> None:
    path = put(site, ORDERS)
    cancel_file(site.dock, path, "ada")
    with path.open("a", encoding="utf-8") as file:
        file.write(ORDERS.splitlines()[-1] + "\n")
    assert again(site, path).verdict is Verdict.HELD
    release_file(site.dock, path, "ada")
    assert again(site, path).verdict is Verdict.LOADED


def test_cancelling_a_path_ends_the_load_that_it_has(site: Site) -> None:
    path = put(site, ORDERS)
    load_id = claim(site, path, worker_name("other"))
    done = cancel_file(site.dock, path, "ada")
    assert (done.load.load_id, done.was, done.is_ending) == (load_id, "claimed", True)
    assert again(site, path).verdict is Verdict.HELD


def test_what_stands_in_no_inbox_cannot_be_cancelled(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(ORDERS)
    with pytest.raises(RefusedError, match="in no inbox"):
        cancel_file(site.dock, other, "ada")
    with pytest.raises(RefusedError, match="cannot be read"):
        cancel_file(site.dock, put(site, ORDERS).with_name("gone.csv"), "ada")
    assert site.states() == []


def test_a_file_that_is_noted_in_the_same_moment_is_cancelled_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.inbox("append").path / "orders.csv"
    path.write_text("id\n1\n")
    claims = type(site.dock.journal.claims)
    cancel, tries = claims.cancel_waiting, list[int]()

    def lose_the_race_once(*arguments: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise ConstraintError("duplicate key value")
        return cancel(*arguments)

    monkeypatch.setattr(claims, "cancel_waiting", lose_the_race_once)
    done = cancel_file(site.dock, path, "ada")
    assert (len(tries), done.load.state) == (2, State.CANCELLED)
