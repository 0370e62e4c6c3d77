"""Tell the service manager how the daemon is: ready, alive, reloading, stopping (sd_notify(3))."""

import math
import os
import socket
import time
from collections.abc import Mapping

from dropload.logs import get_logger

VARIABLE = "NOTIFY_SOCKET"
"""Names the socket of the service manager; absent where nobody wants to know."""
_SLACK_SECONDS = 30.0
"""Beyond the time that loads have at a stop: their processes end, the journal is told."""


class ServiceManager:
    """Sends states to the socket of the service manager; does nothing where there is none.

    A message that does not arrive is no trouble of the daemon's, and said once: the manager acts
    when it misses the sign of life, which is what it is for.
    """

    def __init__(
        self, address: str | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        """`address`: of the socket; default: what the environment says."""
        environ = os.environ if environ is None else environ
        found = address if address is not None else environ.get(VARIABLE, "")
        # Linux writes addresses without a file with a leading `@`.
        self._address = f"\0{found[1:]}" if found.startswith("@") else found
        self._is_said = False
        """That the socket cannot be reached is said once."""
        self.seconds_between_signs = _watchdog_seconds(environ) / 2
        """Signs of life must not be further apart; infinite where nobody waits for them.

        Half of what the manager allows, as sd_watchdog_enabled(3) has it.
        """

    def tell_ready(self, status: str) -> None:
        """Say that the start, or a reload, is over."""
        self._send("READY=1", f"STATUS={status}")

    def tell_alive(self, status: str) -> None:
        """Say that no look at the inboxes is overdue."""
        self._send("WATCHDOG=1", f"STATUS={status}")

    def tell_reloading(self) -> None:
        """Say that the configuration is being read anew."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def tell_stopping(self, seconds: float) -> None:
        """Say that loads under way are being finished, and how long that may take."""
        # Else a stop time that was raised here only would be cut short by the unit's.
        microseconds = round((seconds + _SLACK_SECONDS) * 1_000_000)
        self._send(
            "STOPPING=1",
            "STATUS=finishing loads under way",
            f"EXTEND_TIMEOUT_USEC={microseconds}",
        )

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            self._pass_on("\n".join(line.replace("\n", " ") for line in lines))
        except BlockingIOError:
            return  # it will read the next one
        except OSError as exc:
            self._say_unreachable(exc)

    def _pass_on(self, message: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            # A manager that does not read must not stop the daemon.
            sender.setblocking(False)
            sender.connect(self._address)
            sender.send(message.encode())

    def _say_unreachable(self, error: OSError) -> None:
        if self._is_said:
            return
        self._is_said = True
        shown = self._address.replace("\0", "@")
        get_logger().warning(
            "service_manager_not_told",
            reason=f"The socket {shown} that {VARIABLE} names cannot be reached: "
            f"{error.strerror or error}. A unit of Type=notify will not see that dropload runs; "
            "started by hand, it makes no difference.",
        )


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    """Return after which silence the manager ends us; infinite when it does not watch us."""
    said, whom = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    # Variables of a parent that is watched: it is not us who must give signs.
    if whom and whom != str(os.getpid()):
        return math.inf
    return int(said) / 1_000_000 if said.isdigit() and int(said) else math.inf
