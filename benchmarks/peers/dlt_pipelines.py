"""dlt: a pipeline over Arrow's batches, which is the fastest way that its documentation names."""

import os
from typing import Any

import pyarrow.csv

from benchmarks.jobs import POSTGRESQL, SQLITE, Job, Load, Loaded, Prepare

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
# The database is new: there is nothing of an earlier run to look for.
os.environ["RESTORE_FROM_DESTINATION"] = "false"

# It reads its environment when it is imported.
import dlt

_DRIVER = "ODBC Driver 18 for SQL Server"


def prepare_pipeline(job: Job) -> Load:
    os.environ["DLT_DATA_DIR"] = str(job.folder)
    dataset = "main" if job.database == SQLITE else "bench"
    pipeline = dlt.pipeline(
        job.table,
        destination=_destination(job),
        dataset_name=dataset,
        pipelines_dir=str(job.folder / "pipelines"),
    )

    def load() -> Loaded:
        pipeline.run(pyarrow.csv.open_csv(job.source), table_name=job.table)
        return Loaded(f'"{dataset}"."{job.table}"')

    return load


def _destination(job: Job) -> Any:
    if job.database == SQLITE:
        return dlt.destinations.sqlalchemy(credentials=job.url)
    user, password = job.login
    if job.database == POSTGRESQL:
        # It insists on a password and a host, also where the server asks for neither.
        login = f"{user or 'postgres'}:{password or 'none'}"
        host = job.address.hostname or "localhost"
        place = f"{host}:{job.address.port or 5432}/{job.database_name}"
        return dlt.destinations.postgres(
            credentials=f"postgresql://{login}@{place}?{job.address.query}"
        )
    _name_driver(job)
    encrypt = "no" if "encrypt=no" in job.address.query else "yes"
    place = f"{job.address.hostname}:{job.address.port or 1433}/{job.database_name}"
    options = f"Encrypt={encrypt}&TrustServerCertificate=yes&driver={_DRIVER.replace(' ', '+')}"
    login = job.address.netloc.rpartition("@")[0]
    return dlt.destinations.mssql(credentials=f"mssql://{login}@{place}?{options}")


def _name_driver(job: Job) -> None:
    """Register the driver of the wheel under the name that dlt insists on."""
    lines = f"[{_DRIVER}]\nDriver={job.odbc_driver}\n"
    (job.folder / "odbcinst.ini").write_text(lines, encoding="utf-8")
    os.environ["ODBCSYSINI"] = str(job.folder)


PEERS: dict[str, Prepare] = {"dlt": prepare_pipeline}
