"""Turn a file's bytes into text, strictly: what cannot be decoded is an error, never replaced."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from dropload.detection.line_ends import LineCounter
from dropload.errors import FileError

BOM = "\ufeff"
CTRL_Z = "\x1a"
"""DOS programs end a text file with it; at the very end it belongs to no value."""
UTF8_BOM = codecs.BOM_UTF8
_HELD_PIECE = 1 << 20


def read_chunks(source: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    """Yield the bytes of `source` to its end."""
    while chunk := source.read(chunk_bytes):
        yield chunk


def decode_chunks(source: BinaryIO, encoding: str, chunk_bytes: int) -> Iterator[str]:
    """Yield the text of `source` without a byte-order mark and without a trailing Ctrl-Z.

    Raises FileError (code `encoding`) that names the line of the first byte that is not text.
    """
    return drop_ctrl_z(_drop_bom(_decode(source, encoding, chunk_bytes)))


def drop_ctrl_z(chunks: Iterator[str]) -> Iterator[str]:
    """Yield `chunks` without the run of Ctrl-Z that ends them, if there is one."""
    held = 0
    for chunk in chunks:
        body = chunk.rstrip(CTRL_Z)
        if body:
            # Counted, not kept: a file of nothing else must not fill the memory.
            while held:
                piece = min(held, _HELD_PIECE)
                yield CTRL_Z * piece
                held -= piece
            yield body
        held += len(chunk) - len(body)


def is_utf8(encoding: str) -> bool:
    """Return whether the bytes of a file in this encoding are UTF-8 as they stand."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _drop_bom(chunks: Iterator[str]) -> Iterator[str]:
    first = next(chunks, "")
    yield first.removeprefix(BOM)
    yield from chunks


def _decode(source: BinaryIO, encoding: str, chunk_bytes: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    lines = LineCounter()
    for chunk in read_chunks(source, chunk_bytes):
        if text := _decode_chunk(decoder, chunk, lines, final=False, encoding=encoding):
            yield text
    if text := _decode_chunk(decoder, b"", lines, final=True, encoding=encoding):
        yield text


def _decode_chunk(
    decoder: codecs.IncrementalDecoder,
    chunk: bytes,
    lines: LineCounter,
    *,
    final: bool,
    encoding: str,
) -> str:
    state = decoder.getstate()
    try:
        text = decoder.decode(chunk, final)
    except UnicodeDecodeError as exc:
        decoder.setstate(state)
        good = exc.object[len(state[0]) : exc.start]
        lines.add(decoder.decode(good))
        raise _undecodable(exc, encoding, lines.line) from exc
    lines.add(text)
    return text


def _undecodable(exc: UnicodeDecodeError, encoding: str, line: int) -> FileError:
    byte = exc.object[exc.start : exc.start + 1].hex().upper() or "none"
    return FileError(
        f"Line {line:,}: the byte 0x{byte} is not {encoding} text.",
        hint="Save the file again as UTF-8, or find out which program wrote that line.",
        code="encoding",
    )
