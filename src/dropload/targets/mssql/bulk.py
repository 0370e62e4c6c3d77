"""SQL Server's bulk protocol: columns of text go into a side table without becoming Python objects.

The driver logs in anew for each bulk copy, which also is a transaction of its own. So one of them
stays under way while a file is read, and takes rows as they come; what it took is there when it has
been settled. That is right for a side table, which is trimmed to what the journal knows of before a
load goes on, and counted on the server before it is published.
"""

import importlib.util
import queue
import threading
import time
from collections.abc import Callable, Iterator
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
LEAST_BYTES = 256 * 1024
"""Fewer are not worth a login: arrays of parameters are there sooner."""
_DEPTH = 4
"""Batches that may wait to be sent."""
_LOOK_SECONDS = 0.1

Copy = Callable[[str, "pa.RecordBatchReader"], int]
"""Sends all batches to a table and returns how many rows it took."""


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
        self._stream: _Stream | None = None

    @property
    def is_usable(self) -> bool:
        """Return whether the next batches may be tried by bulk copy."""
        return self._is_possible and self._resting.is_over

    def send(self, table: str, batches: "list[pa.RecordBatch]") -> bool:
        """Take batches whose columns are those of the table, in its order; it has them later.

        Returns False when nothing was taken and the rows must go another way.

        Raises TransientError when some of the rows may have arrived: the side table must be trimmed
        or made anew.
        """
        if self._stream is not None and self._stream.table != table:
            self.abandon()
        if self._stream is None:
            size = sum(batch.nbytes for batch in batches)
            if not self.is_usable or size < LEAST_BYTES or not self._begin(table):
                return False
        assert self._stream is not None  # noqa: S101 - it was there, or has begun
        try:
            for batch in batches:
                self._stream.put(batch)
        except _BrokenCopyError as exc:
            self._give_up(exc)
        return True

    def settle(self) -> None:
        """Return when the table has all rows that were sent; raise TransientError if it has not."""
        if self._stream is None:
            return
        try:
            copied, sent = self._stream.finish()
        except _BrokenCopyError as exc:
            self._give_up(exc)
        self._stream = None
        self._resting.note_success()
        if copied != sent:
            raise TransientError(f"The bulk copy took {copied} of {sent} rows.")

    def abandon(self) -> None:
        """Break off the copy under way: nobody wants its rows any more."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.leave()

    def close(self) -> None:
        """Give back the connection; one that the server dropped has nothing left to close."""
        self.abandon()
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _begin(self, table: str) -> bool:
        stream = _Stream(table, self._copy)
        try:
            stream.start()
        except RuntimeError:  # limits of the machine; the other way needs no thread
            return False
        self._stream = stream
        return True

    def _give_up(self, broken: "_BrokenCopyError") -> None:
        self.close()
        self._resting.note_failure(broken.reason)
        raise TransientError("The bulk copy broke off.") from broken.reason

    def _copy(self, table: str, rows: "pa.RecordBatchReader") -> int:
        if self._connection is None:
            import mssql_python  # noqa: PLC0415 - an extra, and slow to import

            self._connection = mssql_python.connect(self._connection_string())
        cursor = self._connection.cursor()
        try:
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


class _BrokenCopyError(Exception):
    """A copy under way came to an early end; `reason` is what the driver raised."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _LeftError(Exception):
    """Nobody wants the rest of the rows."""


class _Stream:
    """One copy under way, in a thread that waits for rows until it is told that these are all."""

    def __init__(self, table: str, copy: Copy) -> None:
        self.table = table
        self._copy = copy
        self._queue: queue.Queue[pa.RecordBatch | None] = queue.Queue(_DEPTH)
        self._is_left = threading.Event()
        self._sent = 0
        self._copied = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="bulk-copy", daemon=True)

    def start(self) -> None:
        """Start the thread; raises RuntimeError where the machine allows no more."""
        self._thread.start()

    def put(self, batch: "pa.RecordBatch") -> None:
        """Hand over a batch; wait while too many are there."""
        self._hand_over(batch)
        self._sent += batch.num_rows

    def finish(self) -> tuple[int, int]:
        """Wait until all is written; return how many rows the table took, and how many were sent.

        Raises _BrokenCopyError.
        """
        self._hand_over(None)
        self._thread.join()
        if self._error is not None:
            raise _BrokenCopyError(self._error)
        return self._copied, self._sent

    def leave(self) -> None:
        """Have the driver break off, and wait until it has."""
        self._is_left.set()
        with suppress(queue.Full):  # it looks at `_is_left` then
            self._queue.put_nowait(None)
        self._thread.join()

    def _hand_over(self, item: "pa.RecordBatch | None") -> None:
        while True:
            if not self._thread.is_alive():
                early = RuntimeError("the driver took no more rows")
                raise _BrokenCopyError(self._error or early)
            with suppress(queue.Full):
                self._queue.put(item, timeout=_LOOK_SECONDS)
                return

    def _run(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - only what loads rows needs Arrow

        try:
            first = self._next()
            if first is not None:
                rows = pa.RecordBatchReader.from_batches(first.schema, self._from(first))
                self._copied = self._copy(self.table, rows)
        except BaseException as exc:  # noqa: BLE001 - the driver's core panics as nothing in Python does
            self._error = exc

    def _from(self, first: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
        batch: pa.RecordBatch | None = first
        while batch is not None:
            yield batch
            batch = self._next()

    def _next(self) -> "pa.RecordBatch | None":
        batch = self._queue.get()
        if self._is_left.is_set():
            raise _LeftError
        return batch
