"""A process that writes columns of values into tables of an SQLite file, and does nothing else.

The driver that takes columns brings a copy of SQLite of its own. Two copies in one process break
each other's locks on one file (https://www.sqlite.org/howtocorrupt.html, section 2.2.1), so it is
never loaded where dropload's own connections are. Run as a file, with nothing of dropload and
nothing of pyarrow imported, so that it starts in no time and is a tenth as large: batches go from
the pipe to the driver through Arrow's C interface, which nanoarrow speaks, too.

It reads requests from its input, each a line of JSON and a stream of record batches in Arrow's
format, and answers each with a line of JSON:

    {"database": "/srv/x.db", "table": "stg.orders__7", "rows": 1000, "busy_timeout_ms": 60000,
     "checkpoint_bytes": 268435456}
    -> {"rows": 1000}    committed; on the disk with the next commit of a connection of dropload's
    -> {"error": "...", "code": 5}    nothing was written; the process has ended
"""

import json
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import adbc_driver_sqlite
from adbc_driver_manager import AdbcConnection, AdbcStatement, StatementOptions
from nanoarrow.ipc import InputStream

_SMALLEST_PAGE, _LARGEST_PAGE = 512, 65_536


def main() -> None:
    """Answer requests until the input ends."""
    # Who asked decides how a load ends; without it, the input does.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        try:
            answer: dict[str, Any] = {"rows": _ingest(json.loads(line), requests)}
        except Exception as exc:  # noqa: BLE001 - told to who asked
            answer = {"error": str(exc), "code": getattr(exc, "vendor_code", None)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
        if "error" in answer:
            # What is left of its batches stands between here and the next request.
            return


def _ingest(request: dict[str, Any], source: BinaryIO) -> int:
    path = Path(request["database"])
    address = f"{path.as_uri()}?mode=rw"
    checkpoint_pages = request["checkpoint_bytes"] // _page_bytes(path)
    with (
        closing(adbc_driver_sqlite.connect(address)) as database,
        closing(AdbcConnection(database)) as connection,
    ):
        for pragma in (
            f"busy_timeout={request['busy_timeout_ms']}",
            # Nobody counts on these rows yet. The commit that does waits for the disk, and the log
            # of changes reaches it in one piece: never that commit without these.
            "synchronous=NORMAL",
            f"wal_autocheckpoint={checkpoint_pages}",
        ):
            _run(connection, f"PRAGMA {pragma}")
        _run(connection, "BEGIN IMMEDIATE")
        rows = _add(connection, request["table"], source)
        if rows != request["rows"]:
            # Who sent them ended in the middle.
            raise ValueError(f"{rows} of {request['rows']} rows came")
        _run(connection, "COMMIT")
    return rows


def _page_bytes(path: Path) -> int:
    """Read a database's header; no connection of this process may be open to it, see above.

    https://www.sqlite.org/fileformat2.html, section 1.3.2: 1 stands for 65,536.
    """
    with path.open("rb") as file:
        stored = int.from_bytes(file.read(18)[16:], "big")
    return _LARGEST_PAGE if stored < _SMALLEST_PAGE else stored


def _run(connection: AdbcConnection, words: str) -> None:
    with closing(AdbcStatement(connection)) as statement:
        statement.set_sql_query(words)
        statement.execute_update()


def _add(connection: AdbcConnection, table: str, source: BinaryIO) -> int:
    options = {
        StatementOptions.INGEST_TARGET_TABLE.value: table,
        StatementOptions.INGEST_MODE.value: "adbc.ingest.mode.append",
    }
    with (
        closing(AdbcStatement(connection)) as statement,
        InputStream.from_readable(source) as batches,
    ):
        statement.set_options(**options)
        statement.bind_stream(batches)
        return int(statement.execute_update())


if __name__ == "__main__":
    main()
