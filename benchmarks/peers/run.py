"""The process of one peer: `python -m benchmarks.peers.run MODULE in-process|program < JOB`.

What was measured goes to a file in the job's folder: libraries write to standard output.
"""

import importlib
import os
import sys
import time

from benchmarks.jobs import Job, Measured, Prepare
from benchmarks.processes import family_of, largest_child_mb, own_cpu_seconds, peak_mb_of

MEASURED = "measured.json"


def main(module: str, in_process: bool) -> None:
    job = Job.from_json(sys.stdin.read())
    peers = importlib.import_module(f"benchmarks.peers.{module}")
    prepare: Prepare = peers.PEERS[job.peer]
    if in_process and job.warm_up and not getattr(peers, "WARMS_UP_ITSELF", False):
        prepare(job.of_warm_up())()
    load = prepare(job)
    cpu_before, began = own_cpu_seconds(), time.perf_counter()
    loaded = load()
    seconds, cpu = time.perf_counter() - began, own_cpu_seconds() - cpu_before
    memory = _peak_mb() if in_process else largest_child_mb()
    measured = Measured(seconds, cpu, memory, loaded.table, loaded.step_seconds)
    (job.folder / MEASURED).write_text(measured.as_json())


def _peak_mb() -> float:
    """Return the peaks of this process and of those that it keeps, together."""
    own = sum(peak_mb_of(pid) for pid in (os.getpid(), *family_of(os.getpid())))
    return max(own, largest_child_mb())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "in-process")
