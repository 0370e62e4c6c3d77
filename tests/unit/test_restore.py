"""A database that is put back from a copy, as docs/administrators.md says it."""

import contextlib
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.conftest import Yard
from tests.documents import DOCS, blocks
from tests.unit.test_cli import Run, run

__all__ = ["run"]


def copy(source: Path, goal: Path) -> None:
    """Copy a SQLite file as `.backup` of its shell does."""
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(goal)) as new,
    ):
        old.backup(new)


def documented_program() -> str:
    """Return the program that moves files back into their inboxes."""
    [text] = [
        block.text
        for block in blocks("console")
        if block.page == DOCS / "administrators.md" and "python3 -c" in block.text
    ]
    found = re.search(r"python3 -c '\n(.*)'", text, re.DOTALL)
    assert found is not None
    return found[1]


def restore(yard: Yard, copied: Path) -> None:
    yard.dock.target.close()
    database = yard.root / "dropload.db"
    for name in (database, f"{database}-wal", f"{database}-shm"):
        Path(name).unlink(missing_ok=True)
    copied.rename(database)


def test_files_that_an_older_journal_does_not_know_are_named_and_load_again(
    yard: Yard, run: Run
) -> None:
    inbox = yard.inbox().path
    yard.drop("orders.csv", "id\n1\n")
    copied = yard.root / "copied.db"
    copy(yard.root / "dropload.db", copied)
    yard.drop("people.csv", "id\n2\n")
    yard.drop("wrong.csv", "id,name\n3\n")
    yard.put("waits.csv", "id\n5\n")
    restore(yard, copied)
    assert yard.table("dbo.orders") == [(1,)]

    status, told, _ = run("status", "--account", "--json")
    assert status == 1
    subprocess.run([sys.executable, "-c", documented_program()], input=told, text=True, check=True)

    [back] = inbox.glob("*_people.csv")
    assert yard.load(back).rows_loaded == 1
    assert yard.table("dbo.people") == [(2,)]
    [still] = (inbox / "error").glob("*_wrong.csv")
    told = run("status", "--account")[1]
    assert str(still) in told, "what was refused then is for a person to look at"
    assert "processed/" not in told
