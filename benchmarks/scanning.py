"""What a look at 100,000 waiting files costs: `python -m benchmarks.scanning [FILES]`."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dropload.config import ALWAYS_IGNORED
from dropload.folders import DropTree
from dropload.gate import Gate
from dropload.watcher import scan_inboxes


def main(count: int = 100_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = DropTree(Path(folder))
        tree.create()
        inbox = tree.inboxes[0].path
        for number in range(count):
            (inbox / f"customer_orders_{number}.csv").touch()
        gate = Gate(6, 15)
        now = iter(range(0, 10_000, 15))
        plain = best(lambda: look(inbox))
        scan = best(lambda: scan_inboxes(tree, ALWAYS_IGNORED))
        seen = scan_inboxes(tree, ALWAYS_IGNORED).observations
        observe = best(lambda: gate.observe(seen, next(now)))
    print(f"{count:,} files; best of 5, CPU seconds, ratio to os.scandir + stat")
    for name, seconds in (("scandir + stat", plain), ("scan", scan), ("gate", observe)):
        print(f"  {name:16} {seconds:6.3f} s  {seconds / plain:5.2f} x")


def look(inbox: Path) -> None:
    with os.scandir(inbox) as entries:
        for entry in entries:
            entry.stat(follow_symlinks=False)


def best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
