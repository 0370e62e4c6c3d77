"""Find out how a file's bytes become characters; whole files are checked in constant memory."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dropload.detection.codepage import guess_codepage
from dropload.detection.escapes import find_switched
from dropload.detection.line_ends import LineCounter
from dropload.detection.scan import CHUNK_BYTES, Scan, scan_beginning, scan_file
from dropload.detection.wide import find_wide
from dropload.errors import FileError

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

_BEFORE_BYTES = 200
_FROM_FOREIGN = re.compile(rb"[\x80-\xff][^\r\n]{0,%d}" % _CONTEXT_BYTES)
# So many good sequences for each bad byte do not come about in any other encoding.
_STRAY_RATIO = 4
_STRAY_SEQUENCES = 6
# Fewer are sure where each is a letter in a word, or a sign like the euro.
_SENSIBLE_RATIO = 2
# A Latin letter between plain ones: in a code page a symbol would stand within the word.
_INSIDE_WORD = re.compile(r"(?<=[a-zA-Z])[\u00c0-\u024f](?=[a-zA-Z])")
# So many bytes that continue characters, before anything is wrong, are no accident.
_SURE_CONTINUED = 12
_FOREIGN = re.compile(r"[\x80-\ud7ff\ue000-\U0010ffff]")
_STRAY = re.compile(r"[\udc80-\udcff]")
_SIGNS = frozenset("€£§°²³µ–—‘’“”„…«»•©®™±×½\u00a0\ufeff")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes become characters, and how sure that is."""

    name: str
    has_bom: bool
    confidence: float
    evidence: str
    quote_offset: int = -1
    """Where the first double quote stands in the file, -1 when there is none or it is unknown."""
    seen_bytes: int = 0
    """Bytes from the beginning that all this was found in; 0: all of the file."""


def detect_encoding(stream: BinaryIO, head: bytes) -> Encoding:
    """Return the encoding of the file; `head` is its beginning.

    Raise FileError with code `encoding` when the file breaks the encoding it is written in.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return _check_marked(stream, name, mark)
    if name := find_wide(head):
        return _check_wide(stream, name)
    scan = scan_file(stream, "utf-8")
    # Valid UTF-8 that is more than ASCII has no use for escape sequences, whatever they look like.
    names = find_switched(stream, scan.escape_offset)
    if names and (scan.is_ascii or scan.bad_offset >= 0):
        return _pick_switched(stream, names)
    if scan.bad_offset < 0:
        text = "only ASCII characters" if scan.is_ascii else "the whole file is valid UTF-8"
        return Encoding("utf-8", False, 1.0, text, scan.quote_offset)
    return _guess_encoding(stream, scan)


def assume_encoding(stream: BinaryIO, head: bytes, seen_bytes: int) -> Encoding | None:
    """Return UTF-8 for a file of which so many bytes are that, None for any other; `head` as above.

    It takes for granted what `detect_encoding` finds out: who reads the file looks at the rest.
    """
    has_bom = head.startswith(codecs.BOM_UTF8)
    if any(head.startswith(mark) for mark, _ in _MARKS[1:]) or find_wide(head):
        return None
    found = scan_beginning(stream, seen_bytes)
    if found is None or found.escape_offset >= 0:
        return None
    what = "only ASCII characters" if found.is_ascii else "valid UTF-8"
    text = f"{what} in the first {seen_bytes:,} bytes; the rest is checked as it is read"
    text = _told_by_mark(codecs.BOM_UTF8, "utf-8") if has_bom else text
    return Encoding("utf-8", has_bom, 1.0, text, found.quote_offset, seen_bytes)


def _told_by_mark(mark: bytes, name: str) -> str:
    return f"a byte-order mark of {len(mark)} bytes: {name}"


def _check_marked(stream: BinaryIO, name: str, mark: bytes) -> Encoding:
    """Return the encoding that the byte-order mark names, or raise when the file breaks it."""
    scan = scan_file(stream, name)
    if scan.bad_offset >= 0:
        raise _encoding_error(stream, scan, name, "the byte-order mark at its beginning")
    text = _told_by_mark(mark, name)
    return Encoding(name, True, 1.0, text, scan.quote_offset if name == "utf-8" else -1)


def _check_wide(stream: BinaryIO, name: str) -> Encoding:
    """Return the encoding that the file's beginning spells, or raise when the file breaks it."""
    scan = scan_file(stream, name)
    if scan.bad_offset >= 0:
        raise _encoding_error(stream, scan, name, "its beginning")
    text = f"zero bytes in every other place: {name} without a byte-order mark"
    return Encoding(name, False, 0.9, text)


