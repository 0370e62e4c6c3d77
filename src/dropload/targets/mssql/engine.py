"""The engine over the server: its pool, and what every connection is told."""

from typing import Any
from urllib.parse import quote_plus

import pyodbc
import sqlalchemy as sa

from dropload.config import DatabaseConfig
from dropload.errors import TargetError
from dropload.targets.mssql.errors import is_syntax_error, too_old_error
from dropload.targets.mssql.parameters import declare_parameters


def open_engine(odbc_connect: str, database: DatabaseConfig, *, fast: bool) -> sa.Engine:
    """Return an engine; `fast`: arrays of parameters go in one call (FreeTDS crashes on them)."""
    engine = sa.create_engine(
        f"mssql+pyodbc:///?odbc_connect={quote_plus(odbc_connect)}",
        fast_executemany=fast,
        use_setinputsizes=False,
        pool_pre_ping=True,
        pool_recycle=database.pool_recycle_seconds,
        pool_size=database.pool_size,
        connect_args={"timeout": max(1, round(database.connect_timeout_seconds))},
    )

    def set_up(connection: Any, _record: Any) -> None:
        """Limit waits for locks, of reading statements too, and say in which order dates are."""
        wait = round(database.busy_timeout_seconds * 1000)
        connection.execute(f"SET LOCK_TIMEOUT {wait}")
        connection.timeout = max(1, round(database.statement_timeout_seconds))
        # A login's language may read 2024-02-01 as the second of January, in a column of datetime.
        connection.execute("SET DATEFORMAT ymd")

    sa.event.listen(engine, "connect", set_up)
    sa.event.listen(engine, "first_connect", refuse_old_server)
    sa.event.listen(engine, "before_cursor_execute", declare_parameters, retval=True)
    sa.event.listen(engine, "first_connect", refuse_lazy_commits)
    _let_rollback_follow_abort(engine)
    return engine


def refuse_old_server(connection: Any, _record: Any) -> None:
    """Try a statement that SQL Server has since 2016: what a server calls itself can be set."""
    try:
        connection.execute("DROP TABLE IF EXISTS #dropload_probe")
        connection.rollback()
    except pyodbc.Error as exc:
        if is_syntax_error(exc):
            raise too_old_error() from exc
        raise


def refuse_lazy_commits(connection: Any, _record: Any) -> None:
    """Refuse a database whose commits a crash can take back, after their file was filed away."""
    query = "SELECT delayed_durability_desc FROM sys.databases WHERE name = DB_NAME()"
    try:
        row = connection.execute(query).fetchone()
    except pyodbc.Error:
        return  # a server without the setting
    finally:
        connection.rollback()
    if row and row[0] == "FORCED":
        raise TargetError(
            "This database may lose commits in a crash: DELAYED_DURABILITY is FORCED.",
            hint="ALTER DATABASE … SET DELAYED_DURABILITY = ALLOWED, or DISABLED.",
            code="durability",
        )


def _let_rollback_follow_abort(engine: sa.Engine) -> None:
    """Take it for done when there is nothing left to roll back: XACT_ABORT was faster."""
    usual = engine.dialect.do_rollback

    def roll_back(connection: Any) -> None:
        try:
            usual(connection)
        except pyodbc.Error as exc:
            if "(3903)" not in str(exc):
                raise

    engine.dialect.do_rollback = roll_back  # type: ignore[assignment,method-assign]
