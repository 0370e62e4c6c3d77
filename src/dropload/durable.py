"""Write and name files so that neither a power cut nor an odd name harms any."""

import contextlib
import errno
import os
import re
import secrets
from pathlib import Path

from dropload.printable import printable

_NO_TEXT = re.compile("[\udc80-\udcff]")


def path_text(path: Path | str) -> str:
    r"""Return a path as text that every terminal can show.

    Bytes that are not UTF-8 and control characters are `\xNN`: who may drop a file must not steer
    the terminal of who looks at its name.
    """
    return printable(str(path))


def stored_path_text(path: Path | str) -> str:
    r"""Return a path as text that every database can hold: bytes that are not UTF-8 as `\xNN`.

    Other characters stay as they are: two files must not have one text where that can be helped.
    """
    return _NO_TEXT.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", str(path))


def explain_os_error(folder: Path, exc: OSError) -> str:
    """Return what is wrong with `folder` and what to do, in two sentences."""
    shown = path_text(folder)
    if exc.errno in (errno.ENOENT, errno.ESTALE):
        return (
            f"The folder {shown} is not there. "
            "Mount or restore it, or make it with `dropload init`."
        )
    advice = {
        errno.ENOTDIR: "Something else has its name: move that away.",
        errno.EACCES: "Give the service's user or group the right to read, write and enter it.",
        errno.EPERM: "Give the service's user or group the right to read, write and enter it.",
        errno.EROFS: "Mount its file system for writing.",
        errno.ENOSPC: "Make room on its file system.",
        errno.EDQUOT: "Make room or raise the quota of the service's user.",
        errno.EMFILE: "Raise the limit of open files (LimitNOFILE= of the service, ulimit -n).",
        errno.ENFILE: "Raise the sysctl fs.file-max: the whole machine has too many open files.",
    }.get(exc.errno or 0, "See to the disk or the share it is on.")
    return f"The folder {shown} cannot be used: {exc.strerror or exc}. {advice}"


def hidden_path(folder: Path) -> Path:
    """Return a name that the scan ignores and nobody else uses."""
    return folder / f".dropload-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def write_durably(path: Path, content: bytes) -> None:
    """Create a file and wait until its bytes are on the disk; it must not be there yet."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut, where its file system can."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # CIFS and FUSE refuse it
            raise
    finally:
        os.close(fd)


def remove_quietly(path: Path) -> None:
    """Remove a file of ours if that is possible; what is left over is hidden and harms nobody."""
    with contextlib.suppress(OSError):
        path.unlink()
