"""Read a planned file again and write its good records to a side table."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from dropload.column_types import rewrite_columns
from dropload.config import LoadConfig
from dropload.errors import FileBusyError, FileChangedError
from dropload.journal import Journal
from dropload.logs import get_logger
from dropload.model import Drop, FileVersion, Kind, Layout, Load, Plan, State
from dropload.parsers.base import Batch, Parser, UnfaithfulError
from dropload.profiling import open_hashed
from dropload.progress import ProgressMeter
from dropload.read_ahead import read_ahead
from dropload.row_checks import RowCheck
from dropload.stage_writer import StageWriter, naming_the_value
from dropload.targets.base import Published, Target

SMALL_ROWS = 10_000
SMALL_BYTES = 64 * 1024
"""Files of up to so many bytes, and rows (a packed file may hold millions), are staged and
published in one transaction: nothing of them is worth resuming, and it costs two less."""

Take = Callable[[Batch, int], None]
"""Gets good records, as they are written to the table, and the bytes read so far."""


def check_version(path: Path, expected: FileVersion) -> None:
    """Raise FileChangedError unless the file still is the version that the gate accepted."""
    try:
        found = FileVersion.from_stat(path.stat(follow_symlinks=False))
    except FileNotFoundError as exc:
        raise FileChangedError(f"{path.name} is no longer there.") from exc
    except OSError as exc:
        raise FileBusyError(f"{path.name} cannot be looked at: {exc.strerror or exc}.") from exc
    if found != expected:
        raise FileChangedError(f"{path.name} was changed after it had been found complete.")


def touched_at(path: Path) -> int:
    """Return when anything of a file was changed last; unlike its `mtime` nobody can set that back.

    Rows of a single reading count only while it stays: else the file is read again, and the hashes
    are compared.
    """
    return path.stat(follow_symlinks=False).st_ctime_ns


def stage_rows(
    target: Target,
    journal: Journal,
    load: Load,
    plan: Plan,
    parser: Parser,
    settings: LoadConfig,
    meter: ProgressMeter,
    on_progress: Callable[[int, int], None],
) -> None:
    """Write every good record to the side table, as much in a transaction as is worth a commit.

    `on_progress` gets the rows taken and the bytes read so far; what the meter has then is written
    down beside the rows.

    Goes on behind the last row that an earlier try has staged, when it had the same plan.
    Raises FileChangedError when the bytes read now are not those that were profiled.
    """
    check_version(load.drop.path, load.drop.version)
    last_row = _open_stage(target, journal, load, plan)

    def note_rows(conn: sa.Connection, rows: int) -> None:
        journal.loads.advance(conn, load, State.STAGING, meter.take(), rows_staged=rows)

    def note_all_rows(conn: sa.Connection, rows: int) -> None:
        journal.loads.advance(
            conn,
            load,
            State.PUBLISHING,
            meter.take(),
            rows_staged=rows,
            staged_at=target.now(conn),
        )

    with StageWriter(
        target, load.load_id, plan, settings.batch_rows, note_rows, last_row
    ) as writer:

        def take(batch: Batch, bytes_read: int) -> None:
            writer.add(batch)
            on_progress(writer.rows_taken, bytes_read)

        _read_again(target, load, plan, parser, settings, take)
        writer.finish(note_all_rows)


def _open_stage(target: Target, journal: Journal, load: Load, plan: Plan) -> int:
    """Return the last record of the file that an earlier try has staged; 0 in a side table anew."""
    stage = target.stage_name(plan.table, load.load_id)
    with target.write() as conn:
        staged = journal.loads.staged_rows(conn, load, plan)
        last_row = target.trim_stage(conn, stage, staged)
        if last_row is None:
            target.drop_table(conn, stage)
            target.create_stage(conn, plan, stage)
            journal.loads.record_plan(conn, load, plan)
            return 0
        journal.loads.advance(conn, load, State.STAGING)
    if staged:
        get_logger().info("staging_resumed", rows=staged)
    return last_row


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
    is_small = plan.profile.size_bytes <= SMALL_BYTES and plan.rows_planned <= SMALL_ROWS
    if not is_small:
        return None
    rows = RowsInHand(target, load, plan, settings)

    def take(batch: Batch, bytes_read: int) -> None:
        rows.add(batch)
        on_progress(rows.count, bytes_read)

    batches = kept.batches_of(plan)
    if batches is None:
        _read_again(target, load, plan, parser, settings, take)
        return rows
    notations = notations_to_rewrite(plan)
    for batch in batches:
        take(replace(batch, records=rewrite_columns(batch.records, notations)), kept.size_bytes)
    return rows


def _read_again(
    target: Target, load: Load, plan: Plan, parser: Parser, settings: LoadConfig, take: Take
) -> None:
    """Hand over the records that the profile has counted; raise FileChangedError if they differ."""
    check_version(load.drop.path, load.drop.version)
    # Without rejects there is nothing to sift: the bytes are those that were profiled.
    checks = plan.checks if plan.profile.rejected_rows else ()
    check = RowCheck(checks, plan.layout, target.refusal)
    notations = notations_to_rewrite(plan)
    count = 0
    with open_hashed(load.drop.path, plan.profile.hash_algorithm) as stream:
        try:
            found = parser.read(
                stream, plan.layout, plan.profile.reader, max_record_bytes=settings.max_record_bytes
            )
            with read_ahead(found) as batches:
                for batch in batches:
                    good = check.sift(batch)
                    count += good.records.num_rows
                    records = rewrite_columns(good.records, notations)
                    take(replace(good, records=records), stream.size_bytes)
        except UnfaithfulError as exc:
            raise FileChangedError("The file reads differently than a moment ago.") from exc
        same_bytes = stream.hexdigest() == plan.profile.file_hash
    if not same_bytes or count != plan.profile.good_rows:
        raise FileChangedError(f"{load.drop.path.name} was changed while it was read.")
    check_version(load.drop.path, load.drop.version)


def notations_to_rewrite(plan: Plan) -> dict[int, str]:
    """Return, by position in the record, how columns are written that the table keeps otherwise."""
    written = {c.position: plan.profile.columns[c.position].type.notation for c in plan.columns}
    typed = [column.position for column in plan.columns if column.type.kind is not Kind.TEXT]
    return {position: written[position] for position in typed if written[position]}


class KeptBatches:
    """What was read of a small file to profile it, so that it need not be read again."""

    def __init__(self, drop: Drop, layout: Layout) -> None:
        """To be made before the file is read; `layout` is the one that it is read in."""
        self.size_bytes = drop.version.size_bytes
        self._path = drop.path
        self._touched_at = touched_at(drop.path)
        self._layout = layout
        self._reader = ""
        self._batches: list[Batch] = []
        self._rows = 0

    def take(self, batch: Batch, reader: str) -> None:
        """Keep the good records of a batch that `reader` has read."""
        if self.size_bytes > SMALL_BYTES:
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
    """The good records of a small file, to be staged by the transaction that publishes them."""

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

    def append(self, conn: sa.Connection) -> Published | None:
        """Write the records into the table itself; None where they have to be staged."""
        with naming_the_value(self._plan.table):
            return self._target.append_rows(
                conn, self._plan, self._batches, self._load.load_id, self._batch_rows
            )

    def stage(self, conn: sa.Connection) -> None:
        """Make the side table and write the records, in the caller's transaction."""
        target, plan = self._target, self._plan
        stage = target.stage_name(plan.table, self._load.load_id)
        # An earlier try may have staged it in transactions of its own.
        target.drop_table(conn, stage)
        target.create_stage(conn, plan, stage)
        with naming_the_value(plan.table):
            target.write_batches(
                conn, plan, stage, self._batches, self._load.load_id, self._batch_rows
            )
