"""The way of one file: the order of the steps, and what each outcome does to the file."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from structlog.contextvars import bound_contextvars

from dropload.answers import explain_failure, explain_success, write_answer
from dropload.comparison import find_unusual
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.error_codes import code_of
from dropload.errors import (
    NOT_THE_FILES_FAULT,
    TABLE_BUSY,
    ClaimLostError,
    ConstraintError,
    DroploadError,
    DuplicateError,
    FileBusyError,
    FileChangedError,
    FileError,
    HeldError,
    StalePlanError,
    TargetError,
)
from dropload.examination import (
    Examined,
    detect_layout,
    examine_for_table,
    examine_in,
    plan_load,
)
from dropload.filing import FiledTogether, file_away, plan_filing
from dropload.intake import NamedDrop, name_drop
from dropload.journal import AuditAction, ClaimRefused
from dropload.leases import Lease, kept_lease
from dropload.loading import check_not_duplicate, publish_rows
from dropload.logs import get_logger
from dropload.model import (
    DAEMON,
    STANDING,
    Drop,
    Effort,
    Layout,
    Load,
    Outcome,
    Plan,
    Profile,
    State,
    Step,
    Verdict,
)
from dropload.parsers.base import Batch, Parser
from dropload.progress import ProgressMeter, StepTimes
from dropload.reports import Findings
from dropload.retries import call_with_retries
from dropload.staging import KeptBatches, RowsInHand, check_version, rows_in_hand, stage_rows
from dropload.staging_ahead import StagingAhead
from dropload.times import clock_time

T = TypeVar("T")

MAX_CRASHES = 3
"""Worker processes that may die on one file before it is taken for the file's fault."""


OnStep = Callable[[str, int], None]
"""Gets the name of the step under way and the rows it has done so far."""


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
    later: FiledTogether | None = None,
) -> Outcome:
    """Do the same, without looking back; with `later`, which tells the journal of the move."""
    times = StepTimes()
    with bound_contextvars(file=path_text(drop.path.name)):
        named = name_drop(drop, dock.target)
        try:
            with times.measure("journal"):
                claim = call_with_retries(lambda: _claim(dock, named, worker), dock.config.retry)
        except (*NOT_THE_FILES_FAULT, OSError) as exc:
            # The claim may have been written, and only the answer was lost.
            outcome = Outcome(Verdict.RETRY, drop.path, str(named.table), claimed_by=worker)
            return _not_now(outcome, _foreseen(exc))
        if isinstance(claim, ClaimRefused):
            return _refused(named, claim)
        with bound_contextvars(load_id=claim.load_id, table=str(claim.table)):
            return _Voyage(dock, claim, named, on_step, times, later).run()


def tell_unusual(
    dock: Dock, outcomes: Sequence[Outcome], trace_ids: Sequence[str] = ()
) -> list[Outcome]:
    """Log the loads that took far longer than usual, or brought far more or fewer rows.

    Returns the outcomes, which say what was unusual. The loads are over: trouble with looking back
    is none of their own.
    """
    try:
        with dock.target.read() as conn:
            return [
                _tell_unusual(dock, conn, outcome, trace_id)
                for outcome, trace_id in zip_longest(outcomes, trace_ids[: len(outcomes)])
            ]
    except NOT_THE_FILES_FAULT as exc:
        get_logger().debug("not_compared", reason=str(exc))
        return list(outcomes)


def _tell_unusual(
    dock: Dock, conn: sa.Connection, outcome: Outcome, trace_id: str | None
) -> Outcome:
    if outcome.verdict is not Verdict.LOADED or outcome.filed_path is None or not outcome.load_id:
        return outcome
    found = find_unusual(dock.journal, conn, outcome.load_id)
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


