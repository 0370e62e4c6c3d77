"""Move files and write reports: atomic, durable, never over another file."""

import contextlib
import errno
import filecmp
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from dropload.durable import (
    explain_os_error,
    hidden_path,
    path_text,
    remove_quietly,
    sync_folder,
    write_durably,
)
from dropload.errors import FileChangedError, TransientError
from dropload.folders import numbered_paths
from dropload.model import FileVersion

_CLOCK_STEPS_NS = (1, 100, 1_000, 1_000_000_000, 2_000_000_000)
"""Steps in which file systems keep times: ext4 1 ns, CIFS 100 ns, …, FAT 2 s."""


def move_file(
    source: Path,
    destination: Path,
    expected: FileVersion,
    sync: Callable[[Path], None] = sync_folder,
) -> Path:
    """Move one version of a file and return where it is: at `destination`, or at `…-2` if taken.

    Atomic, durable, never overwrites, and may be called again after a crash at any point. `sync`
    gets the folders that a rename has changed; one that puts it off makes the move durable later.
    Raises FileChangedError when `source` is not (or no longer) the expected version, TransientError
    when a folder refuses; the source then stands where it was.
    """
    try:
        current = _version(source)
        moved = _find_moved(destination, expected)
        if current == expected:
            if moved is not None and _finish_copy(source, moved):
                return moved
            return _move_current(source, destination, expected, sync)
        if moved is not None:
            # Who moved it may have been cut off before that was on the disk.
            sync(moved.parent)
            sync(source.parent)
            return moved
        if current is None:
            source.lstat()  # a folder that is gone or closed to us is not a file that vanished
    except OSError as exc:
        raise _cannot_move(source, destination, exc) from exc
    raise _changed(source)


def move_back(source: Path, destination: Path) -> None:
    """Give a file another name in another folder; raise FileExistsError when that is taken.

    No placeholder reserves the name: left by a crash in an inbox, it would be loaded.
    """
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from exc
        source.rename(destination)
    else:
        # It must stand there for certain before it goes here; killed in between, it stands twice.
        sync_folder(destination.parent)
        source.unlink()
    sync_folder(destination.parent)
    sync_folder(source.parent)


def write_text_beside(path: Path, text: str) -> Path:
    """Write a report whole or not at all, and return its path.

    Another text that has the name already is kept and the next free name is taken; the same text,
    as left by a run that was cut off, is not written twice. Raises TransientError when the folder
    refuses.
    """
    temporary = hidden_path(path.parent)
    try:
        write_durably(temporary, text.encode("utf-8", errors="backslashreplace"))
        return put_beside(temporary, path)
    except OSError as exc:
        raise TransientError(explain_os_error(path.parent, exc)) from exc
    finally:
        remove_quietly(temporary)


def put_beside(temporary: Path, path: Path) -> Path:
    """Give a whole file its name, or the next that is free, and return where it is.

    Where a run that was cut off left the same bytes under that name, they stay, and `temporary`
    with them. Raises OSError when the folder refuses.
    """
    if path.is_file() and filecmp.cmp(temporary, path, shallow=False):
        return path
    reserved = _reserve(path, temporary)
    temporary.replace(reserved)
    sync_folder(path.parent)
    return reserved


def _move_current(
    source: Path,
    destination: Path,
    expected: FileVersion,
    sync: Callable[[Path], None] = sync_folder,
) -> Path:
    reserved = _reserve(destination, source)
    try:
        source.replace(reserved)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            _release(reserved, source)
            raise
        _copy_across(source, reserved, expected)
    else:
        # A writer may have renamed a new version onto the source since it was last looked at.
        if _version(reserved) != expected:
            _put_back(reserved, source)
    sync(reserved.parent)
    sync(source.parent)
    return reserved


def _reserve(destination: Path, owner: Path) -> Path:
    """Create a placeholder that says whose it is, on the first name that is free, and return it.

    rename() overwrites, and a hard link to the owner needs rights on it that a service often lacks;
    so the name is taken first. The mark lets the owner take its placeholder up after a crash, and
    keeps everybody else's hands off it.
    """
    for path in numbered_paths(destination):
        if _take_name(path, owner) or _is_reserved_for(path, owner):
            return path
    raise AssertionError("numbered_paths is endless")


def _take_name(path: Path, owner: Path) -> bool:
    """Create the placeholder, mark and all in one step; return False when the name is taken."""
    if os.path.lexists(path):
        return False
    marked = hidden_path(path.parent)
    try:
        with marked.open("xb") as file:
            file.write(_mark(owner))
        os.link(marked, path)
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS:
            raise
        return _take_name_in_two_steps(path, owner)
    finally:
        remove_quietly(marked)
    return True


