"""How a load ends: what becomes of its claim, its side table and its file."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from dropload.answers import explain_failure, explain_success, write_answer
from dropload.error_codes import code_of
from dropload.errors import (
    NOT_THE_FILES_FAULT,
    ClaimLostError,
    DroploadError,
    DuplicateError,
    FileBusyError,
    FileChangedError,
    FileError,
    HeldError,
    StalePlanError,
    TargetError,
)
from dropload.filing import FiledAlone, Filing, file_away, plan_filing
from dropload.logs import get_logger
from dropload.model import STANDING, Outcome, Plan, State, Verdict
from dropload.reports import Findings
from dropload.targets.base import Published
from dropload.under_way import LoadUnderWay


def foreseen(exc: DroploadError | OSError) -> DroploadError:
    """Return trouble with reading a file as our own error."""
    if isinstance(exc, DroploadError):
        return exc
    if isinstance(exc, FileNotFoundError):
        return FileChangedError("The file is no longer there.")
    return FileBusyError(f"The file cannot be read: {exc.strerror or exc}.")


def not_now(outcome: Outcome, error: DroploadError) -> Outcome:
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


class Endings:
    """The ends that a load under way may come to; each is an outcome."""

    def __init__(self, under_way: LoadUnderWay, filing: Filing | None) -> None:
        """`filing` has the journal told that the file was moved; None: at once."""
        self._under_way = under_way
        self._dock, self._load = under_way.dock, under_way.load
        self._filing = filing or FiledAlone(
            self._dock.target, self._dock.journal, under_way.times.measure("journal")
        )
        self._log = get_logger()

    # --- with its rows

    def file_loaded(self, plan: Plan, published: Published, filed_path: Path | None) -> Outcome:
        """File away what was published."""
        examined = self._under_way.examined
        assert examined is not None  # noqa: S101 - its plan was made of that
        self._log.info(
            "load_committed",
            load_type=self._load.drop.load_type.value,
            rows=published.rows_loaded,
            rejected=plan.profile.rejected_rows,
            rows_after=published.rows_after,
        )
        outcome = self._under_way.outcome(Verdict.LOADED, None, rows_loaded=published.rows_loaded)
        outcome = replace(outcome, notes=plan.notes)
        findings = None
        if examined.profile.rejected_rows or plan.changes_table:
            findings = explain_success(self._load, examined, plan.notes)
        return self._file_away(outcome, filed_path, findings)

    # --- without

    def fail(self, error: FileError) -> Outcome:
        """Close the load; the file goes to `error/` with a report."""
        filed_path = plan_filing(self._dock.tree, self._load.drop, failed=True)
        self._close(State.FAILED, error, filed_path)
        self._log.error("load_failed", code=error.dl_code, reason=str(error))
        findings = explain_failure(self._load, error, self._under_way.examined)
        return self._file_away(self._outcome(Verdict.FAILED, error), filed_path, findings)

    def skip_duplicate(self, error: DuplicateError) -> Outcome:
        """Close the load; the file goes to `processed/`, where its rows are already."""
        filed_path = plan_filing(self._dock.tree, self._load.drop, failed=False)
        self._close(State.DUPLICATE, error, filed_path, partial(self._check_stands, error.load_id))
        self._log.info("duplicate_skipped", code=error.dl_code, reason=error.message)
        return self._file_away(self._outcome(Verdict.DUPLICATE, error), filed_path, None)

    def hold(self, error: HeldError) -> Outcome:
        """Leave the file where it is until a person decides."""
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

        with self._noting():
            self._under_way.retry(close)
        self._log.warning("file_held", code=error.dl_code, reason=str(error))
        return self._outcome(Verdict.HELD, error)

    def cancel(self, error: FileChangedError) -> Outcome:
        """Give up this version of the file; the gate begins again with what is there now."""
        self._close(State.CANCELLED, error, None)
        self._log.info("load_cancelled", reason=error.message)
        return not_now(self._outcome(Verdict.RETRY, error), error)

    def lose_claim(self, error: ClaimLostError) -> Outcome:
        """Stop: another worker has the load, or a person has cancelled it."""
        return self._find_cancelled() or self._outcome(Verdict.SKIPPED, error)

    def let_go(self, error: DroploadError) -> Outcome:
        """Leave the file where it is; it is tried again when the trouble may be over."""
        # A load that was cancelled may have lost its side table in the middle of a statement.
        if cancelled := self._find_cancelled():
            return cancelled
        self._log.warning("load_put_off", code=error.dl_code, reason=str(error))
        outcome = not_now(self._outcome(Verdict.RETRY, error), error)
        return self._give_up_claim(outcome, str(error))

    # --- what they need

    def _outcome(self, verdict: Verdict, error: DroploadError | None) -> Outcome:
        return self._under_way.outcome(verdict, error)

    def _noting(self) -> AbstractContextManager[object]:
        return self._under_way.times.measure("journal")

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

    def _give_up_claim(self, outcome: Outcome, reason: str) -> Outcome:
        """Say that nobody works on this load any more, so that the next need not wait.

        Where the journal cannot be told, the outcome tells.
        """
        try:
            with self._noting(), self._dock.target.write() as conn:
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
        examined = self._under_way.examined
        profile = examined.profile if examined else None

        def close() -> None:
            dock, load = self._dock, self._load
            with dock.target.write() as conn:
                check(conn)
                dock.target.drop_table(conn, dock.target.stage_name(load.table, load.load_id))
                dock.journal.loads.close(
                    conn, load, state, error=error, filed_path=filed_path, profile=profile
                )

        with self._noting():
            self._under_way.retry(close)

    def _check_stands(self, load_id: int, conn: sa.Connection) -> None:
        """Raise StalePlanError when the load that has these rows was undone in this moment."""
        self._dock.target.lock_queue(conn, self._load.table)
        earlier = self._dock.journal.history.row(conn, load_id)
        if earlier is None or earlier.state not in STANDING:
            raise StalePlanError(f"Load {load_id} was undone while this file was looked at.")

    def _file_away(
        self, outcome: Outcome, filed_path: Path | None, findings: Findings | None
    ) -> Outcome:
        """Write the answer, move the file; a move that fails is recovery's to repeat."""
        with self._under_way.times.measure("filing"):
            return self._answer_and_move(outcome, filed_path, findings)

    def _answer_and_move(
        self, outcome: Outcome, filed_path: Path | None, findings: Findings | None
    ) -> Outcome:
        load, under_way = self._load, self._under_way
        report = None
        if findings:
            report = write_answer(self._dock, findings, under_way.examined, filed_path)
        try:
            filed_path = file_away(
                self._filing, load.load_id, load.drop, filed_path, report, under_way.measure
            )
        except DroploadError as exc:
            self._log.error("file_not_moved", code=exc.dl_code, reason=str(exc))
            outcome = replace(outcome, moved=False, report_path=report, hint=str(exc))
            return self._give_up_claim(outcome, str(exc))
        return replace(outcome, filed_path=filed_path, report_path=report)
