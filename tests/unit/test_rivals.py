"""Two daemons on one tree: said when their rules contradict each other."""

import io
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dropload import rivals
from dropload.config import Config, LogConfig
from dropload.daemon import Daemon
from dropload.health.signs import daemon_lane
from dropload.heartbeat import read_heartbeat
from dropload.logs import configure_logs
from dropload.rivals import (
    Company,
    Note,
    _digest_rules,
    _note_of,
    find_company,
    find_rivals,
    leave_note,
    remove_note,
)
from tests.conftest import Yard, make_config
from tests.unit.test_daemon import Clock

ELSEWHERE = "machine/12345678@boot.container#4711#99"
"""A worker of another machine: nobody here can say that it is dead."""


def other_daemon(config: Config, process: str = ELSEWHERE, since: float = 0.0) -> Path:
    """Leave the note that a daemon with this configuration would leave on another machine."""
    tells = _note_of(config).tells
    note = Note(_digest_rules(config), process, 4711, "ingest", "loads2", tells, since)
    path = config.paths.dropoff / ".dropload" / "daemon-0123456789abcdef.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(note)))
    return path


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("database", {"url": "sqlite:////srv/other.db"}),
        ("load", {"max_rejected_rows": 5}),
        ("gate", {"checks": 2}),
        ("schemas", {"reference": "lookup"}),
    ],
)
def test_another_daemon_with_other_rules_is_named_with_what_differs(
    yard: Yard, section: str, values: dict[str, Any]
) -> None:
    leave_note(yard.dock.config)
    other_daemon(make_config(yard.root, **{section: values}))
    [said] = find_rivals(yard.dock.config)
    assert said.startswith("Another daemon (process 4711 of ingest on loads2) looks after ")
    assert f"with other settings in [{section}]: it depends on chance" in said
    assert said.endswith("[DL-114]")


def test_daemons_with_the_same_rules_share_a_tree_in_peace(yard: Yard) -> None:
    leave_note(yard.dock.config)
    other_daemon(make_config(yard.root, workers={"count": 1}, log={"level": "error"}))
    assert list(find_rivals(yard.dock.config)) == []


def test_the_longest_running_of_those_who_tell_the_same_people_is_the_first(yard: Yard) -> None:
    def config(name: str, url: str = "json://x") -> Config:
        return make_config(yard.root, notify={"receivers": {name: {"url": url}}})

    own = config("oncall")
    leave_note(own)
    assert find_company(own) == Company(is_alone=True, is_first=True)
    other_daemon(config("oncall"))
    assert find_company(own) == Company(is_alone=False, is_first=False)
    other_daemon(config("oncall"), since=time.time() + 3600)
    assert find_company(own) == Company(is_alone=False, is_first=True)
    other_daemon(config("oncall", "json://elsewhere"))
    assert find_company(own) == Company(is_alone=True, is_first=True), "other people"
    other_daemon(config("somebody_else"))
    assert find_company(own) == Company(is_alone=True, is_first=True)
    other_daemon(make_config(yard.root))
    assert find_company(own) == Company(is_alone=True, is_first=True), "it tells nobody"


def test_who_asks_and_how_does_not_make_another_database(tmp_path: Path) -> None:
    def database(**settings: Any) -> str:
        return _digest_rules(make_config(tmp_path, database=settings))["database"]

    one = database(url="postgresql://a:secret@db/sales", pool_size=3)
    assert one == database(url="postgresql://b@db/sales")
    assert one != database(url="postgresql://a:secret@db/other")
    assert database(url=None, type="mssql", host="a", name="x") != database(
        url=None, type="mssql", host="b", name="x"
    )
    relative = database(url="sqlite:///own.db")
    assert relative == database(url=f"sqlite:///{Path('own.db').absolute()}")


def test_notes_of_daemons_that_are_gone_are_removed(yard: Yard) -> None:
    config = yard.dock.config
    leave_note(config)
    killed = other_daemon(make_config(yard.root, gate={"checks": 2}))
    old = killed.stat().st_mtime - 3600
    os.utime(killed, (old, old))
    assert list(find_rivals(config)) == []
    assert not killed.exists()
    own = json.loads(next((config.paths.dropoff / ".dropload").glob("*.json")).read_text())
    dead = own["process"].rpartition("#")[0] + "#1"
    path = other_daemon(make_config(yard.root, gate={"checks": 2}), dead)
    assert list(find_rivals(config)) == []
    assert not path.exists()
    path.write_text("of another version")
    assert list(find_rivals(config)) == []
    remove_note(config)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_daemon_says_it_once_and_health_for_as_long_as_it_lasts(yard: Yard) -> None:
    stream, clock = io.StringIO(), Clock()
    configure_logs(LogConfig(format="json"), stream)
    other = other_daemon(make_config(yard.root, load={"max_rejected_rows": 5}))
    daemon = Daemon(yard.dock, clock=clock)
    daemon._prepare()
    for _ in range(3):
        clock.now += 61
        daemon._take_turn_safely(woken=True)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["level"] for one in events if one["event"] == "another_daemon"] == ["error"]
    assert problems(yard) == ["CRITICAL"]
    other.unlink()
    clock.now += 61
    daemon._take_turn_safely(woken=True)
    assert problems(yard) == []
    daemon._shut_down()
    assert list((yard.dock.tree.root / ".dropload").iterdir()) == []


def problems(yard: Yard) -> list[str]:
    assert read_heartbeat(yard.dock.config.state_folder) is not None
    found = daemon_lane(yard.dock.config).look(lambda _: None)
    return [check.level.name for check in found if check.name == "other daemons"]


def test_nothing_is_left_on_a_mount_point_that_becomes_bare_meanwhile(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A3"""
    tree, away = yard.dock.tree.root, yard.root / "unmounted"
    is_there = rivals._is_there

    def unmount(folder: Path, opened: int) -> bool:
        found = is_there(folder, opened)
        tree.rename(away)
        tree.mkdir()
        return found

    monkeypatch.setattr(rivals, "_is_there", unmount)
    leave_note(yard.dock.config, [yard.dock.tree.inboxes[0].path])
    assert not list(tree.iterdir())
    assert list((away / ".dropload").glob("daemon-*.json"))


def test_nothing_is_left_where_no_tree_is(yard: Yard) -> None:
    clock = Clock()
    daemon = Daemon(yard.dock, clock=clock)
    daemon._prepare()
    for inbox in yard.dock.tree.inboxes:
        inbox.path.rename(inbox.path.with_name(f"{inbox.path.name}.away"))
    clock.now += 100
    daemon._teller._neighbours.meet_when_due(yard.dock.tree, yard.dock.config)
    assert not list(yard.dock.tree.root.glob(".dropload/daemon-*"))
    daemon._shut_down()
