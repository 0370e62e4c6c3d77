"""Connections to one SQLite file: their set-up, how transactions begin, how long one may run."""

import os
import sqlite3
import time
from math import inf
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dropload.config import DatabaseConfig
from dropload.targets.sqlite.columns import PRINT, print_value
from dropload.targets.sqlite.place import check_place

WRITE = "dropload_write"
"""Execution option: the transaction begins with BEGIN IMMEDIATE."""
SOON = "dropload_soon"
"""Execution option: and it gives up soon; the value is the usual patience, in seconds."""
UNSYNCED = "dropload_unsynced"
"""Execution option: and its commit does not wait for the disk."""
_FILE = "dropload_file"
_SYNC = "dropload_sync"
_DEADLINE = "dropload_deadline"
_SOON_MILLISECONDS = 250
"""Patience of a write that may be left out; the commits of other loads take less."""
_STEPS = 100_000
"""Instructions of SQLite's machine between two looks at the clock: some milliseconds."""

_LOG_BYTES = 64 << 20
"""To this size the log is cut when it is begun anew; a large load makes it larger."""
PAGE_BYTES = 16_384
"""Of a database that dropload makes, four times SQLite's default: large files load in a seventh
less time. One that somebody else made keeps its own (sqlite.org/pragma.html#pragma_page_size)."""
CHECKPOINT_BYTES = 16 << 20
"""So much may stand in the log of changes alone, four times SQLite's own default: what load after
load changes goes into the database once, not each time."""


def make_engine(path: Path, database: DatabaseConfig) -> sa.Engine:
    """Return an engine on the file; raise ConfigError where no database can be."""
    check_place(path)
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": database.busy_timeout_seconds},
    )
    sa.event.listen(engine, "connect", _set_up_connection)
    sa.event.listen(engine, "checkout", _check_same_file)
    sa.event.listen(engine, "begin", _begin)
    sa.event.listen(engine, "handle_error", _forget_read_only)
    _limit_statements(engine, database.statement_timeout_seconds)
    return engine


def _set_up_connection(connection: sqlite3.Connection, record: Any) -> None:
    record.info[_FILE], record.info[_SYNC] = _file_identity(connection), "FULL"
    # Transactions are begun by us, explicitly: the driver's own rules commit before DDL.
    connection.isolation_level = None
    connection.create_function(PRINT, 3, print_value, deterministic=True)
    for pragma in (
        f"page_size={PAGE_BYTES}",  # before the first page is written: then it stays as it is
        "journal_mode=WAL",
        "synchronous=FULL",
        # Some builds (Debian's) write zeros over all pages of a dropped side table, which doubles
        # what is written; FAST does so only where a page is written anyway (pragma.html).
        "secure_delete=FAST",
        f"journal_size_limit={_LOG_BYTES}",
        "foreign_keys=OFF",  # a rebuild drops and renames tables; the owner's keys stay declared
        "legacy_alter_table=ON",  # a rename must not rewrite the owner's views
    ):
        connection.execute(f"PRAGMA {pragma}")
    [page_bytes] = connection.execute("PRAGMA page_size").fetchone()
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_BYTES // page_bytes}")


def _limit_statements(engine: sa.Engine, seconds: float) -> None:
    """End each statement that takes longer; SQLite itself knows no such limit."""

    def set_up(connection: sqlite3.Connection, record: Any) -> None:
        deadline = record.info[_DEADLINE] = [inf]
        connection.set_progress_handler(lambda: time.monotonic() > deadline[0], _STEPS)

    def begin(conn: sa.Connection, *_: object) -> None:
        conn.info[_DEADLINE][0] = time.monotonic() + seconds

    sa.event.listen(engine, "connect", set_up)
    sa.event.listen(engine, "before_cursor_execute", begin)


def _check_same_file(connection: sqlite3.Connection, record: Any, _proxy: Any) -> None:
    """Reconnect when another file has taken the name: rows would go into one that is deleted."""
    if _file_identity(connection) != record.info[_FILE]:
        raise sa.exc.DisconnectionError("the database file was replaced or removed")


def _forget_read_only(context: Any) -> None:
    """Connect anew the next time: a file that was opened without the right to write stays so.

    Somebody may have given the right since.
    """
    code = getattr(context.original_exception, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        context.is_disconnect = True


def _file_identity(connection: sqlite3.Connection) -> tuple[int, int] | None:
    [(_, _, path)] = connection.execute("PRAGMA database_list").fetchall()[:1]
    try:
        found = os.stat(path)  # noqa: PTH116 - the path is text that SQLite gives
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _begin(conn: sa.Connection) -> None:
    options = conn.get_execution_options()
    _set_sync(conn, "NORMAL" if UNSYNCED in options else "FULL")
    if SOON in options:
        _begin_soon(conn, options[SOON])
    else:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if options.get(WRITE) else "BEGIN")


def _set_sync(conn: sa.Connection, level: str) -> None:
    """Have commits wait for the disk, or not; within a transaction SQLite refuses to change that.

    The log of changes reaches the disk in one piece, see https://www.sqlite.org/wal.html,
    "Performance Considerations".
    """
    if conn.info.get(_SYNC) != level:
        conn.exec_driver_sql(f"PRAGMA synchronous={level}")
        conn.info[_SYNC] = level


def _begin_soon(conn: sa.Connection, usual_seconds: float) -> None:
    conn.exec_driver_sql(f"PRAGMA busy_timeout={_SOON_MILLISECONDS}")
    try:
        conn.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        conn.exec_driver_sql(f"PRAGMA busy_timeout={usual_seconds * 1000:.0f}")
