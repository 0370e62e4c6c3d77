"""The log of a process: where it goes, and what becomes of lines that cannot be written."""

import io
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropload.config import LogConfig
from dropload.errors import ConfigError
from dropload.log_file import LogFile
from dropload.logs import configure_logs, get_logger


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
