"""The scan sees every file; events only make it earlier and may fail in every way."""

import errno
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropload.config import ALWAYS_IGNORED
from dropload.folders import DropTree
from dropload.gate import Gate
from dropload.model import Inbox, Observation
from dropload.watcher import Look, Scan, Watcher, _explain_no_events, scan_inboxes


@pytest.fixture
def tree(tmp_path: Path) -> DropTree:
    tree = DropTree(tmp_path / "dropoff")
    tree.create()
    return tree


@pytest.fixture
def inbox(tree: DropTree) -> Path:
    return tree.inboxes[0].path


@pytest.fixture
def watcher(tree: DropTree) -> Iterator[Watcher]:
    watcher = Watcher(tree)
    assert watcher.start() is None
    while watcher.wait(0.3):
        pass
    yield watcher
    watcher.stop()


def scan(tree: DropTree) -> Scan:
    return scan_inboxes(tree, ALWAYS_IGNORED)


def look(tree: DropTree, gate: Gate, now: float) -> list[str]:
    """Return the names that the gate lets through when it is shown the tree as the daemon does."""
    looking = Look(tree, ALWAYS_IGNORED)
    return [seen.name for seen in gate.observe(looking.files(), now, looking.failed)]


def names(found: Scan) -> set[str]:
    return {observation.name for observation in found.observations}


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


# --- the scan ---


def test_a_scan_sees_the_files_of_all_four_inboxes_as_they_are(tree: DropTree) -> None:
    """A2"""
    for inbox in tree.inboxes:
        (inbox.path / "a.csv").write_bytes(b"12345")
    found = scan(tree)
    assert {o.inbox for o in found.observations} == set(tree.inboxes)
    for observation in found.observations:
        stat = observation.path.stat()
        assert observation.version.size_bytes == stat.st_size == 5
        assert observation.version.mtime_ns == stat.st_mtime_ns
        assert observation.version.inode == stat.st_ino
    assert (found.strays, found.stray_count, found.failed) == ((), 0, {})
    assert found.companions_without_file == ()


def test_an_empty_tree_has_nothing_to_say(tree: DropTree) -> None:
    assert scan(tree) == Scan([], (), 0, {}, ())


def test_what_is_filed_ignored_or_below_an_inbox_is_not_seen(tree: DropTree, inbox: Path) -> None:
    for name in (".hidden", "a.csv.part", "~$a.csv", "Thumbs.db", ".dropload-1-ab.tmp"):
        (inbox / name).touch()
    (inbox / "processed" / "old.csv").touch()
    (inbox / "error" / "bad.csv").touch()
    found = scan(tree)
    assert names(found) == set()
    assert found.strays == ()


def test_a_file_that_gets_its_final_name_is_seen(tree: DropTree, inbox: Path) -> None:
    """A7"""
    part = inbox / "a.csv.part"
    part.touch()
    assert names(scan(tree)) == set()
    part.rename(inbox / "a.csv")
    assert names(scan(tree)) == {"a.csv"}


def test_a_companion_is_no_file_of_its_own_but_marks_its_file(tree: DropTree, inbox: Path) -> None:
    for name in ("a.csv", "a.csv.done", "b.csv", "c.csv.done"):
        (inbox / name).touch()
    found = scan(tree)
    assert {o.name: o.done_companion for o in found.observations} == {"a.csv": True, "b.csv": False}
    assert found.companions_without_file == (inbox / "c.csv.done",)


def test_a_companion_of_what_is_no_waiting_file_is_alone(tree: DropTree, inbox: Path) -> None:
    for name in ("a.csv.part", "a.csv.part.done", "b.done", "b.done.done"):
        (inbox / name).touch()
    (inbox / "march").mkdir()
    (inbox / "march.done").touch()
    found = scan(tree)
    assert found.observations == []
    alone = ("a.csv.part.done", "b.done", "b.done.done", "march.done")
    assert found.companions_without_file == tuple(inbox / name for name in alone)


def test_a_look_lets_a_file_with_a_companion_through_once(tree: DropTree, inbox: Path) -> None:
    for name in ("a.csv", "a.csv.done", "b.csv"):
        (inbox / name).touch()
    gate = Gate(6, 15)
    assert [look(tree, gate, now) for now in (0, 5, 15)] == [["a.csv"], [], []]
    assert gate.waiting_count == 1


