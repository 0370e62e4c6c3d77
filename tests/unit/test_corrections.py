"""undo, cancel and retry through the real command line."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from dropload.cli import main
from dropload.errors import TransientError
from dropload.identity import person_name, worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.interventions import retry_load
from dropload.journal import path_key
from dropload.model import FileVersion, Load, Verdict
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


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def environment(yard: Yard) -> dict[str, str]:
    return {
        "DROPLOAD_PATHS__DROPOFF": str(yard.root / "dropoff"),
        "DROPLOAD_DATABASE__URL": f"sqlite:///{yard.root / 'dropload.db'}",
        "DROPLOAD_LOG__LEVEL": "error",
    }


def command(yard: Yard, *arguments: str) -> Ended:
    """Run a command in this process, as the shell would in its own."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(yard)),
        patch.object(sys, "argv", ["dropload", *arguments]),
        contextlib.chdir(yard.root),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def undo_that_dies(yard: Yard, commits: int) -> "subprocess.CompletedProcess[str]":
    """Undo load 2 in a process that is killed when it has committed so often."""
    return subprocess.run(
        [sys.executable, "-c", DIES_AT_COMMIT, str(commits), "undo", "2"],
        capture_output=True,
        text=True,
        cwd=yard.root,
        env=os.environ | environment(yard),
        check=False,
    )


def audited(yard: Yard) -> list[tuple[object, ...]]:
    """Return what was done beside loading and preparing."""
    return yard.query(
        'SELECT actor, action, load_id, detail, reason, result FROM "ref.Audit_Log"'
        " WHERE action NOT IN ('init', 'load', 'load_forced') ORDER BY id"
    )


def claim(yard: Yard, path: Path) -> int:
    drop = drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="x")
    named = name_drop(drop, yard.dock.target)
    with yard.dock.target.write() as conn:
        claimed = yard.dock.journal.claims.claim(conn, named.drop, named.table, worker_name())
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
            "dbo.people: 2 rows removed, 1 restored",
            "wrong month",
            "done",
        )
    ]


def test_an_undo_says_where_the_file_stands_or_that_it_is_gone(yard: Yard) -> None:
    first, second = yard.drop("people.csv", ADA), yard.drop("people.csv", BOB)
    assert first.filed_path is not None
    assert second.filed_path is not None
    answer = json.loads(command(yard, "undo", "1", "--json").stdout)
    assert answer["filed_path"] == str(first.filed_path)
    second.filed_path.unlink()
    assert (
        json.loads(command(yard, "undo", "2", "--dry-run", "--json").stdout)["filed_path"] is None
    )
    done = command(yard, "undo", "2").stdout
    assert "Its file is gone from processed/" in done
    assert str(second.filed_path) not in done


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
    assert [row[1:3] + row[-1:] for row in audited(yard)] == [("undo", 1, "refused")] * 2


def test_a_load_that_is_undone_unknown_or_without_rows_is_told_apart(yard: Yard) -> None:
    yard.drop("people.csv", ADA)
    yard.drop("people.csv", ADA)
    path = yard.put("people.csv", BOB)
    assert "There is no load 9" in command(yard, "undo", "9").stderr
    assert "Load 2 of people.csv is duplicate" in command(yard, "undo", "2").stderr
    claim(yard, path)
    assert "Load 3 of people.csv into dbo.people is under way" in command(yard, "undo", "1").stderr
    assert "`dropload cancel 3` stops it" in command(yard, "undo", "3").stderr
    assert command(yard, "cancel", "3").returncode == 0
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
        ended = undo_that_dies(yard, kills)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        kills += 1
        assert yard.table("dbo.people") == [(3, "Cyd"), (4, "Dan")]
        assert (yard.states(), audited(yard)) == (["filed", "filed"], [])
    assert kills >= 2
    assert yard.table("dbo.people") == [(1, "Ada")]
    assert yard.states() == ["filed", "undone"]


