"""Many small files: the real daemon, and one process of `sqlite3` for each file.

The job's source is the folder that they are in; each goes to the table that its name tells.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.jobs import Job, Load, Loaded, Prepare


def table_of(path: Path) -> str:
    """Return the table that dropload takes a file to: its name without the time."""
    return path.name.partition("_2026")[0]


def prepare_daemon(job: Job) -> Load:
    """Drop all files before it starts: its own start counts, as it is cold."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DROPLOAD_")},
        "DROPLOAD_PATHS__DROPOFF": str(job.folder / "dropoff"),
        "DROPLOAD_DATABASE__URL": job.url,
        # Waiting at the gate is not what is measured.
        "DROPLOAD_GATE__CHECKS": "1",
        "DROPLOAD_GATE__INTERVAL_SECONDS": "0.2",
        "DROPLOAD_LOG__LEVEL": "error",
    }

    def call(*arguments: str) -> Loaded:
        command = [sys.executable, "-m", "dropload", *arguments]
        subprocess.run(command, env=environ, cwd=job.folder, check=True, stdout=subprocess.DEVNULL)
        return Loaded("")

    call("init")
    inbox = job.folder / "dropoff" / "none_reference_data_table" / "append"
    for path in job.source.glob("*.csv"):
        shutil.copy(path, inbox)
    return lambda: call("run", "--until-idle")


def prepare_shell(job: Job) -> Load:
    """The first file of a table makes it; of the others the header is skipped."""
    imports = []
    known: set[str] = set()
    for path in sorted(job.source.glob("*.csv")):
        skip = "--skip 1 " if table_of(path) in known else ""
        known.add(table_of(path))
        imports.append(f".import --csv {skip}{path} {table_of(path)}\n")

    def load() -> Loaded:
        for script in imports:
            subprocess.run(["sqlite3", job.path], input=script, text=True, check=True)
        return Loaded("")

    return load


DAEMON, SHELL = "dropload run", "sqlite3 .import, each file"
PEERS: dict[str, Prepare] = {DAEMON: prepare_daemon, SHELL: prepare_shell}
