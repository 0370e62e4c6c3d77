"""The way of one file: the order of the steps, and what each outcome does to the file."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

from structlog.contextvars import bound_contextvars

from dropload.claiming import claim_drop
from dropload.comparison import Unusual, find_unusual
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.endings import Endings, foreseen
from dropload.errors import (
    NOT_THE_FILES_FAULT,
    ClaimLostError,
    DuplicateError,
    FileChangedError,
    FileError,
    HeldError,
    StalePlanError,
    TransientError,
)
from dropload.examination import (
    Examined,
    KnownTable,
    detect_layout,
    examine_for_table,
    examine_in,
    look_up_table,
    plan_load,
)
from dropload.filing import Filing, plan_filing
from dropload.intake import NamedDrop, name_drop
from dropload.loading import check_not_duplicate, publish_rows
from dropload.logs import get_logger
from dropload.model import Drop, Layout, Outcome, Plan, Profile, Step, Verdict
from dropload.open_append import OpenAppend
from dropload.parsers.base import Batch, Parser
from dropload.progress import StepTimes
from dropload.small_files import KeptBatches, RowsInHand, rows_in_hand
from dropload.staging import stage_rows
from dropload.staging_ahead import StagingAhead
from dropload.targets.base import Published
from dropload.under_way import LoadUnderWay, OnStep

MAX_CRASHES = 3
"""Worker processes that may die on one file before it is taken for the file's fault."""


def process_drop(
    dock: Dock, drop: Drop, worker: str, on_step: OnStep = lambda _step, _rows: None
) -> Outcome:
    """Load one file and return what became of it; every foreseen trouble is an outcome.

    Only what nobody foresaw is raised: the caller counts it against the file.
    """
    [outcome] = tell_unusual(dock, [load_drop(dock, drop, worker, on_step)])
    return outcome


def load_drop(
    dock: Dock,
    drop: Drop,
    worker: str,
    on_step: OnStep = lambda _step, _rows: None,
    filing: Filing | None = None,
) -> Outcome:
    """Do the same, without looking back; `filing` has the journal told of the move."""
    times = StepTimes()
    with bound_contextvars(file=path_text(drop.path.name)):
        named = name_drop(drop, dock.target)
        with times.measure("journal"):
            claimed = claim_drop(dock, named, worker)
        if isinstance(claimed, Outcome):
            return claimed
        with bound_contextvars(load_id=claimed.load_id, table=str(claimed.table)):
            under_way = LoadUnderWay(dock, claimed, on_step, times)
            return _Voyage(under_way, named, Endings(under_way, filing)).run()


def tell_unusual(
    dock: Dock, outcomes: Sequence[Outcome], trace_ids: Sequence[str] = ()
) -> list[Outcome]:
    """Log the loads that took far longer than usual, or brought far more or fewer rows.

    Returns the outcomes, which say what was unusual. The loads are over: trouble with looking back
    is none of their own.
    """
    numbers = [one.load_id for one in outcomes if one.load_id and _is_loaded_and_filed(one)]
    if not numbers:
        return list(outcomes)
    try:
        with dock.target.read() as conn:
            unusual = find_unusual(dock.journal, conn, numbers)
    except NOT_THE_FILES_FAULT as exc:
        get_logger().debug("not_compared", reason=str(exc))
        return list(outcomes)
    return [
        _tell_unusual(outcome, unusual.get(outcome.load_id or 0), trace_id)
        for outcome, trace_id in zip_longest(outcomes, trace_ids[: len(outcomes)])
    ]


