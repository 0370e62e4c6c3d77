"""Claim a file for this worker, or say why it is not to be loaded now."""

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.endings import foreseen, not_now
from dropload.error_codes import code_of
from dropload.errors import NOT_THE_FILES_FAULT, TABLE_BUSY, ConstraintError, HeldError
from dropload.intake import NamedDrop
from dropload.journal import AuditAction, ClaimRefused
from dropload.model import DAEMON, Load, Outcome, Verdict
from dropload.reading_again import check_version
from dropload.retries import call_with_retries


def claim_drop(dock: Dock, named: NamedDrop, worker: str) -> Load | Outcome:
    """Return the load that was begun, or what is told where there is none."""
    try:
        claim = call_with_retries(lambda: _claim(dock, named, worker), dock.config.retry)
    except (*NOT_THE_FILES_FAULT, OSError) as exc:
        # The claim may have been written, and only the answer was lost.
        outcome = Outcome(Verdict.RETRY, named.drop.path, str(named.table), claimed_by=worker)
        return not_now(outcome, foreseen(exc))
    return _refused(named, claim) if isinstance(claim, ClaimRefused) else claim


def _claim(dock: Dock, named: NamedDrop, worker: str) -> Load | ClaimRefused:
    try:
        with dock.target.write(synced=_waits_for_disk(dock, named)) as conn:
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


def _waits_for_disk(dock: Dock, named: NamedDrop) -> bool:
    """Return False for a claim that may go with the machine: its worker goes, too.

    A server may crash and leave the worker, which would go on under a number that the next claim
    gets. What a person asks for is written down for good.
    """
    return dock.target.file is None or named.drop.requested_by != DAEMON


def _note_request(dock: Dock, conn: sa.Connection, load: Load) -> None:
    """Write into the audit log who has a file loaded, whether past duplicates and guard rails."""
    drop = load.drop
    action = AuditAction.LOAD_FORCED if drop.force else AuditAction.LOAD
    dock.journal.audit.add(conn, drop.requested_by, action, load.load_id, reason=drop.reason)


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
