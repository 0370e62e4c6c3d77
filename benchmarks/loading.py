"""What a whole load into SQLite costs beside its peers: `python -m benchmarks.loading [ROWS]`.

Every peer loads the same file into a new database. Ours also hashes, finds types, stages, keeps a
journal and moves the file.
"""

import csv
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dropload.config import Config
from dropload.dock import open_dock
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.journal import apply_scripts
from dropload.pipeline import process_drop


def main(rows: int = 200_000) -> None:
    peers: list[tuple[str, Callable[[Path, Path], int]]] = [
        ("dropload", load_ours),
        ("csv + executemany, no types", load_csv),
    ]
    if shutil.which("sqlite3"):
        peers.append(("sqlite3 .import, no types", load_shell))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = make_file(folder / "narrow.csv", rows)
        results = {peer: measure(load, source, folder / peer, rows) for peer, load in peers}
    size_mb = rows * 59 / 1e6
    ours = results["dropload"]
    print(f"{rows:,} rows x 6 columns, about {size_mb:.0f} MB; best of 3")
    for peer, seconds in results.items():
        rate, ratio = rows / seconds / 1000, ours / seconds
        print(f"  {peer:28} {seconds:7.2f} s {rate:7.0f} krows/s  dropload / it: {ratio:.2f}")


def measure(load: Callable[[Path, Path], int], source: Path, folder: Path, rows: int) -> float:
    times = []
    for number in range(3):
        own = folder / str(number)
        own.mkdir(parents=True)
        start = time.perf_counter()
        loaded = load(source, own)
        times.append(time.perf_counter() - start)
        if loaded != rows:
            sys.exit(f"{folder.name} loaded {loaded:,} of {rows:,} rows")
    return min(times)


def make_file(path: Path, rows: int) -> Path:
    rng = random.Random(1)
    cities = ["Oslo", "Łódź", "Москва", "São Paulo", "Köln", "東京", "New York, NY"]
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["id", "amount", "day", "name", "city", "note"])
        for n in range(rows):
            day = f"20{n % 24:02d}-{n % 12 + 1:02d}-{n % 28 + 1:02d}"
            note = f"remark {n % 977}" if n % 2 else ""
            amount = f"{rng.randint(1, 999_999) / 100:.2f}"
            writer.writerow([n, amount, day, f"customer name {n % 5000}", cities[n % 7], note])
    return path


def load_ours(source: Path, folder: Path) -> int:
    config = Config.model_validate(
        {
            "paths": {"dropoff": str(folder / "dropoff")},
            "database": {"url": f"sqlite:///{folder / 'own.db'}"},
        }
    )
    dock = open_dock(config)
    dock.tree.create()
    apply_scripts(dock.target)
    path = dock.tree.inboxes[0].path / source.name
    shutil.copy(source, path)
    drop = drop_of_path(path, dock.tree, None, None, force=False, requested_by="benchmark")
    outcome = process_drop(dock, drop, worker_name())
    dock.target.close()
    return outcome.rows_loaded


def load_csv(source: Path, folder: Path) -> int:
    with (
        sqlite3.connect(folder / "own.db") as db,
        source.open(encoding="utf-8", newline="") as file,
    ):
        reader = csv.reader(file)
        header = next(reader)
        db.execute(f"CREATE TABLE t ({', '.join(header)})")
        db.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(header))})", reader)
        return int(db.execute("SELECT count(*) FROM t").fetchone()[0])


def load_shell(source: Path, folder: Path) -> int:
    script = f".import --csv {source} t\nSELECT count(*) FROM t;\n"
    done = subprocess.run(
        ["sqlite3", str(folder / "own.db")],
        input=script,
        text=True,
        capture_output=True,
        check=True,
    )
    return int(done.stdout)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