def _claim(dock: Dock, named: NamedDrop, worker: str) -> Load | ClaimRefused:
    try:
        with dock.target.write() as conn:
            check_version(named.drop.path, named.drop.version)
            claim = dock.journal.claims.claim(conn, named.drop, named.table, worker)
            # And again: where the file still stands after it, a load of another daemon that is over
            # had not been filed yet, and the claim was refused.
            check_version(named.drop.path, named.drop.version)
            if isinstance(claim, Load) and named.drop.requested_by != DAEMON:
                _note_request(dock, conn, claim)
            return claim
    except ConstraintError:
        # The unique index on open loads let another worker through first.
        return ClaimRefused("another worker claimed it in the same moment")


def _note_request(dock: Dock, conn: sa.Connection, load: Load) -> None:
    """Write into the audit log who has a file loaded, whether past duplicates and guard rails."""
    drop = load.drop
    action = AuditAction.LOAD_FORCED if drop.force else AuditAction.LOAD
    dock.journal.audit.add(conn, drop.requested_by, action, load.load_id, reason=drop.reason)


def _foreseen(exc: DroploadError | OSError) -> DroploadError:
    """Return trouble with reading a file as our own error."""
    if isinstance(exc, DroploadError):
        return exc
    if isinstance(exc, FileNotFoundError):
        return FileChangedError("The file is no longer there.")
    return FileBusyError(f"The file cannot be read: {exc.strerror or exc}.")


def _refused(named: NamedDrop, refused: ClaimRefused) -> Outcome:
    verdict = Verdict.HELD if refused.held else Verdict.SKIPPED
    return Outcome(
        verdict,
        named.drop.path,
        str(named.table),
        message=refused.reason,
        category=TABLE_BUSY if refused.table_busy else "",
        code=code_of(_condition_of(refused)),
        moved=not refused.unfiled,
    )


def _condition_of(refused: ClaimRefused) -> str:
    if refused.held:
        return HeldError.default_code
    return "not_moved" if refused.unfiled else TABLE_BUSY


def _not_now(outcome: Outcome, error: DroploadError) -> Outcome:
    """Return the outcome for trouble that is not the file's: it stays, and is tried again."""
    verdict = Verdict.PAUSED if isinstance(error, TargetError) else Verdict.RETRY
    return replace(
        outcome,
        verdict=verdict,
        message=error.message,
        hint=error.hint,
        category=error.category,
        code=error.dl_code,
    )


