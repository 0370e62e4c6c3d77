"""No load starts while the disk is nearly full; it goes on by itself when there is room."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dropload.daemon import Daemon
from dropload.health import Level, check_health
from dropload.reserve import DiskReserve, Room, measure_room
from dropload.status import read_status
from tests.conftest import Yard, make_config
from tests.unit.test_daemon import Clock

MB = 2**20


class Disk:
    """A disk whose room the test sets, in megabytes."""

    def __init__(self, free_mb: float = 1000, total_mb: float = 100_000) -> None:
        self.free_mb, self.total_mb = free_mb, total_mb
        self.asked: list[Path] = []

    def __call__(self, place: Path) -> Room:
        self.asked.append(place)
        return Room(int(self.free_mb * MB), int(self.total_mb * MB))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def reserve(yard: Yard, clock: Clock, disk: Disk) -> DiskReserve:
    return DiskReserve(yard.dock, clock, disk)


@pytest.fixture
def daemon(yard: Yard, clock: Clock, reserve: DiskReserve) -> Iterator[Daemon]:
    made = Daemon(yard.dock, clock=clock)
    made._reserve = made._teller._reserve = reserve
    made._prepare()
    yield made
    made._shut_down()


def test_the_tree_the_state_folder_and_the_embedded_database_are_asked(
    yard: Yard, reserve: DiskReserve, disk: Disk
) -> None:
    assert reserve.has_room()
    assert disk.asked == [yard.dock.tree.root, yard.dock.config.state_folder, yard.root]


def test_each_change_is_said_once_and_room_for_one_byte_is_not_enough_to_go_on(
    reserve: DiskReserve, clock: Clock, disk: Disk, logs: io.StringIO
) -> None:
    disk.free_mb = 199
    assert not reserve.has_room()
    assert "only 199 MB free below" in reserve.problem
    assert "reserve of 200 MB" in reserve.problem
    for free_mb, room in ((150, False), (201, False), (230, True), (210, True)):
        disk.free_mb = free_mb
        clock.now += 10
        assert reserve.has_room() is room, free_mb
    assert logs.getvalue().count("disk_reserve_reached") == 1
    assert logs.getvalue().count("disk_reserve_free_again") == 1


def test_the_disk_is_asked_now_and_then_only(
    reserve: DiskReserve, clock: Clock, disk: Disk
) -> None:
    for _ in range(10):
        reserve.has_room()
        clock.now += 0.1
    assert len(disk.asked) == 3


def test_a_small_file_system_keeps_a_tenth(reserve: DiskReserve, disk: Disk) -> None:
    disk.free_mb, disk.total_mb = 60, 500
    assert reserve.has_room()


def test_a_file_system_that_says_nothing_and_a_reserve_of_0_keep_no_file_waiting(
    yard: Yard, clock: Clock
) -> None:
    assert DiskReserve(yard.dock, clock, Disk(0, 0)).has_room()
    none = replace(yard.dock, config=make_config(yard.root, workers={"disk_reserve_mb": 0}))
    assert DiskReserve(none, clock, Disk(0)).has_room()


def test_another_reserve_holds_at_once(yard: Yard, reserve: DiskReserve) -> None:
    assert reserve.has_room()
    config = make_config(yard.root, workers={"disk_reserve_mb": 2000})
    reserve.configure(replace(yard.dock, config=config))
    assert not reserve.has_room()


def test_a_folder_that_is_gone_is_not_this_ones_business(yard: Yard, clock: Clock) -> None:
    def gone(_place: Path) -> Room:
        raise FileNotFoundError

    assert DiskReserve(yard.dock, clock, gone).has_room()


def test_a_real_disk_tells_its_room(tmp_path: Path) -> None:
    room = measure_room(tmp_path)
    assert 0 < room.free_bytes <= room.total_bytes


def test_files_wait_while_the_disk_is_nearly_full_and_everybody_says_why(
    yard: Yard, daemon: Daemon, clock: Clock, disk: Disk
) -> None:
    disk.free_mb = 100
    path = yard.put("orders.csv", "id\n1\n")
    Path(f"{path}.done").touch()
    for _ in range(3):
        clock.now += 10
        daemon._take_turn_safely(woken=True)
    assert (daemon._dispatcher.queued, daemon._dispatcher.running) == (1, [])
    assert "only 100 MB free" in daemon._teller.state()
    status = read_status(yard.dock)
    assert any("only 100 MB free" in problem for problem in status.problems())
    assert [file.why.waits_for.value for file in status.files] == ["room"]
    checks = {check.name: check for check in check_health(yard.dock.config).checks}
    assert checks["disk reserve"].level is Level.CRITICAL
    disk.free_mb = 1000
    clock.now += 10
    daemon._take_turn_safely(woken=True)
    assert (daemon._dispatcher.queued, daemon._dispatcher.running) == (0, ["orders.csv"])
