"""Who may drop a file must not steer the terminal of who looks at its name or its cells."""

import os
from pathlib import Path

import pytest

from dropload.durable import stored_path_text
from dropload.folders import find_path
from dropload.printable import printable
from tests.conftest import Yard
from tests.unit.test_cli import Run, run

__all__ = ["run"]

EVIL = "evil\x1b[31m\x1b]0;pwned\x07\n.csv"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Łódź 東京 🚢.csv", "Łódź 東京 🚢.csv"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("line\nbreak\r\t", r"line\x0abreak\x0d\x09"),
        ("\x9b31m", r"\x9b31m"),
        ("gnp.\u202evsc", r"gnp.\u202evsc"),
        ("odd\udcff", r"odd\xff"),
        ("half\ud83d", r"half\ud83d"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_what_it_is(text: str, said: str) -> None:
    assert printable(text) == said


@pytest.mark.parametrize("name", [EVIL, "odd\udcff\x01.csv", "plain.csv"])
def test_a_path_is_found_again_by_what_the_journal_keeps(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    (tmp_path / printable(name)).touch()
    assert find_path(stored_path_text(path)) in (path, tmp_path / printable(name))
    assert "\udcff" in name or find_path(stored_path_text(path)) == path


def test_no_screen_report_or_journal_holds_a_control_character(yard: Yard, run: Run) -> None:
    path = yard.put(EVIL, 'id,name\n1,"\x1b[2J"\n2,too,many\x07\n')
    said = [*run("inspect", os.fspath(path)), *run("plan", os.fspath(path))]
    said += [*run("load", os.fspath(path)), *run("status"), *run("history"), *run("show", "1")]
    [report] = yard.inbox().path.glob("error/*.report.txt")
    said += [report.read_text()]
    text = "".join(map(str, said))
    assert "evil" in text
    assert {c for c in text if not c.isprintable()} <= {"\n", "\t"}