def test_a_cancelled_file_waits_for_its_release_and_says_so(yard: Yard) -> None:
    path = yard.put("people.csv", ADA)
    claim(yard, path)
    done = command(yard, "cancel", "1", "--actor", "ada", "--reason", "wrong file")
    assert done.returncode == 0, done.stderr
    assert "dropload release 1\n" in done.stdout
    said = command(yard, "status").stdout
    [line] = [line for line in said.splitlines() if "\tpeople.csv\tnon-ref" in line]
    assert "\theld\t" in line
    assert f"ancelled by ada ({person_name()}): wrong file." in line
    again = command(yard, "cancel", "1")
    assert again.returncode == 1
    assert "is over (cancelled). Cancelled by ada" in again.stderr
    assert yard.load(path).verdict is Verdict.HELD
    assert command(yard, "release", str(path)).returncode == 0
    assert yard.load(path).verdict is Verdict.LOADED
    assert audited(yard)[0][1:] == ("cancel", 1, "the load was claimed", "wrong file", "done")


def note(yard: Yard, path: Path) -> str:
    """Tell the journal what the gate sees there; return how the file stands."""
    version = FileVersion.from_stat(path.lstat())
    tracking = yard.dock.journal.tracking
    with yard.dock.target.write() as conn:
        tracking.upsert_waiting(conn, [(path, yard.inbox(), version, "at the gate")])
        row = tracking.find(conn, path_key(path))
    assert row is not None
    return row.status


@pytest.mark.parametrize("seen_by_gate", [True, False])
def test_a_file_that_is_cancelled_while_it_is_written_stays_held(
    yard: Yard, seen_by_gate: bool
) -> None:
    path = yard.put("people.csv", ADA)
    assert note(yard, path) == "waiting"
    done = command(yard, "cancel", str(path))
    assert "until another file takes its place, also while its writer goes on" in done.stdout
    for line in ("5,Eve\n", "6,Fay\n"):
        with path.open("a") as file:
            file.write(line)
        if seen_by_gate:
            assert note(yard, path) == "held"
        assert yard.load(path).verdict is Verdict.HELD
    assert command(yard, "release", "1").returncode == 0
    assert yard.load(path).verdict is Verdict.LOADED
    assert yard.table("dbo.people") == [(1, "Ada"), (5, "Eve"), (6, "Fay")]


@pytest.mark.parametrize("seen_by_gate", [True, False])
def test_a_file_that_takes_the_place_of_a_cancelled_one_is_a_new_drop(
    yard: Yard, seen_by_gate: bool
) -> None:
    path = yard.put("people.csv", ADA)
    assert command(yard, "cancel", str(path)).returncode == 0
    other = path.with_name(".other")
    other.write_text(BOB)
    other.replace(path)
    if seen_by_gate:
        assert note(yard, path) == "waiting"
    assert yard.load(path).verdict is Verdict.LOADED


@pytest.mark.parametrize(("content", "hours"), [(BOB, 24), ("id,name\n", 0)])
def test_what_is_delivered_into_the_place_of_a_cancelled_file_is_a_new_drop(
    yard: Yard, content: str, hours: int
) -> None:
    """By a copy over it, which keeps the file's inode: the next day, or shorter."""
    path = yard.put("people.csv", ADA)
    assert command(yard, "cancel", str(path)).returncode == 0
    written = path.stat().st_mtime + hours * 3600 + 1
    path.write_text(content)
    os.utime(path, (written, written))
    assert note(yard, path) == "waiting"


def test_the_load_of_a_whole_file_is_cancelled_for_that_version_alone(yard: Yard) -> None:
    path = yard.put("people.csv", ADA)
    claim(yard, path)
    assert "until a new version comes" in command(yard, "cancel", "1").stdout
    path.write_text(BOB + CYD.partition("\n")[2])
    assert note(yard, path) == "waiting"
    assert yard.load(path).verdict is Verdict.LOADED


