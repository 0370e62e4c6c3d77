"""Several small files of one table that one worker loads together."""

import io
import threading
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dropload import filing, in_order, leases, pipeline
from dropload.errors import FileBusyError, TransientError
from dropload.identity import worker_name
from dropload.in_order import load_in_order
from dropload.intake import drop_of_path
from dropload.late_filing import recover
from dropload.model import Drop, Verdict, WorkerResult
from dropload.recovery import is_filing_due
from tests.conftest import Yard

FILES = 5


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have time enough for all of them, however slow the machine is."""
    monkeypatch.setattr(in_order, "MOST_SECONDS", inf)


def text_of(number: int) -> str:
    return f"id,name\n{number},x{number}\n"


def drops_of(yard: Yard, *contents: str) -> list[Drop]:
    paths = [
        yard.put(f"t_2024010{number}.csv", content) for number, content in enumerate(contents, 1)
    ]
    return [
        drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="daemon")
        for path in paths
    ]


def good_drops(yard: Yard) -> list[Drop]:
    return drops_of(yard, *map(text_of, range(1, FILES + 1)))


def load(yard: Yard, drops: Sequence[Drop]) -> list[WorkerResult]:
    return load_in_order(yard.dock, drops, worker_name())


def verdicts(ended: Sequence[WorkerResult]) -> list[Verdict | None]:
    return [one.outcome.verdict if one.outcome else None for one in ended]


def test_each_file_costs_two_writing_transactions_and_all_together_one_more(
    yard: Yard, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is, nothing is noted meanwhile.
    monkeypatch.setattr(in_order, "NOTE_SECONDS", 3600.0)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 3600.0)
    synced: list[Path] = []
    monkeypatch.setattr(filing, "sync_folder", synced.append)
    ended = load(yard, good_drops(yard))
    assert verdicts(ended) == [Verdict.LOADED] * FILES
    assert len(begun) == 2 * FILES + 1
    inbox = yard.inbox().path
    where_first = (
        "a folder is synced once for all of them, where the files are now before where not"
    )
    assert synced == [inbox / "processed", inbox], where_first
    assert yard.states() == ["filed"] * FILES
    assert yard.table("dbo.t") == [(n, f"x{n}") for n in range(1, FILES + 1)]
    assert yard.query('SELECT count(*) FROM "ref.Load_History" WHERE worker IS NOT NULL') == [(0,)]
    assert yard.query('SELECT count(*) FROM "ref.Load_History" WHERE step_seconds IS NULL') == [
        (0,)
    ]
    tracked = yard.query('SELECT DISTINCT status FROM "ref.File_Monitor_Tracking"')
    assert tracked == [("filed",)]


def test_a_bad_file_harms_only_itself(yard: Yard) -> None:
    drops = drops_of(yard, text_of(1), "id,name\n1\n", text_of(1), text_of(4))
    ended = load(yard, drops)
    assert verdicts(ended) == [Verdict.LOADED, Verdict.FAILED], "it is told of at once"
    assert verdicts(load(yard, drops[2:])) == [Verdict.DUPLICATE, Verdict.LOADED]
    assert yard.table("dbo.t") == [(1, "x1"), (4, "x4")]
    [report] = (yard.inbox().path / "error").glob("*.report.txt")
    assert "t_20240102" in report.name


def fail_on(monkeypatch: pytest.MonkeyPatch, drop: Drop, error: Exception) -> None:
    inner = pipeline.load_drop

    def load_or_fail(dock: Any, given: Drop, *arguments: Any, **named: Any) -> Any:
        if given == drop:
            raise error
        return inner(dock, given, *arguments, **named)

    monkeypatch.setattr(in_order, "load_drop", load_or_fail)


def test_behind_a_file_that_must_be_tried_again_nothing_begins(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops = good_drops(yard)

    def refuse(_dock: Any, *_: Any) -> Any:
        raise FileBusyError("It is locked.")

    inner = pipeline.load_drop

    def load_or_refuse(dock: Any, given: Drop, *arguments: Any, **named: Any) -> Any:
        with monkeypatch.context() as patched:
            if given == drops[2]:
                patched.setattr("dropload.pipeline.detect_layout", refuse)
            return inner(dock, given, *arguments, **named)

    monkeypatch.setattr(in_order, "load_drop", load_or_refuse)
    ended = load(yard, drops)
    assert verdicts(ended) == [Verdict.LOADED, Verdict.LOADED, Verdict.RETRY]
    assert yard.states() == ["filed", "filed", "claimed"]
    assert yard.table("dbo.t") == [(1, "x1"), (2, "x2")]


def test_what_nobody_foresaw_ends_with_its_file_and_those_before_it_are_filed(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    drops = good_drops(yard)
    fail_on(monkeypatch, drops[1], ZeroDivisionError("a bug"))
    ended = load(yard, drops)
    assert verdicts(ended) == [Verdict.LOADED, None]
    assert ended[1].crash == "ZeroDivisionError: a bug"
    assert "load_broke_off" in logs.getvalue()
    assert yard.states() == ["filed"]


def test_a_worker_keeps_files_no_longer_than_a_moment(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "MOST_SECONDS", 0.0)
    ended = load(yard, good_drops(yard))
    assert 1 <= len(ended) < FILES, "what has not begun goes back"
    assert yard.states() == ["filed"] * len(ended)


def test_where_the_move_cannot_be_noted_the_outcome_says_so_and_recovery_notes_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(filing, "sync_folder", refuse)
        ended = load(yard, good_drops(yard))
    outcomes = [one.outcome for one in ended if one.outcome]
    assert [outcome.moved for outcome in outcomes] == [False] * FILES
    assert {outcome.claimed_by for outcome in outcomes} == {worker_name()}
    assert yard.states() == ["committed"] * FILES
    # What the daemon does with that.
    with yard.dock.target.write() as conn:
        for outcome in outcomes:
            yard.dock.journal.claims.free_claim(conn, outcome.path, outcome.claimed_by)
    assert recover(yard.dock).moved == FILES
    assert yard.states() == ["filed"] * FILES
    assert len(yard.table("dbo.t")) == FILES


def test_a_file_that_takes_long_does_not_keep_those_before_it_from_being_filed(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "NOTE_SECONDS", 0.01)
    drops = good_drops(yard)[:2]
    inner, states = pipeline.load_drop, list[str]()
    is_slow, is_noted = threading.Event(), threading.Event()
    note = filing.FiledTogether.note

    def note_and_tell(later: filing.FiledTogether) -> None:
        assert is_slow.wait(60)
        note(later)
        is_noted.set()

    def load_slowly(dock: Any, given: Drop, *arguments: Any, **named: Any) -> Any:
        if given == drops[1]:
            is_slow.set()
            assert is_noted.wait(60)
            states.extend(yard.states())
        return inner(dock, given, *arguments, **named)

    monkeypatch.setattr(filing.FiledTogether, "note", note_and_tell)
    monkeypatch.setattr(in_order, "load_drop", load_slowly)
    assert verdicts(load(yard, drops)) == [Verdict.LOADED] * 2
    assert states == ["filed"]
    assert yard.states() == ["filed"] * 2


def test_looking_back_in_trouble_costs_no_load(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise TransientError("The database is away.")

    monkeypatch.setattr("dropload.pipeline.find_unusual", refuse)
    assert verdicts(load(yard, good_drops(yard))) == [Verdict.LOADED] * FILES


def test_while_they_are_loaded_nothing_is_due_for_recovery(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that is over and not noted yet still has its worker."""
    due: list[bool] = []
    note = filing.FiledTogether.note

    def look_and_note(later: filing.FiledTogether) -> None:
        due.append(is_filing_due(yard.dock))
        note(later)

    monkeypatch.setattr(filing.FiledTogether, "note", look_and_note)
    load(yard, good_drops(yard))
    assert due[-1] is False
    assert len(list((yard.inbox().path / "processed").iterdir())) == FILES


def test_a_move_that_was_cut_off_before_the_disk_had_it_is_synced_before_it_is_noted(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutOffError(BaseException):
        pass

    def cut_off(_self: object) -> None:
        raise CutOffError

    drops = good_drops(yard)
    with monkeypatch.context() as patch, pytest.raises(CutOffError):
        patch.setattr(filing.FiledTogether, "note", cut_off)
        load(yard, drops)
    with yard.dock.target.write() as conn:
        for drop in drops:
            yard.dock.journal.claims.free_claim(conn, drop.path, worker_name())
    done: list[str] = []
    inbox = yard.inbox().path
    monkeypatch.setattr(filing, "sync_folder", lambda folder: done.append(folder.name))
    sa.event.listen(yard.dock.target.engine, "commit", lambda _: done.append("commit"))
    recover(yard.dock)
    assert yard.states() == ["filed"] * FILES
    first = done.index("processed")
    assert done[first : first + 3] == ["processed", inbox.name, "commit"]