def _pick_switched(stream: BinaryIO, names: tuple[str, ...]) -> Encoding:
    """Return which of the encodings reads the whole file, or raise when none does."""
    for name in names:
        if scan_file(stream, name).bad_offset < 0:
            text = f"escape sequences switch between alphabets: {name}"
            return Encoding(name, False, 0.9, text)
    scan = scan_file(stream, names[0])
    raise _encoding_error(stream, scan, names[0], "its escape sequences")


def _guess_encoding(stream: BinaryIO, scan: Scan) -> Encoding:
    """Return the most plausible encoding for a file that is not UTF-8."""
    lines = _collect_foreign_lines(stream, scan)
    if scan.continued >= _SURE_CONTINUED or _is_damaged_utf8(b"\n".join(lines)):
        raise _encoding_error(stream, scan, "utf-8", "most of its other characters")
    guesses = guess_codepage(lines)
    for guess in guesses:
        if scan_file(stream, guess.name).bad_offset < 0:
            text = f"not UTF-8 from byte {scan.bad_offset:,} on: {guess.name} fits best"
            return Encoding(guess.name, False, guess.confidence, text, scan.quote_offset)
    text = f"not UTF-8 from byte {scan.bad_offset:,} on and nothing fits: read as iso-8859-1"
    return Encoding("iso-8859-1", False, 0.1, text, scan.quote_offset)


def _collect_foreign_lines(stream: BinaryIO, scan: Scan) -> list[bytes]:
    """Return lines that hold bytes beyond ASCII, from the file's beginning and further on."""
    start = max(scan.bad_offset - CHUNK_BYTES // 4, 0)
    first = list(_find_foreign_lines(stream, scan.foreign_offset, start))
    return first + list(_find_foreign_lines(stream, start))


def _find_foreign_lines(stream: BinaryIO, start: int, end: int | None = None) -> Iterator[bytes]:
    """Yield lines with bytes beyond ASCII, as many as a guess is made from.

    With an end, only those of the first chunk are looked for.
    """
    collected = 0
    size = CHUNK_BYTES if end is None else min(CHUNK_BYTES, max(end - start, 0))
    stream.seek(start)
    while collected < GUESS_BYTES and (chunk := stream.read(size)):
        for line in _split_foreign_lines(chunk):
            yield line
            collected += len(line)
            if collected >= GUESS_BYTES:
                return
        if end is not None:
            return


def _split_foreign_lines(chunk: bytes) -> Iterator[bytes]:
    """Yield what stands on one line around bytes beyond ASCII."""
    if chunk.isascii():
        return
    end = 0
    for match in _FROM_FOREIGN.finditer(chunk):
        before = chunk[max(match.start() - _BEFORE_BYTES, end) : match.start()]
        yield before[max(before.rfind(b"\n"), before.rfind(b"\r")) + 1 :] + match[0]
        end = match.end()


def _is_damaged_utf8(sample: bytes) -> bool:
    """Return whether the bytes are UTF-8 but for a few that are not."""
    text = sample.decode("utf-8", errors="surrogateescape")
    good, bad = len(_FOREIGN.findall(text)), len(_STRAY.findall(text))
    if good >= _STRAY_SEQUENCES and good >= _STRAY_RATIO * bad:
        return True
    if len(_INSIDE_WORD.findall(text)) >= max(bad, 1):
        return True
    return good >= _SENSIBLE_RATIO * max(bad, 1) and _is_sensible(text)


def _is_sensible(text: str) -> bool:
    """Return whether each character beyond ASCII is a letter beside another, or a usual sign."""
    return all(
        match[0] in _SIGNS or (match[0].isalpha() and _has_letter_beside(text, match.start()))
        for match in _FOREIGN.finditer(text)
    )


def _has_letter_beside(text: str, place: int) -> bool:
    """Return whether a letter stands before or behind a place."""
    return text[max(place - 1, 0) : place].isalpha() or text[place + 1 : place + 2].isalpha()


def _encoding_error(stream: BinaryIO, scan: Scan, name: str, witness: str) -> FileError:
    """Return the error that tells where the file breaks its encoding."""
    stream.seek(scan.bad_offset)
    bad = stream.read(1)
    line = _find_line(stream, scan.bad_offset, name)
    what = f"0x{bad.hex().upper()}" if bad else "the end of the file"
    return FileError(
        f"Line {line:,}, byte {scan.bad_offset:,}: {what} is not valid {name.upper()}"
        f" ({scan.reason}), although the file is {name.upper()} by {witness}.",
        hint="Repair that place or save the file again as UTF-8, and drop it again.",
        code="encoding",
    )


def _find_line(stream: BinaryIO, end: int, name: str) -> int:
    """Return the number of the line that the byte at an offset stands in, from 1."""
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(name)()
    lines, position = LineCounter(), 0
    while position < end and (chunk := stream.read(min(CHUNK_BYTES, end - position))):
        lines.add(decoder.decode(chunk))
        position += len(chunk)
    return lines.line
