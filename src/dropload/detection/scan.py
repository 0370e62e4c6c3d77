"""Decode a whole file strictly, in constant memory, and keep what a decision needs."""

import codecs
from dataclasses import dataclass
from typing import BinaryIO

# Large enough for fast decoding, small enough to be nothing beside a worker's memory.
CHUNK_BYTES = 1024 * 1024


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
    """How many bytes only continue a character, among those that can be decoded."""
    foreign_offset: int = 0
    """Where the chunk begins in which the first of them stands, 0 when there is none."""


def scan_file(stream: BinaryIO, name: str) -> Scan:
    """Decode the whole file strictly and return where that fails, if it does."""
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(name)()
    scan, offset = Scan(), 0
    while True:
        chunk = stream.read(CHUNK_BYTES)
        pending = decoder.getstate()[0]
        _note_bytes(scan, chunk, offset)
        if name == "utf-8" and scan.is_ascii and chunk:
            offset += len(chunk)
            continue
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
