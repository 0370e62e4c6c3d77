"""Who a worker is, in a form that tells whether it is still alive."""

import getpass
import os
import re
import socket
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

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
    """Return `machine/number@boot.container#pid#start`, then `#part` if a process has several.

    The start time tells a process from a later one of the same id.
    """
    pid = os.getpid()
    found = _process(pid)
    whole = f"{_host()}#{pid}#{found.started if found else None}"
    return f"{whole}#{part}" if part else whole


def is_dead_worker(name: str) -> bool:
    """Return whether the named worker ran on this machine and is certainly gone.

    Of one in another container nothing can be said from here.
    """
    host, _, rest = name.partition("#")
    pid, started = (*rest.split("#"), "")[:2]
    machine, _, boot = host.partition("@")
    own_machine, _, own_boot = _host().partition("@")
    if machine != own_machine or not pid.isdigit():
        return False
    if boot != own_boot:
        # Two machines may have one name: only the machine's own number tells them apart.
        is_same_machine = bool(machine.partition("/")[2])
        return is_same_machine and boot.partition(".")[0] != own_boot.partition(".")[0]
    found = _process(int(pid))
    return found is None or str(found.started) != started


def is_own_worker(name: str) -> bool:
    """Return whether the named worker lives and is a child of this process."""
    host, _, rest = name.partition("#")
    pid = rest.partition("#")[0]
    if host != _host() or not pid.isdigit() or is_dead_worker(name):
        return False
    found = _process(int(pid))
    return found is not None and found.parent == os.getpid()


@lru_cache(maxsize=1)
def _host() -> str:
    """Return `machine/number@boot.container`: in each, process ids begin again.

    The number is of /etc/machine-id (machine-id(5)), empty without one; the container is the number
    of its process namespace (pid_namespaces(7)).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        container = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        boot, container = "", ""
    return f"{socket.gethostname()}/{_machine_number()}@{boot}.{container}"


def _machine_number() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        return ""


class _Process(NamedTuple):
    parent: int
    started: int
    """In clock ticks since boot."""


def _process(pid: int) -> _Process | None:
    """Return fields 4 and 22 of /proc/PID/stat (proc(5)); None when there is no such process.

    A zombie counts as gone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else _Process(int(fields[1]), int(fields[19]))
