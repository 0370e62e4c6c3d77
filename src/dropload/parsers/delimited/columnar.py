"""Read delimited text with pyarrow, and refuse to where it would not return what is written."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from dropload.errors import FileError
from dropload.model import Layout
from dropload.parsers.base import Batch, UnfaithfulError
from dropload.parsers.delimited.records import RecordSplitter
from dropload.parsers.delimited.text import (
    CTRL_Z,
    UTF8_BOM,
    decode_chunks,
    is_utf8,
    read_chunks,
)

BLOCK_BYTES = 1 << 20
"""Measured: smaller blocks are slower, larger ones only cost memory."""
_MAX_HEAD_BYTES = 16 << 20
"""Lines to skip and header; more is left to the tolerant reader."""
_ABSENT = "\x1f"
"""Delimiter for files of one column; a file that holds it is left to the tolerant reader."""


def read_columnar(
    source: BinaryIO, layout: Layout, *, max_record_bytes: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[Batch]:
    """Yield all data records as the tolerant reader would, or raise UnfaithfulError on the way.

    pyarrow pads nothing and drops nothing, but it is silent about quotes that are never closed,
    text behind a closing quote, and quotes that open in one record and close in another. So the
    bytes that it is fed are checked first: see `_QuoteCheck`.
    """
    _refuse_layout(layout)
    # pyarrow takes records of up to two blocks: none may be longer than the limit.
    block_bytes = min(block_bytes, max_record_bytes // 2)
    chunks = _skip_head(_utf8_chunks(source, layout, block_bytes), layout, max_record_bytes)
    body = _CheckedBody(_end_line(_drop_ctrl_z(chunks)), layout)
    have = body.fill(block_bytes)
    if not have:
        return
    # A block is allocated whole, which takes longer than reading a small file.
    block_bytes = min(block_bytes, have + 1)
    row = 0
    counted = pa.array([], pa.int64())
    for records in _open(body, layout, block_bytes):
        if len(counted) < records.num_rows:
            counted = pa.array(range(1, records.num_rows + 1), pa.int64())
        yield Batch(records, pc.add(counted.slice(0, records.num_rows), row))
        row += records.num_rows


def _open(body: "_CheckedBody", layout: Layout, block_bytes: int) -> Iterator[pa.RecordBatch]:
    names = [f"c{position}" for position in range(layout.width)]
    try:
        yield from csv.open_csv(
            pa.PythonFile(body, mode="r"),
            # One thread is as fast, and the order of rows is certain.
            read_options=csv.ReadOptions(
                use_threads=False, block_size=block_bytes, column_names=names
            ),
            parse_options=csv.ParseOptions(
                delimiter=layout.delimiter or _ABSENT,
                quote_char=layout.quotechar or False,
                double_quote=True,
                escape_char=False,
                newlines_in_values=True,
                ignore_empty_lines=True,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, OSError, UnfaithfulError) as exc:
        if body.error is not None:
            # pyarrow does not hand on every exception of the file that it reads as it was.
            raise body.error from exc
        raise UnfaithfulError(str(exc)) from exc


def _refuse_layout(layout: Layout) -> None:
    if layout.wrapping:
        raise UnfaithfulError("something drawn around the lines")
    if layout.skip_initial_space:
        raise UnfaithfulError("blanks after delimiters")
    for mark in (layout.delimiter, layout.quotechar):
        if len(mark) > 1 or not mark.isascii():
            raise UnfaithfulError(f"{mark!r} is not one ASCII character")


def _utf8_chunks(source: BinaryIO, layout: Layout, chunk_bytes: int) -> Iterator[bytes]:
    """Yield the file as UTF-8 without its byte-order mark."""
    if is_utf8(layout.encoding):
        return _drop_bom(read_chunks(source, chunk_bytes))
    return _transcode(source, layout.encoding, chunk_bytes)


def _transcode(source: BinaryIO, encoding: str, chunk_bytes: int) -> Iterator[bytes]:
    try:
        for text in decode_chunks(source, encoding, chunk_bytes):
            yield text.encode()
    except FileError as exc:
        # The tolerant reader says it better, or finds an earlier fault.
        raise UnfaithfulError(str(exc)) from exc


def _drop_bom(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= len(UTF8_BOM):
            break
    if first := first.removeprefix(UTF8_BOM):
        yield first
    yield from chunks


def _skip_head(chunks: Iterator[bytes], layout: Layout, max_record_bytes: int) -> Iterator[bytes]:
    """Yield what follows skipped lines and header, found as the tolerant reader finds it."""
    splitter = RecordSplitter(layout, max_record_bytes)
    head = b""
    end = None
    for chunk in chunks:
        head += chunk
        end = _head_end(splitter, head, final=False)
        if end is not None:
            break
        if len(head) > _MAX_HEAD_BYTES:
            raise UnfaithfulError("the lines before the first record are too long")
    if end is None:
        end = _head_end(splitter, head, final=True) or 0
    if len(head) > end:
        yield head[end:]
    yield from chunks


def _head_end(splitter: RecordSplitter, head: bytes, *, final: bool) -> int | None:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final)
        shown = splitter.terminated(text) if final else text.removesuffix("\r")
        end = splitter.head_end(shown, final=final)
    except (UnicodeDecodeError, FileError) as exc:
        raise UnfaithfulError(str(exc)) from exc
    return None if end is None else len(text[:end].encode())


def _drop_ctrl_z(chunks: Iterable[bytes]) -> Iterator[bytes]:
    mark = CTRL_Z.encode()
    held = b""
    for chunk in chunks:
        body = chunk.rstrip(mark)
        if body:
            yield held + body
            held = b""
        held += chunk[len(body) :]
        if len(held) > _MAX_HEAD_BYTES:
            raise UnfaithfulError("a long run of Ctrl-Z")


def _end_line(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield `chunks` and a last line end if there are any."""
    chunk = b""
    for chunk in chunks:
        yield chunk
    if chunk:
        # Without it pyarrow takes the last cell for a quoted one when the cell before it is quoted
        # and the last is empty. A second line end is only a blank line.
        yield b"\n"


