"""Who is compared with dropload: what each needs, and what it does not do.

The modules beside this one load the rows; each is imported only in the process of its own peer.
"""

from dataclasses import dataclass

from benchmarks.jobs import POSTGRESQL, SQLITE, SQLSERVER

TYPES, HASH, ATOMICITY, REJECTS = "types", "hash", "atomicity", "rejects"
_ALL = (TYPES, HASH, ATOMICITY, REJECTS)


@dataclass(frozen=True)
class Peer:
    name: str
    module: str
    databases: tuple[str, ...]
    lacks: tuple[str, ...]
    """What of dropload's promises it does not keep: types (found, not given), a hash of the bytes,
    all rows or none when it is interrupted, a list of the rows that were refused."""
    requirements: tuple[str, ...] = ()
    """Packages of its environment; dropload's own where there are none."""
    program: str = ""
    """Must be found on the path or in the environment."""
    in_process: bool = True
    """False for a program that is started anew for every file."""

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("dropload")


NEW, APPEND, FULLLOAD = "dropload new table", "dropload append", "dropload fullload"
_ODBC = ("pyodbc", "mssql-python", "mssql-python-odbc", "pyarrow")
_SERVERS = (POSTGRESQL, SQLSERVER)

PEERS = (
    Peer(NEW, "ours", (SQLITE, *_SERVERS), ()),
    Peer(APPEND, "ours", (SQLITE, *_SERVERS), ()),
    Peer(FULLLOAD, "ours", (SQLITE, *_SERVERS), ()),
    Peer("csv + executemany", "standard", (SQLITE,), (TYPES, HASH, REJECTS)),
    Peer("sqlite3 .import", "programs", (SQLITE,), _ALL, program="sqlite3", in_process=False),
    Peer(
        "sqlite-utils",
        "programs",
        (SQLITE,),
        (HASH, ATOMICITY, REJECTS),
        ("sqlite-utils",),
        program="sqlite-utils",
        in_process=False,
    ),
    Peer(
        "csvkit csvsql",
        "programs",
        (SQLITE,),
        (TYPES, HASH, REJECTS),
        ("csvkit",),
        program="csvsql",
        in_process=False,
    ),
    Peer(
        "pandas.to_sql",
        "pandas_frames",
        (SQLITE, *_SERVERS),
        (HASH, REJECTS),
        ("pandas", "sqlalchemy", "psycopg[binary]", *_ODBC),
    ),
    Peer(
        "dlt",
        "dlt_pipelines",
        (SQLITE, *_SERVERS),
        (HASH, ATOMICITY, REJECTS),
        ("dlt[sqlalchemy,postgres,mssql]", *_ODBC),
    ),
    Peer(
        "sling",
        "programs",
        (SQLITE, *_SERVERS),
        (HASH, REJECTS),
        ("sling-linux-amd64",),
        program="sling-linux-amd64",
        in_process=False,
    ),
    Peer(
        "ADBC ingest alone",
        "adbc",
        (SQLITE,),
        (TYPES, HASH, REJECTS),
        ("adbc-driver-sqlite", "pyarrow"),
    ),
    Peer(
        "ADBC ingest alone",
        "adbc",
        (POSTGRESQL,),
        (TYPES, HASH, REJECTS),
        ("adbc-driver-postgresql", "pyarrow"),
    ),
    Peer(
        "psycopg COPY alone",
        "copying",
        (POSTGRESQL,),
        (TYPES, HASH, REJECTS),
        ("psycopg[binary]",),
    ),
    Peer(
        "psql \\copy",
        "programs",
        (POSTGRESQL,),
        (TYPES, HASH, REJECTS),
        program="psql",
        in_process=False,
    ),
    Peer("mssql-python bulkcopy alone", "bulk", (SQLSERVER,), _ALL, _ODBC),
    Peer("pyodbc fast_executemany alone", "bulk", (SQLSERVER,), (TYPES, HASH, REJECTS), _ODBC),
    Peer("freebcp", "programs", (SQLSERVER,), _ALL, _ODBC, program="freebcp", in_process=False),
)
