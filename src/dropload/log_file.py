"""A log file that several processes share and that other programs may move away."""

import errno
import os
from io import FileIO
from pathlib import Path


class LogFile:
    """Appends lines, each in one write at the file's end; nothing is kept back in a buffer."""

    def __init__(self, path: Path) -> None:
        """Open `path` for appending, with its folder when that is missing; raise OSError."""
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

    def flush(self) -> None:
        """Do nothing: each line is written at once."""

    def isatty(self) -> bool:
        """Return False: what is written into a file is for machines."""
        return False

    def close(self) -> None:
        """Close the file; a later line raises ValueError."""
        self._file.close()
