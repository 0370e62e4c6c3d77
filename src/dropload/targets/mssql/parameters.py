"""Declare every parameter of a statement, so that the driver never asks the server for its type."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyodbc
import sqlalchemy as sa

from dropload.targets.mssql.columns import MAX_WIDTH

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = (pyodbc.SQL_BIGINT, 19, 0)
"""Declared like every parameter, so that the driver need not ask the server what it wants."""


def declare_parameters(
    _conn: sa.Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> tuple[str, Any]:
    """Write nulls into the statement and say the type of every other parameter.

    For a null the driver asks the server what type it should have: a round trip for each statement
    with one, and the answer fails where the server cannot describe it.
    """
    if context is None or context.compiled is None:
        return statement, parameters
    if executemany:
        columns = zip(*parameters, strict=True)
        cursor.setinputsizes([_declared_size_of_column(column) for column in columns])
        return statement, parameters
    texts = statement.split("?")
    if len(texts) != len(parameters) + 1:
        return statement, parameters
    marks = ["NULL" if value is None else "?" for value in parameters]
    given = tuple(value for value in parameters if value is not None)
    cursor.setinputsizes([_declared_size(value) for value in given])
    joined = [text for pair in zip(texts, [*marks, ""], strict=True) for text in pair]
    return "".join(joined), given


def _declared_size_of_column(values: Iterable[object]) -> tuple[int, int, int] | None:
    sizes = [_declared_size(value) for value in values if value is not None]
    if not sizes:
        return (pyodbc.SQL_WVARCHAR, 1, 0)
    # Width 0 means without limit: one long text decides for the column.
    return next((size for size in sizes if size is not None and size[1] == 0), sizes[0])


def _declared_size(value: object) -> tuple[int, int, int] | None:
    if isinstance(value, bool):
        return (pyodbc.SQL_BIT, 1, 0)
    if isinstance(value, int):
        return NUMBER
    if isinstance(value, datetime):
        return (pyodbc.SQL_TYPE_TIMESTAMP, 26, 6)
    if isinstance(value, str):
        return (pyodbc.SQL_WVARCHAR, 0 if len(value) > MAX_WIDTH // 2 else MAX_WIDTH, 0)
    return None


def width_of(column: "pa.Array") -> int:
    """Return the units of UTF-16 that the longest value may take, 1 at least."""
    import pyarrow.compute as pc  # noqa: PLC0415 - only what loads rows needs Arrow

    longest = pc.max(pc.utf8_length(column)).as_py() or 0
    longest_bytes = pc.max(pc.binary_length(column)).as_py() or 0
    # A character of four bytes takes two units; there are no more of them than bytes / 4.
    return max(1, longest + (longest_bytes // 4 if longest_bytes > longest else 0))


def input_size(width: int) -> tuple[int, int, int]:
    """Return how a text parameter of that width is declared."""
    if width <= MAX_WIDTH:
        return (pyodbc.SQL_WVARCHAR, width, 0)
    return (pyodbc.SQL_WLONGVARCHAR, width, 0)
