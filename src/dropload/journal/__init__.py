"""The journal: bookkeeping kept in the target database, beside the rows it speaks of."""

from datetime import timedelta

from dropload.journal.audit import KEPT_DAYS, Audit, AuditAction, AuditResult
from dropload.journal.claims import ClaimRefused, Claims
from dropload.journal.efforts import Efforts, LoadEffort
from dropload.journal.history import LATE_WRITE, MAX_LOAD_ID, History
from dropload.journal.listings import (
    Action,
    ActionFilter,
    Arrival,
    Done,
    Duplicate,
    Listings,
    Trouble,
)
from dropload.journal.loads import Loads, drop_from_record, to_json, write_plan
from dropload.journal.migrations import (
    apply_scripts,
    journal_versions,
    pending_scripts,
    prove_writable,
)
from dropload.journal.queries import Queries
from dropload.journal.reference import NO_LOAD, Reference, ReferenceRow
from dropload.journal.retention import FiledLoad, KeptBackup, Retention, Terms
from dropload.journal.standing import Standing, StandingLoad, created_table
from dropload.journal.tables import FILE_PATH_LENGTH, journal_tables, path_key, path_of_key
from dropload.journal.tracking import (
    HELD,
    RELEASED,
    VANISHED,
    WAITING,
    Tracking,
)
from dropload.targets.base import Target

__all__ = [
    "FILE_PATH_LENGTH",
    "HELD",
    "KEPT_DAYS",
    "LATE_WRITE",
    "MAX_LOAD_ID",
    "NO_LOAD",
    "RELEASED",
    "VANISHED",
    "WAITING",
    "Action",
    "ActionFilter",
    "Arrival",
    "AuditAction",
    "AuditResult",
    "ClaimRefused",
    "Done",
    "Duplicate",
    "FiledLoad",
    "Journal",
    "KeptBackup",
    "LoadEffort",
    "ReferenceRow",
    "StandingLoad",
    "Terms",
    "Trouble",
    "apply_scripts",
    "created_table",
    "drop_from_record",
    "journal_versions",
    "path_key",
    "path_of_key",
    "pending_scripts",
    "prove_writable",
    "to_json",
    "write_plan",
]


class Journal:
    """The journal's parts, over one target; every method works in the caller's transaction."""

    def __init__(self, target: Target, lease: timedelta) -> None:
        tables = journal_tables(target)
        queries = Queries(tables)
        self.tracking = Tracking(target, tables, queries)
        self.history = History(target, tables, queries)
        self.claims = Claims(target, tables, self.tracking, self.history, lease)
        self.loads = Loads(target, tables, self.tracking, self.history, lease)
        self.standing = Standing(target, tables)
        self.reference = Reference(target, tables)
        self.audit = Audit(target, tables)
        self.listings = Listings(tables)
        self.efforts = Efforts(tables)
        self.retention = Retention(target, tables, self.audit)
