"""The audit log: who did, or wanted to do, what to which load, and what came of it."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from dropload.journal.tables import JournalTables
from dropload.logs import mask_secrets
from dropload.targets.base import Target

KEPT_DAYS = 90
"""Days that the database keeps a row for, whatever the retention says: see `0004_audit.sql`."""


class AuditAction(StrEnum):
    """What somebody did or wanted to do."""

    INIT = "init"
    """Tables of the journal, or folders of the drop tree, were made."""
    LOAD = "load"
    """A person had a file loaded."""
    LOAD_FORCED = "load_forced"
    """The same, past duplicates and guard rails."""
    RELEASE = "release"
    """A held file may load."""
    CANCEL = "cancel"
    """A load was stopped before its rows were in the table, or a waiting file held."""
    UNDO = "undo"
    """What a load changed in its table was taken back."""
    RETRY = "retry"
    """The file of a failed load went back into its inbox."""
    REFERENCE_REPAIR = "reference_repair"
    """A row of the reference configuration was put right."""
    CLEANUP = "cleanup"
    """A cleanup of a drop tree began."""
    CLEANUP_DONE = "cleanup_done"
    """It came to its end; told is what went."""
    CONFIGURATION_RELOAD = "configuration_reload"
    """The running daemon read its configuration anew."""


class AuditResult(StrEnum):
    """What came of it."""

    DONE = "done"
    REFUSED = "refused"
    """Nothing was changed, for the reason in the detail."""
    FAILED = "failed"
    """Nothing was changed: of trouble, whose category is the detail, or of the file's fault."""


class Audit:
    """Adds to the audit log; rows are only ever added."""

    def __init__(self, target: Target, tables: JournalTables) -> None:
        self._target = target
        self._table = tables.audit

    def add(
        self,
        conn: sa.Connection,
        actor: str,
        action: AuditAction,
        load_id: int | None,
        detail: str = "",
        *,
        reason: str = "",
        result: AuditResult = AuditResult.DONE,
    ) -> None:
        """Add one row in the caller's transaction, beside what it speaks of.

        `detail` holds no values of cells; a password that a person has pasted is masked. `reason`
        is why, in the person's words.
        """
        values: dict[str, Any] = {
            "at": self._target.now(conn),
            "actor": actor,
            "action": action.value,
            "load_id": load_id,
            "detail": mask_secrets(detail) or None,
        }
        # While the journal is being made, the columns that say more are not there yet.
        if reason:
            values["reason"] = mask_secrets(reason)
        if result is not AuditResult.DONE:
            values["result"] = result.value
        # Without asking for the row's number: not every database tells it where there are triggers.
        conn.execute(sa.insert(self._table).values(values).inline())
        line = values | {"result": result.value}
        self._target.after_commit(conn, lambda: self._target.audit_lines.tell(**line))