_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What file systems without hard links say: FAT, some shares."""


def _take_name_in_two_steps(path: Path, owner: Path) -> bool:
    """Do the same without hard links.

    Killed between these two calls, a process leaves an empty file that nobody dares to take: the
    next free name is used.
    """
    try:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o660)
    except FileExistsError:
        return False
    try:
        os.write(fd, _mark(owner))
    except OSError:  # the disk is full
        remove_quietly(path)
        raise
    finally:
        os.close(fd)
    return True


_MARK = b"dropload keeps this name free for "


def _mark(owner: Path) -> bytes:
    return _MARK + os.fsencode(owner.absolute()) + b"\n"


def is_placeholder(path: Path) -> bool:
    """Return whether a crash left nothing but a reserved name there."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        start = file.read(len(_MARK))
        return start in (b"", _MARK)
    return False


def _is_reserved_for(path: Path, owner: Path) -> bool:
    mark = _mark(owner)
    with contextlib.suppress(OSError):
        found = path.lstat()
        return (
            stat.S_ISREG(found.st_mode) and found.st_size == len(mark) and path.read_bytes() == mark
        )
    return False


def _release(reserved: Path, owner: Path) -> None:
    if _is_reserved_for(reserved, owner):
        remove_quietly(reserved)


def _copy_across(source: Path, reserved: Path, expected: FileVersion) -> None:
    """Move to another file system: copy beside, check, rename, and only then remove the source."""
    temporary = hidden_path(reserved.parent)
    try:
        _copy_durably(source, temporary)
        _require_version(source, expected)
        temporary.replace(reserved)
    except BaseException:
        remove_quietly(temporary)
        _release(reserved, source)
        raise
    # The copy must be safe before the source goes, or a power cut here would lose both.
    sync_folder(reserved.parent)
    if _version(source) == expected:
        source.unlink()


def _copy_durably(source: Path, temporary: Path) -> None:
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb") as reader, temporary.open("xb") as writer:
        found = os.fstat(reader.fileno())
        shutil.copyfileobj(reader, writer, 1024 * 1024)
        writer.flush()
        os.fchmod(writer.fileno(), stat.S_IMODE(found.st_mode) & 0o770)
        os.utime(writer.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(writer.fileno())


def _finish_copy(source: Path, moved: Path) -> bool:
    """Remove the source of a copy that a crash cut off just before the end, if `moved` is that."""
    # Only equal bytes prove that it is our copy and not another file of the same size and time.
    if not filecmp.cmp(source, moved, shallow=False):
        return False
    source.unlink()
    sync_folder(source.parent)
    return True


def _put_back(reserved: Path, source: Path) -> None:
    """Return a version that was moved by mistake to where it was dropped; always raises."""
    try:
        move_back(reserved, source)
    except FileExistsError as exc:
        raise FileChangedError(
            f"{path_text(source)} was replaced twice while it was moved.",
            hint=f"The version in between was not loaded and is kept as {path_text(reserved)}.",
        ) from exc
    raise _changed(source)


def _find_moved(destination: Path, expected: FileVersion) -> Path | None:
    """Return where an earlier, interrupted call put the expected version, if it did."""
    for path in numbered_paths(destination):
        found = _version(path)
        if found is None:
            return None
        times = {expected.mtime_ns - expected.mtime_ns % step for step in _CLOCK_STEPS_NS}
        if found.size_bytes == expected.size_bytes and found.mtime_ns in times:
            return path
    return None


def _version(path: Path) -> FileVersion | None:
    """Return the version of the file itself, never of what a symlink points to; None if none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return FileVersion.from_stat(found) if stat.S_ISREG(found.st_mode) else None


def _require_version(source: Path, expected: FileVersion) -> None:
    if _version(source) != expected:
        raise _changed(source)


def _changed(
    source: Path, how: str = "is no longer the version that was observed"
) -> FileChangedError:
    return FileChangedError(
        f"{path_text(source)} {how}.", hint="It was not moved; what is there now is observed anew."
    )


def _cannot_move(source: Path, destination: Path, exc: OSError) -> TransientError:
    """Return the error that says which of the two folders refused, and why."""
    folder = destination.parent
    if not source.parent.is_dir():
        folder = source.parent
    elif folder.is_dir():
        if isinstance(exc, FileNotFoundError) and not os.path.lexists(source):
            return _changed(source, "vanished before it could be moved")
        if _may_write(folder) and not _may_write(source.parent):
            folder = source.parent
    return TransientError(
        f"{path_text(source)} was not moved. {explain_os_error(folder, exc)}",
        hint="The file stays where it is and moving it is tried again.",
        code="not_moved",
    )


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
