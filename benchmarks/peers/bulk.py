"""SQL Server's two fast ways in, each alone: into text columns that are there already."""

import csv
from itertools import islice

import pyodbc

from benchmarks.jobs import Job, Load, Loaded, Prepare
from benchmarks.peers.arrow_reading import open_texts
from benchmarks.peers.sqlserver import connect, create_table, odbc_string, text_columns

_ROWS_PER_CALL = 10_000


def prepare_bulkcopy(job: Job) -> Load:
    create_table(job, text_columns(job))
    connection = connect(job)

    def load() -> Loaded:
        cursor = connection.cursor()
        # A call has 30 seconds unless it is told otherwise.
        cursor.bulkcopy_arrow(
            f"dbo.[{job.table}]",
            open_texts(job),
            timeout=0,
            keep_nulls=True,
            column_mappings=job.names,
        )
        connection.close()
        return Loaded(f"dbo.[{job.table}]")

    return load


def prepare_executemany(job: Job) -> Load:
    create_table(job, text_columns(job))
    connection = pyodbc.connect(odbc_string(job))
    insert = f"INSERT INTO dbo.[{job.table}] VALUES ({', '.join('?' * len(job.columns))})"

    def load() -> Loaded:
        cursor = connection.cursor()
        cursor.fast_executemany = True
        with job.source.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            next(reader)
            while rows := list(islice(reader, _ROWS_PER_CALL)):
                cursor.executemany(insert, rows)
        connection.commit()
        connection.close()
        return Loaded(f"dbo.[{job.table}]")

    return load


PEERS: dict[str, Prepare] = {
    "mssql-python bulkcopy alone": prepare_bulkcopy,
    "pyodbc fast_executemany alone": prepare_executemany,
}
