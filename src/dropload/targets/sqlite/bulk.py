"""Columns of values go to a process that writes them into the file, without Python objects."""

import fcntl
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropload.config import DatabaseConfig
from dropload.errors import LockedError, TransientError
from dropload.targets.base import slow_statement_error
from dropload.targets.resting import Resting
from dropload.targets.row_stream import Arrange, Rows, RowStream
from dropload.targets.sqlite.checkpoints import Checkpointer

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_BYTES = 1 << 20
"""Less is written by this process sooner than another one starts."""
_PIPE_BYTES = 1 << 20
"""What Linux lets any user have by default (/proc/sys/fs/pipe-max-size)."""
_PROGRAM = Path(__file__).with_name("ingest_process.py")
_CHECKPOINT_BYTES = 256 << 20
"""So much in the log of changes makes this process write it into the database itself, and the load
waits: where nobody else has come to it."""
_GOODBYE_SECONDS = 5.0
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
"""https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format"""
_MILLISECONDS = 1000
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}
"""The process takes the memory for a batch from what the one before has left. Else glibc may give
it back and ask for it anew, page by page, which is a twentieth of its time (measured); others know
neither (https://man7.org/linux/man-pages/man3/mallopt.3.html)."""


class BulkWriter:
    """Sends record batches to a process of its own; says when rows must take another way."""

    def __init__(self, path: Path, settings: DatabaseConfig) -> None:
        self._path = path
        self._settings = settings
        self._is_possible = (
            settings.bulk and importlib.util.find_spec("adbc_driver_sqlite") is not None
        )
        self._resting = Resting()
        self._process: _Process | None = None
        self._lock = threading.Lock()
        """One request at a time: loads of several threads may share it."""

    def write(self, table: str, batches: Rows, arrange: Arrange) -> bool:
        """Write and commit batches, of which `arrange` makes columns named as the table's are.

        Returns False when nothing was written and the rows must take another way. Raises
        LockedError when another writer had the file for too long, and TransientError when nobody
        knows whether the rows are there: the side table must be trimmed.
        """
        with self._lock:
            return self._write(table, batches, arrange)

    def _write(self, table: str, batches: Rows, arrange: Arrange) -> bool:
        if not self._is_usable or (self._process is None and size_of(batches) < LEAST_BYTES):
            return False
        sent = sum(records.num_rows for records, _ in batches)
        # Each while the one before it is written.
        arranged = (arrange(records, source_rows) for records, source_rows in batches)
        answer = self._ask(table, sent, arranged)
        if answer.get("rows") == sent:
            self._resting.note_success()
            return True
        self._end_process()
        reason = str(answer.get("error", f"{answer.get('rows')} of {sent} rows were taken"))
        if "database is locked" in reason:
            raise LockedError("The database is locked by another process.")
        self._resting.note_failure(RuntimeError(reason))
        if "rows" in answer:
            raise TransientError(f"The process that writes to the database failed: {reason}.")
        return False

    @property
    def _is_usable(self) -> bool:
        return self._is_possible and self._resting.is_over

    def _ask(self, table: str, rows: int, batches: "Iterable[pa.RecordBatch]") -> dict[str, Any]:
        """Return the answer of the process; "error" in it means that nothing was written."""
        try:
            process = self._process = self._process or _Process()
        except OSError as exc:  # limits of the machine; the other way needs no process
            return {"error": f"the process cannot be started: {exc}"}
        request = {
            "database": str(self._path.absolute()),
            "table": table,
            "rows": rows,
            "busy_timeout_ms": round(self._settings.busy_timeout_seconds * _MILLISECONDS),
            "checkpoint_bytes": _CHECKPOINT_BYTES,
        }
        try:
            line = process.ask(request, batches, self._settings.statement_timeout_seconds)
        except BaseException as exc:
            # What it would answer now would pass for the answer to the next request.
            self._process = None
            process.kill()
            if isinstance(exc, _NothingSentError):
                return {"error": str(exc)}
            raise
        if line:
            return dict(json.loads(line))
        self._end_process()
        if process.is_late:
            raise slow_statement_error("SQLite")
        ended = RuntimeError(f"ended with status {process.status}")
        self._resting.note_failure(ended)
        raise TransientError(f"The process that writes to the database {ended}.")

    def close(self) -> None:
        """End the process, which ends by itself when nobody asks any more."""
        with self._lock:
            self._end_process()

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()


