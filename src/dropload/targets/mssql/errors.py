"""Sort what SQL Server and its driver say by who must act."""

import re

import sqlalchemy as sa

from dropload.errors import (
    ConfigError,
    ConstraintError,
    DroploadError,
    FileError,
    TargetError,
    TransientError,
)

# Native error numbers
# (https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues,
# https://learn.microsoft.com/sql/relational-databases/errors-events/).
_TRANSIENT = frozenset(
    {-2, 20, 64, 233, 1204, 1205, 1222, 4060, 10053, 10054, 10060, 10928, 10929, 40197, 40501}
    | {40613, 49918, 49919, 49920, 11001, 17142, 17197, 6005, 3960, 3201}
)
_OWNERS = {
    9002: "The transaction log is full: back it up or make room, then the load goes on.",
    1101: "The disk of the database is full: make room, then the load goes on.",
    1105: "The disk of the database is full: make room, then the load goes on.",
    3906: "The database is read-only.",
}
_PERMISSION = frozenset(
    {229, 230, 262, 297, 300, 916, 1088, 2714, 2760, 3701, 4613, 4902, 8104}
    | {15151, 15225, 15247, 15248}
)
"""Missing rights, also where the server says only that it finds nothing, or that a name is taken
(2714: by a table that dropload's user may not see)."""
_LOGIN = frozenset({18456, 18452, 18486, 18487, 18488})
_CANNOT_OPEN_DATABASE = 4060
_LOCK_TIMEOUT = 1222
_TOO_WIDE = frozenset({511, 1701, 1702})
_SYNTAX = frozenset({102, 156})
_ROWS = frozenset({220, 241, 242, 245, 248, 515, 547, 2601, 2627, 2628, 8114, 8115, 8152, 13609})
"""Conversion, range, truncation, null and constraint errors: the rows are at fault."""
_ENCRYPTION = re.compile(r"SSL Provider|certificate|Encryption not supported", re.IGNORECASE)
_GRANT = "Grant the right that is named; sql/mssql/grant_permissions.sql has them all."


def translate_error(exc: Exception, driver_name: str) -> DroploadError:
    """Return our error for a native error number, or for SQLSTATE where there is none."""
    original = getattr(exc, "orig", None) or exc
    state = str(original.args[0]) if original.args else ""
    said, numbers = _read_message(original)
    away = isinstance(exc, (OSError, sa.exc.TimeoutError))
    owners = [hint for number, hint in _OWNERS.items() if number in numbers]
    sorted_by_who_must_act = (
        (state == "IM002" or "file not found" in said, _driver_error(said, driver_name)),
        (_ENCRYPTION.search(said), _encryption_error(said)),
        (_CANNOT_OPEN_DATABASE in numbers, _no_database_error(said)),
        # Before the login: a database that recovers refuses it too.
        (away or numbers & _TRANSIENT, TransientError(f"SQL Server: {said}.")),
        (numbers & _LOGIN or state == "28000", _login_error(said)),
        (numbers & _PERMISSION, TargetError(f"SQL Server says: {said}.", hint=_GRANT)),
        (numbers & _TOO_WIDE, _width_error(said)),
        (owners, TargetError(f"SQL Server says: {said}.", hint=" ".join(owners))),
        (numbers & _ROWS or state.startswith(("22", "23")), _rows_error(said)),
        (state.startswith(("08", "HYT")) or state == "40001", _away_error(said)),
    )
    found = next((error for applies, error in sorted_by_who_must_act if applies), None)
    return found or TargetError(f"SQL Server says: {said}.")


def _driver_error(said: str, driver_name: str) -> ConfigError:
    return ConfigError(
        f"The ODBC driver {driver_name} cannot be loaded: {said}.",
        hint="Name another in database.odbc_driver.",
    )


def is_lock_timeout(exc: Exception) -> bool:
    """Return whether a statement gave up waiting for a lock."""
    return _LOCK_TIMEOUT in _read_message(getattr(exc, "orig", None) or exc)[1]


def is_syntax_error(exc: Exception) -> bool:
    """Return whether the server does not understand a statement."""
    return bool(_SYNTAX & _read_message(exc)[1])


def too_old_error() -> ConfigError:
    """Return what to say of a server that does not know the statements dropload needs."""
    return ConfigError(
        "This SQL Server is too old for dropload, which needs 2016 (13) or later.",
        hint="Name another server in database.host or database.url.",
    )


def _no_database_error(said: str) -> TransientError:
    return TransientError(
        f"SQL Server: {said}.",
        hint="It may be starting up: it is tried again. If not, check database.name, and that "
        "database.user is a user of that database.",
    )


def _width_error(said: str) -> FileError:
    return FileError(
        f"A row is wider than the 8,060 bytes that SQL Server keeps in a row: {said}.",
        hint="Split the file into several with fewer columns.",
        code="row_too_wide",
    )


def _login_error(said: str) -> ConfigError:
    return ConfigError(
        f"SQL Server refuses the login: {said}.",
        hint="Check database.user, the password, and database.name.",
    )


def _encryption_error(said: str) -> ConfigError:
    return ConfigError(
        f"SQL Server and the driver cannot agree on encryption: {said}.",
        hint="Install the server's certificate, or set database.trust_server_certificate, or "
        "database.encrypt = 'no' where the network is trusted.",
    )


def _rows_error(said: str) -> ConstraintError:
    return ConstraintError(
        f"The table refuses the rows: {said}.",
        hint="Correct the rows that break this rule of the table, and drop the file again.",
        code="constraint",
    )


def _away_error(said: str) -> TransientError:
    return TransientError(
        f"SQL Server cannot be reached: {said}.",
        hint="It is tried again. If that does not help: check database.host, database.port and "
        "database.name, and that the server takes connections from here.",
    )


def _read_message(error: BaseException) -> tuple[str, frozenset[int]]:
    """Return the server's sentence and the native error numbers in an ODBC message."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    numbers = frozenset(int(found) for found in re.findall(r"\((-?\d+)\) \(SQL", text))
    numbers |= frozenset(int(found) for found in re.findall(r"\((-?\d+)\)(?=;|$)", text))
    said = re.sub(r"\[[^\]]*\]", "", text.partition(";")[0])
    said = re.sub(r"\s*\(-?\d+\)(?:\s*\(SQL\w+\))?\s*$", "", said)
    return said.strip().rstrip("."), numbers
