"""The databases that are loaded into: a new, empty one for every run."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import (
    POSTGRESQL_VARIABLE,
    SQLSERVER_VARIABLE,
    drop_database,
    drop_sqlserver_database,
    make_database,
    make_sqlserver_database,
)

from benchmarks.jobs import POSTGRESQL, SQLITE, SQLSERVER
from benchmarks.soak.places import open_place
from dropload.config import Config
from dropload.targets import open_target

DATABASES = (SQLITE, POSTGRESQL, SQLSERVER)
TITLES = {SQLITE: "SQLite", POSTGRESQL: "PostgreSQL", SQLSERVER: "SQL Server's protocol"}


@dataclass(frozen=True)
class Databases:
    """Those that can be had here."""

    server: str = ""
    """Of PostgreSQL."""

    @contextmanager
    def fresh(self, name: str, folder: Path) -> Iterator[str]:
        """Yield the URL of a new database, which goes at the end."""
        if name == SQLITE:
            yield f"sqlite:///{folder / 'bench.db'}"
            return
        url = make_database(self.server) if name == POSTGRESQL else make_sqlserver_database()
        try:
            yield url
        finally:
            if name == POSTGRESQL:
                drop_database(self.server, url)
            else:
                drop_sqlserver_database(url)


@contextmanager
def open_databases(names: list[str], folder: Path) -> Iterator[Databases]:
    """Start what has to be started."""
    with ExitStack() as stack:
        server = os.environ.get(POSTGRESQL_VARIABLE, "")
        if POSTGRESQL in names and not server:
            server = stack.enter_context(open_place(POSTGRESQL, folder)).url
        yield Databases(server)


def missing_reason(name: str) -> str:
    """Return why a database cannot be had here; empty when it can."""
    if name == SQLSERVER and not os.environ.get(SQLSERVER_VARIABLE):
        return f"{SQLSERVER_VARIABLE} is not set"
    return ""


def read_rows(url: str, table: str, names: list[str], folder: Path) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table, in whatever order, as the database gives them."""
    config = {"paths": {"dropoff": str(folder / "none")}, "database": {"url": url}}
    with closing(open_target(Config.model_validate(config))) as target, target.read() as conn:
        columns = ", ".join(target.quoted_column(name) for name in names)
        streamed = conn.execution_options(stream_results=True)
        for row in streamed.exec_driver_sql(f"SELECT {columns} FROM {table}"):
            yield tuple(row)
