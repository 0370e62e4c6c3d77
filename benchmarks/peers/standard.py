"""Python's standard library alone."""

import csv
import sqlite3

from benchmarks.jobs import Job, Load, Loaded, Prepare


def prepare_executemany(job: Job) -> Load:
    def load() -> Loaded:
        with (
            sqlite3.connect(job.path) as db,
            job.source.open(encoding="utf-8", newline="") as file,
        ):
            reader = csv.reader(file)
            header = ", ".join(f'"{name}"' for name in next(reader))
            db.execute(f'CREATE TABLE "{job.table}" ({header})')
            places = ", ".join("?" * len(job.columns))
            db.executemany(f'INSERT INTO "{job.table}" VALUES ({places})', reader)
        return Loaded(f'"{job.table}"')

    return load


PEERS: dict[str, Prepare] = {"csv + executemany": prepare_executemany}
