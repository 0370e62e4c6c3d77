"""Sort what PostgreSQL and its driver say by who must act."""

import re

import psycopg
import sqlalchemy as sa

from dropload.errors import (
    ConfigError,
    DroploadError,
    FileError,
    LockedError,
    TargetError,
    TransientError,
)
from dropload.targets.base import refused_rows_error, slow_statement_error

# SQLSTATE classes and codes (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_CANCELED = "57014"
_TRANSIENT = ("08", "25006", "25P03", "25P04", "40", "53300", "55P03", "57014", "57P", "58030")
"""Among them that a transaction stood still (25P03) or took (25P04) longer than it may."""
_ROWS = ("22", "23", "P0001")
"""Data and constraints, and what an owner's trigger raises about a row."""
_LOGIN = ("28", "3D")
_TOO_WIDE = ("54",)
"""Too many columns, or a row that does not fit into a page."""
_LOCK_TIMEOUT = "55P03"
_HINTS = {
    "53100": "The disk of the database is full: make room, then the load goes on.",
    "42501": "Grant the right that is named; sql/postgresql/grant_permissions.sql has them all. "
    "Only its owner may change a table.",
    "42P07": "If dropload's user may not see what has this name, grant it the rights of "
    "sql/postgresql/grant_permissions.sql.",
}
_CODES = {"53100": "database_full", "42501": "permission", "42P07": "permission"}
"""Conditions of what its owner must act on; the others are of no special kind."""
# While it connects, the driver gives no SQLSTATE: only words say what was wrong.
_ENCRYPTION = re.compile(
    r"does not support SSL|certificate|sslmode|SSL error|SSL connection (?:is )?required",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"password authentication failed|does not exist|no pg_hba\.conf entry")


def translate_error(exc: Exception) -> DroploadError:
    """Return our error for a SQLSTATE, or for the words where there is none."""
    original = getattr(exc, "orig", None) or exc
    state = str(getattr(original, "sqlstate", None) or "")
    said = _first_line(original)
    away = isinstance(exc, (OSError, sa.exc.TimeoutError))
    driver = isinstance(original, (psycopg.OperationalError, psycopg.InterfaceError))
    rows = isinstance(original, psycopg.DataError)
    sorted_by_who_must_act = (
        (not state and _ENCRYPTION.search(said), _encryption_error(said)),
        (not state and "permission denied for database" in said, _connect_error(said)),
        (state.startswith(_LOGIN) or _is_login_failure(said), _login_error(said)),
        (_is_of_catalogue(original), TransientError(f"PostgreSQL: {said}.")),
        (state.startswith(_ROWS) or (not state and rows), refused_rows_error(said)),
        (state.startswith(_TOO_WIDE), _width_error(said)),
        (state == _CANCELED and "statement timeout" in said, slow_statement_error("PostgreSQL")),
        (state == _LOCK_TIMEOUT, LockedError(f"PostgreSQL: {said}.")),
        (away or state.startswith(_TRANSIENT), TransientError(f"PostgreSQL: {said}.")),
        (not state and driver, _away_error(said)),
    )
    hint, kind = _HINTS.get(state, ""), _CODES.get(state, "")
    rest = TargetError(f"PostgreSQL says: {said}.", hint=hint, code=kind)
    return next((error for matches, error in sorted_by_who_must_act if matches), rest)


def is_lock_timeout(exc: Exception) -> bool:
    """Return whether a statement gave up waiting for a lock."""
    return getattr(getattr(exc, "orig", None), "sqlstate", None) == _LOCK_TIMEOUT


def _encryption_error(said: str) -> ConfigError:
    return ConfigError(
        f"PostgreSQL and dropload cannot agree on encryption: {said}.",
        hint="Set sslmode and sslrootcert in database.url (?sslmode=verify-full&"
        "sslrootcert=/path/ca.pem), or sslmode=disable where the network is trusted.",
        code="encryption",
    )


def _connect_error(said: str) -> TargetError:
    return TargetError(
        f"PostgreSQL says: {said}.",
        hint="GRANT CONNECT ON DATABASE to dropload's user; docs/postgresql.md lists all rights.",
        code="permission",
    )


def _login_error(said: str) -> ConfigError:
    return ConfigError(
        f"PostgreSQL refuses the login: {said}.",
        hint="Check database.url, or database.host, name, user and the password.",
        code="login",
    )


def _width_error(said: str) -> FileError:
    return FileError(
        f"A row is wider than PostgreSQL can keep: {said}.",
        hint="Split the file into several with fewer columns.",
        code="row_too_wide",
    )


def _away_error(said: str) -> TransientError:
    return TransientError(
        f"PostgreSQL cannot be reached: {said}.",
        hint="It is tried again. If that does not help: check database.host and database.port, "
        "and that the server takes connections from here.",
        code="database_away",
    )


def _first_line(error: BaseException) -> str:
    diag = getattr(error, "diag", None)
    primary = getattr(diag, "message_primary", None)
    text = primary or str(error).strip().partition("\n")[0]
    detail = getattr(diag, "message_detail", None)
    return f"{text} ({detail.rstrip('.')})" if primary and detail else text.rstrip(".")


def _is_of_catalogue(error: BaseException) -> bool:
    """Return whether a rule of the catalogue itself was broken: by who made the same just now."""
    return getattr(getattr(error, "diag", None), "schema_name", None) == "pg_catalog"


def _is_login_failure(said: str) -> bool:
    return "FATAL" in said and _REFUSED.search(said) is not None
