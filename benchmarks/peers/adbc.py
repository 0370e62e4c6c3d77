"""ADBC's ingest alone, into a table of text columns that it makes."""

import importlib

from benchmarks.jobs import SQLITE, Job, Load, Loaded, Prepare
from benchmarks.peers.arrow_reading import open_texts


def prepare_ingest(job: Job) -> Load:
    driver = "sqlite" if job.database == SQLITE else "postgresql"
    dbapi = importlib.import_module(f"adbc_driver_{driver}.dbapi")
    connection = dbapi.connect(job.path if job.database == SQLITE else job.url)

    def load() -> Loaded:
        with connection.cursor() as cursor:
            cursor.adbc_ingest(job.table, open_texts(job), mode="create")
        connection.commit()
        connection.close()
        return Loaded(f'"{job.table}"')

    return load


PEERS: dict[str, Prepare] = {"ADBC ingest alone": prepare_ingest}
