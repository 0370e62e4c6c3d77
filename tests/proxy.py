"""A TCP proxy before a database server that cuts connections where a test says so."""

import multiprocessing
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

Address = tuple[str, int] | str
"""Where the server listens: host and port, or the path of a unix socket."""
Predicate = Callable[[bytes], bool]

_CHUNK_BYTES = 1 << 16


@dataclass(eq=False)
class Cut:
    """Where connections are cut: at client bytes that the predicate knows."""

    predicate: Predicate
    times: int
    skip: int
    before: bool
    wait_for_answer: bool
    then_refuse: bool
    done: int = 0
    """How often it has happened."""

    def applies(self, data: bytes) -> bool:
        if self.done == self.times or not self.predicate(data):
            return False
        self.skip -= 1
        return self.skip < 0


@dataclass(eq=False)
class _Link:
    """One client's connection and the one to the server that belongs to it."""

    client: socket.socket
    server: socket.socket
    keeps_answers: bool = False
    """What the server says next is not passed on, and ends both connections."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                # close() alone would not wake the thread that is reading from it.
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Forwards to a server; refuses, drops connections, loses answers on command.

    A piece of the stream is what one recv returns: drivers send a statement in one piece, and wait
    for its answer before they send the next.
    """

    def __init__(self, server: Address) -> None:
        self._server = server
        self._links: set[_Link] = set()
        self._threads: list[threading.Thread] = []
        self._cuts: list[Cut] = []
        self._lock = threading.RLock()
        self._listener: socket.socket | None = None
        self._connections = 0
        self._pieces = 0
        self.port = 0
        self.accept()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.refuse()
        for thread in list(self._threads):
            thread.join()

    # --- commands

    def accept(self) -> None:
        """Let connections through, on the same port as before."""
        with self._lock:
            if self._listener is not None:
                return
            listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
            self._listener, self.port = listener, listener.getsockname()[1]
        self._run(self._take_connections, listener)

    def refuse(self) -> None:
        """Be like a server that is away: drop what is open and refuse what comes."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """Drop every connection that is open now."""
        with self._lock:
            links = list(self._links)
        for link in links:
            self._drop(link)

    def cut_when(
        self,
        predicate: Predicate,
        *,
        times: int = 1,
        skip: int = 0,
        before: bool = True,
        wait_for_answer: bool = True,
        then_refuse: bool = False,
    ) -> int:
        """Cut the connection on which the predicate's bytes come; return the number of this cut.

        `before`: the bytes never reach the server. Else they do, and its answer is lost; without
        `wait_for_answer` the client loses its connection while the server is still at work. The
        first `skip` of such pieces pass. `then_refuse`: that is the begin of an outage.
        """
        with self._lock:
            self._cuts.append(Cut(predicate, times, skip, before, wait_for_answer, then_refuse))
            return len(self._cuts) - 1

    def forget(self) -> None:
        """Let everything pass again, and count from 0."""
        with self._lock:
            self._cuts.clear()
            self._pieces = self._connections = 0

    # --- what happened

    def times_cut(self, number: int = 0) -> int:
        """Return how often a cut has happened."""
        with self._lock:
            return self._cuts[number].done

    def pieces(self) -> int:
        """Return how many pieces clients have sent."""
        with self._lock:
            return self._pieces

    def connections(self) -> int:
        """Return how often somebody connected and was let through."""
        with self._lock:
            return self._connections

    # --- threads

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        with self._lock:
            self._threads = [known for known in self._threads if known.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _take_connections(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            self._link(client, server)

    def _link(self, client: socket.socket, server: socket.socket) -> None:
        link = _Link(client, server)
        with self._lock:
            if self._listener is None:
                link.close()
                return
            self._links.add(link)
            self._connections += 1
        self._run(self._pump_to_server, link)
        self._run(self._pump_to_client, link)

    def _connect(self) -> socket.socket:
        if isinstance(self._server, str):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self._server)
            except OSError:
                server.close()
                raise
            return server
        return socket.create_connection(self._server)

    def _pump_to_server(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.client.recv(_CHUNK_BYTES):
                cut = self._cut_for(data)
                if cut is not None and cut.then_refuse:
                    self.refuse()
                if cut is not None and cut.before:
                    break
                # Before sending: the answer may come before the next line runs.
                link.keeps_answers = cut is not None
                link.server.sendall(data)
                if cut is not None and not cut.wait_for_answer:
                    break
        self._drop(link)

    def _cut_for(self, data: bytes) -> Cut | None:
        with self._lock:
            self._pieces += 1
            for cut in self._cuts:
                if cut.applies(data):
                    cut.done += 1
                    return cut
        return None

    def _pump_to_client(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(_CHUNK_BYTES):
                if link.keeps_answers:
                    break
                link.client.sendall(data)
        self._drop(link)

    def _drop(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)
        with link.lock:
            link.close()


class DistantProxy:
    """A proxy in a process of its own: some drivers keep Python's lock while they wait.

    Every method of Proxy can be called; predicates travel there, so they are values.
    """

    def __init__(self, server: Address) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, server), daemon=True)
        self._process.start()
        there.close()
        self.port: int = self._pipe.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join()
        self._process.close()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: object, **named: object) -> Any:
            self._pipe.send((name, arguments, named))
            return self._pipe.recv()

        return call


def _serve(pipe: Connection, server: Address) -> None:
    """Do what is asked for until the other end is closed."""
    with Proxy(server) as proxy, suppress(EOFError):
        pipe.send(proxy.port)
        while True:
            name, arguments, named = pipe.recv()
            pipe.send(getattr(proxy, name)(*arguments, **named))


# --- what to look for


class Says:
    """Whether a piece holds one of some texts, as PostgreSQL's clients or those of TDS write it."""

    def __init__(self, *texts: str) -> None:
        self._wanted = [t.encode(code) for t in texts for code in ("utf-8", "utf-16-le")]

    def __call__(self, data: bytes) -> bool:
        return any(wanted in data for wanted in self._wanted)


def is_bulk_rows(data: bytes) -> bool:
    """Whether a piece begins with rows on their way by TDS's bulk protocol ([MS-TDS] 2.2.3.1.1)."""
    return data[:1] == b"\x07"


def is_anything(_data: bytes) -> bool:
    return True


def is_commit(data: bytes) -> bool:
    """Return whether a piece asks for a commit, in PostgreSQL's protocol or in TDS.

    TDS has a packet of its own for it: type 0x0E, and after 8 bytes of its header and those of all
    headers, whose length stands first, request type 7 (MS-TDS 2.2.6.9).
    """
    if data[:1] == b"Q":
        return data[5:].rstrip(b"\0").upper() == b"COMMIT"
    if data[:1] != b"\x0e" or len(data) < 14:
        return False
    start = 8 + int.from_bytes(data[8:12], "little")
    return int.from_bytes(data[start : start + 2], "little") == 7


class CommitAfter:
    """Whether a piece is a commit after one that held one of some texts."""

    def __init__(self, *texts: str) -> None:
        self._says = Says(*texts)
        self._was_said = False

    def __call__(self, data: bytes) -> bool:
        self._was_said = self._was_said or self._says(data)
        return self._was_said and is_commit(data)
