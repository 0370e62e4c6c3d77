"""Compare dropload with what its users could take instead: `make bench`, `python -m benchmarks`.

Every peer loads the same file into a new database, in a process of its own, one after the other and
round after round; what it has loaded is compared with the file. Peers, data and results are kept in
build/benchmarks. On PostgreSQL by the server of a wheel, on SQL Server's protocol where
DROPLOAD_TEST_SQLSERVER_URL names a server.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import DataSet, make_big, make_narrow, make_real, make_small, make_wide
from benchmarks.databases import DATABASES, TITLES, Databases, missing_reason, open_databases
from benchmarks.environment import Environment, NotInstalledError
from benchmarks.findings import (
    Comparison,
    Findings,
    describe_machine,
    describe_versions,
    today,
)
from benchmarks.goals import DATA
from benchmarks.jobs import SQLITE
from benchmarks.peers import NEW, PEERS, Peer
from benchmarks.report import render, write_section
from benchmarks.running import Result, Runner
from benchmarks.scanning import Scanning
from benchmarks.small import compare_small

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
PACKAGE_OF_PICTURE = "matplotlib"
FILES = ("narrow", "wide", "real")
PARTS = (*FILES, "small", "growth", "scanning")


@dataclass(frozen=True)
class Sizes:
    narrow: int
    wide: int
    real: int | None
    """Rows of it; None is all of them."""
    small: int
    scanned: int
    idle_seconds: float


WHOLE = Sizes(1_000_000, 100_000, None, 10_000, 100_000, 190)
QUICK = Sizes(2_000, 200, 2_000, 20, 500, 2)


def main() -> int:
    asked = _read_options()
    folder: Path = asked.folder.absolute()
    for below in ("data", "runs"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder / "runs") as runs:
        bench = Bench(asked, folder, Path(runs))
        findings = bench.run()
    told = findings.as_json()
    (folder / "findings.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    text = render(findings)
    print(json.dumps(told) if asked.json else text)
    if asked.write_docs:
        bench.draw(findings)
        write_section(PAGE, text)
    wrong = [
        f"{comparison.description}, {TITLES[comparison.database]}: {result.rows}"
        for comparison in findings.comparisons
        for result in comparison.results
        if result.peer.is_ours and not (result.is_measured and result.is_same)
    ]
    for sentence in wrong:
        print(f"WRONG  dropload, {sentence}", file=sys.stderr)
    return 1 if wrong else 0


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="little data, one round: does it work")
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help=f"of each kind only these, with commas between: parts ({', '.join(PARTS)}), databases "
        f"({', '.join(DATABASES)}), peers ({', '.join(dict.fromkeys(map(word_of, PEERS)))})",
    )
    parser.add_argument("-n", "--rounds", type=int, help="of which medians are told (3)")
    parser.add_argument("--big", action="store_true", help="also a file of 1 GB, dropload alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--write-docs", action="store_true", help="put the results into docs/performance.md"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "benchmarks")
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (1 if asked.quick else 3)
    asked.only = {word for word in asked.only.split(",") if word}
    unknown = asked.only - {*PARTS, *DATABASES, *map(word_of, PEERS)}
    if unknown:
        parser.error(f"--only knows no {', '.join(sorted(unknown))}; see --help")
    return asked


def word_of(peer: Peer) -> str:
    """Return the word that names a peer in --only."""
    return peer.name.split()[0].split(".")[0].lower()


class Bench:
    """One run: which parts, databases and peers, and how large."""

    def __init__(self, asked: argparse.Namespace, folder: Path, runs: Path) -> None:
        self._rounds: int = asked.rounds
        self._is_quick: bool = asked.quick
        self._is_big: bool = asked.big
        self._only: set[str] = asked.only
        self._sizes = QUICK if asked.quick else WHOLE
        self._data = folder / "data"
        self._runs = runs
        self._environment = Environment(folder / "peers")

    def run(self) -> Findings:
        missing = {name: missing_reason(name) for name in self._chosen(DATABASES)}
        found = [name for name, reason in missing.items() if not reason]
        findings = Findings(
            describe_machine(),
            today(),
            self._rounds,
            {},
            is_quick=self._is_quick,
            missing={name: reason for name, reason in missing.items() if reason},
        )
        parts = self._chosen(PARTS)
        with open_databases(found, self._runs) as databases:
            for part in FILES:
                if part in parts:
                    findings.comparisons += self._compare(part, found, databases)
            if "growth" in parts or self._is_big:
                findings.growth = self._grow(databases)
        if "small" in parts and SQLITE in found:
            findings.comparisons.append(self._compare_small())
        if "scanning" in parts:
            findings.scanning = self._scan()
        findings.versions = describe_versions(self._environment.versions())
        return findings

    def _chosen(self, names: tuple[str, ...]) -> list[str]:
        """Return those that were asked for; all where none of the kind was."""
        return [name for name in names if name in self._only] or list(names)

    def _peers_for(self, database: str) -> list[Peer]:
        words = self._chosen(tuple(map(word_of, PEERS)))
        return [
            peer
            for peer in PEERS
            if database in peer.databases and (peer.is_ours or word_of(peer) in words)
        ]

    def _compare(self, part: str, names: list[str], databases: Databases) -> list[Comparison]:
        try:
            data = self._make(part)
        except NotInstalledError as exc:
            print(f"{part} was left out: {exc}", file=sys.stderr)
            return []
        runner = Runner(self._runs, self._environment, databases)
        return [
            _comparison(data, name, runner.compare(data, name, self._peers_for(name), self._rounds))
            for name in names
        ]

    def _make(self, part: str) -> DataSet:
        sizes = self._sizes
        makers: dict[str, Callable[[], DataSet]] = {
            "narrow": lambda: make_narrow(self._data, sizes.narrow),
            "wide": lambda: make_wide(self._data, sizes.wide),
            "real": lambda: make_real(self._data, self._environment, sizes.real),
        }
        return makers[part]()

    def _grow(self, databases: Databases) -> list[Comparison]:
        """Load a tenth of the rows, all, and 1 GB where that was asked for: dropload alone."""
        rows = self._sizes.narrow
        files = [make_narrow(self._data, rows // 10), make_narrow(self._data, rows)]
        if self._is_big:
            files.append(make_big(self._data))
        runner = Runner(self._runs, self._environment, databases)
        ours = [peer for peer in PEERS if peer.name == NEW]
        return [
            _comparison(data, SQLITE, runner.compare(data, SQLITE, ours, self._rounds))
            for data in files
        ]

    def _compare_small(self) -> Comparison:
        small = make_small(self._data, self._sizes.small)
        results = compare_small(small, self._runs, self._rounds if self._is_quick else 1)
        count = len(small.files)
        size = sum(path.stat().st_size for path in small.files) / 1e6
        described = f"{count:,} files of {size / count * 1e6:,.0f} bytes, one run each"
        return Comparison("small", SQLITE, described, "files", count, size, results)

    def _scan(self) -> Scanning:
        """In a process of its own, which has loaded nothing."""
        size = str(self._sizes.scanned)
        command = [sys.executable, "-m", "benchmarks.scanning", size, "--json"]
        command += ["--idle-seconds", str(self._sizes.idle_seconds)]
        print(f"scanning {size} files", file=sys.stderr)
        done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True)
        return Scanning(**json.loads(done.stdout))

    def draw(self, findings: Findings) -> None:
        """Write the picture, by a library that only the peers' environment has."""
        self._environment.install((PACKAGE_OF_PICTURE,))
        told = findings.as_json() | {"picture_of": DATA}
        for comparison in told["comparisons"]:
            comparison["title"] = TITLES[comparison["database"]]
        command = [str(self._environment.python), "-m", "benchmarks.picture", str(PICTURE)]
        subprocess.run(command, cwd=ROOT, input=json.dumps(told), text=True, check=True)


def _comparison(data: DataSet, database: str, results: list[Result]) -> Comparison:
    described = f"{data.rows:,} rows x {len(data.columns)} columns, {data.megabytes:,.1f} MB"
    described = f"{data.name}, {described}"
    return Comparison(data.name, database, described, "rows", data.rows, data.megabytes, results)


if __name__ == "__main__":
    sys.exit(main())
