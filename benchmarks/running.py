"""All peers on one file, one after the other and round after round, each in a new process."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import dropload
from benchmarks.checking import SAME, Checksum, checksum, describe_difference, expected_rows, judge
from benchmarks.data import DataSet
from benchmarks.databases import Databases, read_rows
from benchmarks.environment import Environment, NotInstalledError
from benchmarks.jobs import SQLSERVER, Job, Measured
from benchmarks.peers import Peer
from benchmarks.peers.programs import find_program
from benchmarks.peers.run import MEASURED

_ROOT = Path(__file__).parents[1]
_LONGEST_SECONDS = 3600.0


class PeerError(Exception):
    """Why a peer could not be had, or could not load the file, in a line."""


@dataclass
class Result:
    """One peer with one file in one database."""

    peer: Peer
    measured: list[Measured] = field(default_factory=list)
    rows: str = ""
    """Whether it has loaded what stands in the file."""
    failure: str = ""
    """That it is not installed, or broke off; empty when it was measured."""
    reason: str = ""
    """What was said then, in a line."""

    @property
    def seconds(self) -> float:
        return median(run.seconds for run in self.measured)

    @property
    def cpu_seconds(self) -> float:
        return median(run.cpu_seconds for run in self.measured)

    @property
    def memory_mb(self) -> float:
        return max(run.memory_mb for run in self.measured)

    @property
    def step_seconds(self) -> dict[str, float]:
        """The medians of the steps of a load, in their order."""
        steps = self.measured[0].step_seconds
        return {step: median(run.step_seconds[step] for run in self.measured) for step in steps}

    @property
    def is_measured(self) -> bool:
        return bool(self.measured) and not self.failure

    @property
    def is_same(self) -> bool:
        return self.rows.startswith(SAME)


class Runner:
    """Runs peers; knows where everything is."""

    def __init__(self, folder: Path, environment: Environment, databases: Databases) -> None:
        self._folder = folder
        self._environment = environment
        self._databases = databases
        self._expected: dict[Path, Checksum] = {}

    def compare(
        self, data: DataSet, database: str, peers: Sequence[Peer], rounds: int
    ) -> list[Result]:
        """Return the peers' results, in their order; the rows are compared in the first round."""
        results = [Result(peer) for peer in peers]
        for number in range(rounds):
            for result in (result for result in results if not result.failure):
                with attempt(result, f"{data.name}, {database}, {number + 1} of {rounds}"):
                    self._run(result, data, database)
        return results

    def _run(self, result: Result, data: DataSet, database: str) -> None:
        python = find_python(result.peer, self._environment)
        with self._new_folder() as folder, self._databases.fresh(database, folder) as url:
            job = Job(
                result.peer.name,
                database,
                url,
                data.path,
                data.columns,
                folder,
                warm_up=data.warm_up,
                odbc_driver=_odbc_driver() if database == SQLSERVER else "",
            )
            measured = run_process(python, result.peer, job)
            if not result.measured:
                result.rows = self._check(data, job, measured.table)
            result.measured.append(measured)

    def _check(self, data: DataSet, job: Job, table: str) -> str:
        if data.path not in self._expected:
            self._expected[data.path] = checksum(data, expected_rows(data))
        expected = self._expected[data.path]
        found = checksum(data, read_rows(job.url, table, job.names, job.folder))
        return judge(expected, found) or describe_difference(
            data, read_rows(job.url, table, job.names, job.folder)
        )

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def attempt(result: Result, said: str) -> Iterator[None]:
    """Say what is under way, and note why it failed."""
    print(f"{said}: {result.peer.name}", file=sys.stderr, flush=True)
    try:
        yield
    except (PeerError, NotInstalledError) as exc:
        result.failure = "not installed" if isinstance(exc, NotInstalledError) else "broke off"
        result.reason = str(exc)
        print(f"  {result.failure}: {exc}", file=sys.stderr, flush=True)


def find_python(peer: Peer, environment: Environment | None) -> Path:
    """Return the interpreter that runs a peer; raises NotInstalledError where it cannot be had."""
    python = Path(sys.executable)
    if peer.requirements and environment is not None:
        environment.install(peer.requirements)
        python = environment.python
    if peer.program and not find_program(peer.program, python.parents[1]):
        raise NotInstalledError(f"there is no program {peer.program}")
    return python


def run_process(python: Path, peer: Peer, job: Job) -> Measured:
    """Return what a peer has measured of itself, in a new process."""
    kind = "in-process" if peer.in_process else "program"
    paths = [_ROOT, Path(dropload.__file__).parents[1]] if peer.is_ours else [_ROOT]
    try:
        done = subprocess.run(
            [str(python), "-m", "benchmarks.peers.run", peer.module, kind],
            input=job.as_json(),
            text=True,
            capture_output=True,
            cwd=job.folder,
            env={**os.environ, "PYTHONPATH": ":".join(map(str, paths))},
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise PeerError(f"took longer than {_LONGEST_SECONDS:,.0f} s") from exc
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise PeerError(lines[-1][:300])
    return Measured.from_json((job.folder / MEASURED).read_text())


def _odbc_driver() -> str:
    from dropload.targets.mssql.odbc import find_driver  # noqa: PLC0415 - an extra

    return find_driver(None).name
