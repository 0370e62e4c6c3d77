"""What the journal knows a path by: no two paths have one key, whatever the database compares."""

from pathlib import Path

import pytest

from dropload.journal import FILE_PATH_LENGTH, path_key, path_of_key
from dropload.late_filing import recover
from dropload.model import State, Verdict
from dropload.recovery import Recovered
from tests.conftest import Yard

ORDERS = "id,name\n1,Ada\n"


def test_a_usual_path_is_its_own_key() -> None:
    for text in ("/drop/a.csv", "/drop/ a.csv", "/drop/a .csv", "/drop/" + "n" * 494):
        assert path_key(Path(text)) == text


@pytest.mark.parametrize("text", ["/drop/a.csv ", "/drop/a.csv  ", "/drop/" + "n" * 495])
def test_a_long_path_and_one_that_ends_in_a_blank_are_told_by_their_hash(text: str) -> None:
    key = path_key(Path(text))
    assert key.startswith(text[:430])
    assert len(key) <= FILE_PATH_LENGTH
    assert not key.endswith(" ")
    assert len({path_key(Path(text.rstrip() + " " * n)) for n in range(4)}) == 4


def test_a_file_is_found_by_its_key(tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv ", "a.csv  ", " a.csv", "b…" + "0" * 64):
        path = tmp_path / name
        path.touch()
        assert path_of_key(path_key(path)) == path
    gone = path_key(tmp_path / "gone.csv ")
    assert str(path_of_key(gone)) == gone
    assert str(path_of_key(gone.replace(str(tmp_path), "/none"))).startswith("/none/gone.csv")


def test_recovery_moves_a_file_whose_name_ends_in_a_blank(yard: Yard) -> None:
    path = yard.put("orders.csv ", ORDERS)
    refused = yard.load(path)
    assert refused.verdict is Verdict.FAILED
    assert refused.filed_path is not None
    refused.filed_path.rename(path)
    yard.execute('UPDATE "ref.Load_History" SET filed_at=NULL, worker=NULL')
    assert recover(yard.dock) == Recovered(moved=1)
    assert not path.exists()
    assert yard.states() == [State.FAILED]
