"""The log of a process: where it goes, and what becomes of lines that cannot be written."""

import contextlib
import io
import json
import logging
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dropload import logs
from dropload.cleanup import clean_up
from dropload.config import DatabaseConfig, LogConfig
from dropload.errors import ConfigError
from dropload.journal import AuditAction
from dropload.log_file import LogFile, put_away
from dropload.logs import configure_logs, get_logger, keep_secret
from dropload.model import DAEMON
from dropload.old_logs import find_old_logs
from dropload.on_request import load_file
from dropload.targets import open_target
from dropload.targets.server import database_password
from tests.conftest import make_config, open_yard


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes, like a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_lines_lost_on_a_full_disk_are_counted_and_not_written_later(tmp_path: Path) -> None:
    """G8"""
    file = tmp_path / "own.log"
    configure_logs(LogConfig(file=file, format="text"))
    with full_at(0):
        get_logger().info("first")
        get_logger().info("second")
    get_logger().info("third")
    lines = file.read_text().splitlines()
    assert lines[0] == "2 log lines were lost: they could not be written"
    assert "third" in lines[1]
    assert len(lines) == 2


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    file = tmp_path / "own.log"
    log = LogFile(file)
    with full_at(5):
        with pytest.raises(OSError, match="No space left"):
            log.write("123456789\n")
        with pytest.raises(OSError, match="File too large"):
            log.write("lost\n")
    log.write("next\n")
    log.close()
    assert file.read_text() == "12345\nnext\n"


def test_a_log_that_cannot_be_opened_is_refused_and_lines_go_on(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure_logs(LogConfig(), stream)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be opened"):
        configure_logs(LogConfig(file=tmp_path / "file" / "own.log"))
    get_logger().info("still_here")
    assert "still_here" in stream.getvalue()


def test_another_log_is_gone_over_to_and_the_old_one_closed(tmp_path: Path) -> None:
    configure_logs(LogConfig(file=tmp_path / "old.log"))
    early = get_logger().bind()
    configure_logs(LogConfig(file=tmp_path / "new.log"))
    get_logger().info("new")
    early.info("too_late")
    assert "new" in (tmp_path / "new.log").read_text()
    assert (tmp_path / "old.log").read_text() == ""


# --- put away by size


def test_a_full_log_is_put_away_and_lines_go_on(tmp_path: Path) -> None:
    file = tmp_path / "own.log"
    log = LogFile(file, max_bytes=10)
    for number in range(4):
        log.write(f"line {number:04}\n")
    log.close()
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["own.log", f"own.log.{day}", f"own.log.{day}.1", f"own.log.{day}.2"]
    assert file.read_text() == "line 0003\n"


WRITER = """
import sys
from pathlib import Path
from dropload.log_file import LogFile
log = LogFile(Path(sys.argv[1]), max_bytes=2000)
for number in range(400):
    log.write(f"{sys.argv[2]} {number:04}\\n")
"""


def test_several_processes_lose_no_line_while_files_are_put_away(tmp_path: Path) -> None:
    file = tmp_path / "own.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), name]) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    lines = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {n:04}" for name in "abcd" for n in range(400))
    files = list(tmp_path.iterdir())
    assert len(files) > 4
    # Whoever looked just before it was put away may still write one line each.
    assert max(path.stat().st_size for path in files) < 2000 + 4 * 10
    assert {path.name for path in find_old_logs(file, date(2099, 1, 1), kept=0, days=1)} == {
        path.name for path in files if path != file
    }


