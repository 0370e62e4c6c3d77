"""How peers reach SQL Server, and the tables that they need made for them."""

from typing import Any

from benchmarks.jobs import Job

_TYPES = {"date": "date", "timestamp": "datetime2(3)", "number": "decimal(38,2)"}
PACKET_BYTES = 16384
"""The driver's own default panics where the server offers 4096."""


def text_columns(job: Job) -> str:
    return ", ".join(f"[{name}] nvarchar(100)" for name in job.names)


def typed_columns(job: Job) -> str:
    types = ((column.name, _TYPES.get(column.kind, "nvarchar(100)")) for column in job.columns)
    return ", ".join(f"[{name}] {sql_type}" for name, sql_type in types)


def connect(job: Job) -> Any:
    """Return a connection of mssql-python, the only one that has bulk copy."""
    import mssql_python  # noqa: PLC0415 - only those peers have it that use it

    user, password = job.login
    parts = {
        "Server": f"{job.address.hostname},{job.address.port or 1433}",
        "Database": job.database_name,
        "UID": user,
        "PWD": f"{{{password}}}",
        "Encrypt": "no" if "encrypt=no" in job.address.query else "yes",
        "TrustServerCertificate": "yes",
        "PacketSize": str(PACKET_BYTES),
    }
    return mssql_python.connect(";".join(f"{key}={value}" for key, value in parts.items()))


def odbc_string(job: Job) -> str:
    user, password = job.login
    parts = {
        "DRIVER": f"{{{job.odbc_driver}}}",
        "SERVER": f"{job.address.hostname},{job.address.port or 1433}",
        "DATABASE": job.database_name,
        "UID": user,
        "PWD": f"{{{password}}}",
        "Encrypt": "no" if "encrypt=no" in job.address.query else "yes",
        "TrustServerCertificate": "yes",
    }
    return ";".join(f"{key}={value}" for key, value in parts.items())


def create_table(job: Job, columns: str) -> None:
    connection = connect(job)
    connection.cursor().execute(f"CREATE TABLE dbo.[{job.table}] ({columns})")
    connection.commit()
    connection.close()
