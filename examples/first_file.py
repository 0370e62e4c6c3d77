"""Show dropload at work on the embedded default: start the daemon, drop a file, show its rows."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
INBOX = Path("dropoff/reference_data_table/fullload")
DATABASE = Path("data/dropload.db")
FAST_GATE = {"DROPLOAD_GATE__CHECKS": "2", "DROPLOAD_GATE__INTERVAL_SECONDS": "0.5"}
"""For this demonstration only; the daemon's own default is 6 checks, 15 s apart."""
PATIENCE_SECONDS = 60


def main() -> int:
    environment = {
        **os.environ,
        "DROPLOAD_PATHS__DROPOFF": "dropoff",
        "DROPLOAD_DATABASE__URL": f"sqlite:///{DATABASE}",
        **FAST_GATE,
    }
    print("$ dropload run", flush=True)
    daemon = subprocess.Popen([*_dropload(), "run"], env=environment)
    # Ctrl-C reaches both processes; the daemon ends by itself and this one waits for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: daemon.terminate())
    try:
        return _demonstrate(daemon, environment)
    finally:
        if daemon.poll() is None:
            daemon.terminate()
            daemon.wait()


def _demonstrate(daemon: "subprocess.Popen[bytes]", environment: dict[str, str]) -> int:
    if not _wait(daemon, INBOX.is_dir):
        return 1
    print(f"\n$ cp examples/airports.csv {INBOX}/", flush=True)
    shutil.copy(HERE / "airports.csv", INBOX)
    if not _wait(daemon, lambda: not (INBOX / "airports.csv").exists()):
        print("The file is still in its inbox: see `dropload status`.", file=sys.stderr)
        return 1
    print(_next_steps(_show_last_load(environment)), flush=True)
    return daemon.wait()


def _wait(daemon: "subprocess.Popen[bytes]", done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        if done():
            return True
        time.sleep(0.1)
    return False


def _show_last_load(environment: dict[str, str]) -> int:
    """Print what came of the last load, and return its number."""
    # The file is moved before the journal says so: give that word a moment.
    time.sleep(0.5)
    command = [*_dropload(), "history", "--limit", "1", "--json"]
    answer = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout
    load = json.loads(answer)
    print(
        f"\nLoad {load['load_id']}: {load['state']}, {load['rows_loaded']} rows in {load['table']}"
    )
    print(f"Filed as {load['filed_path']}\n")
    if load["state"] == "duplicate":
        print("Its rows are there from before; `rm -rf data dropoff` begins anew.\n")
    query = (
        f'SELECT iata, name, city, country, elevation, lat, _source_row FROM "{load["table"]}" '
        "ORDER BY _source_row LIMIT 5"
    )
    print(f"$ sqlite3 {DATABASE} '{query}'")
    with sqlite3.connect(DATABASE) as connection:
        for row in connection.execute(query):
            print("|".join(str(cell) for cell in row))
    return int(load["load_id"])


def _next_steps(load_id: int) -> str:
    dropload = Path(sys.executable).with_name("dropload")
    with contextlib.suppress(ValueError):
        dropload = dropload.relative_to(Path.cwd())
    return f"""
The daemon runs until Ctrl-C (a file that is being loaded then may take 30 s to end).
Try, in another terminal in this folder:

  {dropload} status                 what is waiting, and why
  {dropload} {f"show {load_id}":22} everything about this load
  cp examples/orders_0412.csv dropoff/none_reference_data_table/append/
                                        two of its rows are broken: look into error/ beside it
"""


def _dropload() -> list[str]:
    return [sys.executable, "-m", "dropload"]


if __name__ == "__main__":
    sys.exit(main())
