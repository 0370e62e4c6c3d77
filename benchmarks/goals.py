"""What dropload has to reach, beside what was measured."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.databases import TITLES
from benchmarks.findings import Comparison, Findings
from benchmarks.jobs import POSTGRESQL, SQLITE, SQLSERVER
from benchmarks.peers import APPEND, FULLLOAD, NEW
from benchmarks.peers.small_files import DAEMON, SHELL
from benchmarks.running import Result
from benchmarks.scanning import FILES

DATA = "narrow"
"""The file that the ratios are of."""


@dataclass(frozen=True)
class Judged:
    """A goal with what came of it."""

    what: str
    against: str
    goal: str
    measured: str = ""
    """Empty: it was not measured in this run."""
    is_met: bool | None = None


@dataclass(frozen=True)
class _AtMost:
    """The time of dropload is so many times that of a peer, or less."""

    database: str
    ours: str
    peer: str
    ratio: float


@dataclass(frozen=True)
class _Faster:
    """dropload is so many times faster than a peer."""

    database: str
    peer: str
    times: float


_RATIOS: tuple[_AtMost | _Faster, ...] = (
    _AtMost(SQLITE, FULLLOAD, "sqlite3 .import", 1.0),
    _AtMost(SQLITE, APPEND, "sqlite3 .import", 1.6),
    _Faster(SQLITE, "sqlite-utils", 10),
    _Faster(SQLITE, "csvkit csvsql", 10),
    _Faster(SQLITE, "pandas.to_sql", 5),
    _Faster(SQLITE, "dlt", 10),
    _Faster(SQLITE, "sling", 30),
    _AtMost(SQLSERVER, NEW, "freebcp", 0.9),
    _Faster(SQLSERVER, "pandas.to_sql", 8),
    _Faster(SQLSERVER, "dlt", 20),
    _Faster(SQLSERVER, "sling", 40),
    _AtMost(POSTGRESQL, NEW, "psql \\copy", 1.8),
    _AtMost(POSTGRESQL, APPEND, "psql \\copy", 1.8),
    _Faster(POSTGRESQL, "sling", 4),
    _Faster(POSTGRESQL, "dlt", 8),
    _Faster(POSTGRESQL, "pandas.to_sql", 10),
)
_SMALL_TIMES, _SMALL_PER_SECOND = 2, 100
_GROWTH, _MEMORY_GROWTH, _MEMORY_MB = 1.05, 1.2, 300
_SCAN_RATIO, _SCAN_SECONDS, _DAEMON_MB, _IDLE_SHARE = 1.7, 0.5, 100, 0.005


def judge_goals(findings: Findings) -> list[Judged]:
    """Return every goal, those that this run did not measure without a figure."""
    return [
        *(_judge_ratio(findings, goal) for goal in _RATIOS),
        *_judge_small(findings.comparison("small", SQLITE)),
        *_judge_growth(findings.growth),
        *_judge_scanning(findings),
    ]


def _judge_ratio(findings: Findings, goal: _AtMost | _Faster) -> Judged:
    comparison = findings.comparison(DATA, goal.database)
    name = goal.ours if isinstance(goal, _AtMost) else NEW
    what = f"{TITLES[goal.database]}, {name.removeprefix('dropload ')}"
    ours = comparison.result(name) if comparison else None
    peer = comparison.result(goal.peer) if comparison else None
    against = goal.peer + (" (its rows differ)" if peer and not peer.is_same else "")
    if isinstance(goal, _AtMost):
        return _at_most(what, against, goal.ratio, _ratio(ours, peer), " x its time")
    return _at_least(what, against, goal.times, _ratio(peer, ours), " x faster")


def _judge_small(comparison: Comparison | None) -> Iterator[Judged]:
    ours = comparison.result(DAEMON) if comparison else None
    peer = comparison.result(SHELL) if comparison else None
    what = "SQLite, many small files"
    per_second = comparison.count / ours.seconds if comparison and ours else None
    yield _at_least(what, SHELL, _SMALL_TIMES, _ratio(peer, ours), " x faster")
    yield _at_least(what, "", _SMALL_PER_SECOND, per_second, " files/s")


def _judge_growth(growth: list[Comparison]) -> Iterator[Judged]:
    """The files are a tenth of the narrow one, the narrow one, and 1 GB where that was asked."""
    measured = [(c, c.result(NEW)) for c in growth]
    known = [(comparison, result) for comparison, result in measured if result]
    grown_by: float | None = None
    if len(known) > 1:
        (few, first), (many, second) = known[:2]
        grown_by = (second.seconds / first.seconds) / (many.count / few.count)
    yield _at_most("10 x the rows", "10 x the time", _GROWTH, grown_by, " x that")
    memory = [result.memory_mb for _, result in known[1:]]
    for place, name in enumerate(("60 MB file", "1 GB file")):
        found = memory[place] if place < len(memory) else None
        yield _at_most(f"peak memory of a worker, {name}", "", _MEMORY_MB, found, " MB")
    grown = memory[1] / memory[0] if len(memory) > 1 else None
    yield _at_most("peak memory, 1 GB file", "60 MB file", _MEMORY_GROWTH, grown, " x")


def _judge_scanning(findings: Findings) -> Iterator[Judged]:
    found = findings.scanning
    what = f"scan of {found.files if found else FILES:,} waiting files"
    plain = "os.scandir + stat"
    yield _at_most(what, plain, _SCAN_RATIO, found.ratio if found else None, " x")
    yield _at_most(what, "", _SCAN_SECONDS, found.scan_seconds if found else None, " s")
    memory = found.daemon_memory_mb if found else None
    yield _at_most("memory of its daemon", "", _DAEMON_MB, memory, " MB")
    idle = found.daemon_idle_share * 100 if found else None
    yield _at_most("its daemon when idle", "", _IDLE_SHARE * 100, idle, " % of a processor")


def _ratio(one: Result | None, other: Result | None) -> float | None:
    return one.seconds / other.seconds if one and other else None


def _at_most(what: str, against: str, limit: float, found: float | None, unit: str) -> Judged:
    goal = f"≤ {limit:g}{unit}"
    return _judged(Judged(what, against, goal), found, unit, found is not None and found <= limit)


def _at_least(what: str, against: str, limit: float, found: float | None, unit: str) -> Judged:
    goal = f"≥ {limit:g}{unit}"
    return _judged(Judged(what, against, goal), found, unit, found is not None and found >= limit)


def _judged(goal: Judged, found: float | None, unit: str, is_met: bool) -> Judged:
    if found is None:
        return goal
    return Judged(goal.what, goal.against, goal.goal, f"{found:.3g}{unit}", is_met)
