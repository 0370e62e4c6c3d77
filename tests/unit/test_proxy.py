"""The proxy that the tests of a server that is away rely on."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.proxy import CommitAfter, DistantProxy, Proxy, Says, is_anything, is_commit

PATIENCE_SECONDS = 20.0
"""Only a broken proxy makes a test wait this long."""


class EchoServer:
    """Answers every piece with the same in capitals, and remembers what reached it."""

    def __init__(self, listener: socket.socket) -> None:
        self.heard: list[bytes] = []
        self._listener = listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1000):
                self.heard.append(data)
                connection.sendall(data.upper())


@pytest.fixture
def server() -> Iterator[EchoServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    made = EchoServer(listener)
    yield made
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(server: EchoServer) -> Iterator[Proxy]:
    with Proxy(server._listener.getsockname()) as made:
        yield made


def connect(proxy: Proxy | DistantProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_SECONDS)


def ask(connection: socket.socket, text: bytes) -> bytes:
    """Return the answer, nothing when the connection was dropped."""
    try:
        connection.sendall(text)
        return connection.recv(1000)
    except (ConnectionResetError, BrokenPipeError):
        return b""


def test_what_is_said_goes_there_and_comes_back(proxy: Proxy) -> None:
    with connect(proxy) as one, connect(proxy) as other:
        assert (ask(one, b"a"), ask(other, b"b"), ask(one, b"c")) == (b"A", b"B", b"C")
    assert (proxy.connections(), proxy.pieces()) == (2, 3)


def test_a_proxy_that_refuses_drops_and_lets_nobody_in_until_it_accepts(proxy: Proxy) -> None:
    with connect(proxy) as open_one:
        assert ask(open_one, b"a") == b"A"
        proxy.refuse()
        assert ask(open_one, b"b") == b""
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.accept()
    with connect(proxy) as again:
        assert ask(again, b"c") == b"C"


def test_a_cut_drops_what_is_open_and_nothing_else(proxy: Proxy) -> None:
    with connect(proxy) as open_one:
        assert ask(open_one, b"a") == b"A"
        proxy.cut()
        assert ask(open_one, b"b") == b""
    with connect(proxy) as again:
        assert ask(again, b"c") == b"C"


def test_a_cut_before_keeps_the_words_from_the_server(proxy: Proxy, server: EchoServer) -> None:
    proxy.cut_when(Says("halt", "stop"))
    with connect(proxy) as one, connect(proxy) as other:
        assert ask(one, b"go") == b"GO"
        assert ask(one, b"stop") == b""
        assert ask(other, b"stop") == b"STOP", "once is enough"
    assert (proxy.times_cut(), server.heard) == (1, [b"go", b"stop"])


def test_a_cut_after_lets_the_words_through_and_loses_the_answer(
    proxy: Proxy, server: EchoServer
) -> None:
    proxy.cut_when(Says("stop"), before=False, times=2)
    for _ in range(2):
        with connect(proxy) as one:
            assert ask(one, b"stop") == b""
    assert (proxy.times_cut(), server.heard) == (2, [b"stop", b"stop"])


def test_the_second_piece_can_be_the_one_that_cuts(proxy: Proxy) -> None:
    proxy.cut_when(is_anything, skip=1)
    with connect(proxy) as one:
        assert ask(one, b"a") == b"A"
        assert ask(one, b"b") == b""


def test_a_proxy_in_another_process_does_the_same(server: EchoServer) -> None:
    with DistantProxy(server._listener.getsockname()) as proxy:
        number = proxy.cut_when(Says("stop"), before=False)
        with connect(proxy) as one:
            assert ask(one, b"go") == b"GO"
            assert ask(one, b"stop") == b""
        assert (proxy.times_cut(number), server.heard) == (1, [b"go", b"stop"])
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)


def test_a_unix_socket_is_a_server_as_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    EchoServer(listener)
    with Proxy(path) as proxy, connect(proxy) as one:
        assert ask(one, b"a") == b"A"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"Q\0\0\0\x0bCOMMIT\0", True),
        (b"Q\0\0\0\x0dROLLBACK\0", False),
        (b"Q\0\0\0\x20SELECT 'COMMIT'\0", False),
        (b"\x0e\x01\0\x22\0\0\1\0" + b"\x16\0\0\0" + b"\0" * 18 + b"\x07\0\0\0", True),
        (b"\x0e\x01\0\x22\0\0\1\0" + b"\x16\0\0\0" + b"\0" * 18 + b"\x08\0\0\0", False),
        (b"\x0e", False),
        (b"", False),
    ],
)
def test_a_commit_is_told_from_other_words(data: bytes, expected: bool) -> None:
    assert is_commit(data) is expected


def test_the_commit_after_some_words_is_not_any_commit() -> None:
    commit, predicate = b"Q\0\0\0\x0bCOMMIT\0", CommitAfter("here")
    said = [commit, "it is here".encode("utf-16-le"), b"x", commit]
    assert [predicate(data) for data in said] == [False, False, False, True]
