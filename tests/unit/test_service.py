"""What the service manager is told, over a real socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropload import daemon as module
from dropload.daemon import Daemon
from dropload.service import ServiceManager
from tests.conftest import Yard


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

        monkeypatch.setattr(module, "scan_inboxes", hang)
        daemon._last_scan = float("-inf")
        daemon._take_turn_safely(woken=True)
        assert received(receiver) == [], "the process lives, and nobody looks after the files"
    finally:
        daemon._shut_down()
    assert received(receiver) == ["STOPPING=1\nSTATUS=finishing loads under way"]
