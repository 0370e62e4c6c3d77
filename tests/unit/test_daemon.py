"""The daemon's own thread, turn by turn, with a clock that the test sets."""

import errno
import io
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dropload import daemon as module
from dropload import scanning, watcher
from dropload.daemon import RECOVERY_SECONDS, Daemon
from dropload.dispatch import Dispatcher
from dropload.dock import Dock, open_dock, prepare
from dropload.errors import ConfigError
from dropload.folders import DropTree
from dropload.interventions import release_file
from dropload.model import Area, Drop, FileVersion, LoadType, Verdict
from dropload.on_request import load_file
from tests.conftest import Yard, make_config


class Clock:
    """Monotonic seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def daemon(yard: Yard, clock: Clock) -> Iterator[Daemon]:
    made = Daemon(yard.dock, clock=clock)
    made._prepare()
    yield made
    made._shut_down()


def test_an_idle_daemon_asks_its_database_nothing_but_when_recovery_is_due(
    yard: Yard, daemon: Daemon, clock: Clock
) -> None:
    """A11, H3"""
    statements: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    daemon._take_turn(woken=True)
    sa.event.listen(yard.dock.target.engine, "before_cursor_execute", note)
    interval = daemon._scanner.seconds_between_scans()
    turns = int(RECOVERY_SECONDS / interval) - 1
    for _ in range(turns):
        clock.now += interval
        daemon._take_turn(woken=False)
    assert (turns, statements) == (5, [])
    clock.now += interval
    daemon._take_turn(woken=False)
    assert statements, "recovery looked for what was cut off"


def test_a_tree_that_was_there_before_is_not_made_anew_where_its_share_is_not_mounted(
    yard: Yard, daemon: Daemon, clock: Clock
) -> None:
    """A3"""
    root = yard.dock.tree.root
    yard.drop("orders.csv", "id\n1\n")
    root.rename(yard.root / "share")
    root.mkdir()
    starting = Daemon(yard.dock, clock=clock)
    starting._prepare()
    starting._take_turn(woken=True)
    found = [path.name for path in root.iterdir()]
    assert found == [".dropload"], "only what tells the health check of it"
    root.rename(yard.root / "bare")
    (yard.root / "share").rename(root)
    clock.now += RECOVERY_SECONDS
    starting._take_turn(woken=True)
    assert starting._tree_maker.problem == ""
    starting._shut_down()


def test_a_load_by_command_makes_no_tree_where_its_share_is_not_mounted(yard: Yard) -> None:
    root = yard.dock.tree.root
    yard.drop("orders.csv", "id\n1\n")
    root.rename(yard.root / "share")
    root.mkdir()
    file = yard.root / "more.csv"
    file.write_text("id\n2\n")
    with pytest.raises(ConfigError, match="was there and is gone"):
        load_file(yard.dock, file, Area.REFERENCE, LoadType.APPEND, force=False, actor="ada")
    assert not list(root.iterdir())
    prepare(yard.dock, "ada", anew=True)
    assert all(inbox.path.is_dir() for inbox in yard.dock.tree.inboxes)


def test_folders_that_refuse_the_services_user_are_said_and_end_no_daemon(
    yard: Yard, clock: Clock, logs: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    "A3; as root every folder can be used: it is the system's answer that is replaced"

    def refuse_below_tree(real: Callable[..., object]) -> Callable[..., object]:
        def refuse(path: Path, *arguments: object, **options: object) -> object:
            if yard.dock.tree.root in path.parents:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *arguments, **options)

        return refuse

    starting = Daemon(yard.dock, clock=clock)
    with monkeypatch.context() as patch:
        for name in ("mkdir", "is_dir", "unlink", "write_text", "touch"):
            patch.setattr(Path, name, refuse_below_tree(getattr(Path, name)))
        starting._prepare()
        starting._beat_when_due()
        starting._take_turn_safely(woken=True)
        starting._shut_down()
    told = [json.loads(line) for line in logs.getvalue().splitlines()]
    [said] = {line["reason"] for line in told if line["event"] == "tree_not_made"}
    assert "cannot be made: Permission denied. Give the service's user the right" in said
    assert told[-1]["event"] == "daemon_stopped"


@pytest.mark.parametrize("loading", [[], ["giant.csv"]])
def test_a_daemon_that_stops_says_what_it_waits_for(
    yard: Yard,
    clock: Clock,
    logs: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    loading: list[str],
) -> None:
    daemon = Daemon(yard.dock, clock=clock)
    daemon._prepare()
    monkeypatch.setattr(Dispatcher, "running", loading)
    daemon._shut_down()
    told = [json.loads(line) for line in logs.getvalue().splitlines()]
    said = [line for line in told if line["event"] == "daemon_stopping"]
    patience = yard.dock.config.workers.stop_timeout_seconds
    expected = [(loading, patience)] if loading else []
    assert [(line["loading"], line["at_most_seconds"]) for line in said] == expected


@pytest.mark.parametrize(
    ("away", "mount_point", "made"),
    [(False, True, True), (False, False, True), (True, False, True), (True, True, False)],
)
def test_a_tree_that_nobody_has_used_yet_is_made(
    tmp_path: Path, clock: Clock, *, away: bool, mount_point: bool, made: bool
) -> None:
    url = "postgresql://somebody@127.0.0.1:1/away" if away else f"sqlite:///{tmp_path}/x.db"
    dock = open_dock(make_config(tmp_path, database={"url": url}))
    if mount_point:
        dock.tree.root.mkdir()
    fresh = Daemon(dock, clock=clock)
    fresh._prepare()
    assert all(folder.is_dir() for folder in dock.tree.folders()) is made
    assert bool(fresh._tree_maker.problem) is not made
    fresh._shut_down()
    dock.target.close()


def test_an_idle_daemon_scans_once_an_interval_and_sleeps_in_between(
    daemon: Daemon, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A11"""
    scans: list[float] = []
    scan = watcher.Look

    def counted(*arguments: object) -> object:
        scans.append(clock.now)
        return scan(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scanning, "Look", counted)
    for _ in range(10):
        daemon._take_turn(woken=False)
        clock.now += daemon._seconds_to_next_turn()
    gaps = {round(after - before, 3) for before, after in pairwise(scans)}
    assert gaps == {daemon._scanner.seconds_between_scans()}
    assert len(scans) == 10, "each time it woke there was something to do"