def test_an_inbox_whose_listing_breaks_off_is_as_one_that_cannot_be_listed(
    tree: DropTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = tree.inboxes[:2]
    for inbox in (broken, other):
        for number in range(3):
            (inbox.path / f"{number}.csv").touch()
    gate = Gate(6, 15)
    look(tree, gate, 0)
    whole = Look._list_inbox

    def break_off(self: Look, inbox: Inbox) -> Iterator[Observation]:
        listed = whole(self, inbox)
        yield next(listed)
        if inbox == broken:
            raise OSError(errno.EIO, "Input/output error")
        yield from listed

    (other.path / "0.csv").unlink()
    for inbox in tree.inboxes[2:]:
        (inbox.path / "a.csv").touch()
    monkeypatch.setattr(Look, "_list_inbox", break_off)
    look(tree, gate, 5)
    assert gate.take_gone() == [other.path / "0.csv"]
    assert gate.waiting_count == 3 + 2 + 2
    found = scan(tree)
    assert list(found.failed) == [broken]
    assert {seen.inbox for seen in found.observations} == set(tree.inboxes[1:])


def test_a_name_that_is_not_utf_8_is_seen(tree: DropTree, inbox: Path) -> None:
    """A10"""
    (inbox / "caf\udce9.csv").write_text("x")
    [observation] = scan(tree).observations
    assert observation.path.read_text() == "x"


def test_files_outside_the_inboxes_are_strays(tree: DropTree, inbox: Path) -> None:
    """A7: a whole folder moved in"""
    strays = {
        tree.root / "readme.txt",
        inbox.parent / "lost.csv",
        inbox / "march",
        inbox / "march" / "a.csv",
        inbox / "march" / "week1" / "b.csv",
        tree.root / "inbox" / "c.csv",
    }
    for path in strays - {inbox / "march"}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tree.root / ".dropload").mkdir()
    (tree.root / ".dropload" / "heartbeat").touch()
    (inbox / "march" / ".hidden").touch()
    found = scan(tree)
    assert set(found.strays) == strays
    assert found.stray_count == len(strays)
    assert names(found) == set()


def test_symlinks_and_other_things_that_are_no_plain_files_are_strays(
    tree: DropTree, inbox: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "passwords.csv").touch()
    (inbox / "file").symlink_to(tmp_path / "secret" / "passwords.csv")
    (inbox / "folder").symlink_to(tmp_path / "secret")
    os.mkfifo(inbox / "pipe")
    found = scan(tree)
    assert set(found.strays) == {inbox / "file", inbox / "folder", inbox / "pipe"}
    assert names(found) == set()


def test_an_archive_moved_into_an_inbox_is_counted_within_bounds(
    tree: DropTree, inbox: Path
) -> None:
    (inbox / "archive").mkdir()
    for number in range(1_500):
        (inbox / "archive" / f"{number}.csv").touch()
    found = scan(tree)
    assert len(found.strays) == 100
    assert 1_000 <= found.stray_count <= 1_001


def test_an_inbox_that_is_gone_is_reported_and_the_others_are_seen(tree: DropTree) -> None:
    """A3"""
    gone, kept = tree.inboxes[0], tree.inboxes[1]
    (kept.path / "a.csv").touch()
    gone.path.rename(gone.path.with_name("away"))
    found = scan(tree)
    assert list(found.failed) == [gone]
    assert str(gone.path) in found.failed[gone]
    assert names(found) == {"a.csv"}


def test_a_root_that_goes_and_comes_back_is_reported_and_seen_again(tree: DropTree) -> None:
    """A3"""
    (tree.inboxes[0].path / "a.csv").touch()
    away = tree.root.with_name("unmounted")
    tree.root.rename(away)
    assert set(scan(tree).failed) == set(tree.inboxes)
    away.rename(tree.root)
    assert names(scan(tree)) == {"a.csv"}


def test_a_file_in_place_of_an_inbox_is_reported(tree: DropTree, inbox: Path) -> None:
    for folder in (inbox / "processed", inbox / "error", inbox):
        folder.rmdir()
    inbox.touch()
    assert list(scan(tree).failed) == [tree.inboxes[0]]


