"""PostgreSQL's COPY alone: the bytes of the file go into text columns as they are."""

import psycopg

from benchmarks.jobs import Job, Load, Loaded, Prepare

_BLOCK_BYTES = 1 << 20


def prepare_copy(job: Job) -> Load:
    connection = psycopg.connect(job.url)
    columns = ", ".join(f'"{name}" text' for name in job.names)
    connection.execute(f'CREATE TABLE "{job.table}" ({columns})'.encode())
    connection.commit()

    def load() -> Loaded:
        statement = f'COPY "{job.table}" FROM STDIN (FORMAT csv, HEADER)'.encode()
        with job.source.open("rb") as file, connection.cursor().copy(statement) as copy:
            while block := file.read(_BLOCK_BYTES):
                copy.write(block)
        connection.commit()
        connection.close()
        return Loaded(f'"{job.table}"')

    return load


PEERS: dict[str, Prepare] = {"psycopg COPY alone": prepare_copy}