def test_what_left_an_inbox_while_no_daemon_looked_waits_no_longer(
    yard: Yard, daemon: Daemon, clock: Clock
) -> None:
    gone, stays = (yard.put(name, "id\n1\n") for name in ("gone.csv", "stays.csv"))
    daemon._take_turn(woken=True)
    gone.unlink()
    successor = Daemon(yard.dock, clock=clock)
    try:
        successor._take_turn(woken=True)
    finally:
        successor._shut_down()
    states = yard.query('SELECT file_path, status FROM "ref.File_Monitor_Tracking"')
    assert dict(states) == {str(gone): "vanished", str(stays): "waiting"}


def test_the_wait_of_a_held_file_begins_anew_with_its_release(
    yard: Yard, daemon: Daemon, clock: Clock
) -> None:
    path = yard.put("orders.csv", "id\n", load_type="fullload")
    assert yard.load(path).verdict is Verdict.HELD
    version = FileVersion.from_stat(path.stat())
    daemon._books.hold(
        Drop(path, Area.NON_REFERENCE, LoadType.FULLLOAD, version, appeared_at=0.0, whole_at=90.0)
    )
    daemon._enqueue_released()
    assert daemon._dispatcher.queued == 0
    release_file(yard.dock, path, "anna", "it is meant to be empty")
    clock.now = 5000.0
    daemon._enqueue_released()
    [queue] = daemon._dispatcher._queues.values()
    assert [(drop.appeared_at, drop.whole_at) for drop in queue.drops] == [(5000.0, 5000.0)]


