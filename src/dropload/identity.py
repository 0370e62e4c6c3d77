"""Who a worker is, in a form that tells whether it is still alive."""

import getpass
import os
import socket
from functools import lru_cache
from pathlib import Path

_LONGEST_NAME = 200
"""Characters that the audit log keeps of it."""


def person_name(said: str = "") -> str:
    """Return who asks for something, for the audit log: the system user, after who it says it is.

    A user without an entry among the system's users is named by number.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    return f"{said} ({user})"[:_LONGEST_NAME] if said else user


def worker_name(part: str = "") -> str:
    """Return `machine@boot#pid#start`, with `#part` behind it where a process has several workers.

    The start time tells a process from a later one of the same id.
    """
    pid = os.getpid()
    whole = f"{_host()}#{pid}#{_started(pid)}"
    return f"{whole}#{part}" if part else whole


def is_dead_worker(name: str) -> bool:
    """Return whether the named worker ran on this machine and is certainly gone."""
    host, _, rest = name.partition("#")
    pid, started = (*rest.split("#"), "")[:2]
    machine, _, boot = host.partition("@")
    own_machine, _, own_boot = _host().partition("@")
    if machine != own_machine or not pid.isdigit():
        return False
    if boot != own_boot:
        return True
    now_running = _started(int(pid))
    return now_running is None or str(now_running) != started


@lru_cache(maxsize=1)
def _host() -> str:
    """Return `machine@boot`: after a reboot, process ids begin again."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        boot = ""
    return f"{socket.gethostname()}@{boot}"


def _started(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when there is none.

    Field 22 of /proc/PID/stat (proc(5)); a zombie counts as gone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
