"""Take bounded pieces of text from a file: its beginning and a few stretches further on."""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

# Some hundreds to thousands of lines: more did not change an answer, less did.
HEAD_BYTES = 64 * 1024
# Lines can be so long that the head holds only a few; 10,000 columns take about 100 KB a line.
LONG_HEAD_BYTES = 1024 * 1024
_FEW_LINES = 20
# A surprise further on (quotes, other rows) should be seen without reading everything.
STRETCH_BYTES = 8 * 1024
_STRETCHES = 3
# More lines add time, not knowledge.
_HEAD_LINES = 1500
# For a second look, when reading the whole file has contradicted the first.
_THOROUGH_BYTES = 128 * 1024
_THOROUGH_LINES = 6000
_THOROUGH_STRETCHES = 24

# Some thousand say how quotes are used.
_MOST_OPENINGS = 2000

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Sample:
    """Physical lines of a file, without their line ends."""

    head: tuple[str, ...]
    """Lines from the beginning of the file."""
    stretches: tuple[tuple[str, ...], ...] = ()
    """Lines from further on, each stretch in order; empty when the head is the whole file."""
    complete: bool = True
    """The head is the whole file."""
    thorough: bool = False
    """Taken for a second look: reading the file has contradicted the first answer."""
    openings: tuple[str, ...] = ()
    """Lines from all over the file in which a quote begins a cell; only where they were asked for.
    """


def read_sample(
    stream: BinaryIO,
    encoding: str,
    size_bytes: int,
    quote_offset: int,
    *,
    thorough: bool = False,
) -> Sample:
    """Return the lines to decide by; `quote_offset` is where a quote was first seen, or -1."""
    head_bytes = _THOROUGH_BYTES if thorough else HEAD_BYTES
    text, read_bytes = _read_head(stream, encoding, head_bytes)
    if read_bytes < size_bytes and _says_little(text):
        longer, longer_bytes = _read_head(stream, encoding, LONG_HEAD_BYTES)
        # Nothing is learnt from more of a line that does not end at all.
        if longer_bytes >= size_bytes or _LINE_END.search(longer):
            text, read_bytes = longer, longer_bytes
    complete = read_bytes >= size_bytes
    lines = split_lines(text, complete=complete)
    count = _THOROUGH_STRETCHES if thorough else _STRETCHES
    offsets = () if complete else _choose_offsets(read_bytes, size_bytes, quote_offset, count)
    stretches = tuple(_read_stretches(stream, encoding, offsets))
    most = (_THOROUGH_LINES if thorough else _HEAD_LINES) + count_blank_lines(lines)
    whole = complete and len(lines) <= most
    return Sample(tuple(lines[:most]), stretches, whole, thorough)


def read_openings(stream: BinaryIO, encoding: str, delimiter: str) -> tuple[str, ...]:
    """Return lines of the whole file in which a double quote begins a cell; many are enough."""
    opening = re.compile(rf'(?:\A|[\r\n]|{re.escape(delimiter)}) ?"')
    lines: list[str] = []
    for text in _read_whole_lines(stream, encoding):
        if '"' in text and opening.search(text):
            lines += filter(opening.search, _LINE_END.split(text))
        if len(lines) >= _MOST_OPENINGS:
            break
    return tuple(lines[:_MOST_OPENINGS])


def _read_whole_lines(stream: BinaryIO, encoding: str) -> Iterator[str]:
    """Yield the text of the file in pieces that end with a line; longer lines are left out."""
    stream.seek(0)
    # Whether all can be decoded is not the question here.
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    held = ""
    while data := stream.read(LONG_HEAD_BYTES):
        text = held + decoder.decode(data)
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        yield text[:end]
        held = text[end:] if len(text) - end < LONG_HEAD_BYTES else ""
    yield held


def _says_little(text: str) -> bool:
    """Return whether the text is few lines, or blank ones for the most part."""
    return len(_LINE_END.findall(text)) < _FEW_LINES or len(text.lstrip()) < len(text) / 2


def count_blank_lines(lines: Sequence[str]) -> int:
    """Return how many lines at the beginning are blank."""
    return next((place for place, line in enumerate(lines) if line.strip()), len(lines))


def split_lines(text: str, *, complete: bool = True) -> list[str]:
    """Return the physical lines; the last one is dropped when it may have been cut off."""
    lines = _LINE_END.split(text)
    if lines[-1].strip("\x1a") == "" or (not complete and len(lines) > 1):
        # A Ctrl-Z behind the last line is how old systems end a file.
        lines.pop()
    return lines


def _read_head(stream: BinaryIO, encoding: str, limit_bytes: int) -> tuple[str, int]:
    """Return the text of the first bytes, without byte-order mark, and how many were read."""
    stream.seek(0)
    data = stream.read(limit_bytes)
    text = codecs.getincrementaldecoder(encoding)().decode(data, final=False)
    return text.removeprefix("\ufeff"), len(data)


def _choose_offsets(start: int, size_bytes: int, quote_offset: int, count: int) -> tuple[int, ...]:
    """Return where stretches begin: evenly over the rest, and around the first quote."""
    step = max((size_bytes - start) // (count + 1), 1)
    offsets = [start + step * number for number in range(1, count + 1)]
    if quote_offset >= start:
        offsets.append(max(quote_offset - STRETCH_BYTES // 2, start))
    return tuple(offset // 4 * 4 for offset in offsets)


def _read_stretches(
    stream: BinaryIO, encoding: str, offsets: tuple[int, ...]
) -> Iterator[tuple[str, ...]]:
    """Yield the whole lines found at each offset."""
    for offset in offsets:
        stream.seek(offset)
        lines = _decode_stretch(stream.read(STRETCH_BYTES), encoding)
        if lines:
            yield tuple(lines)


def _decode_stretch(data: bytes, encoding: str) -> list[str]:
    """Return the whole lines within the bytes; none when they cannot be told apart."""
    if not encoding.startswith(("utf-16", "utf-32")):
        # Cut at line ends first: the piece may begin and end within a character.
        data = data[data.find(b"\n") : data.rfind(b"\n") + 1]
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return []
    return _LINE_END.split(text)[1:-1]
