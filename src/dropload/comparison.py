"""Compare a load with those of its table before it: is it far outside, and what was different."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import sqlalchemy as sa

from dropload.journal import Journal, LoadEffort
from dropload.usual import BYTES, ROWS, SECONDS, TIMES, Unit, Usual, find_usual

COMPARED_LOADS = 30
"""So many loads before it say what is usual: enough for a median, and what was long ago is out."""
COMPANY = "other loads"
RETRIES = "retries"


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of a load that is not as usual."""

    name: str
    """`seconds`, `rows`, `bytes`, a step (its seconds), `other loads`, `retries`."""
    value: float
    usual: float
    """The median of the loads before it."""

    @property
    def text(self) -> str:
        """Return it as people say it: `publishing 38.0 s (usually 0.4 s)`."""
        value, usual = say_figure(self.name, self.value), say_figure(self.name, self.usual)
        if self.name == COMPANY:
            return f"{value} other loads at the same time (usually {usual})"
        if self.name == RETRIES:
            return f"{value} steps tried again (usually {usual})"
        noun = f"{self.name} " if self.name not in ("seconds", "rows", "bytes") else ""
        unit = f" {self.name}" if self.name in ("rows", "bytes") else ""
        return f"{noun}{value}{unit} (usually {usual})"


@dataclass(frozen=True, slots=True)
class Unusual:
    """A load that took far longer than usual, or brought far more or fewer rows."""

    load_id: int
    file_name: str
    table: str
    load_type: str
    committed_at: datetime
    compared_with: int
    """Loads of the same table and load type before it."""
    seconds: float | None
    rows: int
    outside: tuple[Difference, ...]
    """What is far outside: `seconds`, `rows`."""
    different: tuple[Difference, ...]
    """What else was not as usual, that which weighs most first."""
    is_as_fast_by_row: bool
    """It took as long for a row as usual: the time is that of its rows."""

    @property
    def text(self) -> str:
        """Return it as one sentence, without naming the load."""
        said = ", ".join(one.text for one in self.outside)
        others = "; ".join(one.text for one in self.different) or "nothing else was different"
        by_row = "; as long for each row as usual" if self.is_as_fast_by_row else ""
        return f"{said}: {others}{by_row}"


def say_figure(name: str, value: float) -> str:
    """Return a figure in its unit, as short as it stays true."""
    if name in ("rows", "bytes", COMPANY, RETRIES):
        return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
    return say_seconds(value)


def say_seconds(value: float) -> str:
    """Return a time as people say it: `35 ms`, `2.1 s`, `12 min`, `3.5 h`."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def find_outside(load: LoadEffort, before: Sequence[LoadEffort]) -> tuple[Difference, ...]:
    """Return in what a load is far outside of what is usual; nothing where too few came before.

    Slow is unusual, fast is not.
    """
    found = []
    seconds = find_usual((one.seconds for one in before if one.seconds is not None), SECONDS)
    if seconds and load.seconds is not None and seconds.is_far_above(load.seconds):
        found.append(Difference("seconds", load.seconds, seconds.median))
    rows = find_usual((one.rows for one in before), ROWS)
    if rows and rows.is_far(load.rows):
        found.append(Difference("rows", load.rows, rows.median))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Outside:
    """A load that is far outside, with those that say so."""

    load: LoadEffort
    before: tuple[LoadEffort, ...]


def find_each_outside(
    earlier: Iterable[LoadEffort], loads: Iterable[LoadEffort]
) -> Iterator[Outside]:
    """Yield which loads of one table and load type are far outside, each against those before it.

    `earlier` came before all of them.
    """
    before = deque(earlier, maxlen=COMPARED_LOADS)
    for load in loads:
        if find_outside(load, before):
            yield Outside(load, tuple(before))
        before.append(load)


def by_table(loads: Iterable[LoadEffort]) -> Iterator[list[LoadEffort]]:
    """Yield the loads of each table and load type, in the order of their commits."""

    def key(load: LoadEffort) -> tuple[str, str, str]:
        return (load.schema_name, load.table_name, load.load_type)

    for _, group in groupby(sorted(loads, key=lambda load: (*key(load), load.commit_no)), key):
        yield list(group)


def find_unusual(
    journal: Journal, conn: sa.Connection, load_ids: Collection[int]
) -> dict[int, Unusual]:
    """Return those of some loads, by their number, that are far outside, and what was different."""
    efforts = journal.efforts
    found = {}
    for asked in by_table(efforts.of(conn, load_ids)):
        earlier = efforts.before(conn, asked[0], COMPARED_LOADS)
        # Others may have been committed in between: by another daemon, or one not asked for.
        loads = efforts.between(conn, asked[0], asked[-1]) if len(asked) > 1 else asked
        for outside in find_each_outside(earlier, loads):
            if outside.load.load_id in load_ids:
                found[outside.load.load_id] = explain_outside(journal, conn, outside)
    return found


def explain_outside(journal: Journal, conn: sa.Connection, outside: Outside) -> Unusual:
    """Return a load that is far outside with what was different."""
    load, before = outside.load, outside.before
    figures = find_outside(load, before)
    numbers = [load.load_id, *(one.load_id for one in before)]
    company = journal.efforts.count_company(conn, numbers)
    told = {one.name for one in figures}
    found = [
        *_different_steps(load, before),
        _difference("rows", ROWS, load.rows, [one.rows for one in before]),
        _difference("bytes", BYTES, load.size_bytes, [one.size_bytes for one in before]),
        _difference(
            COMPANY,
            TIMES,
            company.get(load.load_id, 0),
            [company.get(one.load_id, 0) for one in before],
        ),
        _difference(RETRIES, TIMES, load.steps_retried, [one.steps_retried for one in before]),
    ]
    return Unusual(
        load_id=load.load_id,
        file_name=load.file_name,
        table=load.table,
        load_type=load.load_type,
        committed_at=load.committed_at,
        compared_with=len(before),
        seconds=load.seconds,
        rows=load.rows,
        outside=figures,
        different=tuple(one for one in found if one is not None and one.name not in told),
        is_as_fast_by_row="rows" in told and _is_as_fast_by_row(load, before),
    )


def _different_steps(load: LoadEffort, before: Sequence[LoadEffort]) -> list[Difference]:
    """Return the steps that took far longer than usual, the one that cost most first."""
    found = []
    for step, seconds in load.step_seconds.items():
        earlier = [one.step_seconds[step] for one in before if step in one.step_seconds]
        usual = find_usual(earlier, SECONDS)
        if usual and usual.is_far_above(seconds):
            found.append(Difference(step, seconds, usual.median))
    return sorted(found, key=lambda one: one.usual - one.value)


def _difference(name: str, unit: Unit, value: float, earlier: Sequence[float]) -> Difference | None:
    usual = find_usual(earlier, unit)
    return Difference(name, value, usual.median) if usual and usual.is_far(value) else None


def _is_as_fast_by_row(load: LoadEffort, before: Sequence[LoadEffort]) -> bool:
    usual = _usual_by_row(before)
    return bool(usual and load.rows and load.seconds and not usual.is_far(load.seconds / load.rows))


def _usual_by_row(before: Sequence[LoadEffort]) -> Usual | None:
    # No difference is too small: a row takes microseconds.
    unit = Unit(smallest=1e-9, min_difference=0.0)
    return find_usual((one.seconds / one.rows for one in before if one.seconds and one.rows), unit)
