"""What a whole run of the benchmarks has found."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.running import Result
from benchmarks.scanning import Scanning
from dropload import __version__

_TOLD_PACKAGES = (
    *("sqlite-utils", "csvkit", "pandas", "dlt", "sling-linux-amd64", "adbc-driver-sqlite"),
    *("adbc-driver-postgresql", "psycopg", "mssql-python", "pyodbc", "pyarrow", "SQLAlchemy"),
)


@dataclass
class Comparison:
    """All peers with one file, or set of files, in one database."""

    data: str
    database: str
    description: str
    unit: str
    """What is counted: rows or files."""
    count: int
    megabytes: float
    results: list[Result]

    def result(self, peer: str) -> Result | None:
        """Return what was measured of a peer, None when it was not."""
        found = (result for result in self.results if result.peer.name == peer)
        return next((result for result in found if result.is_measured), None)


@dataclass
class Findings:
    machine: str
    date: str
    rounds: int
    versions: dict[str, str]
    is_quick: bool = False
    comparisons: list[Comparison] = field(default_factory=list)
    growth: list[Comparison] = field(default_factory=list)
    """dropload alone, with files of ever more rows."""
    scanning: Scanning | None = None
    missing: dict[str, str] = field(default_factory=dict)
    """Databases that could not be had, with the reason."""

    def comparison(self, data: str, database: str) -> Comparison | None:
        found = (c for c in self.comparisons if (c.data, c.database) == (data, database))
        return next(found, None)

    def as_json(self) -> dict[str, Any]:
        scanning = vars(self.scanning) if self.scanning else None
        return vars(self) | {
            "comparisons": [_as_json(comparison) for comparison in self.comparisons],
            "growth": [_as_json(comparison) for comparison in self.growth],
            "scanning": scanning,
        }


def _as_json(comparison: Comparison) -> dict[str, Any]:
    return vars(comparison) | {"results": [_result(r, comparison) for r in comparison.results]}


def _result(result: Result, comparison: Comparison) -> dict[str, Any]:
    told: dict[str, Any] = {
        "peer": result.peer.name,
        "is_ours": result.peer.is_ours,
        "lacks": list(result.peer.lacks),
        "failure": result.failure or None,
        "reason": result.reason or None,
    }
    if not result.is_measured:
        return told
    return told | {
        "rows": result.rows,
        "same_rows": result.is_same,
        "seconds": result.seconds,
        "all_seconds": [run.seconds for run in result.measured],
        "per_second": comparison.count / result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "memory_mb": result.memory_mb,
        "step_seconds": result.step_seconds,
    }


def describe_machine() -> str:
    """Return processor, memory and system in a line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} x {model}, {memory_gb:.0f} GB, {system}, {python}"


def describe_versions(installed: dict[str, str]) -> dict[str, str]:
    """Return the versions of dropload and of the peers that are there."""
    told = {name: installed[name] for name in _TOLD_PACKAGES if name in installed}
    shells = {"sqlite3": "--version", "psql": "--version"}
    for name, option in shells.items():
        if path := shutil.which(name):
            said = subprocess.run([path, option], capture_output=True, text=True, check=False)
            words = (said.stdout or said.stderr).split()
            told[name] = next((word for word in words if word[:1].isdigit()), "?")
    return {"dropload": __version__, **told}


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