def _is_loaded_and_filed(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.LOADED and outcome.filed_path is not None


def _tell_unusual(outcome: Outcome, found: Unusual | None, trace_id: str | None) -> Outcome:
    if found is None:
        return outcome
    get_logger().warning(
        "load_unusual",
        **({"trace_id": trace_id} if trace_id else {}),
        file=path_text(outcome.path.name),
        load_id=outcome.load_id,
        table=outcome.table,
        seconds=found.seconds,
        what=found.text,
    )
    return replace(outcome, unusual=found.text)


class _Voyage:
    """The steps of one claimed load, in their order."""

    def __init__(self, under_way: LoadUnderWay, named: NamedDrop, endings: Endings) -> None:
        self._under_way = under_way
        self._endings = endings
        self._dock, self._load = under_way.dock, under_way.load
        # The claim may have turned a released file into a forced one.
        self._named = replace(named, drop=self._load.drop)

    def run(self) -> Outcome:
        """Walk the steps; turn each kind of error into what it means for the file."""
        return replace(
            self._run_with_lease(),
            step_seconds=self._under_way.times.seconds,
            steps_retried=self._under_way.retries,
            spans=self._under_way.times.spans,
        )

    def _run_with_lease(self) -> Outcome:
        try:
            with self._under_way.lease_kept():
                return self._run_to_an_end()
        except ClaimLostError as exc:
            return self._endings.lose_claim(exc)
        except NOT_THE_FILES_FAULT as exc:
            return self._endings.let_go(exc)

    def _run_to_an_end(self) -> Outcome:
        try:
            return self._read_and_load()
        except FileError as exc:
            return self._endings.fail(exc)
        except HeldError as exc:
            return self._endings.hold(exc)
        except DuplicateError as exc:
            return self._endings.skip_duplicate(exc)
        except FileChangedError as exc:
            return self._endings.cancel(exc)

    def _read_and_load(self) -> Outcome:
        """Run the steps; trouble with reading the file is not the file's fault."""
        try:
            return self._run_steps()
        except OSError as exc:
            raise foreseen(exc) from exc

    def _run_steps(self) -> Outcome:
        """Detect, profile, plan, stage, publish, file away."""
        if self._named.error is not None:
            raise self._named.error
        self._check_crashes()

        measure = self._under_way.times.measure
        with measure("detecting"):
            parser, layout = detect_layout(self._dock, self._load.drop)
        kept = KeptBatches(self._dock.target, self._load.drop, layout)
        with closing(StagingAhead(self._dock, self._load, self._under_way.meter)) as ahead:
            with measure("profiling"):
                examined = self._profile(parser, layout, kept, ahead)
            examined, plan = self._plan(examined, ahead)
            with measure("staging"):
                ahead.accept(plan)
                rows = None if ahead.is_accepted else self._stage(plan, examined.parser, kept)
            filed_path = plan_filing(self._dock.tree, self._load.drop, failed=False)
            published = self._publish_appended(plan, filed_path, ahead.open_append)
        if published is None:
            if ahead.open_append is not None:
                with measure("staging"):
                    rows = self._stage(plan, examined.parser, kept)
            published = self._publish_staged(plan, filed_path, rows)
        return self._endings.file_loaded(plan, published, filed_path)

    def _check_crashes(self) -> None:
        if self._load.crashes >= MAX_CRASHES:
            raise FileError(
                f"The process that loads died on this file {self._load.crashes} times.",
                hint="It may need more memory or time than workers.memory_limit_mb and "
                "workers.load_timeout_seconds allow; the log says how it died.",
                code="worker_died",
            )

    def _profile(
        self, parser: Parser, layout: Layout, kept: KeptBatches, ahead: StagingAhead
    ) -> Examined:
        ahead.begin(self._named, parser, layout)

        def on_batch(batch: Batch, reader: str) -> None:
            kept.take(batch, reader)
            ahead.take(batch, reader)

        on_progress = partial(self._under_way.note_progress, Step.PROFILING)
        examined = examine_in(self._dock, self._load.drop, parser, layout, on_progress, on_batch)
        ahead.take_no_more()
        self._under_way.examined = examined
        return examined

    def _plan(self, examined: Examined, ahead: StagingAhead) -> tuple[Examined, Plan]:
        """Say what the load would do; return what its values are for the table, too."""
        kept, measure = ahead.kept_table, self._under_way.times.measure
        try:
            with measure("checking"):
                known = self._look_up_table(examined.profile, kept)
                examined = self._check_values(examined, known)
                if examined.checks:
                    self._check_table(known)
            with measure("planning"):
                return examined, plan_load(self._dock, self._named, examined, known)
        except (FileError, HeldError):
            # What kept the table as it was may have ended, and nobody has noticed. It goes first:
            # who waits for it would be waited for.
            ahead.close()
            if kept is not None:
                self._check_table(kept)
            raise

    def _look_up_table(self, profile: Profile, kept: KnownTable | None) -> KnownTable | None:
        """Return the table as it is now, None when there is none; `kept` is one that stays so.

        Raises DuplicateError when these bytes are in it already.
        """
        dock, load = self._dock, self._load
        with dock.target.read() as conn:
            if self._under_way.counts_once:
                check_not_duplicate(dock.target, dock.journal, conn, load, profile.file_hash)
            return kept or look_up_table(dock, conn, self._named)

    def _check_table(self, known: KnownTable | None) -> None:
        """Raise StalePlanError when the table is another now: the file was read again meanwhile."""
        with self._dock.target.read() as conn:
            if look_up_table(self._dock, conn, self._named) != known:
                raise StalePlanError(
                    f"{self._load.table} was changed while the file was being checked."
                )

    def _check_values(self, examined: Examined, known: KnownTable | None) -> Examined:
        on_progress = partial(self._under_way.note_progress, Step.CHECKING)
        examined = examine_for_table(self._dock, self._named, examined, known, on_progress)
        self._under_way.examined = examined
        return examined

    def _publish_appended(
        self, plan: Plan, filed_path: Path | None, append: OpenAppend | None
    ) -> Published | None:
        """Publish rows that are in their table, uncommitted; None when they are to be staged."""
        if append is None:
            return None
        with self._under_way.times.measure("publishing"):
            self._note_publishing(plan)
            try:
                return self._publish(plan, filed_path, append)
            except ClaimLostError:
                raise
            except TransientError as exc:
                get_logger().info("append_given_up", reason=str(exc))
                self._under_way.retries += 1
            # Its rows are gone with it, unless only the answer was lost.
            return self._under_way.retry(self._find_published)

    def _find_published(self) -> Published | None:
        dock, load = self._dock, self._load
        with dock.target.write() as conn:
            # A commit that is still under way is over then.
            dock.target.lock_queue(conn, load.table)
            return dock.journal.history.find_published(conn, load.load_id)

    def _publish_staged(
        self, plan: Plan, filed_path: Path | None, rows: RowsInHand | None
    ) -> Published:
        with self._under_way.times.measure("publishing"):
            self._note_publishing(plan)
            return self._under_way.retry(lambda: self._publish(plan, filed_path, rows))

    def _note_publishing(self, plan: Plan) -> None:
        """Tell of it before it waits for locks: what is told of the load is told from here on."""
        size_bytes = self._load.drop.version.size_bytes
        self._under_way.note_progress(Step.PUBLISHING, plan.rows_planned, size_bytes)

    def _stage(self, plan: Plan, parser: Parser, kept: KeptBatches) -> RowsInHand | None:
        """Stage the rows; return those of a small file instead, to be staged when published."""
        return self._under_way.retry(lambda: self._stage_once(plan, parser, kept))

    def _stage_once(self, plan: Plan, parser: Parser, kept: KeptBatches) -> RowsInHand | None:
        dock, settings = self._dock, self._dock.config.load
        on_progress = partial(self._under_way.note_progress, Step.STAGING)
        rows = rows_in_hand(dock.target, self._load, plan, parser, settings, kept, on_progress)
        if rows is None:
            stage_rows(
                dock.target,
                dock.journal,
                self._load,
                plan,
                parser,
                settings,
                self._under_way.meter,
                on_progress,
            )
        return rows

    def _publish(
        self, plan: Plan, filed_path: Path | None, rows: RowsInHand | OpenAppend | None
    ) -> Published:
        dock = self._dock
        return publish_rows(
            dock.target,
            dock.journal,
            self._load,
            plan,
            filed_path,
            backups_kept=dock.config.retention.backups_per_table,
            once=self._under_way.counts_once,
            rows=rows,
        )
