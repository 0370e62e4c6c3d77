"""Tell the service manager how the daemon is: ready, alive, reloading, stopping (sd_notify(3))."""

import os
import socket
import time
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"
"""Names the socket of the service manager; absent where nobody wants to know."""


class ServiceManager:
    """Sends states to the socket of the service manager; does nothing where there is none.

    A message that does not arrive is no trouble of the daemon's: the manager acts when it misses
    the sign of life, which is what it is for.
    """

    def __init__(self, address: str | None = None) -> None:
        """`address`: of the socket; default: what the environment says."""
        found = address if address is not None else os.environ.get(VARIABLE, "")
        # Linux writes addresses without a file with a leading `@`.
        self._address = f"\0{found[1:]}" if found.startswith("@") else found

    def tell_ready(self, status: str) -> None:
        """Say that the start, or a reload, is over."""
        self._send("READY=1", f"STATUS={status}")

    def tell_alive(self, status: str) -> None:
        """Say that the inboxes were looked at a moment ago."""
        self._send("WATCHDOG=1", f"STATUS={status}")

    def tell_reloading(self) -> None:
        """Say that the configuration is being read anew."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def tell_stopping(self) -> None:
        """Say that loads under way are being finished."""
        self._send("STOPPING=1", "STATUS=finishing loads under way")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            # A manager that does not read must not stop the daemon.
            sender.setblocking(False)
            sender.connect(self._address)
            sender.send("\n".join(line.replace("\n", " ") for line in lines).encode())
