"""Give each day's log a name of its own, and say which of them are old."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from dropload.log_file import put_away


def start_new_log(file: Path, today: date) -> Path | None:
    """Put the log away under today's date and return where, None when that is done already.

    Every process goes on in a new file with its next line. What is no plain file (a terminal, a
    pipe) is left alone.
    """
    if not file.is_file() or file.is_symlink():
        return None
    return put_away(file, today)


def find_old_logs(file: Path, today: date, *, kept: int, days: int) -> Iterator[Path]:
    """Yield the logs of earlier days that are too old or too many, newest first."""
    dated = re.compile(re.escape(file.name) + r"\.(\d{4}-\d{2}-\d{2})(?:\.(\d+))?")
    found = []
    for path in file.parent.iterdir() if file.parent.is_dir() else ():
        match = dated.fullmatch(path.name)
        if match and path.is_file() and not path.is_symlink():
            found.append((match[1], int(match[2] or 0), path))
    last = f"{today - timedelta(days=days):%Y-%m-%d}"
    for number, (day, _, path) in enumerate(sorted(found, reverse=True)):
        if number >= kept or day < last:
            yield path
