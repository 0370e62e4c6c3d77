"""Add rows to a table in a transaction that stays open until it is known whether they count."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import ClassVar

import sqlalchemy as sa

from dropload.errors import DroploadError, StalePlanError
from dropload.model import Plan
from dropload.stage_writer import naming_the_value
from dropload.targets.base import COUNTED_ROWS, Published, Target
from dropload.targets.row_stream import RowCopy, Rows, RowStream


class OpenAppend(RowStream):
    """Takes rows into their table itself while their file is still being read.

    Nobody else sees them: the transaction is the one that publishes them, and what keeps it from
    its end takes them back. Nothing is written to the journal before, so that nobody waits for it.
    """

    gathers: ClassVar[bool] = False

    def __init__(self, target: Target, plan: Plan, load_id: int) -> None:
        self._target = target
        self._plan = plan
        self._load_id = load_id
        self._transaction = ExitStack()
        self._conn: sa.Connection | None = None
        self._table_id: int | None = None
        self._rows_before: int | None = None
        self._copy: RowCopy | None = None
        self._is_counted = False
        self._rows = 0
        """How many the table has taken."""

    def begin(self) -> bool:
        """Begin the transaction; return False where the table takes no rows so, or not now."""
        with ExitStack() as opened:
            conn = opened.enter_context(self._target.write())
            self._table_id = self._target.open_table(conn, self._plan)
            self._transaction, self._conn = opened.pop_all(), conn
        if self._table_id is None:
            # A table that was made for it must not stay.
            self.abandon()
        return self._table_id is not None

    def send(self, batches: Rows) -> bool:
        """Write the batches into the table."""
        conn, plan = self._open_conn(), self._plan
        if self._copy is None:
            self._count_once(conn)
            self._copy = self._target.begin_copy(conn, plan, plan.table, batches, self._load_id)
        with naming_the_value(plan.table):
            self._copy.add(batches)
        return True

    def settle(self) -> None:
        """Have the table take what was sent, uncommitted; the connection is free then."""
        if self._copy is not None:
            self._rows += self._copy.finish()
            self._copy = None

    def abandon(self) -> None:
        """Take everything back that is not committed."""
        self._conn = None
        if self._copy is not None:
            self._copy.abandon()
        # A connection that broke has taken it back already.
        with suppress(_NotWantedError, DroploadError), self._transaction:
            raise _NotWantedError

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Hand out the transaction, which ends with the block: committed, unless that raises."""
        conn, self._conn = self._open_conn(), None
        with self._transaction:
            self._count_once(conn)
            yield conn

    def check_table(self, conn: sa.Connection) -> None:
        """Raise StalePlanError when its name means another table now: rows may be in both.

        Nobody can have changed it, but what it is called does change with its schema's name.
        """
        if self._target.table_id(conn, self._plan.table) != self._table_id:
            raise StalePlanError(f"{self._plan.table} was renamed while the file was being read.")

    def published(self) -> Published:
        """Return what the transaction has done to the table."""
        before, rows = self._rows_before, self._rows
        after = None if before is None else before + rows
        return Published(before, after, rows, rows, None)

    def _count_once(self, conn: sa.Connection) -> None:
        """Count the rows that are there; with the first that come: the reader need not wait."""
        if self._plan.creates_table:
            self._rows_before = 0
        elif not self._is_counted:
            # No further, however many the file brings: nothing is written meanwhile.
            self._rows_before = self._target.count_up_to(conn, self._plan.table, COUNTED_ROWS)
            self._is_counted = True

    def _open_conn(self) -> sa.Connection:
        if self._conn is None:
            raise RuntimeError("this transaction is over")
        return self._conn


class _NotWantedError(Exception):
    """Has a transaction rolled back."""
