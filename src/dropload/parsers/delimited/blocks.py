"""Cut the bytes of a file into blocks of whole records; refuse quotes that have two readings."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from dropload.detection.line_ends import count_breaks
from dropload.model import Layout
from dropload.parsers.base import UnfaithfulError


class Block(NamedTuple):
    """Records that follow each other, each whole, blank lines among them; UTF-8."""

    data: bytes
    first_line: int
    """The physical line on which it begins, from 1."""
    line_breaks: int


def cut_blocks(
    chunks: Iterable[bytes], layout: Layout, first_line: int, block_bytes: int
) -> Iterator[Block]:
    """Yield all bytes, which begin with a record on `first_line` and end with a line end.

    A block has some `block_bytes`, at most twice as many. Raises UnfaithfulError for a record that
    is longer, and for quotes that not everybody reads alike.
    """
    quote = layout.quotechar.encode()
    check = _QuoteCheck(layout) if quote else None
    rest = b""
    for chunk in _in_pieces(chunks, block_bytes):
        if check is not None:
            check.check(chunk)
        data = rest + chunk
        end = _end_of_records(data, quote, is_inside=check is not None and check.is_inside)
        rest = data[end:]
        if len(rest) > block_bytes:
            raise UnfaithfulError("a record longer than a block")
        if end:
            breaks = count_breaks(data, end)
            yield Block(data[:end], first_line, breaks)
            first_line += breaks
    if check is not None:
        check.check(None)
    if rest:  # it ends with a return, which is no half of a line end then
        yield Block(rest, first_line, count_breaks(rest, len(rest)))


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


class _QuoteCheck:
    """Makes sure that quotes stand only where everybody reads them alike.

    Every quote opens a cell (behind a delimiter, a line end or at the start), closes one (before
    a delimiter, a line end or the end), or is doubled within one. Whatever else there is, the
    tolerant reader knows the rules.
    """

    def __init__(self, layout: Layout) -> None:
        quote = re.escape(layout.quotechar.encode())
        border = b"[" + re.escape(layout.delimiter.encode()) + b"\\r\\n]"
        opened = b"(?<=%b)%b[^%b]*+(?:%b%b[^%b]*+)*+" % (border, *(quote,) * 5)
        plain = b"[^%b]*+" % quote
        self._quote = layout.quotechar.encode()
        self._closed_cells = re.compile(
            b"%b(?:%b%b(?=%b)%b)*+" % (plain, opened, quote, border, plain)
        )
        self._open_cell = re.compile(opened + quote + b"?")
        self._carry = b"\n"
        """The end of the bytes so far, from in front of the first cell that may go on."""

    @property
    def is_inside(self) -> bool:
        """Return whether the bytes so far end within quotes."""
        return self._carry.count(self._quote) % 2 == 1

    def check(self, chunk: bytes | None) -> None:
        """Look at the next bytes, or at the end (None); raise UnfaithfulError at a doubt."""
        if chunk is not None and len(self._carry) == 1 and self._quote not in chunk:
            self._carry = chunk[-1:] or self._carry
            return
        window = self._carry + (b"\n" if chunk is None else chunk)
        match: Any = self._closed_cells.match(window)
        end = match.end()
        if end == len(window):
            self._carry = window[-1:]
            return
        if chunk is None or not self._open_cell.fullmatch(window, end):
            raise UnfaithfulError("a quote where quotes are not read alike")
        self._carry = window[end - 1 :]
