"""Cut the bytes of a file into blocks of whole records; set apart what has two readings."""

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dropload.detection.line_ends import count_breaks
from dropload.errors import FileError
from dropload.model import Layout
from dropload.parsers.base import UnfaithfulError
from dropload.parsers.delimited.doubts import DoubtFinder
from dropload.parsers.delimited.records import RecordSplitter

_DOUBTFUL_BYTES = 1 << 10
"""Of the records around a doubtful cell: few are left to the tolerant reader, which is slow."""
_FREE_DOUBTS_BYTES, _MOST_DOUBTFUL = 1 << 15, 0.1
"""So much may be doubtful, and beyond it this share: with more the tolerant reader alone is
sooner (measured)."""


class Block(NamedTuple):
    """Records that follow each other, each whole, blank lines among them; UTF-8."""

    data: bytes
    first_line: int
    """The physical line on which it begins, from 1."""
    line_breaks: int
    is_doubtful: bool = False
    """Not everybody reads all of it alike: its quotes, an escape, a NUL."""


def cut_blocks(
    chunks: Iterable[bytes], layout: Layout, first_line: int, block_bytes: int
) -> Iterator[Block]:
    """Yield all bytes, which begin with a record on `first_line` and end with a line end.

    A block has some `block_bytes`, at most twice as many; what not everybody reads alike begins a
    small one of its own. Raises UnfaithfulError for a record that is longer, and where much is
    doubtful.
    """
    cutter = _Cutter(layout, first_line, block_bytes)
    for chunk in _in_pieces(chunks, block_bytes):
        yield from cutter.add(chunk)
    yield from cutter.finish()


class _Cutter:
    """Cuts what comes into blocks; keeps what belongs to a record that is not whole yet."""

    def __init__(self, layout: Layout, first_line: int, block_bytes: int) -> None:
        self._layout = layout
        self._quote = layout.quotechar.encode()
        self._finder = DoubtFinder(layout)
        self._line = first_line
        self._block_bytes = block_bytes
        self._rest = b""
        """Begins with a record."""
        self._rest_is_doubtful = False
        """That record has a doubtful cell in it."""
        self._bytes = self._doubtful_bytes = 0

    def add(self, chunk: bytes) -> Iterator[Block]:
        """Yield the blocks that end in the next bytes."""
        while chunk:
            data = self._rest + chunk
            good = self._good_bytes(data, chunk)
            end = _end_of_records(data[:good], self._quote, is_inside=self._finder.is_inside)
            yield from self._block(data[:end])
            chunk = b""
            if good < len(data):
                doubtful, chunk = self._cut_doubtful(data[end:])
                yield from self._block(doubtful, is_doubtful=True)
            else:
                self._keep(data[end:])

    def finish(self) -> Iterator[Block]:
        """Yield the last one: a return at the very end is no half of a line end now."""
        if self._rest_is_doubtful or self._finder.is_open:
            raise UnfaithfulError("a record that does not end")
        yield from self._block(self._rest)

    def _good_bytes(self, data: bytes, chunk: bytes) -> int:
        """Return where the first doubtful cell of `data` is, which `chunk` ends; else its end."""
        return 0 if self._rest_is_doubtful else len(data) - self._finder.find(chunk)

    def _cut_doubtful(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the first records, up to a doubtful one or beyond it, and what is behind them.

        Nothing of either where the first does not end in `data`.
        """
        size = _DOUBTFUL_BYTES
        end = self._end_for_tolerant_reader(data[:size])
        while not end and size < len(data):
            size *= 4
            end = self._end_for_tolerant_reader(data[:size])
        self._rest_is_doubtful = not end
        self._keep(b"" if end else data)
        return data[:end], data[end:] if end else b""

    def _end_for_tolerant_reader(self, data: bytes) -> int:
        splitter = RecordSplitter(self._layout, 2 * self._block_bytes, first_line=self._line)
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(data)
            return len(text[: splitter.end_of_whole(text)].encode())
        except (UnicodeDecodeError, FileError) as exc:
            # The whole file may have an earlier fault.
            raise UnfaithfulError(str(exc)) from exc

    def _keep(self, rest: bytes) -> None:
        if len(rest) > self._block_bytes:
            raise UnfaithfulError("a record longer than a block")
        self._rest = rest

    def _block(self, data: bytes, *, is_doubtful: bool = False) -> Iterator[Block]:
        if not data:
            return
        breaks = count_breaks(data, len(data))
        self._bytes += len(data)
        self._doubtful_bytes += len(data) if is_doubtful else 0
        if self._doubtful_bytes > max(_FREE_DOUBTS_BYTES, _MOST_DOUBTFUL * self._bytes):
            raise UnfaithfulError("much that is not read alike")
        yield Block(data, self._line, breaks, is_doubtful)
        self._line += breaks


def _in_pieces(chunks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `most_bytes` at most, and half that but for the last."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        while size * 2 >= most_bytes:
            data = b"".join(held)
            yield data[:most_bytes]
            size = max(0, len(data) - most_bytes)
            held = [data[most_bytes:]] if size else []
    if size:
        yield b"".join(held)


def _end_of_records(data: bytes, quote: bytes, *, is_inside: bool) -> int:
    """Return where the last record ends that is whole, 0 without one; `data` begins with a record.

    Every quote opens a cell, closes one or is doubled: a line end is within quotes when their
    number before it is odd. `is_inside` says so of the end of `data`.
    """
    # A return at the very end may be half of a line end.
    end = len(data) - data.endswith(b"\r")
    feed = back = end
    while True:
        # Looked for anew only when it is passed: no byte is looked at twice.
        feed = data.rfind(b"\n", 0, end) if feed >= end else feed
        back = data.rfind(b"\r", 0, end) if back >= end else back
        at = max(feed, back) + 1
        if not at:
            return 0
        if quote and data.count(quote, at, end) % 2 == 1:
            is_inside = not is_inside
        if not is_inside:
            return at
        # In front of the quote before it their number is even.
        end, is_inside = data.rfind(quote, 0, at), False