def test_a_file_goes_back_from_error_and_never_over_another(yard: Yard) -> None:
    failed = yard.drop("people.csv", "id,name\n1\n")
    assert failed.filed_path is not None
    other = yard.put("people.csv", ADA)
    refused = command(yard, "retry", "1")
    assert refused.returncode == 1
    assert "A file stands in its place already" in refused.stderr
    assert (other.read_text(), failed.filed_path.exists()) == (ADA, True)
    assert [row[1:3] + row[-1:] for row in audited(yard)] == [("retry", 1, "refused")]
    other.unlink()
    done = json.loads(command(yard, "retry", "1", "--json").stdout)
    assert done == {"ok": True, "load_id": 1, "file_path": str(other)}
    assert other.read_text() == "id,name\n1\n"
    assert not failed.filed_path.exists()
    gone = command(yard, "retry", "1")
    assert gone.returncode == 1
    assert f"Load 1 was retried already, by {person_name()}, " in gone.stderr
    assert f"UTC: its file stands in its inbox: {other}." in gone.stderr
    assert "Drop the original" not in gone.stderr
    away = other.rename(other.with_name(".away"))
    assert "has left it since" in command(yard, "retry", "1").stderr
    away.rename(other)
    results = [row[-1] for row in audited(yard)]
    assert results == ["refused", "done", "refused", "refused"]
    assert yard.load(other).verdict is Verdict.FAILED, "the same trouble, a load of its own"
    assert yard.states() == ["failed", "failed"]
    loaded = yard.drop("people.csv", ADA).load_id
    assert "only the file of a failed load" in command(yard, "retry", str(loaded)).stderr


def test_a_retry_of_a_file_that_is_gone_says_what_took_it(yard: Yard) -> None:
    failed = yard.drop("people.csv", "id,name\n1\n")
    assert failed.filed_path is not None
    failed.filed_path.unlink()
    gone = command(yard, "retry", "1")
    assert f"is not there any more: {failed.filed_path}." in gone.stderr
    assert "Drop the original again." in gone.stderr
    with yard.dock.target.write() as conn:
        yard.dock.journal.retention.forget_places(conn, [1])
    kept = command(yard, "retry", "1")
    assert "not kept any more: the cleanup takes files from error/ after 90 days" in kept.stderr
    assert "(retention.filed_days)" in kept.stderr


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("content", ["id,name\n1\n", ADA])
def test_a_retry_whose_commit_is_lost_is_written_down_once(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, content: str, *, is_committed: bool
) -> None:
    failed = yard.drop("people.csv", "id,name\n1\n")
    assert failed.filed_path is not None
    failed.filed_path.write_text(content)
    target = yard.dock.target
    write, lost = target.write, TransientError("the connection was cut")
    left = [lost]

    @contextlib.contextmanager
    def cut_off() -> Iterator[sa.Connection]:
        is_lost = bool(left) and bool(left.pop())
        with write() as conn:
            yield conn
            if is_lost and not is_committed:
                raise lost
        if is_lost:
            raise lost

    monkeypatch.setattr(target, "write", cut_off)
    done = retry_load(yard.dock, 1, "ada")
    assert (done.path.read_text(), failed.filed_path.exists()) == (content, False)
    assert [row[:2] + row[-1:] for row in audited(yard)] == [("ada", "retry", "done")]
    assert note(yard, done.path) == "waiting"


def test_a_retry_that_was_cut_off_is_completed_by_the_next(yard: Yard) -> None:
    failed = yard.drop("people.csv", "id,name\n1\n")
    assert failed.filed_path is not None
    moved = failed.filed_path.rename(yard.inbox().path / "people.csv")
    assert command(yard, "retry", "1").returncode == 0
    assert moved.exists()
    assert [row[1] for row in audited(yard)] == ["retry"]
    assert "was retried already" in command(yard, "retry", "1").stderr


@pytest.mark.parametrize("name", ["20260101T101010Z_people.csv", b"pe\xe9ple.csv"])
def test_a_file_gets_the_name_back_that_it_was_dropped_with(yard: Yard, name: str | bytes) -> None:
    text = os.fsdecode(name)
    path = yard.put(text, "id,name\n1\n")
    assert yard.load(path).verdict is Verdict.FAILED
    assert command(yard, "retry", "1").returncode == 0
    assert path.read_text() == "id,name\n1\n"


def test_a_file_system_without_hard_links_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropload.moving import move_back

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    source, taken = tmp_path / "a", tmp_path / "b"
    source.write_text("a")
    taken.write_text("b")
    with pytest.raises(FileExistsError):
        move_back(source, taken)
    assert (source.read_text(), taken.read_text()) == ("a", "b")
    move_back(source, tmp_path / "c")
    assert not source.exists()
