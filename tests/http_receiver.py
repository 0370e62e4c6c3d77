"""Real services on this machine that take notifications, or traces, over HTTP and keep them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_SECONDS = 60.0
"""Only what is broken waits so long."""


class Receiver(BaseHTTPRequestHandler):
    """Answers as its server is told, and keeps what it got."""

    def do_POST(self) -> None:
        server: Any = self.server
        server.got.append(self.decode(self.rfile.read(int(self.headers["Content-Length"]))))
        if server.blocked is not None:
            server.blocked.wait(PATIENCE_SECONDS)
        status = server.answers.pop(0) if server.answers else 200
        self.send_response(status)
        self.end_headers()
        server.arrived.release()

    def decode(self, body: bytes) -> Any:
        return json.loads(body)

    def log_message(self, *_: Any, **__: Any) -> None:
        """Keep quiet."""


class TraceReceiver(Receiver):
    """Takes traces as a collector of OpenTelemetry does."""

    def decode(self, body: bytes) -> Any:
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        return ExportTraceServiceRequest.FromString(body)


class Site:
    """A service on this machine, by Apprise's URL for it."""

    def __init__(self, handler: type[Receiver] = Receiver) -> None:
        server: Any = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server = server
        self.server.got, self.server.answers, self.server.blocked = [], [], None
        self.server.arrived = threading.Semaphore(0)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.url = f"json://127.0.0.1:{self.server.server_port}/hook/t0ps3cret-t0ken"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def got(self) -> list[Any]:
        return list(self.server.got)

    def wait_for_one(self) -> None:
        assert self.server.arrived.acquire(timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        if self.server.blocked is not None:
            self.server.blocked.set()
        self.server.shutdown()
        self.server.server_close()
