"""A log file that several processes share and that other programs may move away."""

import errno
import fcntl
import os
from contextlib import suppress
from datetime import UTC, date, datetime
from io import FileIO
from pathlib import Path


class LogFile:
    """Appends lines, each in one write at the file's end; nothing is kept back in a buffer."""

    def __init__(self, path: Path, max_bytes: int = 0) -> None:
        """Open `path` for appending, with its folder when that is missing; raise OSError.

        A file of `max_bytes` is put away under the day's date, and lines go on in a new one; 0:
        whatever its size.
        """
        self._max_bytes = max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = self._open()
        self._is_torn = False
        """The last line is there in part: the disk was full in its midst."""

    def _open(self) -> FileIO:
        return FileIO(self._path, "a")

    def write(self, text: str) -> int:
        """Append a line; raise OSError when it is not, or not wholly, on the disk."""
        self._follow_name()
        self._put_away_when_full()
        line = text.encode("utf-8", "backslashreplace")
        line = b"\n" + line if self._is_torn else line
        written = self._file.write(line)
        self._is_torn = written < len(line) and (self._is_torn or written > 0)
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        return len(text)

    def _follow_name(self) -> None:
        """Open the log anew when somebody has moved it away: the day's first cleanup, logrotate."""
        try:
            if os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                return
        except FileNotFoundError:
            pass
        fresh = self._open()
        self._file.close()
        self._file = fresh
        self._is_torn = False

    def _put_away_when_full(self) -> None:
        """Put the file away when it is full, unless another process has just done so."""
        if not self._max_bytes or os.fstat(self._file.fileno()).st_size < self._max_bytes:
            return
        # A folder that refuses is no reason to lose the line.
        with suppress(OSError):
            put_away(self._path, datetime.now(UTC).date(), full_bytes=self._max_bytes)
        self._follow_name()

    def flush(self) -> None:
        """Do nothing: each line is written at once."""

    def isatty(self) -> bool:
        """Return False: what is written into a file is for machines."""
        return False

    def close(self) -> None:
        """Close the file; a later line raises ValueError."""
        self._file.close()


def put_away(path: Path, today: date, *, full_bytes: int = 0) -> Path | None:
    """Give a log today's date as a name and return where it is; None where there is nothing to do.

    With `full_bytes` only a file of that size, numbered where the day has a log already
    (`.2026-11-20`, `.2026-11-20.1`); without, once a day. Of several processes one does it; each
    goes on in a new file with its next line.
    """
    if path.is_symlink():
        return None
    try:
        # Locked is the file, not its name: who waited finds that the name is another file's now.
        with FileIO(path, "r") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            found = os.fstat(file.fileno())
            if not os.path.samestat(path.stat(), found) or found.st_size < max(1, full_bytes):
                return None
            kept = _free_name(path, today, numbered=full_bytes > 0)
            return path.rename(kept) if kept is not None else None
    except FileNotFoundError:
        return None


def _free_name(path: Path, today: date, *, numbered: bool) -> Path | None:
    kept = path.with_name(f"{path.name}.{today:%Y-%m-%d}")
    if not kept.exists():
        return kept
    if not numbered:
        return None
    number = 1
    while (free := kept.with_name(f"{kept.name}.{number}")).exists():
        number += 1
    return free
