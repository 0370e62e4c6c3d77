"""How fast loads are, table by table: throughput, percentiles, trend, what was unusual, advice."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import sqlalchemy as sa

from dropload.comparison import (
    COMPARED_LOADS,
    Unusual,
    by_table,
    explain_outside,
    find_each_outside,
    say_seconds,
)
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import DroploadError
from dropload.journal import LoadEffort
from dropload.looking_back import Since, start_of
from dropload.model import LoadType, TableName
from dropload.planning.notes import listed
from dropload.targets.base import KeyColumns
from dropload.usual import MIN_VALUES, percentile

DEFAULT_PERIOD = timedelta(days=30)
MOST_LOADS = 20_000
"""Of all tables together; enough for every figure, and read in a moment."""
_TREND_POINTS = 16
_SHOWN_UNUSUAL = 10
_MOST_OF_IT = 0.5
"""Share of the time from which on one step is what to look at."""
_MANY_ROWS = 1_000
"""Of a table that refers to another. Measured on a server with 3,000 rows deleted: without an
index 4.6 s where it has 20,000 rows, 0.2 s with one; where it is empty, the same either way."""
_OFTEN = 0.1
"""Share of the loads from which on retries are no exception."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How values are spread."""

    median: float
    p90: float
    p95: float
    longest: float


@dataclass(frozen=True, slots=True)
class StepStats:
    """What one step costs."""

    step: str
    share: float
    """Of the time of all measured steps, 0 to 1."""
    seconds: Percentiles


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """A part of the period; all parts are equally long."""

    since: datetime
    loads: int
    rows: int
    seconds: float | None
    """Median of a load; None where there was none."""


@dataclass(frozen=True, slots=True)
class TableStats:
    """How loads of one type into one table have gone in a period; times are UTC."""

    table: str
    load_type: str
    loads: int
    """Those that brought their rows."""
    first_at: datetime
    last_at: datetime
    rows: int
    size_bytes: int
    busy_seconds: float
    """That all loads took together."""
    rows_per_second: float | None
    bytes_per_second: float | None
    seconds: Percentiles | None
    """Of a load; None where no load was timed."""
    rows_by_load: Percentiles
    steps: tuple[StepStats, ...]
    """In the order of a load; of the loads that were measured step by step."""
    retried_loads: int
    """Loads in which a step was done again because of trouble that passed."""
    trend: tuple[TrendPoint, ...]
    unusual_count: int
    unusual: tuple[Unusual, ...]
    """The latest, newest first."""
    advice: tuple[str, ...]
    """Sentences, each of something that was measured or looked up."""


def collect_stats(
    dock: Dock, table: str | None = None, since: Since = DEFAULT_PERIOD
) -> list[TableStats]:
    """Return the figures of each table and load type, those that took most time first.

    `table` is `name` or `schema.name`. Of the period, at most the last `MOST_LOADS` loads count.
    """
    with dock.target.read() as conn:
        start = start_of(dock, conn, since)
        efforts = dock.journal.efforts.since(conn, table, start, MOST_LOADS)
        found = [_stats_of(dock, conn, group, start) for group in by_table(efforts)]
    return sorted(found, key=lambda one: -one.busy_seconds)


def _stats_of(
    dock: Dock, conn: sa.Connection, loads: list[LoadEffort], start: datetime | None
) -> TableStats:
    timed = [load for load in loads if load.seconds is not None]
    times = sorted(load.seconds for load in loads if load.seconds is not None)
    busy = sum(times)
    earlier = dock.journal.efforts.before(conn, loads[0], COMPARED_LOADS)
    outside = list(find_each_outside(earlier, loads))
    steps = _steps_of(loads)
    return TableStats(
        table=loads[0].table,
        load_type=loads[0].load_type,
        loads=len(loads),
        first_at=min(load.committed_at for load in loads),
        last_at=max(load.committed_at for load in loads),
        rows=sum(load.rows for load in loads),
        size_bytes=sum(load.size_bytes for load in loads),
        busy_seconds=busy,
        rows_per_second=sum(load.rows for load in timed) / busy if busy else None,
        bytes_per_second=sum(load.size_bytes for load in timed) / busy if busy else None,
        seconds=_percentiles(times) if times else None,
        rows_by_load=_percentiles(sorted(load.rows for load in loads)),
        steps=steps,
        retried_loads=sum(load.steps_retried > 0 for load in loads),
        trend=_trend(loads, start, dock.target.now(conn)),
        unusual_count=len(outside),
        unusual=tuple(
            explain_outside(dock.journal, conn, one) for one in reversed(outside[-_SHOWN_UNUSUAL:])
        ),
        advice=tuple(_advise(dock, conn, loads, steps)),
    )


def _percentiles(values: Sequence[float]) -> Percentiles:
    """Return how sorted values are spread."""
    p50, p90, p95 = (percentile(values, share) for share in (0.5, 0.9, 0.95))
    return Percentiles(p50, p90, p95, values[-1])


