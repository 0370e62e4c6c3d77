"""Run a soak: `python -m benchmarks.soak --minutes N --target sqlite|postgresql|URL --seed S`.

Three writers copy slowly, rename into place, rewrite, drop the same bytes again, drop broken files
and take files away; a fourth replaces one table again and again, a fifth replaces and appends. Two
daemons load; they and their workers are killed, ended and stopped at random, and the database is
locked or crashes. In the end every row and file is compared with what was written. Exit status 1
when one is wrong.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.acceptance.daemon import Daemon

from benchmarks.soak.audit import audit
from benchmarks.soak.mischief import Mischief
from benchmarks.soak.places import Place, open_place
from benchmarks.soak.writers import FullloadWriter, MixedWriter, Promise, Writer
from dropload.accounts import Account, account_for_files
from dropload.dock import Dock
from dropload.errors import DroploadError

GATE_CHECKS, GATE_INTERVAL_SECONDS = 4, 0.4
LEASE_SECONDS = 4
QUIET_SECONDS = 300
"""So long may the daemons take for what is left when the mischief is over."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--target", default="sqlite", help="sqlite, postgresql, or a URL")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep tree, database and logs here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dropload-soak-") as made:
        folder = asked.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        with open_place(asked.target, folder) as place:
            return soak(folder, place, asked.minutes * 60, asked.seed)


def soak(folder: Path, place: Place, seconds: float, seed: int) -> int:
    """Do it all; print what was done and found, return the exit status."""
    daemons = [make_daemon(folder, place, number) for number in range(2)]
    inbox = daemons[0].inbox()
    mischief = Mischief(daemons, place, seed)
    try:
        for daemon in daemons:
            daemon.start()
        gate = GATE_CHECKS * GATE_INTERVAL_SECONDS
        writers: list[Writer] = [Writer(n, inbox, seed, gate) for n in range(3)]
        fullload = daemons[0].inbox(kind="fullload")
        writers.append(FullloadWriter(3, fullload, seed, gate))
        writers.append(MixedWriter(4, inbox, fullload, seed, gate))
        threads: list[Writer | Mischief] = [*writers, mischief]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        for thread in threads:
            thread.over.set()
        for thread in threads:
            thread.join()
        promises = [promise for writer in writers for promise in writer.promises]
        settled = wait_until_quiet(daemons[0])
        wrong = list(audit(daemons[0].dock, promises))
        if not settled:
            wrong.append(f"files still wait after {QUIET_SECONDS} s")
        report(promises, mischief, account_for_files(daemons[0].dock), wrong)
        return 1 if wrong else 0
    finally:
        for daemon in daemons:
            daemon.end()


def make_daemon(folder: Path, place: Place, number: int) -> Daemon:
    """Return one of the daemons; each keeps its own small files, as on two machines."""
    daemon = Daemon(
        folder,
        place.url,
        DROPLOAD_PATHS__STATE=str(folder / f"state{number}"),
        DROPLOAD_GATE__CHECKS=str(GATE_CHECKS),
        DROPLOAD_GATE__INTERVAL_SECONDS=str(GATE_INTERVAL_SECONDS),
        DROPLOAD_WORKERS__LEASE_SECONDS=str(LEASE_SECONDS),
        DROPLOAD_DATABASE__BUSY_TIMEOUT_SECONDS="3",
        DROPLOAD_LOAD__MAX_SHRINK="1",
        DROPLOAD_RETRY__MAX_WAIT_SECONDS="1",
        DROPLOAD_RETRY__PAUSE_SECONDS="1",
    )
    daemon.log = folder / f"daemon{number}.log"
    return daemon


def wait_until_quiet(daemon: Daemon) -> bool:
    """Wait until nothing is left to do; return whether that came in time."""
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        # The database may still be recovering itself.
        with suppress(DroploadError):
            if is_quiet(daemon.dock):
                return True
        time.sleep(1)
    return False


def is_quiet(dock: Dock) -> bool:
    if account_for_files(dock).counts["waiting"]:
        return False
    with dock.target.read() as conn:
        history = dock.journal.history
        return not (history.open(conn) or history.unfiled(conn) or dock.target.list_stages(conn))


def report(
    promises: Sequence[Promise], mischief: Mischief, account: Account, wrong: Sequence[str]
) -> None:
    kinds = Counter(promise.kind for promise in promises)
    rows = sum(sum(promise.rows) for promise in promises)
    print(f"written     {len(promises):,} names, {rows:,} rows: {listed(kinds)}")
    print(f"done        {listed(mischief.done)}")
    print(f"SIGKILLs    {mischief.kills:,}")
    print(f"files       {listed(account.counts)}; {len(account.missing):,} missing")
    slow = sum(promise.too_slow for promise in promises)
    if slow:
        print(f"not judged  {slow:,} names whose writer was held up for longer than the gate")
    for sentence in wrong[:50]:
        print(f"WRONG       {sentence}")
    print("every row and file is right" if not wrong else f"{len(wrong):,} things are wrong")


def listed(counts: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
