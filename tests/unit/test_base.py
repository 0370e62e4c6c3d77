"""The small things at the bottom: mounts, identities, logs, retries, resources."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from dropload import identity
from dropload.config import LogConfig, RetryConfig
from dropload.errors import FileChangedError, TransientError
from dropload.identity import is_dead_worker, is_own_worker, worker_name
from dropload.logs import configure_logs, get_logger, mask_secrets
from dropload.mounts import file_system_type, is_network
from dropload.resources import resource_folder
from dropload.retries import back_off_seconds, call_with_retries

FAST = RetryConfig(attempts=3, first_wait_seconds=0.001, max_wait_seconds=0.002)


def test_the_innermost_mount_says_what_file_system_a_path_is_on(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    share = tmp_path / "my share"
    escaped = str(share).replace(" ", "\\040")
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\n"
        f"srv:/x {escaped} nfs4 rw 0 0\n"
        f"x {escaped}/fuse fuse.sshfs rw 0 0\n"
    )
    assert file_system_type(tmp_path / "local", mounts) == "ext4"
    assert file_system_type(share / "inbox", mounts) == "nfs4"
    assert is_network(share / "inbox", mounts)
    assert is_network(share / "fuse" / "deep", mounts)
    assert not is_network(tmp_path, mounts)


def test_an_unreadable_mount_table_means_unknown_and_local(tmp_path: Path) -> None:
    assert file_system_type(tmp_path, tmp_path / "none") == ""
    assert not is_network(tmp_path, tmp_path / "none")


def test_this_process_is_alive_and_one_that_ended_is_dead() -> None:
    code = "from dropload.identity import worker_name; print(worker_name())"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert not is_dead_worker(worker_name())
    assert is_dead_worker(ended)


def test_a_later_process_of_the_same_id_is_another_worker() -> None:
    host, pid, started = worker_name().rsplit("#", 2)
    assert pid == str(os.getpid())
    assert is_dead_worker(f"{host}#{pid}#{int(started) - 1}")


@pytest.mark.parametrize(("number", "dead"), [("0123abcd", True), ("", False)])
def test_a_worker_before_the_last_boot_is_dead_if_it_was_on_this_very_machine(
    monkeypatch: pytest.MonkeyPatch, number: str, *, dead: bool
) -> None:
    """D2: two machines may have one name, and then only one of them was started again."""
    host, pid, started = worker_name().rsplit("#", 2)
    here = f"{host.partition('/')[0]}/{number}@"
    monkeypatch.setattr(identity, "_host", lambda: f"{here}11111111.1")
    assert is_dead_worker(f"{here}00000000.1#{pid}#{started}") is dead
    assert not is_dead_worker(f"elsewhere{here}00000000.1#{pid}#{started}")


def test_only_living_children_are_own_workers() -> None:
    code = "from dropload.identity import worker_name; print(worker_name(), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert is_own_worker(name)
        assert not is_own_worker(worker_name()), "this process is not its own child"
        child.communicate("\n")
    assert not is_own_worker(name)
    assert is_dead_worker(name)


def test_nobody_can_say_whether_a_worker_in_another_container_is_alive() -> None:
    host, _pid, started = worker_name().rsplit("#", 2)
    elsewhere = f"{host.rpartition('.')[0]}.1"
    assert not is_dead_worker(f"{elsewhere}#1#{started}")


def test_nobody_can_say_whether_a_worker_elsewhere_is_alive() -> None:
    assert not is_dead_worker("elsewhere@0#1#1")
    assert not is_dead_worker("nonsense")


@pytest.mark.parametrize(
    "text",
    [
        "mssql+pyodbc://sa:s3cret@db/x",
        "DRIVER=x;PWD=s3cret;SERVER=y",
        "password=s3cret",
        "could not connect: postgresql://me:s3cret@db refused",
    ],
)
def test_passwords_are_masked_wherever_they_stand(text: str) -> None:
    """G9"""
    assert "s3cret" not in mask_secrets(text)
    assert "***" in mask_secrets(text)


def test_log_lines_are_json_where_no_person_looks_and_hold_no_password() -> None:
    stream = io.StringIO()
    configure_logs(LogConfig(level="info"), stream)
    get_logger().debug("not_wanted")
    get_logger().info("file_loaded", url="x://a:geheim@b", rows=3)
    [line] = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (event["event"], event["rows"], event["level"]) == ("file_loaded", 3, "info")
    assert event["url"] == "x://a:***@b"


def test_a_log_file_gets_the_lines_instead(tmp_path: Path) -> None:
    configure_logs(LogConfig(file=tmp_path / "logs" / "own.log", format="text"))
    get_logger().warning("disk_full")
    assert "disk_full" in (tmp_path / "logs" / "own.log").read_text()


def test_transient_trouble_is_tried_again_and_given_up_in_the_end() -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise TransientError("away")

    with pytest.raises(TransientError, match="away"):
        call_with_retries(fail, FAST)
    assert len(calls) == FAST.attempts


def test_a_success_after_trouble_is_a_success() -> None:
    troubles = [TransientError("away")]

    def once() -> int:
        if troubles:
            raise troubles.pop()
        return 7

    assert call_with_retries(once, FAST) == 7


def test_trouble_is_logged_when_it_begins_and_when_it_ends_not_with_every_try() -> None:
    troubles = [TransientError("away")] * 3

    def recover() -> None:
        if troubles:
            raise troubles.pop()

    with structlog.testing.capture_logs() as logs:
        call_with_retries(recover, RetryConfig(attempts=5, first_wait_seconds=0.001))
    told = [(log["log_level"], log["event"]) for log in logs if log["log_level"] != "debug"]
    assert told == [("warning", "step_retried"), ("info", "step_recovered")]


def test_a_changed_file_is_not_mended_by_trying_again() -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise FileChangedError("grew")

    with pytest.raises(FileChangedError):
        call_with_retries(fail, FAST)
    assert len(calls) == 1


def test_waits_double_up_to_their_ceiling() -> None:
    settings = RetryConfig(first_wait_seconds=1, max_wait_seconds=10)
    for failures, most in ((1, 2), (2, 4), (3, 8), (9, 10)):
        waits = {back_off_seconds(failures, settings) for _ in range(50)}
        assert all(most / 2 <= wait <= most for wait in waits)
        assert len(waits) > 1, "workers that fail together do not come back together"


def test_sql_and_configuration_are_found_from_a_checkout() -> None:
    assert (resource_folder("sql") / "sqlite" / "0001_journal.sql").is_file()
    assert (resource_folder("config") / "dropload.toml").is_file()
