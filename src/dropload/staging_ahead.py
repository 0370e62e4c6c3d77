"""Stage the rows of a file while it is read for the first time.

A file has to be read to its end before its plan is certain. Most files are what their beginning
says, so that a plan is made of that, and the rows are staged under it by a thread while the others
are still being judged. When the plan of the whole file would have staged the same, they are there
already, and the file is not read again: what is hashed and what is loaded are the same bytes. When
not, the side table is made anew, as if nothing had been tried.

Where the database allows for it, rows go into the table itself, a new one or one that they are
appended to, by a transaction that stays open until the plan is certain: they are written once.
"""

from collections.abc import Callable
from contextlib import ExitStack
from threading import Event
from typing import Any, TypeAlias

import sqlalchemy as sa

from dropload.column_types import rewrite_columns
from dropload.dock import Dock
from dropload.errors import ClaimLostError
from dropload.examination import KnownTable, plan_beginning
from dropload.intake import NamedDrop
from dropload.logs import get_logger
from dropload.model import ColumnType, Layout, Load, Plan, State
from dropload.open_append import OpenAppend
from dropload.parsers.base import Batch, Parser
from dropload.parsers.delimited import DelimitedParser
from dropload.progress import ProgressMeter
from dropload.reading_again import notations_to_rewrite, touched_at
from dropload.stage_writer import NoteRows, StageWriter
from dropload.targets.base import Target
from dropload.write_behind import WriteBehind

AHEAD_BYTES = 4 << 20
"""Reading less a second time takes no longer than planning twice."""
APPEND_BYTES = 256 << 20
"""The rows of a larger file go to a side table, where they outlive a try that is cut off, and while
they come nobody who would change the table has to wait."""
_BEGINNING_BYTES = 256 << 10
"""So much of a file is looked at to plan for all of it: one block mostly, or more small ones."""
_BEGINNING_ROWS = 64_000
"""Or so many of its rows, good and bad."""
_PACKED = 16
"""How many times its size is expected of a file that is no plain text: tables reach 10 to 50."""


class StagingAhead:
    """The rows of a load that are written while nobody knows yet whether they will be used.

    Whatever goes wrong here is no trouble of the load: it is staged as if nothing had been tried.
    Only a lost claim is raised.
    """

    def __init__(self, dock: Dock, load: Load, meter: ProgressMeter) -> None:
        self._dock = dock
        self._load = load
        self._meter = meter
        self._touched_at = 0
        self._attempt: _Attempt | None = None
        """None: nothing is staged, or no more."""
        self.is_accepted = False
        """Whether all rows of the plan are written: into its side table, or by `open_append`."""
        self.kept_table: KnownTable | None = None
        """The table that rows go into already, so that nobody changes it; to look at it once more
        could mean to wait for somebody who waits for that transaction."""
        self.open_append: OpenAppend | None = None
        """What has taken them into the table itself; None where nothing has."""

    def begin(self, named: NamedDrop, parser: Parser, layout: Layout) -> None:
        """Get ready to write the rows of a large file, before any of it is read."""
        if self._load.drop.version.size_bytes < AHEAD_BYTES:
            return
        try:
            self._touched_at = touched_at(self._load.drop.path)
            self._attempt = _Attempt(self._dock, self._load, named, parser, layout, self._note_rows)
            self._attempt.behind.start()
        except Exception as exc:  # noqa: BLE001 - of what nobody has asked for
            self._give_up(exc)

    def take(self, batch: Batch, reader: str) -> None:
        """Have a batch staged that `reader` has read.

        What one reads first may count for nothing: it may leave the file to another yet.
        """
        self._hand_over((batch, reader))

    def take_no_more(self) -> None:
        """Have settled what was taken: the file is judged, which may take long, before `accept`."""
        self._hand_over(None)
        if self._attempt is not None:
            self.kept_table = self._attempt.kept_table

    def _hand_over(self, item: "_Item") -> None:
        """Have the thread take an item; behind the last one it is known what it has begun."""
        if self._attempt is None:
            return
        try:
            self._attempt.behind.put(item)
            if item is None:
                self._attempt.behind.wait_for(self._attempt.has_begun)
        except ClaimLostError:
            raise
        except Exception as exc:  # noqa: BLE001 - of a plan that may be wrong
            self._give_up(exc)

    def accept(self, plan: Plan) -> None:
        """Keep what was written if it is all rows of the plan, which the journal says then."""
        if self._attempt is None:
            return
        try:
            self._finish(self._attempt, plan)
        except ClaimLostError:
            raise
        except Exception as exc:  # noqa: BLE001 - of a plan that may be wrong
            self._give_up(exc)
            return
        self.open_append, self._attempt = self._attempt.append, None
        self.is_accepted = True

    def close(self) -> None:
        """Stop writing; what is in the side table is the next one's to drop or to keep."""
        attempt, self._attempt = self._attempt, None
        self.kept_table = None
        if attempt is not None:
            attempt.behind.stop()
            attempt.abandon()
        if self.open_append is not None:
            self.open_append.abandon()

    def _finish(self, attempt: "_Attempt", plan: Plan) -> None:
        """Have the last rows written; raises what speaks against them."""
        if attempt.plan is not None and not _stages_alike(self._dock.target, attempt.plan, plan):
            raise _GivenUpError("the whole file is not as its beginning")
        attempt.behind.finish()
        if touched_at(self._load.drop.path) != self._touched_at:
            raise _GivenUpError("the file was touched while it was read")
        attempt.finish(plan, lambda conn, rows: self._note_staged(conn, plan, rows))

    def _give_up(self, reason: Exception) -> None:
        self.close()
        get_logger().debug("staging_ahead_given_up", reason=str(reason) or type(reason).__name__)

    def _note_rows(self, conn: sa.Connection) -> None:
        """Renew the lease, or find out that the claim is gone; no row counts until the end."""
        self._dock.journal.loads.advance(conn, self._load, State.CLAIMED, self._meter.take())

    def _note_staged(self, conn: sa.Connection, plan: Plan, rows: int) -> None:
        journal = self._dock.journal
        journal.loads.record_plan(conn, self._load, plan, self._meter.take(), rows_staged=rows)


