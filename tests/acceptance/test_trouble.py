"""The real daemon when the machine is in trouble: no room, no descriptors, no folder, no events."""

import gzip
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropload.folders import DropTree
from tests.acceptance.daemon import Daemon

ORDERS = "id,name\n1,Ada\n2,Bob\n"
IGNORED_FILES = 9_000
"""Each sends two events at least; the system keeps 16,384 (fs.inotify.max_queued_events)."""
BURST_FILES = int(os.environ.get("DROPLOAD_TEST_BURST", "200"))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path, DROPLOAD_RETRY__PAUSE_SECONDS="0.5", DROPLOAD_RETRY__ATTEMPTS="1")
    yield made
    made.end()


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Return a function that mounts a file system of 4 MB on a folder."""
    mounted: list[Path] = []

    def mount_on(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        asked = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no right to mount a file system: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount_on
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def fill(folder: Path) -> Path:
    """Take all the room that a file system has; return the file that does."""
    filler = folder / ".filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def write_files(inbox: Path, writer: int) -> str:
    """Return the words for a shell that writes a quarter of the burst, one table per writer."""
    time = "$(printf %02d%02d%02d $((n / 3600)) $((n / 60 % 60)) $((n % 60)))"
    write = f'printf "w,n\\n{writer},$n\\n" > {inbox}/t{writer}_20260101_{time}.csv'
    return f"for n in $(seq {BURST_FILES // 4}); do {write}; done"


def test_a_burst_that_overflows_the_events_is_loaded_completely(daemon: Daemon) -> None:
    """A1: the daemon is stopped while more happens than the system keeps events for."""
    daemon.start()
    daemon.wait_for(lambda: bool(daemon.events("daemon_started")))
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    inbox = daemon.inbox()
    for number in range(IGNORED_FILES):
        path = inbox / f"{number}.part"
        path.touch()
        path.unlink()
    writers = [subprocess.Popen(["sh", "-c", write_files(inbox, w)]) for w in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    daemon.process.send_signal(signal.SIGCONT)
    daemon.patience_seconds = max(300.0, BURST_FILES / 4)
    daemon.wait_until_filed(BURST_FILES)
    rows = [row for table in daemon.tables() for row in daemon.rows(table, "w", "n")]
    assert sorted(rows) == [(w, n + 1) for w in range(4) for n in range(BURST_FILES // 4)]


def test_a_full_disk_of_processed_keeps_the_file_and_it_is_not_loaded_again(
    daemon: Daemon, mount: Callable[[Path], None]
) -> None:
    """C3, D1: said by health, and moved by itself when there is room."""
    DropTree(daemon.tree).create()
    processed = daemon.inbox() / "processed"
    mount(processed)
    filler = fill(processed)
    daemon.start()
    path = daemon.inbox() / "orders.csv"
    path.write_text(ORDERS)
    daemon.wait_for(lambda: bool(daemon.events("file_not_moved")))
    assert path.exists()
    health = daemon.command("health")
    assert (health.returncode, "not moved: orders.csv" in health.stdout) == (2, True), health
    filler.unlink()
    daemon.stop()
    daemon.start()
    daemon.wait_until_filed(1)
    assert daemon.query('SELECT count(*) FROM "dbo.orders"') == [(2,)]
    assert daemon.states() == ["filed"]
    [moved] = [p for p in processed.iterdir() if p.name[0] != "."]
    assert moved.read_text() == ORDERS


def test_a_full_disk_of_the_database_makes_files_wait(
    tmp_path: Path, mount: Callable[[Path], None]
) -> None:
    """G8"""
    small = tmp_path / "small"
    mount(small)
    daemon = Daemon(
        tmp_path,
        f"sqlite:///{small / 'dropload.db'}",
        DROPLOAD_RETRY__PAUSE_SECONDS="0.5",
        DROPLOAD_RETRY__ATTEMPTS="1",
        DROPLOAD_RETRY__MAX_WAIT_SECONDS="0.5",
    )
    daemon.database = small / "dropload.db"
    try:
        daemon.start()
        daemon.wait_for(lambda: bool(daemon.events("daemon_started")))
        filler = fill(small)
        rows = "id,text\n" + "".join(f"{n},{'x' * 90}\n" for n in range(5000))
        (daemon.inbox() / "big.csv").write_text(rows)
        daemon.wait_for(
            lambda: bool(daemon.events("table_paused") or daemon.events("database_away")),
            "for the disk to be full",
        )
        assert "full" in daemon.log.read_text()
        filler.unlink()
        daemon.wait_until_filed(1)
        assert daemon.query('SELECT count(*), count(DISTINCT id) FROM "dbo.big"') == [(5000, 5000)]
        assert not list((daemon.inbox() / "error").iterdir())
    finally:
        daemon.end()


def test_a_full_disk_of_the_log_stops_no_load(
    tmp_path: Path, mount: Callable[[Path], None]
) -> None:
    small = tmp_path / "small"
    mount(small)
    daemon = Daemon(tmp_path, DROPLOAD_LOG__FILE=str(small / "dropload.log"))
    try:
        filler = fill(small)
        daemon.start()
        (daemon.inbox() / "orders.csv").write_text(ORDERS)
        daemon.wait_until_filed(1)
        filler.unlink()
        (daemon.inbox() / "other.csv").write_text(ORDERS)
        daemon.wait_until_filed(2)
        assert daemon.stop() == 0
        lines = (small / "dropload.log").read_text().splitlines()
        assert any("log lines were lost" in line for line in lines)
        assert len(set(lines)) == len(lines), "a line that was lost is not written later"
    finally:
        daemon.end()


def test_a_tree_that_is_unmounted_and_mounted_again_is_watched_again(
    daemon: Daemon, mount: Callable[[Path], None]
) -> None:
    """A3"""
    mount(daemon.tree)
    daemon.environ["DROPLOAD_PATHS__STATE"] = str(daemon.root / "state")
    daemon.start()
    daemon.wait_for(lambda: bool(daemon.events("daemon_started")))
    subprocess.run(["umount", "-l", str(daemon.tree)], check=True)
    daemon.wait_for(lambda: bool(daemon.events("tree_problem")))
    assert "is not there" in daemon.events("tree_problem")[0]["problem"]
    assert not list(daemon.tree.iterdir()), "nothing is made on the bare mount point"
    mount(daemon.tree)
    DropTree(daemon.tree).create()
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    daemon.wait_until_filed(1)
    assert daemon.query('SELECT count(*) FROM "dbo.orders"') == [(2,)]


def test_too_many_open_files_are_said_and_survived(daemon: Daemon) -> None:
    daemon.start()
    daemon.wait_for(lambda: bool(daemon.events("daemon_started")))
    assert daemon.process is not None
    pid = daemon.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    daemon.wait_for(lambda: bool(daemon.events("tree_problem")), "for the limit to be met")
    assert "limit of open files" in daemon.events("tree_problem")[0]["problem"]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    daemon.wait_until_filed(1)


def test_a_file_that_may_not_be_read_waits_with_the_reason(daemon: Daemon) -> None:
    """B4"""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    daemon.start()
    path = daemon.inbox() / "orders.csv"
    path.touch(0)
    path.chmod(0)
    daemon.wait_for(lambda: bool(daemon.events("load_put_off")))
    path.chmod(0o600)
    daemon.wait_until_filed(1)


def test_counts_agree_in_the_log_the_journal_and_the_report(tmp_path: Path) -> None:
    """H1, H3: one line for one file."""
    daemon = Daemon(tmp_path, DROPLOAD_LOAD__MAX_REJECTED_ROWS="5")
    try:
        daemon.start()
        (daemon.inbox() / "orders.csv").write_text(ORDERS + "3\n4,Eve\n")
        daemon.wait_until_filed(1)
        [load] = daemon.history()
        assert (load["rows_read"], load["rows_loaded"], load["rows_rejected"]) == (4, 3, 1)
        [line] = daemon.events("load_committed")
        assert (line["rows"], line["rejected"]) == (3, 1)
        [report] = (daemon.inbox() / "processed").glob("*.report.txt")
        assert "4 rows read, 3 good, 1 rejected" in report.read_text()
        shown = json.loads(daemon.command("show", "1", "--json").stdout)
        assert len(shown["rejects"]) == 1
        told = [line for line in daemon.log.read_text().splitlines() if "orders.csv" in line]
        assert len(told) == 1, told
    finally:
        daemon.end()


def wait_for_a_load_to_stage(daemon: Daemon, rows: int = 200_000) -> Path:
    """Drop a file that takes a moment, and return it while its rows are being staged."""
    return _drop_and_wait(daemon, "big.csv", _text_of(rows).encode())


def wait_for_a_second_reading(daemon: Daemon, rows: int) -> Path:
    """Do the same with a file that is not staged ahead, being small on the disk."""
    return _drop_and_wait(daemon, "big.csv.gz", gzip.compress(_text_of(rows).encode()))


def _text_of(rows: int) -> str:
    return "n,text\n" + "".join(f"{n},{'x' * 50}{n}\n" for n in range(rows))


def _drop_and_wait(daemon: Daemon, name: str, content: bytes) -> Path:
    path = daemon.inbox() / name
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.rename(path)
    daemon.wait_for(daemon.is_staging, "for rows to be staged")
    return path


def count_big(daemon: Daemon) -> list[tuple[int, int]]:
    return daemon.query('SELECT count(*), count(DISTINCT n) FROM "dbo.big"')


def worker_of_the_load(daemon: Daemon) -> int:
    [(name,)] = daemon.query('SELECT worker FROM "ref.Load_History"')
    return int(name.split("#")[1])


def stop_between_two_commits(daemon: Daemon) -> None:
    """Stop the worker in its staging, when the journal knows of some of the rows."""
    worker = worker_of_the_load(daemon)
    os.kill(worker, signal.SIGSTOP)
    # Its clock goes on: with the next rows it finds that they are to be noted by now.
    time.sleep(1.5)
    while True:
        [(state, rows)] = daemon.query('SELECT state, rows_staged FROM "ref.Load_History"')
        assert state in ("claimed", "staging"), "the load was too fast to be stopped"
        if rows:
            return
        os.kill(worker, signal.SIGCONT)
        time.sleep(0.02)
        os.kill(worker, signal.SIGSTOP)


def test_a_load_over_its_time_is_ended_and_goes_on_behind_what_it_has_staged(
    tmp_path: Path,
) -> None:
    daemon = Daemon(tmp_path, DROPLOAD_WORKERS__LOAD_TIMEOUT_SECONDS="12")
    try:
        daemon.start()
        wait_for_a_second_reading(daemon, 800_000)
        stop_between_two_commits(daemon)
        daemon.wait_for(lambda: bool(daemon.events("worker_died")), "for the limit")
        assert "took longer than" in daemon.events("worker_died")[0]["reason"]
        daemon.stop()
        daemon.environ["DROPLOAD_WORKERS__LOAD_TIMEOUT_SECONDS"] = "600"
        daemon.start()
        daemon.wait_until_filed(1)
        assert count_big(daemon) == [(800_000, 800_000)]
        assert daemon.events("staging_resumed"), "what was staged is not sent again"
    finally:
        daemon.end()


def test_a_file_that_takes_too_much_memory_harms_only_itself(tmp_path: Path) -> None:
    """Promise 7: the answer says which key allows more."""
    daemon = Daemon(
        tmp_path,
        DROPLOAD_WORKERS__MEMORY_LIMIT_MB="512",
        DROPLOAD_LOAD__MAX_RECORD_BYTES="2000000000",
    )
    # Three tries, each of which reads a large file.
    daemon.patience_seconds = 300
    try:
        daemon.start()
        (daemon.inbox() / "huge.csv").write_text('a,b\n1,"' + "é" * 150_000_000 + '"\n')
        (daemon.inbox() / "orders.csv").write_text(ORDERS)
        daemon.wait_until_filed(2)
        ended = {load["file_name"]: load for load in daemon.history()}
        assert ended["orders.csv"]["state"] == "filed"
        assert ended["huge.csv"]["state"] == "failed"
        [report] = (daemon.inbox() / "error").glob("*.report.txt")
        assert "workers.memory_limit_mb" in report.read_text()
    finally:
        daemon.end()


@pytest.mark.parametrize("change", ["replaced", "truncated", "appended to", "deleted"])
def test_a_file_that_changes_while_it_is_loaded_is_never_loaded_as_it_was(
    daemon: Daemon, change: str
) -> None:
    """B6: nothing wrong is committed; what stands there afterwards is a drop of its own."""
    daemon.start()
    # Made before: the load is over soon.
    before, other = _text_of(200_000), daemon.inbox() / "other.part"
    other.write_text(before + "200000,new\n")
    path = wait_for_a_load_to_stage(daemon)
    if change == "replaced":
        other.rename(path)
    elif change == "truncated":
        os.truncate(path, len(before.rpartition("\n199999,")[0]) + 1)
    elif change == "appended to":
        with path.open("a") as file:
            file.write("200000,new\n")
    else:
        path.unlink()
    expected = {"replaced": 200_001, "truncated": 199_999, "appended to": 200_001, "deleted": 0}
    if expected[change]:
        daemon.wait_for(lambda: "filed" in daemon.states(), "for the new version")
        assert count_big(daemon) == [(expected[change], expected[change])]
    else:
        daemon.wait_for(lambda: daemon.states() == ["cancelled"], "for the end of the load")
        assert daemon.try_query('SELECT * FROM "dbo.big"') == []
    assert "failed" not in daemon.states()
    assert daemon.query("SELECT name FROM sqlite_master WHERE name LIKE 'stg.%'") == []


def test_a_second_signal_is_harmless(daemon: Daemon) -> None:
    """C8"""
    daemon.start()
    wait_for_a_load_to_stage(daemon)
    assert daemon.process is not None
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        daemon.process.send_signal(number)
    assert daemon.process.wait(timeout=60) == 0
    assert "Traceback" not in daemon.log.read_text()
    assert daemon.states() == ["filed"], "it had the time to end what it had begun"
    assert count_big(daemon) == [(200_000, 200_000)]
