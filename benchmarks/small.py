"""Many small files, checked as large ones are."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.checking import checksum, expected_rows, judge
from benchmarks.data import SmallFiles
from benchmarks.databases import read_rows
from benchmarks.jobs import SQLITE, Job
from benchmarks.peers import ATOMICITY, HASH, REJECTS, TYPES, Peer
from benchmarks.peers.small_files import DAEMON, SHELL
from benchmarks.running import Result, attempt, find_python, run_process

_MODULE = "small_files"
_PEERS = (
    Peer(DAEMON, _MODULE, (SQLITE,), (), in_process=False),
    Peer(
        SHELL,
        _MODULE,
        (SQLITE,),
        (TYPES, HASH, ATOMICITY, REJECTS),
        program="sqlite3",
        in_process=False,
    ),
)
_TABLES = {DAEMON: '"dbo.{}"', SHELL: '"{}"'}


def compare_small(small: SmallFiles, folder: Path, rounds: int) -> list[Result]:
    """Return how long all files take, from the start of the first process to the end."""
    results = [Result(peer) for peer in _PEERS]
    for number in range(rounds):
        for result in (result for result in results if not result.failure):
            said = f"{len(small.files):,} small files, {number + 1} of {rounds}"
            with attempt(result, said):
                _run(result, small, folder)
    return results


def _run(result: Result, small: SmallFiles, folder: Path) -> None:
    python = find_python(result.peer, None)
    with tempfile.TemporaryDirectory(prefix="small-", dir=folder) as name:
        own, data = Path(name), small.all_rows
        url = f"sqlite:///{own / 'bench.db'}"
        job = Job(result.peer.name, SQLITE, url, small.files[0].parent, data.columns, own)
        measured = run_process(python, result.peer, job)
        expected = checksum(data, expected_rows(data))
        found = checksum(data, _rows(small, job))
        result.rows = judge(expected, found) or f"{found.rows:,} of {expected.rows:,}"
        result.measured.append(measured)


def _rows(small: SmallFiles, job: Job) -> Iterator[tuple[Any, ...]]:
    for table in small.tables:
        yield from read_rows(job.url, _TABLES[job.peer].format(table), job.names, job.folder)