_Item: TypeAlias = tuple[Batch, str] | None
"""A batch and the name of who has read it; None: no more comes."""


class _Attempt:
    """What writes the rows, in a thread of its own: it plans on the first of them, too.

    The thread ends before anybody else finishes or abandons it.
    """

    def __init__(
        self,
        dock: Dock,
        load: Load,
        named: NamedDrop,
        parser: Parser,
        layout: Layout,
        note_rows: Callable[[sa.Connection], None],
    ) -> None:
        self._dock = dock
        self._load = load
        self._named = named
        self._parser = parser
        self._layout = layout
        self._note_rows = note_rows
        # What stands still lets go of what others wait for.
        self.behind: WriteBehind[_Item] = WriteBehind(self.work, on_pause=self.settle)
        """The thread; it is not started yet."""
        self._reader = ""
        """Who has read what was taken last."""
        self._beginning: list[Batch] = []
        """What was taken before there was a plan."""
        self._beginning_bytes = self._beginning_rows = 0
        """Of good rows, and of all of them."""
        self._notations: dict[int, str] = {}
        self._writer: StageWriter | None = None
        self.plan: Plan | None = None
        """That of the beginning; None: not yet, or there can be none."""
        self.append: OpenAppend | None = None
        """What takes the rows; None: a side table."""
        self.kept_table: KnownTable | None = None
        """The table that they go into, with `append`."""
        self.has_begun = Event()
        """Set when all of the above is as it will be."""

    def work(self, item: _Item) -> None:
        """Take a batch, or settle what was taken; raises what speaks against the attempt."""
        if item is not None:
            self._take(*item)
        else:
            self._begin()
            self.settle()

    def settle(self) -> None:
        """Have committed what may go ahead of the journal's word."""
        if self._writer is not None:
            self._writer.settle()

    def finish(self, plan: Plan, note_rows: NoteRows) -> None:
        """Write what is left; raises what speaks against it."""
        writer = self._begun_writer()
        if writer.rows_taken != plan.rows_planned:
            raise _GivenUpError("other rows are loaded")
        writer.finish(note_rows)

    def abandon(self) -> None:
        """Stop writing."""
        if self._writer is not None:
            self._writer.abandon()

    def _take(self, batch: Batch, reader: str) -> None:
        if reader != self._reader:
            if self._writer is not None:
                raise _GivenUpError(f"the file is read by {reader}")
            self._reader = reader
            self._beginning, self._beginning_bytes, self._beginning_rows = [], 0, 0
        if self._writer is not None:
            self._write(batch)
            return
        self._beginning.append(batch)
        self._beginning_bytes += batch.records.nbytes
        self._beginning_rows += batch.records.num_rows + len(batch.rejects)
        if self._beginning_bytes >= _BEGINNING_BYTES or self._beginning_rows >= _BEGINNING_ROWS:
            self._begin()

    def _write(self, batch: Batch) -> None:
        records = rewrite_columns(batch.records, self._notations)
        self._begun_writer().add(Batch(records, batch.source_rows))

    def _begun_writer(self) -> StageWriter:
        if self._writer is None:
            raise RuntimeError("there is no plan yet")
        return self._writer

    def _begin(self) -> None:
        """Plan on the beginning, and write it; nothing where that was done."""
        if self._writer is not None:
            return
        if not self._is_first_try():
            raise _GivenUpError("it was tried before")
        found = plan_beginning(
            self._dock, self._named, self._parser, self._layout, self._beginning, self._reader
        )
        if found is None:
            raise _GivenUpError("values of the table are looked at one by one")
        self.plan, known = found
        self._notations = notations_to_rewrite(self.plan)
        self._writer = self._start(self.plan)
        self.kept_table = known if self.append else None
        self.has_begun.set()
        for batch in self._beginning:
            self._write(batch)
        self._beginning.clear()

    def _is_first_try(self) -> bool:
        """Return whether none was cut off before: the next must get further than that.

        It goes on behind the rows of the one before, and waits for the database only when the file
        is known to be good.
        """
        with self._dock.target.read() as conn:
            row = self._dock.journal.history.row(conn, self._load.load_id)
        return row is not None and row.attempts <= 1

    def _start(self, plan: Plan) -> StageWriter:
        append = self._begin_append(plan)
        if append is None:
            self._make_stage(plan)
            return self._make_writer(plan, None)
        with ExitStack() as opened:
            opened.callback(append.abandon)
            writer = self._make_writer(plan, append)
            opened.pop_all()
        self.append = append
        return writer

    def _begin_append(self, plan: Plan) -> OpenAppend | None:
        """Open the table itself for the rows; None where they are to have a side table."""
        dock, load = self._dock, self._load
        size_bytes = load.drop.version.size_bytes
        is_packed = self._parser.name != DelimitedParser.name
        most_bytes = APPEND_BYTES // _PACKED if is_packed else APPEND_BYTES
        if size_bytes > most_bytes or not plan.leaves_what_is_there:
            return None
        if not plan.creates_table and self._may_be_duplicate():
            return None
        append = OpenAppend(dock.target, plan, load.load_id)
        return append if append.begin() else None

    def _may_be_duplicate(self) -> bool:
        """Return whether the table has taken a file of this size.

        Rows that are taken back from it would leave room behind, for the database to clear up.
        """
        size_bytes = self._load.drop.version.size_bytes
        with self._dock.target.read() as conn:
            return self._dock.journal.history.has_size(conn, self._load.table, size_bytes)

    def _make_stage(self, plan: Plan) -> None:
        target = self._dock.target
        stage = target.stage_name(plan.table, self._load.load_id)
        with target.write() as conn:
            target.drop_table(conn, stage)
            target.create_stage(conn, plan, stage)
            self._note_rows(conn)

    def _make_writer(self, plan: Plan, append: OpenAppend | None) -> StageWriter:
        return StageWriter(
            self._dock.target,
            self._load.load_id,
            plan,
            self._dock.config.load.batch_rows,
            lambda conn, _rows: self._note_rows(conn),
            stream=append,
        )


class _GivenUpError(Exception):
    """The rows are staged when the file is known."""


def _stages_alike(target: Target, one: Plan, other: Plan) -> bool:
    """Return whether two plans put the same values into the same side table."""
    if other.checks or not one.layout.reads_like(other.layout):
        return False
    return _staged_by(target, one) == _staged_by(target, other)


def _staged_by(target: Target, plan: Plan) -> tuple[Any, ...]:
    return (
        plan.table,
        plan.profile.reader,
        [(column.name, _stored_as(target, column.type)) for column in plan.table_columns],
        plan.has_lineage,
        [(c.name, c.position, _stored_as(target, c.type)) for c in plan.columns],
        notations_to_rewrite(plan),
    )


def _stored_as(target: Target, column_type: ColumnType) -> tuple[Any, ...]:
    """Return what of a type decides how values are stored: the longest text only if declared."""
    declared = target.column_ddl(column_type)
    return declared, column_type.kind, column_type.precision, column_type.scale