class _Voyage:
    """One claimed load on its way; remembers what is known so far for the report."""

    def __init__(
        self,
        dock: Dock,
        load: Load,
        named: NamedDrop,
        on_step: OnStep,
        times: StepTimes,
        later: FiledTogether | None,
    ) -> None:
        self._dock = dock
        self._on_step = on_step
        self._load = load
        # The claim may have turned a released file into a forced one.
        self._named = replace(named, drop=load.drop)
        self._examined: Examined | None = None
        self._meter = ProgressMeter()
        self._times = times
        self._later = later
        self._retries = 0
        self._log = get_logger()

    def run(self) -> Outcome:
        """Walk the steps; turn each kind of error into what it means for the file."""
        return replace(
            self._run_with_lease(),
            step_seconds=self._times.seconds,
            steps_retried=self._retries,
            spans=self._times.spans,
        )

    def _run_with_lease(self) -> Outcome:
        try:
            with self._keep_lease() as self._lease:
                return self._run_to_an_end()
        except ClaimLostError as exc:
            return self._end_without_claim(exc)
        except NOT_THE_FILES_FAULT as exc:
            return self._let_go(exc)

    def _run_to_an_end(self) -> Outcome:
        try:
            return self._read_and_load()
        except FileError as exc:
            return self._fail(exc)
        except HeldError as exc:
            return self._hold(exc)
        except DuplicateError as exc:
            return self._skip_duplicate(exc)
        except FileChangedError as exc:
            return self._cancel(exc)

    def _read_and_load(self) -> Outcome:
        """Run the steps; trouble with reading the file is not the file's fault."""
        try:
            return self._run_steps()
        except OSError as exc:
            raise _foreseen(exc) from exc

    def _run_steps(self) -> Outcome:
        """Detect, profile, plan, stage, publish, file away."""
        if self._named.error is not None:
            raise self._named.error
        self._check_crashes()

        measure = self._times.measure
        with measure("detecting"):
            parser, layout = detect_layout(self._dock, self._load.drop)
        kept = KeptBatches(self._load.drop, layout)
        with closing(StagingAhead(self._dock, self._load, self._meter)) as ahead:
            with measure("profiling"):
                examined = self._profile(parser, layout, kept, ahead)
            with measure("checking"):
                examined = self._check(examined)
            with measure("planning"):
                plan = plan_load(self._dock, self._named, examined)
            with measure("staging"):
                rows = self._retry(lambda: self._stage(plan, examined.parser, kept, ahead))
        return self._publish(plan, examined, rows)

    # --- steps

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

        on_progress = partial(self._note_progress, Step.PROFILING)
        self._examined = examine_in(
            self._dock, self._load.drop, parser, layout, on_progress, on_batch
        )
        return self._examined

    def _check(self, examined: Examined) -> Examined:
        self._check_duplicate(examined.profile)
        on_progress = partial(self._note_progress, Step.CHECKING)
        self._examined = examine_for_table(self._dock, self._named, examined, on_progress)
        return self._examined

    def _check_duplicate(self, profile: Profile) -> None:
        if self._counts_once:
            with self._dock.target.read() as conn:
                check_not_duplicate(
                    self._dock.target, self._dock.journal, conn, self._load, profile.file_hash
                )

    def _stage(
        self, plan: Plan, parser: Parser, kept: KeptBatches, ahead: StagingAhead
    ) -> RowsInHand | None:
        """Stage the rows; return those of a small file instead, to be staged when published."""
        if ahead.accept(plan):
            return None
        dock, settings = self._dock, self._dock.config.load
        on_progress = partial(self._note_progress, Step.STAGING)
        rows = rows_in_hand(dock.target, self._load, plan, parser, settings, kept, on_progress)
        if rows is None:
            stage_rows(
                dock.target,
                dock.journal,
                self._load,
                plan,
                parser,
                settings,
                self._meter,
                on_progress,
            )
        return rows

    def _publish(self, plan: Plan, examined: Examined, rows: RowsInHand | None) -> Outcome:
        dock = self._dock
        filed_path = plan_filing(dock.tree, self._load.drop, failed=False)
        # Before it waits for locks: what is told of the load is told from here on.
        self._note_progress(Step.PUBLISHING, plan.rows_planned, self._load.drop.version.size_bytes)
        with self._times.measure("publishing"):
            published = self._retry(
                lambda: publish_rows(
                    dock.target,
                    dock.journal,
                    self._load,
                    plan,
                    filed_path,
                    backups_kept=dock.config.retention.backups_per_table,
                    once=self._counts_once,
                    rows=rows,
                )
            )
        self._log.info(
            "load_committed",
            load_type=self._load.drop.load_type.value,
            rows=published.rows_loaded,
            rejected=plan.profile.rejected_rows,
            rows_after=published.rows_after,
        )
        outcome = self._outcome(Verdict.LOADED, None, rows_loaded=published.rows_loaded)
        outcome = replace(outcome, notes=plan.notes)
        findings = None
        if examined.profile.rejected_rows or plan.changes_table:
            findings = explain_success(self._load, examined, plan.notes)
        return self._file_away(outcome, filed_path, findings)

    # --- ends without rows

    def _fail(self, error: FileError) -> Outcome:
        filed_path = plan_filing(self._dock.tree, self._load.drop, failed=True)
        self._close(State.FAILED, error, filed_path)
        self._log.error("load_failed", code=error.dl_code, reason=str(error))
        findings = explain_failure(self._load, error, self._examined)
        return self._file_away(self._outcome(Verdict.FAILED, error), filed_path, findings)

    def _skip_duplicate(self, error: DuplicateError) -> Outcome:
        filed_path = plan_filing(self._dock.tree, self._load.drop, failed=False)
        self._close(State.DUPLICATE, error, filed_path, partial(self._check_stands, error.load_id))
        self._log.info("duplicate_skipped", code=error.dl_code, reason=error.message)
        return self._file_away(self._outcome(Verdict.DUPLICATE, error), filed_path, None)

    def _hold(self, error: HeldError) -> Outcome:
        if not self._load.drop.in_tree:
            # Nobody watches that place: there is nothing to release, only to decide.
            hint = "To load it all the same: --force."
            error = HeldError(error.message, hint=hint, code=error.code)
            self._close(State.CANCELLED, error, None)
            return self._outcome(Verdict.HELD, error)

        def close() -> None:
            dock, load = self._dock, self._load
            with dock.target.write() as conn:
                dock.target.drop_table(conn, dock.target.stage_name(load.table, load.load_id))
                dock.journal.loads.hold(conn, load, error)

        with self._times.measure("journal"):
            self._retry(close)
        self._log.warning("file_held", code=error.dl_code, reason=str(error))
        return self._outcome(Verdict.HELD, error)

    def _cancel(self, error: FileChangedError) -> Outcome:
        """Give up this version of the file; the gate begins again with what is there now."""
        self._close(State.CANCELLED, error, None)
        self._log.info("load_cancelled", reason=error.message)
        return _not_now(self._outcome(Verdict.RETRY, error), error)

    def _end_without_claim(self, error: ClaimLostError) -> Outcome:
        """Stop: another worker has the load, or a person has cancelled it."""
        return self._find_cancelled() or self._outcome(Verdict.SKIPPED, error)

    def _find_cancelled(self) -> Outcome | None:
        """Return the outcome of a load that was cancelled under way, and clear its stage away.

        None when it was not. Where the journal cannot be asked, recovery clears away.
        """
        dock, load = self._dock, self._load
        try:
            with dock.target.write() as conn:
                row = dock.journal.history.row(conn, load.load_id)
                if row is None or row.state is not State.CANCELLED:
                    return None
                dock.target.drop_table(conn, dock.target.stage_name(load.table, load.load_id))
        except NOT_THE_FILES_FAULT as exc:
            self._log.debug("stage_not_dropped", reason=str(exc))
            return None
        self._log.info("load_stopped", reason=row.error_message)
        outcome = self._outcome(Verdict.CANCELLED, None)
        return replace(
            outcome,
            message=row.error_message or "",
            category=outcome.verdict.value,
            code=code_of(outcome.verdict.value),
        )

    def _let_go(self, error: DroploadError) -> Outcome:
        """Leave the file where it is; it is tried again when the trouble may be over."""
        # A load that was cancelled may have lost its side table in the middle of a statement.
        if cancelled := self._find_cancelled():
            return cancelled
        self._log.warning("load_put_off", code=error.dl_code, reason=str(error))
        outcome = _not_now(self._outcome(Verdict.RETRY, error), error)
        return self._give_up_claim(outcome, str(error))

    def _give_up_claim(self, outcome: Outcome, reason: str) -> Outcome:
        """Say that nobody works on this load any more, so that the next need not wait.

        Where the journal cannot be told, the outcome tells.
        """
        try:
            with self._times.measure("journal"), self._dock.target.write() as conn:
                self._dock.journal.loads.release(conn, self._load, reason)
        except NOT_THE_FILES_FAULT as exc:
            self._log.debug("claim_not_released", reason=str(exc))
            return replace(outcome, claimed_by=self._load.worker)
        return outcome

    def _close(
        self,
        state: State,
        error: DroploadError,
        filed_path: Path | None,
        check: Callable[[sa.Connection], None] = lambda _conn: None,
    ) -> None:
        """End the load without rows; `check` may still refuse that, in the same transaction."""
        profile = self._examined.profile if self._examined else None

        def close() -> None:
            dock, load = self._dock, self._load
            with dock.target.write() as conn:
                check(conn)
                dock.target.drop_table(conn, dock.target.stage_name(load.table, load.load_id))
                dock.journal.loads.close(
                    conn, load, state, error=error, filed_path=filed_path, profile=profile
                )

        with self._times.measure("journal"):
            self._retry(close)

    def _check_stands(self, load_id: int, conn: sa.Connection) -> None:
        """Raise StalePlanError when the load that has these rows was undone in this moment."""
        self._dock.target.lock_queue(conn, self._load.table)
        earlier = self._dock.journal.history.row(conn, load_id)
        if earlier is None or earlier.state not in STANDING:
            raise StalePlanError(f"Load {load_id} was undone while this file was looked at.")

    # --- filing

    def _file_away(
        self, outcome: Outcome, filed_path: Path | None, findings: Findings | None
    ) -> Outcome:
        """Write the answer, move the file; a move that fails is recovery's to repeat."""
        with self._times.measure("filing"):
            return self._answer_and_move(outcome, filed_path, findings)

    def _answer_and_move(
        self, outcome: Outcome, filed_path: Path | None, findings: Findings | None
    ) -> Outcome:
        dock, load = self._dock, self._load
        report = write_answer(dock, findings, self._examined, filed_path) if findings else None
        try:
            filed_path = file_away(
                dock.target,
                dock.journal,
                load.load_id,
                load.drop,
                filed_path,
                report,
                self._measure,
                self._times.measure("journal"),
                self._later,
            )
        except DroploadError as exc:
            self._log.error("file_not_moved", code=exc.dl_code, reason=str(exc))
            outcome = replace(outcome, moved=False, report_path=report, hint=str(exc))
            return self._give_up_claim(outcome, str(exc))
        return replace(outcome, filed_path=filed_path, report_path=report)

    # --- small things

    @property
    def _path(self) -> Path:
        return self._load.drop.path

    def _keep_lease(self) -> AbstractContextManager[Lease]:
        dock = self._dock
        seconds = dock.config.workers.lease_seconds
        return kept_lease(dock.target, dock.journal, self._load, seconds, self._meter)

    def _note_progress(self, step: Step, rows_done: int, bytes_read: int) -> None:
        """Tell how far a step is; a load that was cancelled ends here."""
        self._meter.note(step, rows_done, bytes_read)
        self._on_step(step.value, rows_done)
        self._lease.check()

    @property
    def _counts_once(self) -> bool:
        return not (self._load.drop.force or self._dock.config.load.reload_duplicates)

    def _retry(self, action: Callable[[], T]) -> T:
        try:
            return call_with_retries(action, self._dock.config.retry, self._note_retry)
        finally:
            self._meter.note_trouble(None)

    def _measure(self) -> Effort:
        return Effort(self._times.seconds, self._retries)

    def _note_retry(self, error: BaseException, seconds: float) -> None:
        self._retries += 1
        said = error.message if isinstance(error, DroploadError) else str(error)
        at = clock_time(datetime.now(UTC) + timedelta(seconds=seconds))
        self._meter.note_trouble(f"{said.rstrip('.')}; tried again {at}")

    def _outcome(
        self, verdict: Verdict, error: DroploadError | None, rows_loaded: int = 0
    ) -> Outcome:
        profile = self._examined.profile if self._examined else None
        return Outcome(
            verdict,
            self._path,
            table=str(self._load.table),
            load_id=self._load.load_id,
            message=error.message if error else "",
            hint=error.hint if error else "",
            category=error.category if error else "",
            code=error.dl_code if error else "",
            rows_read=profile.rows if profile else 0,
            rows_loaded=rows_loaded,
            rows_rejected=profile.rejected_rows if profile else 0,
        )
