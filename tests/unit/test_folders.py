"""The drop tree: files are filed without one being lost, overwritten or taken for another."""

import errno
import os
import resource
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from shutil import rmtree

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from dropload.config import ALWAYS_IGNORED
from dropload.durable import explain_os_error, path_text
from dropload.errors import ConfigError, FileChangedError, TransientError
from dropload.folders import (
    DropTree,
    choose_filed_path,
    filed_name,
    find_path,
    ignore_rule,
    strip_filed_prefix,
)
from dropload.model import Area, FileVersion, LoadType
from dropload.moving import _move_current, move_file, write_text_beside

NOON = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
NOBODY = 65534
LEFT_BEHIND = """
.hidden ._a.csv .~lock.a.csv# ~$a.csv a.csv.tmp a.part a.filepart a.crdownload a.swp
Thumbs.db thumbs.DB Desktop.ini
"""


def version_of(path: Path) -> FileVersion:
    return FileVersion.from_stat(path.lstat())


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox" / "processed").mkdir(parents=True)
    return tmp_path / "inbox"


@pytest.fixture
def source(inbox: Path) -> Path:
    path = inbox / "a.csv"
    path.write_bytes(b"id\n1\n")
    return path


@pytest.fixture
def destination(inbox: Path) -> Path:
    return inbox / "processed" / "20261120T101500Z_a.csv"


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    shm = Path("/dev/shm")  # noqa: S108
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    folder = Path(tempfile.mkdtemp(dir=shm))
    yield folder
    rmtree(folder)


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """Let the system refuse to write more than this into any file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may do everything: be somebody else for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that an unprivileged user can reach and owns; pytest's own are for root only."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    rmtree(folder)


# --- the tree ---


def test_the_tree_has_the_four_inboxes_of_the_design(tmp_path: Path) -> None:
    tree = DropTree(tmp_path / "dropoff")
    assert {(i.area, i.load_type, str(i.path.relative_to(tree.root))) for i in tree.inboxes} == {
        (Area.REFERENCE, LoadType.FULLLOAD, "reference_data_table/fullload"),
        (Area.REFERENCE, LoadType.APPEND, "reference_data_table/append"),
        (Area.NON_REFERENCE, LoadType.FULLLOAD, "none_reference_data_table/fullload"),
        (Area.NON_REFERENCE, LoadType.APPEND, "none_reference_data_table/append"),
    }
    assert tree.processed(tree.inboxes[0]) == tree.inboxes[0].path / "processed"
    assert tree.error(tree.inboxes[0]) == tree.inboxes[0].path / "error"


def test_a_relative_root_stays_where_it_was_when_the_process_moves_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree = DropTree(Path("dropoff"))
    monkeypatch.chdir("/")
    assert tree.inboxes[0].path.is_relative_to(tmp_path)


def test_making_the_tree_twice_makes_it_once(tmp_path: Path) -> None:
    tree = DropTree(tmp_path / "new" / "dropoff")
    made = tree.create()
    assert len(made) == 1 + 2 + 4 * 3
    assert all(folder.is_dir() for folder in made)
    assert tree.create() == []


def test_new_folders_are_for_the_group_whatever_the_umask_and_for_nobody_else(
    tmp_path: Path,
) -> None:
    before = os.umask(0)
    try:
        made = DropTree(tmp_path / "open").create()
        os.umask(0o777)
        made += DropTree(tmp_path / "shut").create()
    finally:
        os.umask(before)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in made} == {0o2770}


def test_the_mode_of_a_folder_that_exists_is_kept_and_reported_when_open_to_all(
    tmp_path: Path,
) -> None:
    tree = DropTree(tmp_path)
    folder = tree.inboxes[0].path
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    tree.create()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777
    assert tree.world_writable() == [folder]


def test_a_file_where_a_folder_belongs_is_the_administrators_to_move(tmp_path: Path) -> None:
    (tmp_path / "reference_data_table").write_text("")
    with pytest.raises(ConfigError, match=r"reference_data_table exists and is not a folder"):
        DropTree(tmp_path).create()


def test_a_tree_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made: Not a directory"):
        DropTree(tmp_path / "file" / "dropoff").create()


def test_the_inbox_of_a_path_is_the_one_it_lies_directly_in(tmp_path: Path) -> None:
    tree = DropTree(tmp_path / "dropoff")
    tree.create()
    first = tree.inboxes[0]
    (tmp_path / "link").symlink_to(first.path)
    assert tree.inbox_of(first.path / "a.csv") == first
    assert tree.inbox_of(first.path / ".." / "fullload" / "a.csv") == first
    assert tree.inbox_of(tmp_path / "link" / "a.csv") == first
    assert tree.inbox_of(first.path / "processed" / "a.csv") is None
    assert tree.inbox_of(first.path) is None
    assert tree.inbox_of(tmp_path / "a.csv") is None


def test_the_check_finds_nothing_in_a_new_tree_and_leaves_nothing_behind(tmp_path: Path) -> None:
    tree = DropTree(tmp_path)
    tree.create()
    assert tree.check() == []
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_the_check_names_each_folder_that_is_missing_and_what_to_do(tmp_path: Path) -> None:
    """D3"""
    tree = DropTree(tmp_path)
    tree.create()
    gone = tree.error(tree.inboxes[2])
    gone.rmdir()
    [problem] = tree.check()
    assert problem.folder == gone
    assert str(gone) in problem.message
    assert "dropload init" in problem.message


def test_the_check_names_each_folder_that_refuses_to_be_written_or_read(shared: Path) -> None:
    """D3"""
    tree = DropTree(shared)
    with unprivileged():
        tree.create()
        read_only, closed = tree.processed(tree.inboxes[0]), tree.error(tree.inboxes[1])
        read_only.chmod(0o500)
        closed.chmod(0o300)
        problems = tree.check()
        closed.chmod(0o700)
    assert [problem.folder for problem in problems] == [read_only, closed]
    assert all("Permission denied" in problem.message for problem in problems)


def test_the_check_says_when_something_else_has_a_folders_name(tmp_path: Path) -> None:
    tree = DropTree(tmp_path)
    tree.create()
    folder = tree.processed(tree.inboxes[0])
    folder.rmdir()
    folder.write_text("")
    [problem] = tree.check()
    assert "move that away" in problem.message


# --- names ---


@pytest.mark.parametrize(
    ("name", "filed"),
    [
        ("airports.csv", "20261120T101500Z_airports.csv"),
        ("20200101T000000Z_airports.csv", "20261120T101500Z_airports.csv"),
        ("20200101T000000Z-2_airports.csv", "20261120T101500Z_airports.csv"),
        ("20200101T000000Z_20200102T000000Z-12_a.csv", "20261120T101500Z_a.csv"),
        ("20200101T000000Z_", "20261120T101500Z_20200101T000000Z_"),
        ("20201301T000000Z_a.csv", "20261120T101500Z_20201301T000000Z_a.csv"),
        ("20200101_a.csv", "20261120T101500Z_20200101_a.csv"),
    ],
)
def test_a_filed_name_has_one_prefix_in_utc(name: str, filed: str) -> None:
    assert filed_name(name, NOON) == filed
    assert filed_name(name, NOON.astimezone(timezone(timedelta(hours=9)))) == filed
    assert strip_filed_prefix(filed) == strip_filed_prefix(name)


def test_a_filed_path_is_the_first_that_is_free(fs: FakeFilesystem) -> None:
    """D2"""
    folder = Path("/processed")
    fs.create_dir(folder)
    names = []
    for _ in range(3):
        path = choose_filed_path(folder, "a.csv", NOON)
        names.append(path.name)
        fs.create_file(path)
    assert names == [
        "20261120T101500Z_a.csv",
        "20261120T101500Z-2_a.csv",
        "20261120T101500Z-3_a.csv",
    ]


def test_a_dangling_symlink_occupies_its_name(tmp_path: Path) -> None:
    (tmp_path / "20261120T101500Z_a.csv").symlink_to(tmp_path / "nowhere")
    assert choose_filed_path(tmp_path, "a.csv", NOON).name == "20261120T101500Z-2_a.csv"


@pytest.mark.parametrize("stem", ["x" * 300, "é" * 150, "数" * 90, "\udce9" * 251])
@pytest.mark.parametrize("suffix", [".csv", ".rejects.csv", ".csv.gz"])
def test_a_name_that_would_be_too_long_keeps_prefix_and_suffix(
    tmp_path: Path, stem: str, suffix: str
) -> None:
    """E2"""
    path = choose_filed_path(tmp_path, stem + suffix, NOON)
    assert path.name.startswith("20261120T101500Z_")
    assert path.name.endswith(suffix)
    path.write_text("")
    report = write_text_beside(path.with_name(path.name + ".report.txt"), "fine")
    assert report.name.startswith(path.name)


def test_a_dot_far_from_the_end_does_not_make_a_suffix(tmp_path: Path) -> None:
    name = choose_filed_path(tmp_path, "a." + "x" * 250, NOON).name
    assert len(name) == 223


@pytest.mark.parametrize("name", ["plain.csv", "größe.csv", "caf\udce9.csv", "\udcff\udc80"])
def test_a_path_survives_the_way_through_a_database(tmp_path: Path, name: str) -> None:
    """A10"""
    path = tmp_path / "sub\udcff" / name
    path.parent.mkdir()
    path.write_text("")
    text = path_text(path)
    text.encode("utf-8")
    assert find_path(text) == path


def test_a_path_text_shows_the_bytes_that_are_not_utf_8() -> None:
    assert path_text(Path("/in/caf\udce9.csv")) == r"/in/caf\xe9.csv"


def test_a_name_that_really_has_a_backslash_is_found(tmp_path: Path) -> None:
    path = tmp_path / r"caf\xe9.csv"
    path.write_text("")
    assert find_path(path_text(path)) == path


def test_a_path_that_is_gone_is_returned_as_it_was_written(tmp_path: Path) -> None:
    text = str(tmp_path / r"no\xff" / r"caf\xe9.csv")
    assert find_path(text) == Path(text)


@pytest.mark.parametrize(
    "name",
    LEFT_BEHIND.split(),
)
def test_what_programs_leave_behind_is_ignored(name: str) -> None:
    assert ignore_rule(ALWAYS_IGNORED)(name)


@pytest.mark.parametrize("name", ["a.csv", "a.tmp.csv", "part", "A.TMP", "Thumbs.db.csv", "$~a"])
def test_everything_else_is_not_ignored(name: str) -> None:
    assert not ignore_rule(ALWAYS_IGNORED)(name)
    assert not ignore_rule(())(name)


# --- moving ---


def test_a_file_is_moved_with_its_bytes_and_nothing_is_left(
    source: Path, destination: Path
) -> None:
    assert move_file(source, destination, version_of(source)) == destination
    assert destination.read_bytes() == b"id\n1\n"
    assert entries(source.parent) == {"processed"}
    assert entries(destination.parent) == {destination.name}


def test_an_existing_file_is_never_overwritten(source: Path, destination: Path) -> None:
    """D2"""
    destination.write_text("older")
    moved = move_file(source, destination, version_of(source))
    assert moved.name == "20261120T101500Z-2_a.csv"
    assert moved.read_bytes() == b"id\n1\n"
    assert destination.read_text() == "older"


def test_an_empty_file_at_the_destination_is_a_file_too(source: Path, destination: Path) -> None:
    """D2"""
    destination.touch()
    assert move_file(source, destination, version_of(source)) != destination
    assert destination.stat().st_size == 0


def test_two_movers_to_one_name_both_keep_their_file(inbox: Path, destination: Path) -> None:
    """D2: two workers file `a.csv` and `…Z_a.csv` of one inbox in the same second"""
    for round_number in range(100):
        sources = [inbox / f"{side}{round_number}.csv" for side in "ab"]
        for path in sources:
            path.write_text(path.name)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda p: move_file(p, destination, version_of(p)), sources))
    assert len({path.read_text() for path in destination.parent.iterdir()}) == 200


def test_a_file_that_changed_is_left_where_it_is(source: Path, destination: Path) -> None:
    """B6"""
    expected = version_of(source)
    source.write_text("longer than before")
    with pytest.raises(FileChangedError, match="no longer the version"):
        move_file(source, destination, expected)
    assert source.read_text() == "longer than before"
    assert entries(destination.parent) == set()


def test_a_version_that_slips_in_at_the_last_moment_is_put_back(
    source: Path, destination: Path
) -> None:
    """B6: the look before the rename saw the old version, the rename took the new one"""
    expected = version_of(source)
    source.write_text("a new version")
    with pytest.raises(FileChangedError):
        _move_current(source, destination, expected)
    assert source.read_text() == "a new version"
    assert entries(destination.parent) == set()


def test_no_version_is_lost_or_filed_for_another_while_a_writer_replaces_the_file(
    inbox: Path, source: Path, destination: Path
) -> None:
    """B6"""
    for number in range(200):
        source.write_text(f"old {number}")
        newer = inbox / ".newer"
        newer.write_text(f"newer {number}")
        expected = version_of(source)
        writer = threading.Thread(target=newer.replace, args=(source,))
        writer.start()
        try:
            moved = move_file(source, destination, expected)
        except FileChangedError:
            moved = None
        writer.join()
        assert moved is None or moved.read_text() == f"old {number}"
        assert source.read_text() == f"newer {number}"
        source.unlink()
    assert entries(inbox) == {"processed"}


def test_a_file_that_vanished_is_said_to_have_vanished(source: Path, destination: Path) -> None:
    expected = version_of(source)
    source.unlink()
    with pytest.raises(FileChangedError):
        move_file(source, destination, expected)
    assert entries(destination.parent) == set()


def test_a_symlink_is_never_followed_or_moved(source: Path, destination: Path) -> None:
    real = source.with_name(".real")
    source.rename(real)
    expected = version_of(real)
    source.symlink_to(real)
    with pytest.raises(FileChangedError):
        move_file(source, destination, expected)
    assert source.is_symlink()
    assert real.exists()


def test_a_file_that_is_not_utf_8_by_name_is_moved(inbox: Path) -> None:
    """A10"""
    source = inbox / "caf\udce9.csv"
    source.write_text("x")
    destination = choose_filed_path(inbox / "processed", source.name, NOON)
    assert move_file(source, destination, version_of(source)).read_text() == "x"


def test_a_move_that_was_done_before_a_crash_is_done(source: Path, destination: Path) -> None:
    """C3"""
    expected = version_of(source)
    move_file(source, destination, expected)
    assert move_file(source, destination, expected) == destination


def test_a_move_to_a_second_name_that_was_done_before_a_crash_is_found(
    source: Path, destination: Path
) -> None:
    """C3"""
    expected = version_of(source)
    destination.write_text("older")
    moved = move_file(source, destination, expected)
    assert move_file(source, destination, expected) == moved


def test_a_new_version_under_the_old_name_does_not_hide_that_the_move_was_done(
    source: Path, destination: Path
) -> None:
    """C3, C4"""
    expected = version_of(source)
    move_file(source, destination, expected)
    source.write_text("the next delivery")
    assert move_file(source, destination, expected) == destination
    assert source.read_text() == "the next delivery"


def test_a_placeholder_left_by_a_crash_is_taken_up_by_its_owner_only(
    inbox: Path, source: Path, destination: Path
) -> None:
    """C2"""
    destination.write_bytes(b"dropload keeps this name free for " + bytes(source) + b"\n")
    other = inbox / "b.csv"
    other.write_text("other")
    assert move_file(other, destination, version_of(other)) != destination
    assert move_file(source, destination, version_of(source)) == destination
    assert len(entries(destination.parent)) == 2


def test_a_missing_target_folder_is_named_and_the_file_stays(source: Path, inbox: Path) -> None:
    gone = inbox / "error"
    with pytest.raises(TransientError, match=rf"The folder {gone} is not there"):
        move_file(source, gone / "x.csv", version_of(source))
    assert source.exists()


def test_a_share_that_went_away_is_no_file_that_vanished(source: Path, destination: Path) -> None:
    """A3"""
    expected = version_of(source)
    source.parent.rename(source.parent.with_name("unmounted"))
    with pytest.raises(TransientError, match=r"inbox is not there") as caught:
        move_file(source, destination, expected)
    assert not isinstance(caught.value, FileChangedError)


@pytest.mark.parametrize("closed", ["inbox", "processed"])
def test_a_folder_that_refuses_is_named_and_nothing_is_left_in_the_other(
    shared: Path, closed: str
) -> None:
    """B4"""
    folders = {"inbox": shared / "inbox", "processed": shared / "processed"}
    source, destination = folders["inbox"] / "a.csv", folders["processed"] / "b.csv"
    with unprivileged():
        for folder in folders.values():
            folder.mkdir()
        source.write_text("x")
        folders[closed].chmod(0o500)
        with pytest.raises(TransientError, match=f"The folder {folders[closed]} cannot be used"):
            move_file(source, destination, version_of(source))
        folders[closed].chmod(0o700)
    assert source.exists()
    assert entries(folders["processed"]) == set()


@pytest.mark.parametrize(("where", "size_bytes"), [("same", 0), ("other", 0), ("other", 1_000)])
def test_a_full_disk_leaves_the_file_where_it_is_and_no_litter(
    inbox: Path, request: pytest.FixtureRequest, where: str, size_bytes: int
) -> None:
    """G8, D1"""
    folder: Path = request.getfixturevalue("far") if where == "other" else inbox / "processed"
    source = inbox / "a.csv"
    source.write_bytes(b"x" * 5_000)
    with room_for(size_bytes), pytest.raises(TransientError, match=f"The folder {folder}"):
        move_file(source, folder / "a.csv", version_of(source))
    assert source.stat().st_size == 5_000
    assert entries(folder) == set()


def test_a_report_on_a_full_disk_leaves_no_litter(tmp_path: Path) -> None:
    """G8"""
    with room_for(0), pytest.raises(TransientError):
        write_text_beside(tmp_path / "a.report.txt", "text")
    assert entries(tmp_path) == set()


@pytest.mark.parametrize(
    ("number", "words"), [(28, "Make room"), (30, "for writing"), (5, "See to the disk")]
)
def test_every_refusal_of_the_system_comes_with_what_to_do(number: int, words: str) -> None:
    text = explain_os_error(Path("/in"), OSError(number, os.strerror(number)))
    assert "/in" in text
    assert words in text


# --- moving to another file system ---


def test_a_file_moves_to_another_file_system_with_bytes_time_and_mode(
    source: Path, far: Path
) -> None:
    """D1"""
    source.chmod(0o646)
    os.utime(source, ns=(1, 1_234_567_890_123_456_789))
    moved = move_file(source, far / "a.csv", version_of(source))
    assert moved.read_bytes() == b"id\n1\n"
    assert moved.stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert stat.S_IMODE(moved.stat().st_mode) == 0o640
    assert not source.exists()
    assert entries(far) == {"a.csv"}


def test_an_existing_file_on_another_file_system_is_never_overwritten(
    source: Path, far: Path
) -> None:
    """D1, D2"""
    (far / "a.csv").write_text("older")
    assert move_file(source, far / "a.csv", version_of(source)) == far / "a-2.csv"
    assert (far / "a.csv").read_text() == "older"


def test_a_version_that_slips_in_during_the_copy_is_not_filed(source: Path, far: Path) -> None:
    """D1, B6"""
    expected = version_of(source)
    source.write_text("a new version")
    with pytest.raises(FileChangedError):
        _move_current(source, far / "a.csv", expected)
    assert source.read_text() == "a new version"
    assert entries(far) == set()


@pytest.mark.parametrize("step_ns", [1, 100, 2_000_000_000])
def test_a_copy_that_was_cut_off_before_its_source_went_is_finished(
    source: Path, far: Path, step_ns: int
) -> None:
    """D1, C2"""
    copy = far / "a.csv"
    expected = version_of(source)
    copy.write_bytes(source.read_bytes())
    kept = expected.mtime_ns - expected.mtime_ns % step_ns
    os.utime(copy, ns=(kept, kept))
    assert move_file(source, copy, expected) == copy
    assert not source.exists()


def test_another_file_of_the_same_size_and_time_is_not_taken_for_the_copy(
    source: Path, far: Path
) -> None:
    """D1, D2"""
    other = far / "a.csv"
    expected = version_of(source)
    other.write_bytes(b"id\n2\n")
    os.utime(other, ns=(expected.mtime_ns, expected.mtime_ns))
    assert move_file(source, other, expected) == far / "a-2.csv"
    assert other.read_bytes() == b"id\n2\n"


CHILD = """
import sys
from pathlib import Path
from dropload.moving import move_file
from dropload.model import FileVersion
inbox, processed = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
for path in sorted(inbox.glob("*.csv")):
    move_file(path, processed / path.name, FileVersion.from_stat(path.lstat()))
