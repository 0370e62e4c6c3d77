"""Write a planned file to its side table, and publish the side table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from dropload.column_types import ConversionError, rewrite_columns
from dropload.config import LoadConfig
from dropload.errors import (
    DuplicateError,
    FileBusyError,
    FileChangedError,
    FileError,
    HeldError,
    StalePlanError,
    TargetError,
    TransientError,
)
from dropload.journal import Journal
from dropload.logs import get_logger
from dropload.model import Area, FileVersion, Kind, Load, LoadType, Plan, State
from dropload.parsers.base import Batch, Parser, UnfaithfulError
from dropload.profiling import open_hashed
from dropload.progress import ProgressMeter
from dropload.read_ahead import read_ahead
from dropload.row_checks import RowCheck
from dropload.targets.base import Published, Target


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
    """Write every good record to the side table.

    `on_progress` gets the rows taken and the bytes read so far; what the meter has then is written
    down beside the rows.

    Goes on behind the last row that an earlier try has staged, when it had the same plan.
    Raises FileChangedError when the bytes read now are not those that were profiled.
    """
    check_version(load.drop.path, load.drop.version)
    stage = target.stage_name(plan.table, load.load_id)
    with target.write() as conn:
        staged = journal.loads.staged_rows(conn, load, plan)
        last_row = target.trim_stage(conn, stage, staged)
        if last_row is None:
            staged = 0
            target.drop_table(conn, stage)
            target.create_stage(conn, plan, stage)
            journal.loads.record_plan(conn, load, plan)
        else:
            journal.loads.advance(conn, load, State.STAGING)
    if staged:
        get_logger().info("staging_resumed", rows=staged)
    writer = _StageWriter(target, journal, load, plan, settings, meter, last_row or 0)
    # Without rejects there is nothing to sift: the bytes are those that were profiled.
    checks = plan.checks if plan.profile.rejected_rows else ()
    check = RowCheck(checks, plan.layout, target.refusal)
    notations = _notations_to_rewrite(plan)
    with open_hashed(load.drop.path, plan.profile.hash_algorithm) as stream:
        try:
            found = parser.read(
                stream, plan.layout, plan.profile.reader, max_record_bytes=settings.max_record_bytes
            )
            with read_ahead(found) as batches:
                for batch in batches:
                    good = check.sift(batch)
                    writer.add(replace(good, records=rewrite_columns(good.records, notations)))
                    on_progress(writer.rows_taken, stream.size_bytes)
        except UnfaithfulError as exc:
            raise FileChangedError("The file reads differently than a moment ago.") from exc
        same_bytes = stream.hexdigest() == plan.profile.file_hash
    if not same_bytes or writer.rows_taken != plan.profile.good_rows:
        raise FileChangedError(f"{load.drop.path.name} was changed while it was read.")
    check_version(load.drop.path, load.drop.version)
    writer.finish()


def _notations_to_rewrite(plan: Plan) -> dict[int, str]:
    """Return, by position in the record, how columns are written that the table keeps otherwise."""
    written = {c.position: plan.profile.columns[c.position].type.notation for c in plan.columns}
    typed = [column.position for column in plan.columns if column.type.kind is not Kind.TEXT]
    return {position: written[position] for position in typed if written[position]}


class _StageWriter:
    """Collects batches until a transaction is worth its commit."""

    def __init__(
        self,
        target: Target,
        journal: Journal,
        load: Load,
        plan: Plan,
        settings: LoadConfig,
        meter: ProgressMeter,
        last_row: int,
    ) -> None:
        """`last_row`: the rows up to this record of the file are in the side table already."""
        self._target = target
        self._journal = journal
        self._load = load
        self._plan = plan
        self._meter = meter
        self._batch_rows = settings.batch_rows
        self._stage = target.stage_name(plan.table, load.load_id)
        self._pending: list[tuple[pa.RecordBatch, pa.Array]] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._last_row = last_row
        self._written = 0

    @property
    def rows_taken(self) -> int:
        """Return the rows read again, those written, and those still to be written."""
        return self._written + self._pending_rows

    def add(self, batch: Batch) -> None:
        """Take the good records of a batch that are not staged yet."""
        records, source_rows = batch.records, batch.source_rows
        if records.num_rows and source_rows[0].as_py() <= self._last_row:
            is_new = pc.greater(source_rows, self._last_row)
            records, source_rows = records.filter(is_new), source_rows.filter(is_new)
            self._written += batch.records.num_rows - records.num_rows
        if records.num_rows:
            self._pending.append((records, source_rows))
            self._pending_rows += records.num_rows
            self._pending_bytes += records.nbytes
        if self._pending_bytes >= self._target.commit_bytes:
            self._flush(State.STAGING)

    def finish(self) -> None:
        """Write what is left, and that only publishing remains to be done."""
        self._flush(State.PUBLISHING)

    def _flush(self, state: State) -> None:
        """Write and commit what was collected, with the progress in the same transaction."""
        staged = self.rows_taken
        with self._naming_the_value():
            is_written = self._target.write_ahead(
                self._plan, self._stage, self._pending, self._load.load_id
            )
        with self._target.write() as conn:
            if not is_written:
                self._write(conn)
            times = {"staged_at": self._target.now(conn)} if state is State.PUBLISHING else {}
            self._journal.loads.advance(
                conn, self._load, state, self._meter.take(), rows_staged=staged, **times
            )
        self._written = staged
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _write(self, conn: sa.Connection) -> None:
        with self._naming_the_value():
            self._target.write_batches(
                conn,
                self._plan,
                self._stage,
                self._pending,
                self._load.load_id,
                self._batch_rows,
            )

    @contextmanager
    def _naming_the_value(self) -> Iterator[None]:
        """Make a value that its column's type cannot hold the file's fault."""
        try:
            yield
        except ConversionError as exc:
            raise FileError(
                f"{exc.value!r} cannot be stored unchanged in {self._plan.table}: {exc}.",
                hint="Correct the value, or ask the database owner for a wider column.",
                code="type_mismatch",
            ) from exc


def publish_rows(
    target: Target,
    journal: Journal,
    load: Load,
    plan: Plan,
    filed_path: Path | None,
    *,
    backups_kept: int,
    once: bool,
) -> Published:
    """Make the staged rows visible and write `committed`, in one transaction.

    Called again after a lost answer to COMMIT, it finds the journal's word and does nothing.
    """
    stage = target.stage_name(plan.table, load.load_id)
    with target.write() as conn:
        # First of all: a commit whose answer was lost may still be under way, and is over then.
        target.lock_queue(conn, plan.table)
        done = journal.history.row(conn, load.load_id)
        if done is not None and done.state in (State.COMMITTED, State.FILED):
            return Published(
                done.rows_before or 0, done.rows_after or 0, done.rows_loaded or 0, None
            )
        if not load.drop.force:
            _check_not_overtaken(journal, conn, load)
        if once:
            check_not_duplicate(target, journal, conn, load, plan.profile.file_hash)
        _check_table(target, conn, plan)
        published = target.publish(conn, plan, stage, load.load_id, keep_backup=backups_kept > 0)
        _check_counts(plan, published)
        if load.drop.area is Area.REFERENCE:
            journal.reference.upsert(conn, load, plan.table_columns)
        if plan.replaces_rows or plan.creates_table:
            # What was appended before is no longer there: the same bytes may come again.
            journal.loads.forget_appends(conn, plan.table)
        journal.loads.commit(conn, load, plan, published, filed_path)
        _drop_old_backups(target, journal, conn, load, backups_kept)
    return published


def check_not_duplicate(
    target: Target, journal: Journal, conn: sa.Connection, load: Load, file_hash: str
) -> None:
    """Raise DuplicateError when these bytes are in the table already."""
    earlier = journal.history.find_duplicate(conn, load, file_hash)
    if earlier is None or not target.has_table(conn, load.table):
        return
    raise DuplicateError(
        f"The same bytes are in {load.table} already: load {earlier.load_id} of "
        f"{earlier.file_name}, {earlier.committed_at:%Y-%m-%d %H:%M} UTC.",
        hint="Nothing to do; `dropload load --force FILE` would load them again.",
        load_id=earlier.load_id,
    )


def _check_not_overtaken(journal: Journal, conn: sa.Connection, load: Load) -> None:
    """Raise DuplicateError or HeldError when a file that came later was loaded before this one.

    This one was kept waiting (it could not be read, its daemon died): its rows are the older ones.
    """
    later = journal.history.find_later_commit(conn, load)
    if later is None:
        return
    said = f"{later.file_name} came later and was loaded into {load.table} before: load"
    if {later.load_type, load.drop.load_type.value} == {LoadType.FULLLOAD.value}:
        raise DuplicateError(
            f"{said} {later.load_id}. It has replaced the rows that this file would replace.",
            hint="Nothing to do; if these rows are the right ones, drop the file again.",
            load_id=later.load_id,
        )
    raise HeldError(
        f"{said} {later.load_id}. In this order the table would hold other rows.",
        hint="Release the file if it is to be loaded now, after that one.",
    )


def _check_table(target: Target, conn: sa.Connection, plan: Plan) -> None:
    """Raise StalePlanError when the table is not as it was when the plan was made."""
    info = target.reflect(conn, plan.table)
    if (info.columns if info else None) != plan.table_before:
        raise StalePlanError(f"{plan.table} was changed while the file was being staged.")


def _check_counts(plan: Plan, published: Published) -> None:
    """Refuse to commit when the database counts other rows than were read."""
    expected = plan.rows_planned
    before = 0 if plan.replaces_rows else published.rows_before
    if published.rows_loaded != expected:
        # Somebody else wrote there, a worker that was taken for dead perhaps: it is made anew.
        raise TransientError(
            f"The side table of {plan.table} holds {published.rows_loaded:,} rows where "
            f"{expected:,} were staged."
        )
    if published.rows_after != before + expected:
        raise TargetError(
            f"{plan.table} has {published.rows_after:,} rows after publishing where "
            f"{before + expected:,} are right; nothing was committed.",
            hint="Look for triggers or rules on the table that add or drop rows.",
        )


def _drop_old_backups(
    target: Target, journal: Journal, conn: sa.Connection, load: Load, kept: int
) -> None:
    for load_id, _name in journal.history.backups(conn, load.table)[kept:]:
        target.drop_table(conn, target.backup_name(load.table, load_id))
        journal.loads.forget_backup(conn, load_id)