@pytest.mark.parametrize(
    ("scan_seconds", "hears_all", "expected"),
    [(0.001, True, 5.0), (0.1, True, 20.0), (0.1, False, 5.0), (3.0, True, 180.0)],
)
def test_a_full_tree_is_looked_at_less_often_while_events_tell_of_it(
    daemon: Daemon,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    scan_seconds: float,
    hears_all: bool,
    expected: float,
) -> None:
    scans: list[float] = []
    scan = watcher.Look

    def slow(*arguments: object) -> object:
        scans.append(clock.now)
        clock.now += scan_seconds
        return scan(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scanning, "Look", slow)
    monkeypatch.setattr(watcher.Watcher, "hears_all", hears_all)
    daemon._take_turn(woken=False)
    assert daemon._scanner.seconds_between_scans() == pytest.approx(expected, rel=0.05)
    turns = 0
    while len(scans) < 2:
        clock.now += daemon._seconds_to_next_turn()
        daemon._take_turn(woken=False)
        turns += 1
    assert scans[1] - scans[0] == pytest.approx(expected, rel=0.05)
    assert turns == pytest.approx(expected / 5, abs=1), (
        "what people released is looked for all along"
    )
    daemon._take_turn(woken=True)
    assert len(scans) == 2, "an event right after a look waits its time"
    while len(scans) < 3:
        clock.now += daemon._seconds_to_next_turn()
        daemon._take_turn(woken=False)
    gap = max(scanning.MIN_SCAN_GAP_SECONDS, scan_seconds / scanning.SCAN_SHARE)
    assert scans[2] - scans[1] == pytest.approx(gap, abs=0.02), "and is not forgotten"


def test_inboxes_that_send_no_events_are_not_all_heard(tmp_path: Path) -> None:
    tree = DropTree(tmp_path / "dropoff")
    tree.create()
    listening = watcher.Watcher(tree)
    assert not listening.hears_all, "not started"
    listening.start()
    heard = [listening.hears_all]
    tree.inboxes[0].path.rename(tmp_path / "away")
    heard.append(listening.hears_all)
    tree.create()
    heard.append(listening.hears_all)  # it hears of the folder that is away
    listening.ensure_alive()
    heard.append(listening.hears_all)
    listening.stop()
    assert heard == [True, False, False, True]
    assert not listening.hears_all
    assert not watcher.Watcher(tree, events=False).hears_all


def test_after_a_worker_died_with_several_files_their_moves_are_noted_at_once(
    daemon: Daemon, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some may be loaded and moved, which the journal would know at the next recovery only."""
    daemon._take_turn(woken=True)
    looked: list[float] = []

    def look(_dock: Dock) -> bool:
        looked.append(clock.now)
        return False

    monkeypatch.setattr(module, "is_filing_due", look)
    clock.now += 1
    daemon._take_turn(woken=False)
    assert looked == []
    daemon._dispatcher._broke_off = True
    daemon._take_turn(woken=False)
    assert looked == [clock.now]


def test_while_no_worker_is_free_a_full_tree_is_looked_at_less_often(daemon: Daemon) -> None:
    daemon._scanner.scan_seconds = 0.1
    assert daemon._scanner.least_seconds_between_scans() == pytest.approx(0.1 / scanning.SCAN_SHARE)
    daemon._dispatcher._config = daemon._dock.config.model_copy(
        update={"workers": daemon._dock.config.workers.model_copy(update={"count": 0})}
    )
    assert daemon._scanner.least_seconds_between_scans() == pytest.approx(
        0.1 / scanning.SCAN_SHARE
    ), "nothing waits for one"
    version = FileVersion(1, 1, 1)
    daemon._dispatcher.add(
        Drop(Path("x.csv"), Area.NON_REFERENCE, LoadType.APPEND, version), "dbo.x"
    )
    assert daemon._scanner.least_seconds_between_scans() == pytest.approx(
        0.1 / scanning.BUSY_SCAN_SHARE
    )


@pytest.mark.parametrize("is_recovery_due", [False, True])
def test_a_free_worker_gets_what_is_queued_before_all_files_are_looked_at(
    daemon: Daemon, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, is_recovery_due: bool
) -> None:
    """With 100,000 files that takes a moment; what was cut off is settled before all else"""
    steps: list[str] = []
    daemon._take_turn(woken=True)
    look, recover = daemon._scanner.look, daemon._recover_when_due

    def note(step: str, then: Callable[[], Any]) -> Any:
        steps.append(step)
        return then()

    monkeypatch.setattr(daemon._dispatcher, "start_loads", lambda: note("start", lambda: False))
    monkeypatch.setattr(daemon._scanner, "look", lambda: note("look", look))
    monkeypatch.setattr(daemon, "_recover_when_due", lambda: note("recover", recover))
    clock.now += RECOVERY_SECONDS + 1 if is_recovery_due else 10
    daemon._take_turn(woken=True)
    usual = ["look", "recover", "start"]
    assert steps == (usual if is_recovery_due else ["start", *usual])
