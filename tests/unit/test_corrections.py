"""undo through the real command line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from dropload.identity import person_name, worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.model import Load
from tests.conftest import Yard

ADA, BOB, CYD = "id,name\n1,Ada\n", "id,name\n2,Bob\n", "id,name\n3,Cyd\n4,Dan\n"
DIES_AT_COMMIT = """
import os, signal, sys
from sqlalchemy.engine.default import DefaultDialect
from dropload.cli import main
left, commit = [int(sys.argv.pop(1))], DefaultDialect.do_commit
def do_commit(*args):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    commit(*args)
DefaultDialect.do_commit = do_commit
main()
"""


def command(
    yard: Yard, *arguments: str, program: tuple[str, ...] = ("-m", "dropload")
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DROPLOAD_PATHS__DROPOFF": str(yard.root / "dropoff"),
        "DROPLOAD_DATABASE__URL": f"sqlite:///{yard.root / 'dropload.db'}",
        "DROPLOAD_LOG__LEVEL": "error",
    }
    return subprocess.run(
        [sys.executable, *program, *arguments],
        capture_output=True,
        text=True,
        cwd=yard.root,
        env=environment,
        check=False,
    )


def audited(yard: Yard) -> list[tuple[object, ...]]:
    return yard.query('SELECT actor, action, load_id, detail FROM "ref.Audit_Log" ORDER BY id')


def claim(yard: Yard, path: Path) -> int:
    drop = drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="x")
    named = name_drop(drop, yard.dock.target)
    with yard.dock.target.write() as conn:
        claimed = yard.dock.journal.loads.claim(conn, named.drop, named.table, worker_name())
    assert isinstance(claimed, Load)
    return claimed.load_id


def test_a_dry_run_shows_what_an_undo_then_does(yard: Yard) -> None:
    yard.drop("people.csv", ADA)
    yard.drop("people.csv", CYD, load_type="fullload")
    dry = command(yard, "undo", "2", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.splitlines() == [
        "Load 2, fullload of people.csv into dbo.people, would be undone:",
        "  2 rows removed",
        "  1 row restored, from bkp.people__2",
        "  dbo.people would have 1 row, before: 2",
    ]
    assert yard.states() == ["filed", "filed"]
    done = command(yard, "undo", "2", "--actor", "ada", "--reason", "wrong month")
    assert done.returncode == 0, done.stderr
    assert "is undone" in done.stdout
    assert "may be dropped again" in done.stdout
    assert yard.table("dbo.people") == [(1, "Ada")]
    assert audited(yard) == [
        (
            f"ada ({person_name()})",
            "undo",
            2,
            "dbo.people: 2 rows removed, 1 restored. wrong month",
        )
    ]


def test_a_refused_undo_shows_what_is_in_the_way_and_ends_with_status_one(yard: Yard) -> None:
    yard.drop("people.csv", ADA)
    yard.drop("people.csv", BOB, load_type="fullload")
    yard.drop("people.csv", CYD)
    for options in ((), ("--dry-run",)):
        refused = command(yard, "undo", "1", *options)
        assert refused.returncode == 1
        assert "To be undone before load 1, in this order" in refused.stdout
        assert [line.split("\t")[0] for line in refused.stdout.splitlines()[2:]] == ["3", "2"]
        assert "Undo in this order: 3, 2, 1." in refused.stderr
    answer = json.loads(command(yard, "undo", "1", "--json").stdout)
    assert (answer["undone"], [load["load_id"] for load in answer["in_the_way"]]) == (False, [3, 2])
    assert "Undo in this order" in answer["error_message"]
    assert audited(yard) == []


def test_a_load_that_is_undone_unknown_or_without_rows_is_told_apart(yard: Yard) -> None:
    yard.drop("people.csv", ADA)
    yard.drop("people.csv", ADA)
    path = yard.put("people.csv", BOB)
    assert "There is no load 9" in command(yard, "undo", "9").stderr
    assert "Load 2 of people.csv is duplicate" in command(yard, "undo", "2").stderr
    claim(yard, path)
    assert "Load 3 of people.csv into dbo.people is under way" in command(yard, "undo", "1").stderr
    assert "`dropload cancel 3` stops it" in command(yard, "undo", "3").stderr
    yard.execute('UPDATE "ref.Load_History" SET worker=NULL WHERE load_id=3')
    assert command(yard, "undo", "1").returncode == 0
    twice = command(yard, "undo", "1")
    assert twice.returncode == 1
    assert "is undone already" in twice.stderr
    assert command(yard, "undo", "x").returncode == 2


def test_an_undo_that_is_killed_before_its_commit_has_changed_nothing(yard: Yard) -> None:
    yard.drop("people.csv", ADA)
    yard.drop("people.csv", CYD, load_type="fullload")
    kills = 0
    while True:
        ended = command(yard, str(kills), "undo", "2", program=("-c", DIES_AT_COMMIT))
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        kills += 1
        assert yard.table("dbo.people") == [(3, "Cyd"), (4, "Dan")]
        assert (yard.states(), audited(yard)) == (["filed", "filed"], [])
    assert kills >= 2
    assert yard.table("dbo.people") == [(1, "Ada")]
    assert yard.states() == ["filed", "undone"]
