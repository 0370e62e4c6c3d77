"""Decode a file strictly, in constant memory, and keep what a decision needs."""

import codecs
import struct
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

# Large enough for fast decoding, small enough to be nothing beside a worker's memory.
CHUNK_BYTES = 1024 * 1024
_CONTINUES, _BEGINS, _LONGEST = 0x80, 0xC0, 4
"""In UTF-8: the least byte that continues a character, the least that begins one of several bytes,
and how many those are at most."""


@dataclass(slots=True)
class Scan:
    """What decoding the whole file strictly came to; it is filled while reading."""

    bad_offset: int = -1
    """Offset of the first byte that cannot be decoded, -1 when all can be."""
    reason: str = ""
    is_ascii: bool = True
    quote_offset: int = -1
    """Where the first double quote stands, -1 when there is none."""
    escape_offset: int = -1
    """Where the first escape character stands, -1 when there is none."""
    continued: int = 0
    """How many bytes only continue a character, before the first that cannot be decoded."""
    foreign_offset: int = 0
    """Where the chunk begins in which the first of them stands, 0 when there is none."""


def scan_file(stream: BinaryIO, name: str) -> Scan:
    """Decode the whole file strictly and return where that fails, if it does."""
    if name == "utf-8" and (scan := _scan_good_utf8(stream)) is not None:
        return scan
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(name)()
    scan, offset = Scan(), 0
    while True:
        chunk = stream.read(CHUNK_BYTES)
        pending = decoder.getstate()[0]
        _note_bytes(scan, chunk, offset)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            scan.bad_offset, scan.reason = offset - len(pending) + error.start, error.reason
            good = chunk[: max(error.start - len(pending), 0)]
            _note_continued(scan, len(good) - len(good.decode(name, errors="replace")), offset)
            return scan
        if not chunk:
            return scan
        _note_continued(scan, len(chunk) - len(text), offset)
        offset += len(chunk)


class Utf8Scan:
    """Looks at bytes as long as they are UTF-8.

    Nearly every file is, and no character is made of it: that takes four times as long.
    """

    def __init__(self) -> None:
        self.found = Scan()
        self.size_bytes = 0
        """Bytes so far."""
        self._pending = b""

    def add(self, chunk: bytes) -> bool:
        """Look at the next bytes; return whether all are UTF-8, but for a last character."""
        _note_bytes(self.found, chunk, self.size_bytes)
        self.size_bytes += len(chunk)
        if self.found.is_ascii:
            return True
        whole, self._pending = _split_last(self._pending + chunk)
        return _is_utf8(whole)

    @property
    def is_whole(self) -> bool:
        """Return whether the last character is all there."""
        return not self._pending or _is_utf8(self._pending)


def scan_beginning(stream: BinaryIO, count: int) -> Scan | None:
    """Return what so many first bytes of a file show; None where they are not UTF-8.

    A character that goes on behind them is none that is not.
    """
    stream.seek(0)
    scan = Utf8Scan()
    while chunk := stream.read(min(CHUNK_BYTES, count - scan.size_bytes)):
        if not scan.add(chunk):
            return None
    return scan.found


def _scan_good_utf8(stream: BinaryIO) -> Scan | None:
    """Return what a file shows that is UTF-8 to its end, None for any other."""
    stream.seek(0)
    scan = Utf8Scan()
    while chunk := stream.read(CHUNK_BYTES):
        if not scan.add(chunk):
            return None
    return scan.found if scan.is_whole else None


def _split_last(text: bytes) -> tuple[bytes, bytes]:
    """Return the bytes up to a character that may go on in the next chunk, and its beginning."""
    for place in range(1, min(_LONGEST, len(text)) + 1):
        if text[-place] >= _BEGINS:
            return text[:-place], text[-place:]
        if text[-place] < _CONTINUES:
            break
    return text, b""


def _is_utf8(text: bytes) -> bool:
    ends = pa.py_buffer(struct.pack("=ii", 0, len(text)))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(text)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _note_bytes(scan: Scan, chunk: bytes, offset: int) -> None:
    """Note what the bytes of a chunk show, whatever they spell."""
    scan.is_ascii = scan.is_ascii and chunk.isascii()
    if scan.quote_offset < 0 and (found := chunk.find(b'"')) >= 0:
        scan.quote_offset = offset + found
    if scan.escape_offset < 0 and (found := chunk.find(b"\x1b")) >= 0:
        scan.escape_offset = offset + found


def _note_continued(scan: Scan, count: int, offset: int) -> None:
    """Note how many bytes of a chunk only continued a character."""
    if not scan.continued:
        scan.foreign_offset = offset
    scan.continued += max(count, 0)
