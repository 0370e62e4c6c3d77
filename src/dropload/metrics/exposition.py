"""Serve the metrics over HTTP, for Prometheus to fetch."""

import errno
import socket
import threading
import time
from collections.abc import Callable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from dropload.config import Config, parse_address
from dropload.heartbeat import Heartbeat
from dropload.logs import get_logger
from dropload.metrics.base import Metrics
from dropload.metrics.figures import Figures
from dropload.model import Drop
from dropload.recovery import Recovered
from dropload.returned import Finished

_RETRY_SECONDS = 30.0
"""How often an address that is taken is asked for again."""


class Exposition(Metrics):
    """Counts what it is told, and answers whoever asks at the address of `[metrics]`.

    An address that cannot be had is said once, and tried again: loading does not depend on it.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = config.metrics.listen
        self._clock = clock
        self._registry = CollectorRegistry()
        self._figures = Figures(config, self._registry)
        self.note_reload(accepted=True)
        self._server: _Server | None = None
        self._next_try = float("-inf")

    @property
    def url(self) -> str | None:
        """Return where metrics are fetched, None while they are not."""
        return _url_of(self._server) if self._server is not None else None

    def note_scan(self, seconds: float) -> None:
        """Count a look at the inboxes."""
        self._figures.scans.observe(seconds)

    def note_whole(self, drop: Drop) -> None:
        """Count the time at the gate."""
        self._figures.count_whole(drop)

    def note_finished(self, finished: Finished, now: float) -> None:
        """Count what became of a drop."""
        self._figures.count_finished(finished, now)

    def note_recovered(self, done: Recovered) -> None:
        """Count what recovery did."""
        self._figures.count_recovered(done)

    def note_reload(self, *, accepted: bool) -> None:
        """Keep how the last reload ended."""
        self._figures.set_reload(accepted=accepted, at=time.time())

    def note_turn_failed(self) -> None:
        """Count a turn that failed."""
        self._figures.turn_failures.inc()

    def tell(self, heartbeat: Heartbeat) -> None:
        """Show how things stand; nobody gets an answer before there is one to give."""
        self._figures.set_from_heartbeat(heartbeat)
        if self._server is None and self._clock() >= self._next_try:
            self._next_try = self._clock() + _RETRY_SECONDS
            self._listen()

    def close(self) -> None:
        """Give the address back."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _listen(self) -> None:
        try:
            server = _make_server(self._address, self._registry)
        except OSError as exc:
            reason = _explain(self._address, exc)
            if reason != self.problem:
                get_logger().error("metrics_not_served", reason=reason)
            self.problem = reason
            return
        self._server, self.problem = server, ""
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        get_logger().info("metrics_served", url=self.url)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # Two daemons at one port would each get some of the questions.
    allow_reuse_port = False

    def server_bind(self) -> None:
        """Take the address without asking a name server, which may be away, for its name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say nothing of somebody who went away while he was answered."""
        get_logger().debug("metrics_not_fetched", client=str(client_address), exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = 10.0
    """Seconds; who connects and says nothing keeps no thread."""

    def log_message(self, *_: Any, **__: Any) -> None:
        """Log no line for each time that metrics are fetched."""


def _make_server(address: str, registry: CollectorRegistry) -> _Server:
    host, port = parse_address(address)
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    kind = type("_Server", (_Server,), {"address_family": family})
    return make_server(host, port, make_wsgi_app(registry), kind, _Handler)


def _url_of(server: _Server) -> str:
    host = f"[{server.server_name}]" if ":" in server.server_name else server.server_name
    return f"http://{host}:{server.server_port}/metrics"


def _explain(address: str, error: OSError) -> str:
    said = f"The address {address} for metrics cannot be had: {error.strerror or error}."
    if error.errno == errno.EADDRINUSE:
        said += " `ss -ltnp` says who has it."
    return f"{said} Name another in [metrics] listen; files are loaded all the same."
