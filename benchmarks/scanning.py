"""What a look at 100,000 waiting files costs: `python -m benchmarks.scanning [FILES]`."""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.acceptance.daemon import Daemon

from benchmarks.processes import cpu_seconds_of, family_of, peak_mb_of
from dropload.config import ALWAYS_IGNORED
from dropload.folders import DropTree
from dropload.gate import Gate
from dropload.heartbeat import read_heartbeat
from dropload.watcher import Look, Scan, scan_inboxes

FILES = 100_000
_ROUNDS = 5
_SETTLING_SECONDS, _BUSY_SHARE = 2.0, 0.05


@dataclass(frozen=True)
class Scanning:
    """CPU seconds of one look each, the median of some."""

    files: int
    plain_seconds: float
    """`os.scandir` and `stat` alone."""
    scan_seconds: float
    """A look as the daemon takes it: each file is passed on, and none is kept."""
    kept_seconds: float
    """One that keeps what it finds, as `dropload status` does."""
    gate_seconds: float
    daemon_memory_mb: float
    """Peak of a daemon that has these files waiting."""
    daemon_idle_share: float
    """Of one processor, while nothing happens."""

    @property
    def ratio(self) -> float:
        return self.scan_seconds / self.plain_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="?", type=int, default=FILES)
    parser.add_argument("--idle-seconds", type=float, default=190.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    measured = measure(asked.files, asked.idle_seconds)
    print(json.dumps(asdict(measured)) if asked.json else "\n".join(describe(measured)))


def describe(measured: Scanning) -> list[str]:
    """Return what was measured, a line each."""
    timed = {
        "os.scandir + stat alone": measured.plain_seconds,
        "scan": measured.scan_seconds,
        "scan, all kept": measured.kept_seconds,
        "gate": measured.gate_seconds,
    }
    return [
        f"{measured.files:,} files; CPU seconds, ratio to os.scandir + stat alone",
        *(
            f"  {name:24} {seconds:6.3f} s  {seconds / measured.plain_seconds:5.2f} x"
            for name, seconds in timed.items()
        ),
        f"the memory of a daemon over them: {measured.daemon_memory_mb:,.0f} MB at most",
        f"what it uses while nothing happens: {measured.daemon_idle_share:.2%} of a processor",
    ]


def measure(count: int, idle_seconds: float) -> Scanning:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tree = DropTree(root / "dropoff")
        tree.create()
        inbox = tree.inboxes[0].path
        for number in range(count):
            (inbox / f"customer_orders_{number}.csv").touch()
        gate = Gate(6, 15)
        now = iter(range(0, 10_000, 15))
        seen = scan_inboxes(tree, ALWAYS_IGNORED).observations
        plain, scan, kept, observe = in_turns(
            lambda: look(inbox),
            lambda: pass_on(Look(tree, ALWAYS_IGNORED)),
            lambda: scan_inboxes(tree, ALWAYS_IGNORED),
            lambda: gate.observe(seen, next(now)),
        )
        memory, share = watch_daemon(root, count, idle_seconds)
        return Scanning(count, plain, scan, kept, observe, memory, share)


def look(inbox: Path) -> None:
    with os.scandir(inbox) as entries:
        for entry in entries:
            entry.stat(follow_symlinks=False)


def pass_on(look: Look) -> Scan:
    for _ in look.files():
        pass
    return look.tell()


def in_turns(*works: Callable[[], object]) -> list[float]:
    """Return the median CPU seconds of each; a busy moment of the machine hits all of them."""
    rounds = [[seconds_of(work) for work in works] for _ in range(_ROUNDS)]
    return [median(times) for times in zip(*rounds, strict=True)]


def seconds_of(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def watch_daemon(root: Path, count: int, idle_seconds: float) -> tuple[float, float]:
    """Return the peak of a daemon's memory and its share of a processor, its workers included.

    All settings are as they are without a configuration, but that the files wait for long.
    """
    daemon = Daemon(
        root,
        DROPLOAD_GATE__CHECKS="6",
        DROPLOAD_GATE__INTERVAL_SECONDS="3600",
        DROPLOAD_WATCH__SCAN_INTERVAL_SECONDS="5",
        DROPLOAD_PATHS__STATE=str(root / "state"),
    )
    try:
        daemon.start()
        daemon.wait_for(lambda: waiting_files(root / "state") == count)
        assert daemon.process is not None
        processes = [daemon.process.pid, *family_of(daemon.process.pid)]
        # It is idle when its journal has been told of them all, too.
        while share_of(processes, _SETTLING_SECONDS) > _BUSY_SHARE:
            pass
        share = share_of(processes, idle_seconds)
        return peak_mb_of(daemon.process.pid), share
    finally:
        daemon.end()


def share_of(processes: Sequence[int], seconds: float) -> float:
    """Return the share of one processor that these processes use in the next seconds."""
    before, began = sum(map(cpu_seconds_of, processes)), time.monotonic()
    time.sleep(seconds)
    return (sum(map(cpu_seconds_of, processes)) - before) / (time.monotonic() - began)


def waiting_files(state: Path) -> int:
    """Return how many files the daemon says to wait, -1 before it has said anything."""
    heartbeat = read_heartbeat(state)
    return heartbeat.waiting if heartbeat else -1


if __name__ == "__main__":
    main()