"""


@pytest.mark.parametrize("where", ["same", "other"])
@pytest.mark.parametrize("delay_ms", [1, 4, 9, 16, 25, 36])
def test_a_mover_that_is_killed_anywhere_loses_and_doubles_nothing(
    inbox: Path, request: pytest.FixtureRequest, where: str, delay_ms: int
) -> None:
    """C2, D1: whoever comes after it calls the same moves again"""
    processed: Path = request.getfixturevalue("far") if where == "other" else inbox / "processed"
    expected = {}
    for number in range(300):
        path = inbox / f"{number}.csv"
        path.write_text(f"content {number} " * 1_000)
        expected[path] = version_of(path)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(inbox), str(processed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay_ms / 1_000)
        child.kill()
    for path, version in expected.items():
        moved = move_file(path, processed / path.name, version)
        assert moved.read_text().startswith(f"content {path.stem} ")
    assert not list(inbox.glob("*.csv"))
    filed = [path for path in processed.glob("*.csv") if path.stat().st_size]
    assert len(filed) == 300


# --- reports ---


def test_a_report_is_written_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.report.txt"
    assert write_text_beside(path, "Größe: caf\udce9\n") == path
    assert path.read_text() == "Größe: caf\\udce9\n"
    assert entries(tmp_path) == {path.name}


def test_a_report_never_overwrites_another(tmp_path: Path) -> None:
    path = tmp_path / "a.report.txt"
    write_text_beside(path, "first")
    assert write_text_beside(path, "second").name == "a.report-2.txt"
    assert path.read_text() == "first"


def test_the_same_report_is_not_written_twice(tmp_path: Path) -> None:
    """C2"""
    path = tmp_path / "a.report.txt"
    write_text_beside(path, "same")
    assert write_text_beside(path, "same") == path
    assert entries(tmp_path) == {path.name}


def test_a_report_that_cannot_be_written_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="gone is not there"):
        write_text_beside(tmp_path / "gone" / "a.report.txt", "text")


def test_a_folder_without_hard_links_gets_its_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D2: FAT, and some shares."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.report.txt"
    assert write_text_beside(path, "first") == path
    assert write_text_beside(path, "second").name == "a.report-2.txt"
    assert path.read_text() == "first"
    assert len(list(tmp_path.iterdir())) == 2, "nothing of ours is left over"
