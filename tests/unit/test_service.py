"""What the service manager is told, over a real socket."""

import io
import json
import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropload import scanning
from dropload.config import LogConfig
from dropload.daemon import Daemon
from dropload.logs import configure_logs
from dropload.service import ServiceManager
from tests.conftest import Yard, open_yard


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        yield made


def received(receiver: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(receiver.recv(4096).decode())
        except BlockingIOError:
            return found


def test_without_a_manager_nothing_is_sent() -> None:
    ServiceManager("").tell_alive("fine")


def test_a_manager_that_is_gone_or_does_not_read_is_no_trouble(
    tmp_path: Path, receiver: socket.socket
) -> None:
    ServiceManager(str(tmp_path / "nobody")).tell_alive("fine")
    manager = ServiceManager(receiver.getsockname())
    for _ in range(10_000):
        manager.tell_alive("fine")
    assert received(receiver)[0] == "WATCHDOG=1\nSTATUS=fine"


def test_a_socket_that_is_missing_is_said_once(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure_logs(LogConfig(format="json"), stream)
    manager = ServiceManager(str(tmp_path / "nobody"))
    manager.tell_alive("fine")
    manager.tell_ready("fine")
    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "service_manager_not_told"
    assert f"The socket {tmp_path / 'nobody'} that NOTIFY_SOCKET names" in line
    assert "No such file" in line


def test_an_address_without_a_file_is_understood() -> None:
    name = f"dropload-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.setblocking(False)
        ServiceManager(f"@{name}").tell_ready("up\nand running")
        assert received(receiver) == ["READY=1\nSTATUS=up and running"]


def test_a_sign_of_life_is_a_look_at_the_inboxes_and_nothing_else(
    yard: Yard, receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H2"""
    monkeypatch.setenv("NOTIFY_SOCKET", receiver.getsockname())
    daemon = Daemon(yard.dock)
    try:
        daemon._prepare()
        assert received(receiver) == [], "not ready before the first look"
        daemon._take_turn_safely(woken=True)
        alive, ready = received(receiver)
        assert alive.startswith("WATCHDOG=1\n")
        assert ready == "READY=1\nSTATUS=0 at the gate, 0 queued, 0 loading"

        def hang(*_: object) -> None:
            raise OSError("the share does not answer")

        monkeypatch.setattr(scanning, "Look", hang)
        daemon._scanner.last_scan = float("-inf")
        daemon._take_turn_safely(woken=True)
        assert received(receiver) == [], "the process lives, and nobody looks after the files"
    finally:
        daemon._shut_down()
    [stopping] = received(receiver)
    assert stopping.splitlines() == [
        "STOPPING=1",
        "STATUS=finishing loads under way",
        "EXTEND_TIMEOUT_USEC=40000000",
    ], "ten seconds for loads under way, and some to end"


def test_the_watchdog_of_the_unit_sets_how_often_a_sign_is_due() -> None:
    def seconds(**environ: str) -> float:
        return ServiceManager(environ=environ).seconds_between_signs

    assert seconds(WATCHDOG_USEC="3000000") == 1.5
    assert seconds(WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid())) == 1.5
    assert seconds(WATCHDOG_USEC="3000000", WATCHDOG_PID="1") == math.inf, "of a parent"
    assert seconds() == seconds(WATCHDOG_USEC="0") == seconds(WATCHDOG_USEC="often") == math.inf


def test_a_daemon_that_looks_seldom_still_gives_signs_in_time(
    tmp_path: Path, receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", receiver.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "120000000")
    often = {"interval_seconds": 3600}
    yard = open_yard(tmp_path, watch={"scan_interval_seconds": 3600}, gate=often)
    daemon = Daemon(yard.dock, clock=lambda: 0.0)
    try:
        daemon._prepare()
        daemon._take_turn_safely(woken=True)
        looked_at = daemon._scanner.last_scan
        received(receiver)
        assert daemon._seconds_to_next_turn() == 60.0
        daemon._take_turn_safely(woken=False)
        assert daemon._scanner.last_scan == looked_at, "no look was due"
        assert [message.splitlines()[0] for message in received(receiver)] == ["WATCHDOG=1"]
    finally:
        daemon._shut_down()
        yard.dock.target.close()
