"""What the daemon's books keep for a journal that cannot be written."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from dropload import bookkeeping
from dropload.bookkeeping import Bookkeeper
from dropload.errors import TransientError
from dropload.gate import Gate
from dropload.watcher import scan_inboxes
from tests.conftest import Yard


def look(yard: Yard, gate: Gate, now: float) -> None:
    gate.observe(scan_inboxes(yard.dock.tree, ()).observations, now)


def states(yard: Yard) -> dict[str, str]:
    rows = yard.query('SELECT file_path, status FROM "ref.File_Monitor_Tracking"')
    return {Path(path).name: status for path, status in rows}


def test_what_could_not_be_written_is_written_later_as_it_is_by_then(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    books, gate = Bookkeeper(yard.dock), Gate(6, 15)
    back, gone = (yard.put(name, "id\n1\n") for name in ("back.csv", "gone.csv"))
    look(yard, gate, 0)
    assert books.tell_waiting(gate) == []
    back.unlink()
    gone.unlink()
    look(yard, gate, 15)
    with monkeypatch.context() as away:
        away.setattr(yard.dock.journal.tracking, "mark_vanished", fail)
        with pytest.raises(TransientError):
            books.tell_waiting(gate)
    yard.put("back.csv", "id\n1\n2\n")
    look(yard, gate, 30)
    assert books.tell_waiting(gate) == [gone]
    assert states(yard) == {"back.csv": "waiting", "gone.csv": "vanished"}


def test_what_came_is_told_in_portions_of_one_transaction_each(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookkeeping, "_TOLD_AT_ONCE", 2)
    books, gate = Bookkeeper(yard.dock), Gate(6, 15)
    for number in range(5):
        yard.put(f"{number}.csv", "id\n1\n")
    look(yard, gate, 0)
    commits: list[object] = []
    sa.event.listen(yard.dock.target.engine, "commit", commits.append)
    assert books.tell_waiting(gate) == []
    assert len(commits) == 3
    assert len(states(yard)) == 5


def fail(*_: object) -> None:
    raise TransientError("The database is away.")
