"""Take the rows of a load out of their table again, or put back those that the load replaced."""

import sqlalchemy as sa

from dropload.errors import TargetError
from dropload.model import TableInfo, TableName
from dropload.targets.base import IN_THE_WAY, LINEAGE, LOAD_ID, Target


def check_restore(
    target: Target, conn: sa.Connection, table: TableName, backup: TableName
) -> tuple[TableInfo, TableInfo]:
    """Return a backup and its table as they are now.

    Raises TargetError when the rows of the one have no place in the other.
    """
    kept, now = target.reflect(conn, backup), target.reflect(conn, table)
    if kept is None or now is None:
        raise TargetError(
            f"{backup if kept is None else table} is not there any more.", code="table_changed"
        )
    known = {*(column.name for column in now.columns), *now.computed}
    homeless = [column.name for column in kept.columns if column.name not in known]
    if homeless:
        raise TargetError(
            f"{table} has no column {', '.join(map(repr, homeless))}, which {backup} has.",
            hint="Add the column again, or copy the rows from the backup by hand.",
            code="table_changed",
        )
    check_dependents(target, conn, table)
    return kept, now


def check_dependents(target: Target, conn: sa.Connection, table: TableName) -> None:
    """Raise TargetError when rows of other tables would go or change with those of this one."""
    if dependents := target.find_rules(conn, table).dependents:
        raise TargetError(
            f"Rows of other tables hang on those of {table}: {', '.join(dependents)}.",
            hint="Change that foreign key, or take the rows out by hand.",
            code="dependent_rows",
        )


def restore(target: Target, conn: sa.Connection, table: TableName, backup: TableName) -> int:
    """Give a table back the rows of a backup and return how many it has now.

    The table itself, and what hangs on it, stays; columns that it got later are null, and values
    read as their files wrote them under types that are wider now. The backup is left for the caller
    to drop. Raises TargetError when the rows have no place to go.
    """
    kept, now = check_restore(target, conn, table, backup)
    wanted = {column.name: column.type for column in now.columns}
    columns = [column for column in kept.columns if column.name in wanted]
    numbers = [column.name for column in kept.columns if column.name in now.numbered_always]
    lineage = LINEAGE if kept.has_lineage and now.has_lineage else ()
    values = [target.read_as(conn, backup, c, wanted[c.name]) for c in columns]
    as_they_are = [target.quoted_column(name) for name in (*numbers, *lineage)]
    names = [*(target.quoted_column(column.name) for column in columns), *as_they_are]
    target.delete_rows(conn, table, hint=IN_THE_WAY)
    with target.accept_numbers(conn, table, [c.name for c in columns if c.name in now.numbered]):
        target.change_rows(
            conn,
            f"INSERT INTO {target.quoted(table)} ({', '.join(names)}) "  # noqa: S608
            f"{target.override_numbers if numbers else ''} "
            f"SELECT {', '.join([*values, *as_they_are])} FROM {target.quoted(backup)}",
        )
    return target.count_rows(conn, table)


def count_rows_of(target: Target, conn: sa.Connection, table: TableName, load_id: int) -> int:
    """Return how many rows of a table with lineage a load has brought."""
    # Not COUNT, whose result has no room for the largest tables on some servers.
    counted = conn.exec_driver_sql(
        f"SELECT SUM(CAST(1 AS bigint)) FROM {target.quoted(table)} {_brought_by(target, load_id)}"  # noqa: S608
    )
    return int(counted.scalar_one() or 0)


def remove_rows(target: Target, conn: sa.Connection, table: TableName, load_id: int) -> None:
    """Delete the rows that a load has brought into a table with lineage.

    Raises TargetError when they are not free to go.
    """
    check_dependents(target, conn, table)
    target.delete_rows(conn, table, _brought_by(target, load_id), hint=IN_THE_WAY)


def _brought_by(target: Target, load_id: int) -> str:
    return f"WHERE {target.quoted_column(LOAD_ID)} = {load_id:d}"
