"""SQL Server's bulk protocol: columns of text go into a side table without becoming Python objects.

The driver opens a connection of its own for each call, so the rows are committed at once, outside
the caller's transaction. That is right for a side table, which is trimmed to what the journal knows
of before a load goes on, and counted on the server before it is published.
"""

import importlib.util
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dropload.config import DatabaseConfig
from dropload.errors import TransientError
from dropload.targets.mssql.odbc import braced
from dropload.targets.resting import Resting

if TYPE_CHECKING:
    import pyarrow as pa

PACKET_BYTES = 16384
"""The driver's own default panics where the server offers 4096 (measured with 1.16)."""


class BulkWriter:
    """Sends record batches to a table; says when it cannot, so that another way is taken."""

    def __init__(
        self,
        settings: DatabaseConfig,
        password: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_possible = (
            settings.bulk
            and settings.authentication is None
            and not settings.trusted_connection
            and importlib.util.find_spec("mssql_python") is not None
        )
        """False where the driver is missing or cannot log in that way."""
        self._resting = Resting(clock)
        self._settings = settings
        self._password = password
        self._connection: Any = None

    @property
    def is_usable(self) -> bool:
        """Return whether the next batches may be tried by bulk copy."""
        return self._is_possible and self._resting.is_over

    def write(self, table: str, batches: "list[pa.RecordBatch]") -> bool:
        """Send batches whose columns are those of the table, in its order.

        Returns False when nothing was sent and the rows must take another way.

        Raises TransientError when some of the rows may have arrived: the side table must be made
        anew.
        """
        if not self.is_usable:
            return False
        try:
            copied = self._copy(table, batches)
        except BaseException as exc:
            # The driver's core is another language: its panics are no ordinary exceptions.
            if isinstance(exc, (KeyboardInterrupt, SystemExit)):
                raise
            self.close()
            self._resting.note_failure(exc)
            raise TransientError("The bulk copy broke off.") from exc
        self._resting.note_success()
        sent = sum(batch.num_rows for batch in batches)
        if copied != sent:
            raise TransientError(f"The bulk copy took {copied} of {sent} rows.")
        return True

    def _copy(self, table: str, batches: "list[pa.RecordBatch]") -> int:
        import pyarrow as pa  # noqa: PLC0415 - only what loads rows needs Arrow

        if self._connection is None:
            import mssql_python  # noqa: PLC0415 - an extra, and slow to import

            self._connection = mssql_python.connect(self._connection_string())
        cursor = self._connection.cursor()
        try:
            rows = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
            limit = max(1, round(self._settings.statement_timeout_seconds))
            done = cursor.bulkcopy_arrow(table, rows, timeout=limit, keep_nulls=True)
        finally:
            cursor.close()
        return int(done["rows_copied"])

    def _connection_string(self) -> str:
        settings = self._settings
        server = settings.host or "localhost"
        if settings.instance:
            server += f"\\{settings.instance}"
        elif settings.port:
            server += f",{settings.port}"
        trust = "yes" if settings.trust_server_certificate else "no"
        parts = {
            "Server": server,
            "Database": settings.name or "master",
            "UID": settings.user or "",
            "PWD": self._password or "",
            "Encrypt": settings.encrypt,
            "TrustServerCertificate": trust,
            "PacketSize": str(PACKET_BYTES),
        }
        return ";".join(f"{key}={braced(value)}" for key, value in parts.items())

    def close(self) -> None:
        """Give back the connection; one that the server dropped has nothing left to close."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()
