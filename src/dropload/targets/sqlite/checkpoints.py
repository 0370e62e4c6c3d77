"""Write SQLite's log of changes into the database beside a load, not in a commit that it waits for.

https://www.sqlite.org/wal.html, section 2.1 and 3: readers and writers go on meanwhile.
"""

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

EVERY_BYTES = 16 << 20
"""So much text makes a log that is worth writing; more would only be more to read for others."""


class Checkpointer:
    """Writes it by a thread of its own, which nobody waits for but who closes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending_bytes = 0
        self._thread: threading.Thread | None = None

    def note(self, size_bytes: int) -> None:
        """Note what another process has committed, and begin to write when that is enough."""
        self._pending_bytes += size_bytes
        is_under_way = self._thread is not None and self._thread.is_alive()
        if self._pending_bytes < EVERY_BYTES or is_under_way:
            return
        self._pending_bytes = 0
        self._thread = threading.Thread(target=self._write, name="checkpoint", daemon=True)
        with suppress(RuntimeError):  # limits of the machine: a later commit does it
            self._thread.start()

    def close(self) -> None:
        """Return when nothing is being written any more."""
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join()

    def _write(self) -> None:
        # What is not written now, since somebody else writes it, is written the next time.
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)) as connection,
        ):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
