"""A server that is cut off, anywhere in a load: each file's rows are there once, or not at all."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropload import small_files
from dropload.dock import open_dock
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.journal import apply_scripts
from dropload.late_filing import recover
from dropload.model import Area, LoadRecord, LoadType, Outcome, Verdict
from dropload.pipeline import process_drop
from tests.conftest import address_of_server, make_config, url_through
from tests.contract.test_loading import Site
from tests.proxy import CommitAfter, DistantProxy, Says, is_anything, is_bulk_rows, is_commit

OLD = "id,name\n1,old\n2,old\n"
MANY_ROWS = 200
_SAYS_STAGING = Says('COPY "stg"', "INSERT BULK", "INSERT INTO stg")
one_way_of_staging = pytest.mark.parametrize(
    "server_url", ["postgresql", "sqlserver without bulk"], indirect=True
)
"""For what has nothing to do with how the rows came to the side table."""
POINTS = {"postgresql": 14, "mssql": 4}
"""Places of a load where it is cut, spread over all that it says to the server."""


def is_staging(data: bytes) -> bool:
    """Whether a piece stages rows; the bulk protocol sends all of them behind one statement."""
    return _SAYS_STAGING(data) or is_bulk_rows(data)


def many_rows(name: str, rows: int = MANY_ROWS) -> str:
    return "id,name\n" + "".join(f"{n},{name}{n}\n" for n in range(rows))


@dataclass
class Strait(Site):
    """A site whose database lies behind a proxy."""

    proxy: DistantProxy

    def put(self, name: str, content: str, load_type: str = "append") -> Path:
        [inbox] = [
            inbox
            for inbox in self.dock.tree.inboxes
            if inbox.area is Area.NON_REFERENCE and inbox.load_type == LoadType(load_type)
        ]
        path = inbox.path / name
        path.write_text(content, encoding="utf-8")
        return path

    def load(self, path: Path) -> Outcome:
        drop = drop_of_path(path, self.dock.tree, None, None, force=False, requested_by="x")
        return process_drop(self.dock, drop, worker_name())

    def load_in_the_end(self, path: Path) -> list[Outcome]:
        """Load as the daemon does, again and again until the file has left its inbox."""
        outcomes = []
        for _ in range(5):
            if path.exists():
                outcomes.append(self.load(path))
                recover(self.dock)
        assert not path.exists(), outcomes
        return outcomes

    def loads(self) -> list[LoadRecord]:
        with self.dock.target.read() as conn:
            return self.dock.journal.history.latest(conn, None, 999)

    def filed(self, folder: str) -> list[str]:
        found = self.dock.tree.root.glob(f"*/*/{folder}/*")
        return sorted(path.name.partition("Z_")[2] for path in found)

    def names(self, table: str) -> list[str | None]:
        return [row[1] for row in self.texts(self.table(table))]

    def publishes(self, table: str) -> tuple[str, ...]:
        """Return what is said when rows come into a table: copied, added, with the side table."""
        place = self.table(table)
        quoted, copied = self.dock.target.quoted(place), f'COPY "{place.schema}"."{place.name}"'
        return f"INSERT INTO {quoted}", copied, f'RENAME TO "{table}"'


@pytest.fixture
def strait(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Strait]:
    with DistantProxy(address_of_server(server_url)) as proxy:
        url = url_through(proxy, server_url)
        # Blocks of a kilobyte: a small file is staged in several batches.
        database = {"url": url, "connect_timeout_seconds": 3}
        config = make_config(tmp_path, database=database, load={"max_record_bytes": 2048})
        dock = open_dock(config)
        monkeypatch.setattr(type(dock.target), "commit_bytes", 1)
        dock.tree.create()
        apply_scripts(dock.target)
        yield Strait(dock, proxy)
        proxy.forget()
        dock.target.close()


def test_a_cut_in_the_middle_of_staging_brings_every_row_once(
    strait: Strait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G6"""
    # In transactions of their own, as the rows of a large file.
    monkeypatch.setattr(small_files, "SMALL_BYTES", 0)
    # The first batch may be on its way by then.
    strait.proxy.cut_when(is_staging, skip=1)
    outcome = strait.drop("orders.csv", many_rows("a"))
    assert strait.proxy.times_cut() == 1
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, MANY_ROWS)
    assert strait.names("orders") == [f"a{n}" for n in range(MANY_ROWS)]
    assert strait.states() == ["filed"]


@one_way_of_staging
def test_a_cut_while_publishing_leaves_the_old_rows_until_the_next_try(strait: Strait) -> None:
    """G1, G6"""
    strait.drop("orders.csv", OLD, "fullload")
    strait.proxy.cut_when(Says(*strait.publishes("orders")), times=2)
    path = strait.put("orders.csv", many_rows("b"), "fullload")
    assert strait.load(path).verdict is Verdict.RETRY
    assert strait.proxy.times_cut() == 2, "each try of the step"
    assert strait.names("orders") == ["old", "old"]
    assert strait.load(path).verdict is Verdict.LOADED
    assert strait.names("orders") == [f"b{n}" for n in range(MANY_ROWS)]


@one_way_of_staging
def test_a_cut_while_publishing_that_is_over_costs_only_a_try_of_the_step(strait: Strait) -> None:
    """G6"""
    strait.drop("orders.csv", OLD)
    strait.proxy.cut_when(Says(*strait.publishes("orders")), before=False)
    assert strait.drop("orders.csv", many_rows("b")).verdict is Verdict.LOADED
    assert strait.names("orders") == ["old", "old", *(f"b{n}" for n in range(MANY_ROWS))]


