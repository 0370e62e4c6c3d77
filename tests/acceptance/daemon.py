"""Start the real daemon as a subprocess, and wait for what it does."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
"""Only a broken daemon waits this long; nothing is measured with it."""


class Daemon:
    """One `dropload run` over its own tree and database, configured by environment alone."""

    def __init__(self, root: Path, **environ: str) -> None:
        self.root = root
        self.tree = root / "dropoff"
        self.database = root / "dropload.db"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("DROPLOAD_")},
            "DROPLOAD_PATHS__DROPOFF": str(self.tree),
            "DROPLOAD_DATABASE__URL": f"sqlite:///{self.database}",
            "DROPLOAD_GATE__CHECKS": "2",
            "DROPLOAD_GATE__INTERVAL_SECONDS": "0.2",
            "DROPLOAD_WATCH__SCAN_INTERVAL_SECONDS": "0.2",
            "DROPLOAD_WORKERS__COUNT": "2",
            "DROPLOAD_RETRY__FIRST_WAIT_SECONDS": "0.1",
            "DROPLOAD_LOG__FORMAT": "json",
            **environ,
        }
        self.log = root / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None

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

    def states(self) -> list[str]:
        return [
            state
            for (state,) in self.try_query('SELECT state FROM "ref.Load_History" ORDER BY load_id')
        ]

    def wait_for(self, done: Callable[[], bool], what: str = "") -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert self.process is not None
            alive = self.process.poll() is None
            if not alive or time.monotonic() > deadline:
                log = self.log.read_text(encoding="utf-8", errors="replace")[-4000:]
                raise AssertionError(f"waited in vain {what} (alive: {alive})\n{log}")
            time.sleep(0.05)

    def wait_until_filed(self, count: int) -> None:
        self.wait_for(
            lambda: (
                self.try_query('SELECT count(*) FROM "ref.Load_History" WHERE filed_at IS NOT NULL')
                == [(count,)]
            ),
            f"for {count} filed files, states: {self.states()}",
        )