def test_a_scan_during_a_burst_of_writers_and_takers_never_fails(
    tree: DropTree, inbox: Path
) -> None:
    """A1"""
    stop = threading.Event()

    def come_and_go(name: str) -> None:
        while not stop.is_set():
            (inbox / name).touch()
            (inbox / name).unlink()

    threads = [threading.Thread(target=come_and_go, args=(f"{i}.csv",)) for i in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert all(scan(tree).failed == {} for _ in range(300))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_ten_thousand_files_of_four_writers_are_all_seen(tree: DropTree) -> None:
    """A1"""
    script = (
        "import sys, pathlib\nfor i in range(2500): pathlib.Path(sys.argv[1], f'{i}.csv').touch()"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(inbox.path)]) for inbox in tree.inboxes
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    assert len(scan(tree).observations) == 10_000


def test_a_scan_of_many_files_sees_each_once_and_makes_nothing_but_flat_tuples(
    tree: DropTree, inbox: Path
) -> None:
    """A9; what it costs is measured in benchmarks/scanning.py"""
    names = {f"customer_orders_{number}.csv" for number in range(20_000)}
    for name in names:
        (inbox / name).touch()
    observations = scan(tree).observations
    assert len(observations) == len(names)
    assert {seen.name for seen in observations} == names
    assert not any(hasattr(seen, "__dict__") for seen in observations)


def test_a_waiting_file_takes_a_few_hundred_bytes_and_no_listing_of_them_is_kept(
    tree: DropTree, inbox: Path
) -> None:
    """A9"""
    count = 10_000
    for number in range(count):
        (inbox / f"customer_orders_{number}.csv").touch()
    gate = Gate(6, 15)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        look(tree, gate, 0)
        look(tree, gate, 15)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert gate.waiting_count == count
    assert (after - before) / count < 350
    # The second look had to list them all beside what was known.
    assert (peak - after) / count < 100


# --- the hints ---


@pytest.mark.parametrize("arrival", ["create", "rename", "close"])
def test_a_file_that_arrives_wakes_the_waiting_daemon(
    tree: DropTree, watcher: Watcher, inbox: Path, arrival: str
) -> None:
    outside = tree.root / "a.csv"
    outside.touch()
    open_file = None
    if arrival == "close":
        open_file = (inbox / "slow.csv").open("w")
        assert watcher.wait(5)

    def arrive() -> None:
        if arrival == "create":
            (inbox / "a.csv").touch()
        elif arrival == "rename":
            outside.rename(inbox / "a.csv")
        elif open_file is not None:
            open_file.close()

    timer = threading.Timer(0.1, arrive)
    timer.start()
    assert watcher.wait(10)
    timer.join()


def test_a_file_that_is_filed_or_still_grows_wakes_nobody(watcher: Watcher, inbox: Path) -> None:
    path = inbox / "a.csv"
    path.touch()
    assert watcher.wait(5)
    while watcher.wait(0.5):
        pass
    with path.open("a") as file:
        file.write("x")
        file.flush()
        assert not watcher.wait(0.7)
    assert watcher.wait(5)
    path.rename(inbox / "processed" / "a.csv")
    (inbox / "processed" / "a.csv.report.txt").touch()
    assert not watcher.wait(1.2)


def test_a_burst_of_files_wakes_the_daemon_a_few_times_only(watcher: Watcher, inbox: Path) -> None:
    """A1, A8"""
    for number in range(1_000):
        (inbox / f"{number}.csv").touch()
    wakes = 0
    while watcher.wait(0.5):
        wakes += 1
    assert 1 <= wakes <= 10


def test_waking_ends_a_wait_at_once(watcher: Watcher) -> None:
    timer = threading.Timer(0.1, watcher.wake)
    timer.start()
    assert watcher.wait(30), "woken, not timed out"
    timer.join()


def test_a_wait_without_anything_happening_ends_with_its_time(watcher: Watcher) -> None:
    assert not watcher.wait(0.05)
    assert not watcher.wait(-1)


def test_without_events_only_the_clock_and_wake_end_a_wait(tree: DropTree, inbox: Path) -> None:
    watcher = Watcher(tree, events=False)
    assert watcher.start() is None
    assert watcher.ensure_alive() is None
    (inbox / "a.csv").touch()
    assert not watcher.wait(0.3)
    watcher.wake()
    assert watcher.wait(5)
    watcher.stop()


def test_a_healthy_watcher_has_nothing_to_say(watcher: Watcher) -> None:
    assert [watcher.ensure_alive() for _ in range(3)] == [None, None, None]