class _CheckedBody:
    """The data records as a file that pyarrow can read; checks every byte that passes."""

    closed = False

    def __init__(self, chunks: Iterator[bytes], layout: Layout) -> None:
        self._chunks = chunks
        self._rest = b""
        self._at_start = True
        self._quotes = _QuoteCheck(layout) if layout.quotechar else None
        marks = ["\0", layout.escapechar if layout.escapechar != layout.quotechar else ""]
        marks.append("" if layout.delimiter else _ABSENT)
        self._refused = [mark.encode() for mark in marks if mark]
        self.error: Exception | None = None
        """What went wrong while pyarrow was reading: it does not hand every exception on."""

    def fill(self, size: int) -> int:
        """Take in what comes first; return its bytes, fewer than `size` where that is all."""
        pieces: list[bytes] = []
        while sum(map(len, pieces)) < size:
            chunk = next(self._chunks, None)
            self._check(chunk)
            if chunk is None:
                break
            pieces.append(chunk)
        self._rest = b"".join(pieces)
        return len(self._rest)

    def read(self, size: int) -> bytes:
        """Return some `size` bytes unless the end comes first: short blocks hold short records."""
        try:
            return self._read(size)
        except Exception as exc:
            self.error = exc
            raise

    def close(self) -> None:
        """Do nothing: whoever opened the source closes it."""

    def _read(self, size: int) -> bytes:
        pieces = [self._rest]
        have = len(self._rest)
        while have < size:
            chunk = next(self._chunks, None)
            self._check(chunk)
            if chunk is None:
                break
            pieces.append(chunk)
            have += len(chunk)
        data = b"".join(pieces)
        # Behind a block that ends with a return pyarrow drops a line feed, in quotes as well.
        block = data[:size].rstrip(b"\r")
        if data and not block:
            raise UnfaithfulError("a whole block of carriage returns")
        if self._at_start and block.startswith(UTF8_BOM):
            # pyarrow would take it for the file's own and drop it.
            raise UnfaithfulError("a byte-order mark in the first record")
        self._at_start = False
        self._rest = data[len(block) :]
        return block

    def _check(self, chunk: bytes | None) -> None:
        if self._quotes is not None:
            self._quotes.check(chunk)
        for mark in self._refused:
            if chunk is not None and mark in chunk:
                raise UnfaithfulError(f"{mark!r} in the text")


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
