"""Sort what SQL Server and its driver say by who must act."""

import re

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

# Native error numbers
# (https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues,
# https://learn.microsoft.com/sql/relational-databases/errors-events/).
_TRANSIENT = frozenset(
    {-2, 20, 64, 233, 1204, 1205, 1222, 4060, 10053, 10054, 10060, 10928, 10929, 40197, 40501}
    | {40613, 49918, 49919, 49920, 11001, 17142, 17197, 6005, 3960}
    # The database starts up, recovers or changes over; memory is short for a moment.
    | {615, 701, 921, 922, 926, 976, 983, 4221, 8645, 8651, 40143, 40540}
)
_OWNERS = {
    9002: "The transaction log is full: back it up or make room, then the load goes on.",
    1101: "The disk of the database is full: make room, then the load goes on.",
    1105: "The disk of the database is full: make room, then the load goes on.",
    3906: "The database is read-only.",
}
_FULL = frozenset({9002, 1101, 1105})
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
_SAME_NAME = 2705
_RAISED = range(50_000, 1_000_000)
"""Numbers that owners give to what their triggers say about a row (RAISERROR, THROW)."""
_SYNTAX = frozenset({102, 156})
_ROWS = frozenset({220, 241, 242, 245, 248, 515, 547, 2601, 2627, 2628, 8114, 8115, 8152, 13609})
"""Conversion, range, truncation, null and constraint errors: the rows are at fault."""
_ENCRYPTION = re.compile(r"SSL Provider|certificate|Encryption not supported", re.IGNORECASE)
_CONNECTING = frozenset({"08001", "01000", "IM002", "HYT00", "HY000"})
_RECORD = re.compile(r"; (?=\[[0-9A-Z]{5}\] )")
_GRANT = "Grant the right that is named; sql/mssql/grant_permissions.sql has them all."


def translate_error(exc: Exception, driver_name: str) -> DroploadError:
    """Return our error for a native error number, or for SQLSTATE where there is none."""
    original = getattr(exc, "orig", None) or exc
    state = str(original.args[0]) if original.args else ""
    said, numbers = _read_message(original)
    away = isinstance(exc, (OSError, sa.exc.TimeoutError))
    owners = [hint for number, hint in _OWNERS.items() if number in numbers]
    # While connecting only: a table may be called certificates, and a value "file not found".
    no_driver = state == "IM002" or (state in _CONNECTING and "file not found" in said)
    sorted_by_who_must_act = (
        (no_driver, _driver_error(said, driver_name)),
        (state in _CONNECTING and _ENCRYPTION.search(said), _encryption_error(said)),
        (_CANNOT_OPEN_DATABASE in numbers, _no_database_error(said)),
        (_LOCK_TIMEOUT in numbers, LockedError(f"SQL Server: {said}.")),
        # Before the login: a database that recovers refuses it too.
        (away or numbers & _TRANSIENT, TransientError(f"SQL Server: {said}.")),
        (numbers & _LOGIN or state == "28000", _login_error(said)),
        (
            numbers & _PERMISSION,
            TargetError(f"SQL Server says: {said}.", hint=_GRANT, code="permission"),
        ),
        (numbers & _TOO_WIDE, _width_error(said)),
        (_SAME_NAME in numbers, _same_name_error(said)),
        (
            owners,
            TargetError(
                f"SQL Server says: {said}.",
                hint=" ".join(owners),
                code="database_full" if numbers & _FULL else "",
            ),
        ),
        (numbers & _ROWS or state.startswith(("22", "23")), refused_rows_error(said)),
        (any(number in _RAISED for number in numbers - _TRANSIENT), refused_rows_error(said)),
        (state == "HYT00" and "Query timeout" in said, slow_statement_error("SQL Server")),
        (state.startswith(("08", "HYT")) or state == "40001", _away_error(said)),
    )
    found = next((error for applies, error in sorted_by_who_must_act if applies), None)
    return found or TargetError(f"SQL Server says: {said}.")


def _driver_error(said: str, driver_name: str) -> ConfigError:
    return ConfigError(
        f"The ODBC driver {driver_name} cannot be loaded: {said}.",
        hint="Name another in database.odbc_driver.",
        code="driver",
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
        code="old_server",
    )


def _no_database_error(said: str) -> TransientError:
    return TransientError(
        f"SQL Server: {said}.",
        hint="It may be starting up: it is tried again. If not, check database.name, and that "
        "database.user is a user of that database.",
        code="database_away",
    )


def _width_error(said: str) -> FileError:
    return FileError(
        f"A row is wider than the 8,060 bytes that SQL Server keeps in a row: {said}.",
        hint="Split the file into several with fewer columns.",
        code="row_too_wide",
    )


def _same_name_error(said: str) -> FileError:
    return FileError(
        f"Two columns of the file have one name for SQL Server: {said}.",
        hint="Rename one of them: the database takes the two names for equal.",
        code="same_name",
    )


def _login_error(said: str) -> ConfigError:
    return ConfigError(
        f"SQL Server refuses the login: {said}.",
        hint="Check database.user, the password, and database.name.",
        code="login",
    )


def _encryption_error(said: str) -> ConfigError:
    return ConfigError(
        f"SQL Server and the driver cannot agree on encryption: {said}.",
        hint="Install the server's certificate, or set database.trust_server_certificate, or "
        "database.encrypt = 'no' where the network is trusted.",
        code="encryption",
    )


def _away_error(said: str) -> TransientError:
    return TransientError(
        f"SQL Server cannot be reached: {said}.",
        hint="It is tried again. If that does not help: check database.host, database.port and "
        "database.name, and that the server takes connections from here.",
        code="database_away",
    )


def _read_message(error: BaseException) -> tuple[str, frozenset[int]]:
    """Return the server's sentence and the native error numbers in an ODBC message."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    # Each record ends in its number; what stands before may be data.
    ends = (re.search(r"\((-?\d+)\)(?: \(SQL\w+\))?\s*$", part) for part in _RECORD.split(text))
    numbers = frozenset(int(end[1]) for end in ends if end)
    said = re.sub(r"^(?:\[[^\]]*\] ?)+", "", _RECORD.split(text)[0])
    said = re.sub(r"\s*\(-?\d+\)(?:\s*\(SQL\w+\))?\s*$", "", said)
    return said.strip().rstrip("."), numbers
