"""A statement that never ends is ended, and its load is tried again."""

from pathlib import Path

import pytest

from dropload.dock import open_dock
from dropload.errors import TransientError
from tests.conftest import make_config

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(600)",
    "mssql": "WITH n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n"
    " OPTION (MAXRECURSION 0)",
}


def test_a_statement_that_takes_too_long_is_ended_and_says_which_key_allows_more(
    tmp_path: Path, database_url: str
) -> None:
    settings = {"url": database_url, "statement_timeout_seconds": 1}
    target = open_dock(make_config(tmp_path, database=settings)).target
    try:
        with (
            pytest.raises(TransientError, match="statement_timeout_seconds"),
            target.write() as conn,
        ):
            conn.exec_driver_sql(ENDLESS[target.name])
        with target.read() as conn:
            assert target.now(conn).year > 2000, "the next statement has its own time"
    finally:
        target.close()
