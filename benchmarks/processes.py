"""What processes use, as Linux tells it."""

import os
import resource
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def children_of(parent: int) -> list[int]:
    """Return the processes that a process has started and that are not over."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(entry.name)
            if int(_fields(pid)[1]) == parent:
                found.append(pid)
    return found


def family_of(parent: int) -> list[int]:
    """Return all processes below a process."""
    children = children_of(parent)
    return children + [pid for child in children for pid in family_of(child)]


def cpu_seconds_of(pid: int) -> float:
    """Return what a process and those of its children that are over have used."""
    with suppress(OSError):
        return sum(map(int, _fields(pid)[11:15])) / _TICKS
    return 0.0


def peak_mb_of(pid: int) -> float:
    """Return the most memory that a process has had."""
    # Not ru_maxrss, which begins with what the parent had when it started the process.
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")), 0)
    return 0.0


def own_cpu_seconds() -> float:
    """Return what this process and all that it has started have used."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    done = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return done + sum(cpu_seconds_of(pid) for pid in family_of(os.getpid()))


def largest_child_mb() -> float:
    """Return the peak of the largest child that is over.

    That of a small one is what this process had when it was started.
    """
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def _fields(pid: int) -> list[str]:
    """Return the state of a process, its parent and so on; the name may hold anything."""
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    return text.rpartition(")")[2].split()
