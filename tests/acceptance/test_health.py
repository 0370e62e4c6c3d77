"""The health check as a monitoring system calls it: it answers, whatever hangs."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropload.folders import DropTree
from tests.acceptance.daemon import Daemon
from tests.hung_share import HungShare

SHORT = {"DROPLOAD_HEALTH__CHECK_TIMEOUT_SECONDS": "5"}
"""Long enough for what is well, and not waited for in vain too long."""


@pytest.fixture
def hung_folder(tmp_path: Path) -> Iterator[Path]:
    """Return an inbox on a share that has gone silent."""
    folder = tmp_path / "dropoff" / "none_reference_data_table" / "append"
    Daemon(tmp_path).command("init")
    try:
        share = HungShare(folder).__enter__()
    except OSError as exc:
        pytest.skip(f"no share that hangs can be made here: {exc}")
    yield folder
    share.__exit__(None, None, None)


def test_a_share_that_hangs_is_named_and_the_check_ends(tmp_path: Path, hung_folder: Path) -> None:
    """Its processes cannot be killed while they wait, so that no thread of the check may."""
    health = Daemon(tmp_path, **SHORT).command("health", "--json")
    assert health.returncode == 2, health
    checks = json.loads(health.stdout)["checks"]
    [folders] = [check for check in checks if check["name"] == "folders"]
    assert folders["status"] == "critical"
    assert f"no answer within 5 s from the folder {hung_folder}" in folders["message"]
    assert {c["status"] for c in checks if c["name"] in ("database", "disk")} == {"ok"}


def test_a_database_that_never_answers_is_named_and_the_check_ends(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        taken: list[socket.socket] = []
        threading.Thread(target=_take_all, args=(silent, taken), daemon=True).start()
        url = f"postgresql://me:secret@127.0.0.1:{port}/rows"
        daemon = Daemon(tmp_path, url, **SHORT)
        DropTree(daemon.tree).create()
        health = daemon.command("health", "-v")
        assert taken, "the check never came to the server"
        silent.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()
    assert health.returncode == 2, health
    first, *details = health.stdout.splitlines()
    assert "database: no answer within 5 s from the database, 127.0.0.1/rows" in first
    assert any(line.startswith("OK       disk: ") for line in details)
    assert "secret" not in health.stdout + health.stderr


def _take_all(silent: socket.socket, taken: list[socket.socket]) -> None:
    while True:
        try:
            taken.append(silent.accept()[0])
        except OSError:
            return


def test_a_daemon_that_was_killed_and_one_that_stopped_are_told_apart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    try:
        daemon.start()
        daemon.wait_for(lambda: daemon.command("health").returncode == 0, "for its first look")
        assert daemon.process is not None
        os.kill(daemon.process.pid, 9)
        daemon.process.wait()
        killed = daemon.command("health")
        assert killed.returncode == 2, killed
        assert f"process {daemon.process.pid} is gone" in killed.stdout
        daemon.start()
        daemon.wait_for(lambda: daemon.command("health").returncode == 0, "for its first look")
    finally:
        daemon.end()
    assert "daemon: not running" in daemon.command("health").stdout