@one_way_of_staging
@pytest.mark.parametrize("load_type", ["append", "fullload"])
@pytest.mark.parametrize("wait_for_answer", [True, False])
def test_a_lost_answer_to_the_commit_does_not_load_twice(
    strait: Strait, load_type: str, wait_for_answer: bool
) -> None:
    """C9: also when the server is still at work on the commit."""
    strait.drop("orders.csv", OLD, load_type)
    is_publishing = CommitAfter(*strait.publishes("orders"))
    strait.proxy.cut_when(is_publishing, before=False, wait_for_answer=wait_for_answer)
    outcome = strait.drop("orders.csv", many_rows("c"), load_type)
    assert strait.proxy.times_cut() == 1
    assert (outcome.verdict, outcome.rows_loaded) == (Verdict.LOADED, MANY_ROWS)
    rows = [f"c{n}" for n in range(MANY_ROWS)]
    assert strait.names("orders") == (["old", "old", *rows] if load_type == "append" else rows)
    assert [(load.state, load.attempts) for load in strait.loads()] == [("filed", 1)] * 2


@one_way_of_staging
def test_a_commit_that_outlives_its_connection_is_waited_for(strait: Strait) -> None:
    """C9: a commit takes its time where it waits for a rule, a disk or a second server."""
    if strait.dock.target.name != "postgresql":
        pytest.skip("only PostgreSQL can be told to commit slowly")
    strait.drop("orders.csv", OLD)
    strait.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW WHEN (NEW.id = 0) EXECUTE FUNCTION wait()",
    )
    is_publishing = CommitAfter(*strait.publishes("orders"))
    strait.proxy.cut_when(is_publishing, before=False, wait_for_answer=False)
    outcome = strait.drop("orders.csv", many_rows("c"))
    assert strait.proxy.times_cut() == 1
    assert outcome.verdict is Verdict.LOADED, outcome
    assert len(strait.names("orders")) == MANY_ROWS + 2
    assert strait.states() == ["filed", "filed"]


@one_way_of_staging
def test_a_lost_answer_to_the_claim_does_not_claim_twice(strait: Strait) -> None:
    """C1, C9"""
    strait.proxy.cut_when(is_commit, before=False)
    assert strait.drop("orders.csv", OLD).verdict is Verdict.LOADED
    assert strait.states() == ["filed"]
    assert strait.names("orders") == ["old", "old"]


@one_way_of_staging
def test_a_lost_answer_at_the_end_of_a_bad_file_keeps_its_report_whole(strait: Strait) -> None:
    """C9: what ends without rows ends once, too."""
    strait.proxy.cut_when(CommitAfter("load_reject", "Load_Reject"), before=False)
    refused = strait.drop("orders.csv", OLD + "3,only,2\n")
    assert strait.proxy.times_cut() == 1
    assert refused.verdict is Verdict.FAILED, refused
    assert strait.filed("error") == ["orders.csv", "orders.csv.report.txt", "orders.rejects.csv"]
    assert strait.states() == ["failed"]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_wherever_a_load_is_cut_its_rows_are_there_once(strait: Strait, before: bool) -> None:
    """Promise 2, C2, G6: cut at the n-th thing that is said to the server."""
    strait.proxy.forget()
    strait.drop("t.csv", many_rows("t", 20))
    said, points = strait.proxy.pieces(), POINTS[strait.dock.target.name]
    for number in range(points):
        strait.proxy.forget()
        strait.proxy.cut_when(is_anything, skip=number * said // points, before=before)
        outcomes = strait.load_in_the_end(strait.put(f"t{number}.csv", many_rows("x", 20)))
        assert strait.proxy.times_cut() == 1
        strait.proxy.forget()
        assert strait.names(f"t{number}") == [f"x{n}" for n in range(20)], outcomes
    assert Counter(strait.states()) == {"filed": 1 + points}
    assert len(strait.filed("processed")) == 1 + points
    assert not strait.filed("error")


def test_a_server_that_stays_away_costs_the_file_nothing(strait: Strait) -> None:
    """C5, G7: as many tries as a worker may crash; the file stays and loads when it is back."""
    path = strait.put("orders.csv", many_rows("d"))
    for _ in range(3):
        strait.proxy.cut_when(Says(*strait.publishes("orders")), times=2)
        outcome = strait.load(path)
        assert (strait.proxy.times_cut(), outcome.verdict, outcome.category) == (
            2,
            Verdict.RETRY,
            "transient",
        )
        strait.proxy.forget()
    strait.proxy.refuse()
    outcome = strait.load(path)
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "transient"), outcome
    assert outcome.claimed_by == worker_name(), "or nobody would free it when the server is back"
    assert path.exists()
    strait.proxy.accept()
    assert strait.load(path).verdict is Verdict.LOADED
    assert strait.names("orders") == [f"d{n}" for n in range(MANY_ROWS)]
    assert [(load.state, load.crashes) for load in strait.loads()] == [("filed", 0)]
    assert not strait.filed("error")


def test_a_server_that_goes_away_between_two_files_is_no_surprise(strait: Strait) -> None:
    """G6: connections that were open are found dead, and closing them harms nobody."""
    strait.drop("a.csv", OLD)
    strait.proxy.cut()
    assert strait.drop("b.csv", OLD).verdict is Verdict.LOADED
    strait.proxy.refuse()
    strait.dock.target.close()
    strait.proxy.accept()
    assert strait.drop("c.csv", OLD).verdict is Verdict.LOADED
