"""Get a transaction ready in which rows go into their table while their file is still being read.

It stays open for long, so that it takes no lock that others would mind, waits for none, and ends by
itself where its client is not heard of.
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from dropload.model import Plan, TableName
from dropload.targets.postgresql import catalogue, owned
from dropload.targets.postgresql.errors import is_lock_timeout

if TYPE_CHECKING:
    from dropload.targets.postgresql.target import PostgreSQLTarget

_TRY_QUEUE = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
_LIMIT = sa.text(
    "SELECT set_config('idle_in_transaction_session_timeout', '5s', true)"
    " WHERE current_setting('idle_in_transaction_session_timeout') = '0'"
)
"""Has the server end a transaction for which nothing came for so long: a file that hangs must not
keep a table from its owner (or for as long as the owner has set)."""
MOST_SECONDS = 60
"""So long may a single statement take: a COPY ends each second, unless its client was stopped, or
has vanished."""
_NO_WAIT = "SET LOCAL lock_timeout = '100ms'"
"""CREATE TABLE knows no NOWAIT."""


def queue_name(table: TableName) -> str:
    """Return the name of the lock that loads of a table hold one after the other."""
    return f"dropload {table}"


def open_table(target: "PostgreSQLTarget", conn: sa.Connection, plan: Plan) -> int | None:
    """Make the table, or lock it as an INSERT does; return its number.

    None where it takes no rows so, or not now: what was done is to be rolled back then.
    """
    if not owned.has_our_types(plan) or _has_few_connections_left(target):
        return None
    if not conn.execute(_TRY_QUEUE, {"name": queue_name(plan.table)}).scalar_one():
        return None
    conn.execute(_LIMIT)
    seconds = min(MOST_SECONDS, target.database.statement_timeout_seconds)
    conn.exec_driver_sql(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")
    is_open = _make if plan.creates_table else _lock
    return target.table_id(conn, plan.table) if is_open(target, conn, plan) else None


def _has_few_connections_left(target: "PostgreSQLTarget") -> bool:
    """Return whether threads of this process hold so many that the load's other steps would wait.

    Each of them that holds one for long needs a second from time to time.
    """
    pool = target.engine.pool
    return isinstance(pool, sa.QueuePool) and pool.checkedout() > pool.size()


def _make(target: "PostgreSQLTarget", conn: sa.Connection, plan: Plan) -> bool:
    if not target.makes_tables_alone(conn):
        return False
    wait = round(target.database.busy_timeout_seconds * 1000)
    try:
        conn.exec_driver_sql(_NO_WAIT)
        target.create_table(conn, plan)
        conn.exec_driver_sql(f"SET LOCAL lock_timeout = {wait}")
    except sa.exc.DBAPIError as exc:
        if not is_lock_timeout(exc):
            raise
        return False
    return target.takes_rows(conn, plan.table)


def _lock(target: "PostgreSQLTarget", conn: sa.Connection, plan: Plan) -> bool:
    table = target.quoted(plan.table)
    try:
        conn.exec_driver_sql(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE NOWAIT")
    except sa.exc.DBAPIError as exc:
        if not is_lock_timeout(exc):
            raise
        return False
    info = target.reflect(conn, plan.table)
    if info is None or info.columns != plan.table_before:
        return False
    has_keys: bool = conn.execute(
        catalogue.HAS_KEYS, {"name": target.full_name(plan.table)}
    ).scalar_one()
    return not has_keys and target.takes_rows(conn, plan.table)