def test_an_inbox_that_is_removed_and_made_again_sends_events_again(
    watcher: Watcher, tree: DropTree, inbox: Path
) -> None:
    """A3, A4"""
    for folder in (inbox / "processed", inbox / "error", inbox):
        folder.rmdir()
    assert eventually(lambda: "is not there" in (watcher.ensure_alive() or ""))
    assert watcher.ensure_alive() is None
    tree.create()
    assert "again for all inboxes" in (watcher.ensure_alive() or "")
    while watcher.wait(0.5):
        pass
    (inbox / "a.csv").touch()
    assert watcher.wait(5)


def test_an_inbox_that_is_removed_and_made_again_unseen_sends_events_again(
    watcher: Watcher, tree: DropTree, inbox: Path
) -> None:
    """A3, A4: ext4 gives the new folder the old inode"""
    for folder in (inbox / "processed", inbox / "error", inbox):
        folder.rmdir()
    tree.create()
    time.sleep(0.3)
    watcher.ensure_alive()
    while watcher.wait(0.5):
        pass
    (inbox / "a.csv").touch()
    assert watcher.wait(5)


def test_a_root_that_is_renamed_and_replaced_sends_events_again(
    watcher: Watcher, tree: DropTree, inbox: Path
) -> None:
    """A3: the old watch lives on in the renamed folder"""
    tree.root.rename(tree.root.with_name("old"))
    tree.create()
    watcher.ensure_alive()
    assert watcher.wait(5), "files that came before the new watch are looked for"
    (inbox / "a.csv").touch()
    assert watcher.wait(5)


def test_a_root_that_is_missing_at_start_is_watched_when_it_comes(tmp_path: Path) -> None:
    tree = DropTree(tmp_path / "dropoff")
    watcher = Watcher(tree)
    assert "is not there" in (watcher.start() or "")
    assert watcher.ensure_alive() is None
    tree.create()
    assert "again" in (watcher.ensure_alive() or "")
    watcher.stop()


def test_a_thread_that_died_is_noticed_said_once_and_replaced(
    watcher: Watcher, inbox: Path
) -> None:
    """A4"""
    observer = watcher._observer
    assert observer is not None
    victim = next(iter(observer.emitters))
    victim.stop()
    victim.join()
    assert observer.is_alive(), "watchdog itself does not notice"
    assert "died" in (watcher.ensure_alive() or "")
    assert watcher.ensure_alive() is None
    while watcher.wait(0.5):
        pass
    (inbox / "a.csv").touch()
    assert watcher.wait(5)


def test_stopping_leaves_no_thread_and_no_descriptor(tree: DropTree) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    threads, files = threading.active_count(), open_files()
    for _ in range(5):
        watcher = Watcher(tree)
        watcher.start()
        watcher.stop()
    assert eventually(lambda: threading.active_count() <= threads)
    assert open_files() <= files + 1


def test_an_inbox_on_a_share_is_scanned_only_and_the_others_send_events(
    tree: DropTree, tmp_path: Path
) -> None:
    """A5: decided per folder"""
    shared, local = tree.inboxes[0].path, tree.inboxes[1].path
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/drop {shared} nfs4 rw 0 0\n")
    watcher = Watcher(tree, mounts=mounts)
    assert watcher.start() == (
        f"{shared} is on nfs4, which sends no file events: its files are found by scanning only."
    )
    assert watcher.ensure_alive() is None
    while watcher.wait(0.5):
        pass
    (shared / "a.csv").touch()
    assert not watcher.wait(0.5)
    (local / "a.csv").touch()
    assert watcher.wait(5)
    watcher.stop()


def test_no_inotify_instance_left_means_polling_and_names_the_sysctl(tree: DropTree) -> None:
    """A6"""
    script = """
import os, sys
from pathlib import Path
from dropload.folders import DropTree
from dropload.watcher import Watcher
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
hoard = []
try:
    while True:
        hoard.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
watcher = Watcher(DropTree(Path(sys.argv[1])))
print(watcher.start())
print(watcher.ensure_alive())
for fd in hoard:
    os.close(fd)
print(watcher.ensure_alive())
watcher.stop()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tree.root)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    first, second, third = done.stdout.splitlines()
    assert "fs.inotify.max_user_instances" in first
    assert "scanning only" in first
    assert second == "None"
    assert "again" in third


def test_no_inotify_watch_left_names_the_sysctl() -> None:
    """A6"""
    text = _explain_no_events(OSError(errno.ENOSPC, "inotify watch limit reached"))
    assert "fs.inotify.max_user_watches" in text
