"""A process that writes columns of values into tables of an SQLite file, and does nothing else.

The driver that takes columns brings a copy of SQLite of its own. Two copies in one process break
each other's locks on one file (https://www.sqlite.org/howtocorrupt.html, section 2.2.1), so it is
never loaded where dropload's own connections are. Run as a file, with nothing of dropload imported,
so that it starts quickly.

It reads requests from its input, each a line of JSON and a stream of record batches in Arrow's
format, and answers each with a line of JSON:

    {"database": "/srv/x.db", "table": "stg.orders__7", "rows": 1000, "busy_timeout_ms": 60000}
    -> {"rows": 1000}    committed, and on the disk
    -> {"error": "...", "code": 5}    nothing was written; the process has ended
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import adbc_driver_sqlite.dbapi
import pyarrow as pa


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
    address = f"{Path(request['database']).as_uri()}?mode=rw"
    with (
        adbc_driver_sqlite.dbapi.connect(address, autocommit=True) as connection,
        connection.cursor() as cursor,
        pa.ipc.open_stream(source) as batches,
    ):
        for pragma in (f"busy_timeout={request['busy_timeout_ms']}", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("BEGIN IMMEDIATE")
        rows = cursor.adbc_ingest(request["table"], batches, mode="append")
        if rows != request["rows"]:
            # Who sent them ended in the middle.
            raise ValueError(f"{rows} of {request['rows']} rows came")
        cursor.execute("COMMIT")
    return int(rows)


if __name__ == "__main__":
    main()
