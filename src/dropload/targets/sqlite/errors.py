"""SQLite's result codes, sorted by who must act."""

import sqlite3
from pathlib import Path

from dropload.durable import path_text
from dropload.errors import (
    DroploadError,
    LockedError,
    TargetError,
    TransientError,
)
from dropload.targets.base import refused_rows_error, slow_statement_error
from dropload.targets.sqlite.place import find_fault

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_OWNERS = {
    sqlite3.SQLITE_FULL: "The disk of the database is full: make room, then the load goes on.",
    sqlite3.SQLITE_READONLY: "The database file cannot be written: give dropload's user the right.",
    sqlite3.SQLITE_PERM: "The database file cannot be used: give dropload's user the right.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged: restore it from a backup.",
    sqlite3.SQLITE_NOTADB: "The file is not an SQLite database: name another in database.url.",
}
_CODES = {
    sqlite3.SQLITE_FULL: "database_full",
    sqlite3.SQLITE_READONLY: "permission",
    sqlite3.SQLITE_PERM: "permission",
}
"""Conditions of what its owner must act on; the others are of no special kind."""
_REFUSED = (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
_OF_THE_PLACE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
"""Codes that file or folder may explain better."""
_TRANSIENT = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL)


def sort_error(exc: Exception, path: Path) -> DroploadError:
    """Sort SQLite's result codes by who must act (https://www.sqlite.org/rescode.html).

    What file or folder of the database explain better they explain.
    """
    original = getattr(exc, "orig", None) or exc
    code = getattr(original, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in _BUSY:
        return LockedError("The database is locked by another process.")
    if primary in _REFUSED:
        return refused_rows_error(original)
    if primary == sqlite3.SQLITE_INTERRUPT:
        return slow_statement_error("SQLite")
    is_place = isinstance(exc, OSError) or primary in _OF_THE_PLACE
    fault = find_fault(path) if is_place else None
    if fault is not None:
        return TargetError(fault.message, hint=fault.hint, code="permission")
    if primary in _TRANSIENT or isinstance(exc, OSError):
        return TransientError(
            f"The database cannot be reached: {original}.",
            hint=f"It is tried again; see to {path_text(path.parent)} and the disk that it is on.",
            code="database_away",
        )
    hint, code = _OWNERS.get(primary or 0, ""), _CODES.get(primary or 0, "")
    return TargetError(f"SQLite says: {original}.", hint=hint, code=code)
