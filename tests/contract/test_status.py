"""What `status` reads from the journal, the same on every target that is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dropload.dock import open_dock
from dropload.intake import name_drop
from dropload.journal import apply_scripts
from dropload.model import Load, Progress, State, Step, Verdict
from dropload.reasons import WaitsFor
from dropload.status import read_status
from tests.conftest import make_config
from tests.contract.test_cancel import again, drop_of, put
from tests.contract.test_loading import ORDERS, Site

ELSEWHERE = "elsewhere@00000000#1#1"


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    dock = open_dock(make_config(tmp_path, database={"url": database_url}))
    dock.tree.create()
    apply_scripts(dock.target)
    yield Site(dock)
    dock.target.close()


def claim(site: Site, path: Path) -> Load:
    named = name_drop(drop_of(site, path), site.dock.target)
    with site.dock.target.write() as conn:
        claimed = site.dock.journal.claims.claim(conn, named.drop, named.table, ELSEWHERE)
    assert isinstance(claimed, Load)
    return claimed


def test_a_load_of_another_machine_is_shown_with_its_progress(site: Site) -> None:
    load = claim(site, put(site, ORDERS))
    half = len(ORDERS.encode()) // 2
    with site.dock.target.write() as conn:
        told = Progress(Step.PROFILING, 1_000, half, 12.5)
        assert site.dock.journal.claims.renew(conn, load, told)
    found = read_status(site.dock)
    [shown] = found.loads
    assert (shown.load.load_id, shown.progress.step) == (load.load_id, "profiling")
    assert (shown.progress.rows_done, shown.progress.rows_per_second) == (1_000, 12.5)
    assert shown.progress.share == pytest.approx(0.5, abs=0.01)
    assert shown.progress.silent_seconds is not None
    assert not shown.is_abandoned
    [file] = found.files
    assert (file.why.waits_for, file.why.load_id) == (WaitsFor.LOAD, load.load_id)
    assert found.last == (), "it is not over"


def test_a_claim_that_is_gone_is_not_renewed(site: Site) -> None:
    path = put(site, ORDERS)
    load = claim(site, path)
    with site.dock.target.write() as conn:
        site.dock.journal.claims.free_claim(conn, path, ELSEWHERE)
        told = Progress(Step.STAGING, 1, 1, None)
        assert not site.dock.journal.claims.renew(conn, load, told)
        assert site.dock.journal.history.existing(conn, load.load_id).step is None


def test_what_is_held_and_how_loads_ended_is_read(site: Site) -> None:
    assert again(site, put(site, ORDERS, "fullload")).verdict is Verdict.LOADED
    header = ORDERS.partition("\n")[0]
    assert again(site, put(site, f"{header}\n", "fullload")).verdict is Verdict.HELD
    found = read_status(site.dock, most_files=10)
    [file] = found.files
    assert (file.status, file.why.waits_for) == ("held", WaitsFor.PERSON)
    assert file.why.text.startswith("held: ")
    assert [row.state for row in found.last] == [State.CANCELLED, State.FILED]
    assert found.database_problem == ""
