"""Statements that every load runs, built once: building one takes longer than running it.

What differs from load to load are parameters. Their names begin with `of_`, since a parameter of an
UPDATE that is named as a column is taken for its new value.
"""

from typing import Any

import sqlalchemy as sa

from dropload.journal.tables import JournalTables, in_states
from dropload.model import OPEN_STATES, STANDING, LoadType, State

FILE_GONE = "file_gone"
"""Category of a load whose file was gone, or another, before it could be moved."""
UNFILED = (State.COMMITTED, State.FAILED, State.DUPLICATE)
"""Over as far as the rows go; the file still has to be moved unless `filed_at` says so."""

_ID: sa.BindParameter[int] = sa.bindparam("of_load_id")
_FILE: sa.BindParameter[int] = sa.bindparam("of_tracking_id")
_WORKER: sa.BindParameter[str] = sa.bindparam("of_worker")
_SCHEMA: sa.BindParameter[str] = sa.bindparam("of_schema")
_TABLE: sa.BindParameter[str] = sa.bindparam("of_table")
_PATH: sa.BindParameter[str] = sa.bindparam("of_path")
_KEY: sa.BindParameter[str] = sa.bindparam("of_once_key")


def of_table(schema: str, table: str) -> dict[str, Any]:
    """Return the parameters of statements about the loads of a table."""
    return {"of_schema": schema, "of_table": table}


class Queries:
    """The statements; each one says which parameters it takes."""

    def __init__(self, tables: JournalTables) -> None:
        self._ask_about_tables(tables.loads)
        self._ask_about_files(tables.loads)
        self._write(tables.loads, tables.tracking)
        self._note_ends(tables)

    def _ask_about_tables(self, loads: sa.Table) -> None:
        own, rows = loads.c, sa.select(loads)
        of_table = (own.schema_name == _SCHEMA, own.table_name == _TABLE)
        standing = rows.where(*of_table, in_states(own.state, STANDING))
        backups = sa.select(own.load_id, own.backup_table)

        self.last_commit = standing.order_by(own.commit_no.desc()).limit(1)
        """of_schema, of_table"""
        self.last_with_bytes = self.last_commit.where(own.once_key == _KEY)
        """of_schema, of_table, of_once_key"""
        self.later_commit = standing.where(own.load_id > _ID).limit(1)
        """of_schema, of_table, of_load_id"""
        self.later_fullload = self.later_commit.where(own.load_type == LoadType.FULLLOAD.value)
        """of_schema, of_table, of_load_id"""
        last_no = sa.select(sa.func.max(own.commit_no)).where(*of_table)
        with_bytes = sa.select(own.load_id).where(own.once_key == _KEY)
        self.commits = sa.select(
            last_no.scalar_subquery().label("last_commit_no"),
            with_bytes.scalar_subquery().label("load_with_bytes"),
        )
        """of_schema, of_table, of_once_key: both null where there is none"""
        self.backups = backups.where(*of_table, own.backup_table.is_not(None)).order_by(
            own.commit_no.desc()
        )
        """of_schema, of_table"""
        self.open_of_table = rows.where(
            *of_table,
            own.tracking_id != _FILE,
            own.in_tree == sa.true(),
            in_states(own.state, OPEN_STATES),
        ).order_by(own.load_id)
        """of_schema, of_table, of_tracking_id"""

    def _ask_about_files(self, loads: sa.Table) -> None:
        own = loads.c
        of_file = sa.select(loads).where(own.tracking_id == _FILE)
        lost = of_file.where(own.state == State.FILED, own.error_category == FILE_GONE)

        self.load = sa.select(loads).where(own.load_id == _ID).limit(1)
        """of_load_id"""
        self.open_of_file = of_file.where(in_states(own.state, OPEN_STATES)).limit(1)
        """of_tracking_id"""
        self.unfiled_of_file = of_file.where(in_states(own.state, UNFILED), own.filed_at.is_(None))
        """of_tracking_id"""
        self.lost_of_file = lost.order_by(own.load_id.desc()).limit(1)
        """of_tracking_id"""

    def _write(self, loads: sa.Table, tracking: sa.Table) -> None:
        own, file = loads.c, tracking.c

        self.new_load = sa.insert(loads)
        """The values of its row."""
        self.change_own = sa.update(loads).where(
            own.load_id == _ID, own.worker == _WORKER, in_states(own.state, OPEN_STATES)
        )
        """of_load_id, of_worker, and the new values: nothing is changed once the claim is lost."""
        self.new_file = sa.insert(tracking)
        """The values of its row."""
        self.file = sa.select(tracking).where(file.file_path == _PATH)
        """of_path"""
        self.change_file = sa.update(tracking).where(file.id == _FILE)
        """of_tracking_id, and the new values"""
        self.tell_file = self.change_file.where(file.load_id == _ID)
        """of_tracking_id, of_load_id, and the new values"""

    def _note_ends(self, tables: JournalTables) -> None:
        own = tables.loads.c
        becomes = sa.case((own.state == State.COMMITTED, State.FILED.value), else_=own.state)

        self.note_filed = (
            sa.update(tables.loads)
            .where(own.load_id == _ID, own.filed_at.is_(None))
            .values(state=becomes, worker=None, lease_until=None)
        )
        """of_load_id, and the new values: a committed load becomes filed"""
        self.end_of_load = sa.select(own.tracking_id, own.state).where(own.load_id == _ID)
        """of_load_id"""
        self.published = sa.select(own.rows_before, own.rows_after, own.rows_loaded).where(
            own.load_id == _ID, in_states(own.state, STANDING)
        )
        """of_load_id"""
