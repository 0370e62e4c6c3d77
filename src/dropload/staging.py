"""Write the good records of a planned file to its side table."""

from collections.abc import Callable

import sqlalchemy as sa

from dropload.config import LoadConfig
from dropload.journal import Journal
from dropload.logs import get_logger
from dropload.model import Load, Plan, State
from dropload.parsers.base import Batch, Parser
from dropload.progress import ProgressMeter
from dropload.reading_again import check_version, read_again
from dropload.stage_writer import StageWriter
from dropload.targets.base import Target


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

        read_again(target, load, plan, parser, settings, take)
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
