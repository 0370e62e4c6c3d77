"""Start the real daemon as a subprocess, and wait for what it does."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import dropload
from dropload.dock import Dock, open_dock
from dropload.errors import DroploadError
from dropload.model import Area, LoadRecord, TableName
from tests.conftest import make_config

PATIENCE_SECONDS = 120.0
"""Only a broken daemon waits this long; nothing is measured with it."""


class Daemon:
    """One `dropload run` over its own tree and database, configured by environment alone."""

    def __init__(self, root: Path, url: str | None = None, **environ: str) -> None:
        self.root = root
        self.tree = root / "dropoff"
        self.database = root / "dropload.db"
        self.url = url or f"sqlite:///{self.database}"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("DROPLOAD_")},
            # The code under test, whatever is installed and wherever the daemon runs.
            "PYTHONPATH": str(Path(dropload.__file__).parents[1]),
            "DROPLOAD_PATHS__DROPOFF": str(self.tree),
            "DROPLOAD_DATABASE__URL": self.url,
            "DROPLOAD_GATE__CHECKS": "2",
            "DROPLOAD_GATE__INTERVAL_SECONDS": "0.2",
            "DROPLOAD_WATCH__SCAN_INTERVAL_SECONDS": "0.2",
            "DROPLOAD_WORKERS__COUNT": "2",
            "DROPLOAD_RETRY__FIRST_WAIT_SECONDS": "0.1",
            "DROPLOAD_LOG__FORMAT": "json",
            # Only a broken check takes so long, however busy the machine.
            "DROPLOAD_HEALTH__CHECK_TIMEOUT_SECONDS": "30",
            **environ,
        }
        self.log = root / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.patience_seconds = PATIENCE_SECONDS

    def start(self, *arguments: str) -> "Daemon":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dropload", "run", *arguments],
                env=self.environ,
                stdout=log,
                stderr=log,
                cwd=self.root,
            )
        self.wait_for(lambda: self.inbox().is_dir())
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def end(self) -> None:
        self._end_process()
        if "dock" in self.__dict__:
            self.dock.target.close()

    def _end_process(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def inbox(self, area: str = "none_reference_data_table", kind: str = "append") -> Path:
        return self.tree / area / kind

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "dropload", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            cwd=self.root,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def history(self) -> list[dict[str, Any]]:
        lines = self.command("history", "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log that tell of one kind of event."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry["event"] == name]

    # --- the database, by whatever target

    @cached_property
    def dock(self) -> Dock:
        """A dock of the test's own over the same database."""
        return open_dock(make_config(self.root, database={"url": self.url}))

    def loads(self) -> list[LoadRecord]:
        """Return the loads in their order, none while there is no journal."""
        try:
            with self.dock.target.read() as conn:
                return self.dock.journal.history.latest(conn, None, 9999)[::-1]
        except DroploadError:
            return []

    def is_staging(self) -> bool:
        """Return whether rows are in a side table."""
        names = self.try_query("SELECT name FROM sqlite_master WHERE name LIKE 'stg.%'")
        return any(self.try_query(f'SELECT 1 FROM "{name}" LIMIT 1') for (name,) in names)

    def states(self) -> list[str]:
        return [load.state.value for load in self.loads()]

    def tables(self) -> list[str]:
        """Return the tables of the non-reference area that loads went to."""
        return sorted({load.table_name for load in self.loads()})

    def table(self, name: str) -> TableName:
        """Return a table of the non-reference area."""
        return TableName(self.dock.target.schema_of(Area.NON_REFERENCE), name)

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return some columns of a table of the non-reference area, sorted."""
        target = self.dock.target
        wanted = ", ".join(target.quoted_column(column) for column in columns)
        with target.read() as conn:
            found = conn.exec_driver_sql(
                f"SELECT {wanted} FROM {target.quoted(self.table(table))}"
            ).all()
        return sorted(tuple(row) for row in found)

    # --- SQLite's file

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.database, timeout=30)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def execute(self, sql: str) -> None:
        connection = sqlite3.connect(self.database, timeout=30)
        try:
            connection.executescript(sql)
        finally:
            connection.close()

    def try_query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what is there, nothing while the table is not."""
        try:
            return self.query(sql)
        except sqlite3.OperationalError:
            return []

    def wait_for(self, done: Callable[[], bool], what: str = "") -> None:
        deadline = time.monotonic() + self.patience_seconds
        while not done():
            assert self.process is not None
            alive = self.process.poll() is None
            if not alive or time.monotonic() > deadline:
                log = self.log.read_text(encoding="utf-8", errors="replace")[-4000:]
                raise AssertionError(f"waited in vain {what} (alive: {alive})\n{log}")
            time.sleep(0.05)

    def wait_until_filed(self, count: int) -> None:
        self.wait_for(
            lambda: sum(load.filed_at is not None for load in self.loads()) == count,
            f"for {count} filed files",
        )
