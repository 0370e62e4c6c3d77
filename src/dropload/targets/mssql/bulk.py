"""SQL Server's bulk protocol: columns of text go into a side table without becoming Python objects.

The driver logs in anew for each bulk copy, which also is a transaction of its own. So one of them
stays under way while a file is read, and takes rows as they come; what it took is there when it has
been settled. That is right for a side table, which is trimmed to what the journal knows of before a
load goes on, and counted on the server before it is published. Loads of several threads have a copy
each.
"""

import importlib.util
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from dropload.config import DatabaseConfig
from dropload.errors import TransientError
from dropload.targets.mssql.odbc import braced
from dropload.targets.resting import Resting
from dropload.targets.row_stream import Arrange, Rows, RowStream

if TYPE_CHECKING:
    import pyarrow as pa

PACKET_BYTES = 16384
"""The driver's own default panics where the server offers 4096 (measured with 1.16)."""
LEAST_BYTES = 256 * 1024
"""Fewer are not worth a login: arrays of parameters are there sooner."""
_DEPTH = 4
"""Batches that may wait to be sent."""
_LOOK_SECONDS = 0.1

Copy = Callable[["pa.RecordBatchReader"], int]
"""Sends all batches and returns how many rows the table took."""


class BulkWriter:
    """Begins bulk copies; says when it cannot, so that rows take another way."""

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
        self._lock = threading.Lock()
        self._is_closed = False
        self._idle: list[Any] = []
        """Connections that a copy may have; they serve one at a time."""

    @property
    def is_usable(self) -> bool:
        """Return whether the next batches may be tried by bulk copy."""
        return self._is_possible and self._resting.is_over

    def copy(self, table: str, rows: "pa.RecordBatchReader") -> int:
        """Send all batches in one bulk copy; return how many rows the table took."""
        connection = self._take_connection()
        try:
            cursor = connection.cursor()
            try:
                limit = max(1, round(self._settings.statement_timeout_seconds))
                done = cursor.bulkcopy_arrow(table, rows, timeout=limit, keep_nulls=True)
            finally:
                cursor.close()
        except BaseException:
            _close(connection)
            raise
        self._give_back(connection)
        return int(done["rows_copied"])

    def note_success(self) -> None:
        """Note that a copy brought all its rows."""
        self._resting.note_success()

    def note_failure(self, error: BaseException) -> None:
        """Note that one did not."""
        self._resting.note_failure(error)

    def close(self) -> None:
        """Give back the connections."""
        with self._lock:
            self._is_closed = True
            connections, self._idle = self._idle, []
        for connection in connections:
            _close(connection)

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                return
        _close(connection)

    def _take_connection(self) -> Any:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _connect(self) -> Any:
        import mssql_python  # noqa: PLC0415 - an extra, and slow to import

        return mssql_python.connect(self._connection_string())

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


def _close(connection: Any) -> None:
    with suppress(Exception):  # one that the server dropped has nothing left to close
        connection.close()


class BulkStream(RowStream):
    """The rows of one side table: in one bulk copy until they are settled, then in another."""

    def __init__(self, writer: BulkWriter, table: str, arrange: Arrange) -> None:
        self._writer = writer
        self._table = table
        self._arrange = arrange
        self._copy: _CopyUnderWay | None = None

    def send(self, batches: Rows) -> bool:
        """Hand them to the copy under way, or to a new one.

        Raises TransientError when it broke off: the side table must be trimmed or made anew.
        """
        arranged = [self._arrange(records, rows) for records, rows in batches]
        if self._copy is None:
            size = sum(batch.nbytes for batch in arranged)
            if not self._writer.is_usable or size < LEAST_BYTES:
                return False
            copy = _CopyUnderWay(partial(self._writer.copy, self._table))
            try:
                copy.start()
            except RuntimeError:  # limits of the machine; the other way needs no thread
                return False
            self._copy = copy
        try:
            for batch in arranged:
                self._copy.put(batch)
        except _BrokenCopyError as exc:
            self._give_up(exc.reason, "The bulk copy broke off.")
        return True

    def settle(self) -> None:
        """End the copy under way; raise TransientError if the table has not all of its rows."""
        if self._copy is None:
            return
        try:
            copied, sent = self._copy.finish()
        except _BrokenCopyError as exc:
            self._give_up(exc.reason, "The bulk copy broke off.")
        if copied != sent:
            said = f"The bulk copy took {copied} of {sent} rows."
            self._give_up(RuntimeError(said), said)
        self._copy = None
        self._writer.note_success()

    def abandon(self) -> None:
        """Break off the copy under way."""
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.abandon()

    def _give_up(self, reason: BaseException, said: str) -> NoReturn:
        self.abandon()
        self._writer.note_failure(reason)
        raise TransientError(said) from reason


class _BrokenCopyError(Exception):
    """A copy under way came to an early end; `reason` is what the driver raised."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _AbandonedError(Exception):
    """Nobody wants the rest of the rows."""


class _CopyUnderWay:
    """A copy, in a thread that waits for rows until it is told that these are all."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._queue: queue.Queue[pa.RecordBatch | None] = queue.Queue(_DEPTH)
        self._is_abandoned = threading.Event()
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

    def abandon(self) -> None:
        """Have the driver break off, and wait until it has."""
        self._is_abandoned.set()
        with suppress(queue.Full):  # it looks at `_is_abandoned` then
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
                self._copied = self._copy(rows)
        except BaseException as exc:  # noqa: BLE001 - the driver's core panics as nothing in Python does
            self._error = exc

    def _from(self, first: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
        batch: pa.RecordBatch | None = first
        while batch is not None:
            yield batch
            batch = self._next()

    def _next(self) -> "pa.RecordBatch | None":
        batch = self._queue.get()
        if self._is_abandoned.is_set():
            raise _AbandonedError
        return batch