def test_a_folder_that_refuses_costs_no_line(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("dropload.log_file.put_away", refuse)
    log = LogFile(tmp_path / "own.log", max_bytes=5)
    log.write("line 1\n")
    log.write("line 2\n")
    log.close()
    assert (tmp_path / "own.log").read_text() == "line 1\nline 2\n"


def test_a_link_is_left_alone_whatever_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("long enough\n")
    (tmp_path / "own.log").symlink_to("real")
    assert put_away(tmp_path / "own.log", date(2026, 11, 21), full_bytes=5) is None
    assert put_away(tmp_path / "none.log", date(2026, 11, 21)) is None


# --- secrets


def fail_and_log(message: str) -> None:
    try:
        int(message)
    except ValueError as exc:
        get_logger().exception("broken", error=exc)
        raise


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setattr(logs, "_hidden", ())
    stream = io.StringIO()
    configure_logs(LogConfig(format="json"), stream)
    return stream


def test_a_known_password_is_masked_in_whatever_words_it_comes(lines: io.StringIO) -> None:
    keep_secret("p@ss/w0rd")
    log = get_logger()
    log.error("one", reason="login failed for ingest with p@ss/w0rd")
    log.error("two", url="mssql://u:p%40ss%2Fw0rd@host", deep={"tries": [("p@ss/w0rd", 1)]})
    with contextlib.suppress(ValueError):
        fail_and_log("the driver says p@ss/w0rd")
    logging.getLogger("some.library").error("connecting with %s", "p@ss/w0rd")
    text = lines.getvalue()
    assert len(text.splitlines()) == 4
    assert "ss/w0rd" not in text
    assert "ss%2Fw0rd" not in text
    assert text.count("***") >= 5
    assert "ValueError" in text


def test_text_for_people_is_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_hidden", ())
    keep_secret("hunter22")
    stream = io.StringIO()
    configure_logs(LogConfig(format="text"), stream)
    with contextlib.suppress(ValueError):
        fail_and_log("hunter22")
    get_logger().info("connecting", url="postgresql://u:other@host/db")
    assert "hunter22" not in stream.getvalue()
    assert "other" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


def test_the_password_of_the_configuration_is_known_from_the_first_connection(
    lines: io.StringIO, tmp_path: Path
) -> None:
    open_target(make_config(tmp_path, database={"password": "from-the-environment"}))
    get_logger().error("said", reason="from-the-environment was refused")
    file = tmp_path / "credential"
    file.write_text("from-a-file\n")
    assert database_password(DatabaseConfig(password_file=file)) == "from-a-file"
    get_logger().error("said", reason="from-a-file was refused")
    assert lines.getvalue().count("*** was refused") == 2


def test_a_very_short_password_does_not_have_words_masked(lines: io.StringIO) -> None:
    keep_secret("sa")
    get_logger().error("said", reason="the usage of a sandbox")
    assert "usage of a sandbox" in lines.getvalue()


# --- what people do


def test_each_action_of_a_person_is_a_line_and_the_daemons_are_not(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "audit.log"
    yard = open_yard(tmp_path, log={"audit_file": str(file)})
    path = yard.put("orders.csv", "a,b\n1,2\n")
    load_file(yard.dock, path, None, None, force=False, actor="ada", reason="pwd=hunter22 it is")
    with yard.dock.target.write() as conn:
        yard.dock.journal.audit.add(conn, DAEMON, AuditAction.CLEANUP, None, "by itself")
    with pytest.raises(ZeroDivisionError), yard.dock.target.write() as conn:
        yard.dock.journal.audit.add(conn, "ada", AuditAction.UNDO, 1)
        raise ZeroDivisionError
    yard.dock.target.close()
    [line] = [json.loads(line) for line in file.read_text().splitlines()]
    assert (line["actor"], line["action"], line["load_id"]) == ("ada", "load", 1)
    assert (line["reason"], line["result"]) == ("pwd=*** it is", "done")
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_an_audit_file_that_cannot_be_written_keeps_nobody_from_what_he_does(
    tmp_path: Path, lines: io.StringIO
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    yard = open_yard(tmp_path, log={"audit_file": str(tmp_path / "taken" / "audit.log")})
    path = yard.put("orders.csv", "a,b\n1,2\n")
    load_file(yard.dock, path, None, None, force=False, actor="ada")
    assert yard.states() == ["filed"]
    assert '"audit_line_not_written"' in lines.getvalue()
    with pytest.raises(ConfigError, match="audit_file"):
        yard.dock.target.audit_lines.check()
    yard.dock.target.close()


def test_lines_of_people_are_kept_as_long_as_the_table(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    yard = open_yard(tmp_path, log={"audit_file": str(file)}, retention={"journal_days": 400})
    today = datetime.now(UTC).date()
    for days in (1, 399, 500):
        day = today - timedelta(days=days)
        (tmp_path / f"audit.log.{day}").write_text("x")
    file.write_text("x\n")
    clean_up(yard.dock, "ada")
    yard.dock.target.close()
    kept = sorted(path.name for path in tmp_path.glob("audit.log.*"))
    assert kept == sorted(f"audit.log.{today - timedelta(days=days)}" for days in (0, 1, 399))


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_credential_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^database\.password_file .* cannot be read") as caught:
        database_password(DatabaseConfig(password_file=file))
    assert caught.value.dl_code == "DL-108"
