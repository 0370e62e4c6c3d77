"""pandas, as its documentation shows it: read in pieces, write each with to_sql."""

from urllib.parse import quote_plus

import pandas as pd
import sqlalchemy as sa

from benchmarks.jobs import POSTGRESQL, SQLSERVER, Job, Load, Loaded, Prepare
from benchmarks.peers.sqlserver import odbc_string

_ROWS_PER_PIECE = 50_000


def prepare_to_sql(job: Job) -> Load:
    engine = _open(job)

    def load() -> Loaded:
        with engine.begin() as connection:
            for piece in pd.read_csv(job.source, chunksize=_ROWS_PER_PIECE):
                piece.to_sql(job.table, connection, if_exists="append", index=False)
        return Loaded(engine.dialect.identifier_preparer.quote(job.table))

    return load


def _open(job: Job) -> sa.Engine:
    if job.database == SQLSERVER:
        url = f"mssql+pyodbc:///?odbc_connect={quote_plus(odbc_string(job))}"
        return sa.create_engine(url, fast_executemany=True)
    if job.database == POSTGRESQL:
        return sa.create_engine(job.url.replace("postgresql:", "postgresql+psycopg:", 1))
    return sa.create_engine(job.url)


PEERS: dict[str, Prepare] = {"pandas.to_sql": prepare_to_sql}
