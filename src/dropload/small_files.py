"""Small files: their rows stay in memory, and go into the table with what publishes them."""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import sqlalchemy as sa

from dropload.column_types import rewrite_columns
from dropload.config import LoadConfig
from dropload.journal import Journal
from dropload.model import Drop, Layout, Load, Plan, TableName
from dropload.parsers.base import Batch, Parser
from dropload.reading_again import notations_to_rewrite, read_again, touched_at
from dropload.stage_writer import naming_the_value
from dropload.targets.base import Published, Target

SMALL_ROWS = 10_000
SMALL_BYTES = 64 * 1024
"""Files of up to so many bytes, or some times as many (`Target.small_times`), and rows (a packed
file may hold millions), are staged and published in one transaction: nothing of them is worth
resuming, and it costs two less."""
_REPLACED_BYTES = 1 << 20
"""A fullload copies rows that have come in files of so many bytes in a moment, in which some
databases keep every other writer waiting."""


def rows_in_hand(
    target: Target,
    load: Load,
    plan: Plan,
    parser: Parser,
    settings: LoadConfig,
    kept: "KeptBatches",
    on_progress: Callable[[int, int], None],
) -> "RowsInHand | None":
    """Return every good record of a small file, in memory; None when it is to be staged before.

    It is read again only when `kept` are not the plan's records. Raises what `stage_rows` raises.
    """
    is_small = plan.profile.size_bytes <= SMALL_BYTES * target.small_times
    if not is_small or plan.rows_planned > SMALL_ROWS:
        return None
    rows = RowsInHand(target, load, plan, settings)

    def take(batch: Batch, bytes_read: int) -> None:
        rows.add(batch)
        on_progress(rows.count, bytes_read)

    batches = kept.batches_of(plan)
    if batches is None:
        read_again(target, load, plan, parser, settings, take)
        return rows
    notations = notations_to_rewrite(plan)
    for batch in batches:
        take(replace(batch, records=rewrite_columns(batch.records, notations)), kept.size_bytes)
    return rows


class KeptBatches:
    """What was read of a small file to profile it, so that it need not be read again."""

    def __init__(self, target: Target, drop: Drop, layout: Layout) -> None:
        """To be made before the file is read; `layout` is the one that it is read in."""
        self.size_bytes = drop.version.size_bytes
        self._is_kept = self.size_bytes <= SMALL_BYTES * target.small_times
        self._path = drop.path
        self._touched_at = touched_at(drop.path)
        self._layout = layout
        self._reader = ""
        self._batches: list[Batch] = []
        self._rows = 0

    def take(self, batch: Batch, reader: str) -> None:
        """Keep the good records of a batch that `reader` has read."""
        if not self._is_kept:
            return
        if reader != self._reader:
            # It has begun again.
            self._reader, self._batches, self._rows = reader, [], 0
        self._rows += batch.records.num_rows
        self._batches = [*self._batches, batch] if self._rows <= SMALL_ROWS else []

    def batches_of(self, plan: Plan) -> list[Batch] | None:
        """Return all good records of a plan; None when they are others, or not all."""
        is_same = plan.layout == self._layout and plan.profile.reader == self._reader
        # With checks some may have been refused when the file was read once more.
        is_whole = not plan.checks and self._rows == plan.rows_planned <= SMALL_ROWS
        is_untouched = touched_at(self._path) == self._touched_at
        return self._batches if is_same and is_whole and is_untouched else None


class RowsInHand:
    """The good records of a small file, for the transaction that publishes them."""

    def __init__(self, target: Target, load: Load, plan: Plan, settings: LoadConfig) -> None:
        self._target = target
        self._load = load
        self._plan = plan
        self._batch_rows = settings.batch_rows
        self._batches: list[tuple[pa.RecordBatch, pa.Array]] = []
        self.count = 0
        """Records so far."""

    def add(self, batch: Batch) -> None:
        """Keep the good records of a batch."""
        if batch.records.num_rows:
            self._batches.append((batch.records, batch.source_rows))
            self.count += batch.records.num_rows

    def publish(
        self, conn: sa.Connection, journal: Journal, *, keep_backup: bool
    ) -> Published | None:
        """Make the records the table's, or add them to it, in the caller's transaction.

        The caller has the table locked, and has seen that it is as the plan has it. Returns None,
        and writes nothing, where they need a side table: the table is not ours, or does not stay as
        it is, or something of its owner's has a say in rows that come, or too many, or too long
        ones, would have to be copied for an undo. A side table that an earlier try has left behind
        is recovery's to drop.
        """
        target, plan = self._target, self._plan
        if plan.creates_table:
            return self._publish_new(conn) if target.makes_tables_alone(conn) else None
        if not (plan.keeps_table and target.takes_rows(conn, plan.table)):
            return None
        if plan.replaces_rows:
            if journal.history.bytes_of_rows(conn, plan.table) > _REPLACED_BYTES:
                return None
            return self._replace(conn, keep_backup=keep_backup)
        return target.add_counted(conn, plan, self.count, lambda: self._write(conn, plan.table))

    def _publish_new(self, conn: sa.Connection) -> Published:
        self._target.create_table(conn, self._plan)
        rows = self._write(conn, self._plan.table)
        return Published(0, rows, rows, rows, None)

    def _replace(self, conn: sa.Connection, *, keep_backup: bool) -> Published | None:
        target, table = self._target, self._plan.table
        before = target.count_up_to(conn, table, SMALL_ROWS)
        if before is None:
            return None
        backup = target.backup_name(table, self._load.load_id) if keep_backup else None
        target.take_rows_out(conn, table, backup)
        rows = self._write(conn, table)
        after = target.count_rows(conn, table)
        return Published(before, after, rows, after, backup)

    def stage(self, conn: sa.Connection) -> None:
        """Make the side table and write the records, in the caller's transaction."""
        target, plan = self._target, self._plan
        stage = target.stage_name(plan.table, self._load.load_id)
        # An earlier try may have staged it in transactions of its own.
        target.drop_table(conn, stage)
        target.create_stage(conn, plan, stage)
        self._write(conn, stage)

    def _write(self, conn: sa.Connection, table: TableName) -> int:
        """Write the records into a table; return how many: it takes all of them, or raises."""
        with naming_the_value(self._plan.table):
            self._target.write_batches(
                conn, self._plan, table, self._batches, self._load.load_id, self._batch_rows
            )
        return self.count