class ColumnStream(RowStream):
    """The rows of one side table, committed as they are sent: there is nothing to settle."""

    def __init__(
        self, writer: BulkWriter, checkpointer: Checkpointer, table: str, arrange: Arrange
    ) -> None:
        self._writer = writer
        self._checkpointer = checkpointer
        self._table = table
        self._arrange = arrange

    def send(self, batches: Rows) -> bool:
        """Write and commit them; raises what `BulkWriter.write` raises."""
        if not self._writer.write(self._table, batches, self._arrange):
            return False
        self._checkpointer.note(size_of(batches))
        return True


def size_of(batches: Rows) -> int:
    """Return the bytes of records and of their numbers, in memory."""
    return sum(records.nbytes + source_rows.nbytes for records, source_rows in batches)


class _NothingSentError(Exception):
    """The process could not be asked; the rows may take another way."""


class _Process:
    """The process that runs `ingest_process.py`."""

    def __init__(self) -> None:
        # -P: what stands beside the program must not pass for modules of these names.
        self._popen = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_KEPT_MEMORY | os.environ,
        )
        assert self._popen.stdin is not None  # noqa: S101 - both are pipes
        assert self._popen.stdout is not None  # noqa: S101
        self._requests, self._answers = self._popen.stdin, self._popen.stdout
        self.is_late = False
        """Whether it was killed because it took too long."""
        with suppress(OSError):  # it is only slower with the usual size
            fcntl.fcntl(self._requests, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    @property
    def status(self) -> int | None:
        """Return its exit status, None while it runs."""
        return self._popen.returncode

    def ask(
        self, request: dict[str, Any], batches: "Iterable[pa.RecordBatch]", limit_seconds: float
    ) -> bytes:
        """Send a request and return the line of its answer, empty when the process has ended."""
        watch = threading.Timer(limit_seconds, self._end_late)
        watch.daemon = True
        try:
            watch.start()
        except RuntimeError as exc:  # limits of the machine
            raise _NothingSentError(str(exc)) from exc
        try:
            # A process that fails stops listening; its answer says why.
            with suppress(BrokenPipeError):
                self._send(request, batches)
            return self._answers.readline()
        finally:
            watch.cancel()

    def _send(self, request: dict[str, Any], batches: "Iterable[pa.RecordBatch]") -> None:
        self._requests.write(json.dumps(request).encode() + b"\n")
        for message in _messages(batches):
            self._requests.write(message)
        self._requests.flush()

    def _end_late(self) -> None:
        self.is_late = True
        self._popen.kill()

    def kill(self) -> None:
        """End it at once; what it was writing is rolled back."""
        self._popen.kill()
        self.end()

    def end(self) -> None:
        """Close its input, and wait until it has ended."""
        with suppress(BrokenPipeError):
            self._requests.close()
        try:
            self._popen.wait(_GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._answers.close()


def _messages(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.Buffer | bytes]":
    """Yield Arrow's stream of batches, each in one piece; raises ValueError for unlike columns.

    Arrow's own writer of streams calls Python for each buffer of each column, and each call waits
    until no other thread runs Python (a twentieth of a load's time, measured).
    """
    schema = None
    for batch in batches:
        if schema is None:
            schema = batch.schema
            yield schema.serialize()
        if batch.schema != schema:
            raise ValueError("batches with other columns than the first")
        yield batch.serialize()
    yield _END_OF_STREAM
