"""Find out how a file's bytes become characters; the whole file is checked, in constant memory."""

import codecs
import re
from dataclasses import dataclass
from typing import BinaryIO

from dropload.detection.codepage import guess_codepage
from dropload.errors import FileError

# Large enough for fast decoding, small enough to be nothing beside a worker's memory.
CHUNK_BYTES = 1024 * 1024
# What a guess is made from: more text does not change it.
GUESS_BYTES = 48 * 1024
# A line around a strange byte is enough context; a whole long line is not needed.
_CONTEXT_BYTES = 2000

# UTF-32 first: its little-endian mark begins with the one of UTF-16.
_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_FOREIGN_LINE = re.compile(rb"[^\r\n\x80-\xff]{0,200}[\x80-\xff][^\r\n]{0,%d}" % _CONTEXT_BYTES)
_UTF8_SEQUENCE = re.compile(
    rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
# So many good sequences for each bad byte do not come about in any other encoding.
_STRAY_RATIO = 4
_STRAY_SEQUENCES = 6


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes become characters, and how sure that is."""

    name: str
    has_bom: bool
    confidence: float
    evidence: str
    quote_offset: int = -1
    """Where the first double quote stands in the file, -1 when there is none or it is unknown."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What decoding the whole file strictly came to."""

    bad_offset: int
    """Offset of the first byte that cannot be decoded, -1 when all can be."""
    reason: str
    is_ascii: bool
    quote_offset: int


def detect_encoding(stream: BinaryIO, head: bytes) -> Encoding:
    """Return the encoding of the file; `head` is its beginning.

    Raise FileError with code `encoding` when the file breaks the encoding it is written in.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return _check_marked(stream, name, len(mark))
    name = _find_wide(head)
    if name and scan_file(stream, name).bad_offset < 0:
        text = f"zero bytes in every other place: {name} without a byte-order mark"
        return Encoding(name, False, 0.9, text)
    scan = scan_file(stream, "utf-8")
    if scan.bad_offset < 0:
        text = "only ASCII characters" if scan.is_ascii else "the whole file is valid UTF-8"
        return Encoding("utf-8", False, 1.0, text, scan.quote_offset)
    return _guess_encoding(stream, scan)


def scan_file(stream: BinaryIO, name: str) -> Scan:
    """Decode the whole file strictly and return where that fails, if it does."""
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(name)()
    offset, is_ascii, quote_offset = 0, True, -1
    while True:
        chunk = stream.read(CHUNK_BYTES)
        pending = decoder.getstate()[0]
        if quote_offset < 0 and (found := chunk.find(b'"')) >= 0:
            quote_offset = offset + found
        if is_ascii and not pending and name == "utf-8" and chunk.isascii() and chunk:
            offset += len(chunk)
            continue
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            bad = offset - len(pending) + error.start
            return Scan(bad, error.reason, False, quote_offset)
        if not chunk:
            return Scan(-1, "", is_ascii, quote_offset)
        is_ascii = is_ascii and chunk.isascii()
        offset += len(chunk)


def _check_marked(stream: BinaryIO, name: str, mark_bytes: int) -> Encoding:
    """Return the encoding that the byte-order mark names, or raise when the file breaks it."""
    scan = scan_file(stream, name)
    if scan.bad_offset >= 0:
        raise _encoding_error(stream, scan, name, "the byte-order mark at its beginning")
    text = f"a byte-order mark of {mark_bytes} bytes: {name}"
    return Encoding(name, True, 1.0, text, scan.quote_offset if name == "utf-8" else -1)


def _find_wide(head: bytes) -> str:
    """Return the UTF-16 or UTF-32 variant that the pattern of zero bytes shows, or nothing."""
    data = head[: min(len(head), 8192) // 4 * 4] or head[:2]
    if len(data) < 2 or b"\x00" not in data:
        return ""
    zeros = [data[place::4].count(0) / max(len(data[place::4]), 1) for place in range(4)]
    if min(zeros[2:]) > 0.95 and max(zeros[0], zeros[1]) < 0.3:
        return "utf-32-le"
    if min(zeros[0], zeros[1]) > 0.95 and zeros[3] < 0.3:
        return "utf-32-be"
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    if odd > 0.12 and even < odd / 8:
        return "utf-16-le"
    if even > 0.12 and odd < even / 8:
        return "utf-16-be"
    return ""


def _guess_encoding(stream: BinaryIO, scan: Scan) -> Encoding:
    """Return the most plausible encoding for a file that is not UTF-8."""
    lines = _collect_foreign_lines(stream, scan.bad_offset)
    if _is_damaged_utf8(b"\n".join(lines)):
        raise _encoding_error(stream, scan, "utf-8", "most of its other characters")
    guesses = guess_codepage(lines)
    for guess in guesses:
        if scan_file(stream, guess.name).bad_offset < 0:
            text = f"not UTF-8 from byte {scan.bad_offset:,} on: {guess.name} fits best"
            return Encoding(guess.name, False, guess.confidence, text, scan.quote_offset)
    text = f"not UTF-8 from byte {scan.bad_offset:,} on and nothing fits: read as iso-8859-1"
    return Encoding("iso-8859-1", False, 0.1, text, scan.quote_offset)


def _collect_foreign_lines(stream: BinaryIO, bad_offset: int) -> list[bytes]:
    """Return lines that hold bytes beyond ASCII, from the file's beginning and further on."""
    pieces: list[bytes] = []
    collected = 0
    stream.seek(max(bad_offset - CHUNK_BYTES // 4, 0))
    while collected < GUESS_BYTES and (chunk := stream.read(CHUNK_BYTES)):
        for match in _FOREIGN_LINE.finditer(chunk):
            pieces.append(match[0])
            collected += len(match[0])
            if collected >= GUESS_BYTES:
                break
    return pieces


def _is_damaged_utf8(sample: bytes) -> bool:
    """Return whether the bytes are UTF-8 but for a few that are not."""
    good = len(_UTF8_SEQUENCE.findall(sample))
    bad = len(_HIGH_BYTE.findall(_UTF8_SEQUENCE.sub(b"", sample)))
    return good >= _STRAY_SEQUENCES and good >= _STRAY_RATIO * bad


def _encoding_error(stream: BinaryIO, scan: Scan, name: str, witness: str) -> FileError:
    """Return the error that tells where the file breaks its encoding."""
    stream.seek(scan.bad_offset)
    bad = stream.read(1)
    line = _count_lines(stream, scan.bad_offset) + 1
    what = f"0x{bad.hex().upper()}" if bad else "the end of the file"
    return FileError(
        f"Line {line:,}, byte {scan.bad_offset:,}: {what} is not valid {name.upper()}"
        f" ({scan.reason}), although {witness} says {name.upper()}.",
        hint="Repair that place or save the file again as UTF-8, and drop it again.",
        code="encoding",
    )


def _count_lines(stream: BinaryIO, end: int) -> int:
    """Return the number of line feeds before an offset."""
    stream.seek(0)
    lines = position = 0
    while position < end and (chunk := stream.read(min(CHUNK_BYTES, end - position))):
        lines += chunk.count(b"\n")
        position += len(chunk)
    return lines