def _steps_of(loads: Sequence[LoadEffort]) -> tuple[StepStats, ...]:
    by_step: dict[str, list[float]] = {}
    for load in loads:
        for step, seconds in load.step_seconds.items():
            by_step.setdefault(step, []).append(seconds)
    whole = sum(map(sum, by_step.values())) or 1.0
    return tuple(
        StepStats(step, sum(seconds) / whole, _percentiles(sorted(seconds)))
        for step, seconds in by_step.items()
    )


def _trend(
    loads: Sequence[LoadEffort], start: datetime | None, now: datetime
) -> tuple[TrendPoint, ...]:
    first = min(load.committed_at for load in loads)
    begin = max(start, first) if start else first
    width = max((now - begin) / _TREND_POINTS, timedelta(microseconds=1))
    parts: list[list[LoadEffort]] = [[] for _ in range(_TREND_POINTS)]
    for load in loads:
        place = (load.committed_at - begin) // width
        parts[min(max(place, 0), _TREND_POINTS - 1)].append(load)
    return tuple(_trend_point(begin + number * width, part) for number, part in enumerate(parts))


def _trend_point(since: datetime, loads: Sequence[LoadEffort]) -> TrendPoint:
    times = [load.seconds for load in loads if load.seconds is not None]
    rows = sum(load.rows for load in loads)
    return TrendPoint(since, len(loads), rows, median(times) if times else None)


# --- advice ----------------------------------------------------------------------------------


def _advise(
    dock: Dock, conn: sa.Connection, loads: Sequence[LoadEffort], steps: Sequence[StepStats]
) -> Iterator[str]:
    """Yield what the figures say, and what was looked up because of them; nothing is guessed."""
    measured = [load for load in loads if load.step_seconds]
    if len(measured) < MIN_VALUES:
        return
    retried = sum(load.steps_retried > 0 for load in measured)
    if retried >= _OFTEN * len(measured):
        yield (
            f"In {retried} of {len(measured)} loads a step was done again because of trouble that "
            "passed: the log names it (step_retried)."
        )
    slowest = max(steps, key=lambda one: one.share)
    if slowest.share < _MOST_OF_IT:
        return
    seconds = sum(load.step_seconds.get(slowest.step, 0.0) for load in measured)
    said = f"{slowest.share:.0%} of the time is {slowest.step}"
    rows, size = sum(load.rows for load in measured), sum(load.size_bytes for load in measured)
    if slowest.step in ("detecting", "profiling", "checking"):
        yield f"{said}: the file is read at {size / seconds / 1e6:,.1f} MB/s."
    elif slowest.step == "staging":
        yield f"{said}: {rows / seconds:,.0f} rows a second go to the side table."
    elif slowest.step == "publishing":
        yield f"{said}, {say_seconds(seconds / len(measured))} for a load."
        yield from _explain_triggers(dock, conn, loads[0])
        yield from _explain_keys(dock, loads[0])
    elif slowest.step == "filing":
        yield f"{said}, {say_seconds(seconds / len(measured))} for a file."
        yield from _explain_filing(dock, loads[0])


def _explain_triggers(dock: Dock, conn: sa.Connection, load: LoadEffort) -> Iterator[str]:
    rules = dock.target.find_rules(conn, TableName(load.schema_name, load.table_name))
    if rules.triggers:
        yield f"The table has triggers that fire meanwhile: {listed(rules.triggers)}."


def _explain_keys(dock: Dock, load: LoadEffort) -> Iterator[str]:
    """Yield which tables are looked through for each row that a fullload deletes.

    Only those with many rows: an index on a table that is nearly empty saves nothing.
    """
    if load.load_type != LoadType.FULLLOAD:
        return
    target, found = dock.target, list[tuple[KeyColumns, int]]()
    # Not everybody may read the whole catalogue; the figures stand without it.
    with suppress(DroploadError), target.read() as conn:
        keys = target.find_unindexed_keys(conn, TableName(load.schema_name, load.table_name))
        found = [(key, target.count_rows(conn, key.table)) for key in keys]
    for key, rows in found:
        if rows >= _MANY_ROWS:
            yield (
                f"A fullload deletes the old rows, and for each of them the {rows:,} rows of "
                f"{key.table}, which refers to this table, are looked through: add an index on "
                f"{key.table} ({', '.join(key.columns)})."
            )


def _explain_filing(dock: Dock, load: LoadEffort) -> Iterator[str]:
    """Yield the folders of this table's files to which each of them is copied."""
    for inbox in dock.tree.inboxes:
        schema = dock.target.schema_of(inbox.area)
        if (schema, inbox.load_type.value) != (load.schema_name, load.load_type):
            continue
        processed = dock.tree.processed(inbox)
        with suppress(OSError):
            if inbox.path.stat().st_dev != processed.stat().st_dev:
                yield f"{path_text(processed)} is on another file system: each file is copied."
