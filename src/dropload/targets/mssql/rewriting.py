"""Write a column anew as text, so that its old values read as their files wrote them."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from dropload import column_types
from dropload.errors import TargetError
from dropload.model import ColumnType, Kind

_PAGE = 50_000
"""Different floats that are converted at once; memory does not grow with the table."""


def write_as_text(
    conn: sa.Connection, table: str, column: str, fresh: str, column_type: ColumnType
) -> None:
    """Fill the new text column `fresh` from `column`; all names are quoted.

    Raises TargetError when a value would be missing, before anything of the old column is gone.
    """
    if column_type.kind is Kind.FLOAT:
        _write_floats(conn, table, column, fresh)
    else:
        text = _expression(column, column_type)
        conn.exec_driver_sql(f"UPDATE {table} SET {fresh} = {text} WHERE {column} IS NOT NULL")  # noqa: S608
    lost = conn.exec_driver_sql(
        f"SELECT COUNT_BIG(*) FROM {table} WHERE {column} IS NOT NULL AND {fresh} IS NULL"  # noqa: S608
    ).scalar_one()
    if lost:
        raise TargetError(
            f"{lost:,} values of column {column} of {table} cannot be written as text.",
            hint="Change the column to nvarchar by hand, then the load goes on.",
            code="column_change",
        )


def _expression(column: str, column_type: ColumnType) -> str:
    """Return the SQL that prints a value as its file wrote it."""
    if column_type.kind is Kind.BOOLEAN:
        return f"CASE {column} WHEN 1 THEN 'true' ELSE 'false' END"
    if column_type.kind is Kind.UUID:
        return f"LOWER(CAST({column} AS nvarchar(36)))"
    # Style 121: year first, a blank before the time, and before the offset where there is one.
    text = f"CONVERT(nvarchar(40), {column}, 121)"
    if column_type.kind is Kind.TIMESTAMP_OFFSET:
        return f"{_trimmed(f'LEFT({text}, LEN({text}) - 7)')} + RIGHT({text}, 6)"
    return _trimmed(text)


def _trimmed(text: str) -> str:
    """Return the SQL of a time without the zeros that only fill its fraction."""
    kept = f"LEFT({text}, LEN({text}) - PATINDEX('%[^0]%', REVERSE({text})) + 1)"
    bare = f"REPLACE(REPLACE({kept} + '|', '.|', ''), '|', '')"
    return f"CASE WHEN CHARINDEX('.', {text}) = 0 THEN {text} ELSE {bare} END"


def _write_floats(conn: sa.Connection, table: str, column: str, fresh: str) -> None:
    """Convert page by page: no style of the server's prints the shortest digits of a float."""
    texts = "#dropload_texts"
    conn.exec_driver_sql(
        f"CREATE TABLE {texts} (value float NOT NULL PRIMARY KEY, text nvarchar(400) NOT NULL)"
    )
    for values in _pages(conn, table, column):
        rows = [(v, column_types.canonical_text(v, ColumnType(Kind.FLOAT))) for v in values]
        conn.exec_driver_sql(f"INSERT INTO {texts} (value, text) VALUES (?, ?)", rows)  # noqa: S608
    conn.exec_driver_sql(
        f"UPDATE o SET {fresh} = t.text FROM {table} o "  # noqa: S608
        f"JOIN {texts} t ON t.value = o.{column}"
    )
    conn.exec_driver_sql(f"DROP TABLE {texts}")


def _pages(conn: sa.Connection, table: str, column: str) -> Iterator[Sequence[float]]:
    query = f"SELECT DISTINCT TOP {_PAGE} {column} FROM {table} WHERE {column} "  # noqa: S608
    values = conn.exec_driver_sql(f"{query} IS NOT NULL ORDER BY {column}").scalars().all()
    while values:
        yield values
        query_rest = f"{query} > ? ORDER BY {column}"
        values = conn.exec_driver_sql(query_rest, (values[-1],)).scalars().all()
