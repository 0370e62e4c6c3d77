"""Delimited text (CSV, TSV and their kin): one layout, two readers that agree on every cell.

Detection and readers are imported when a file is read (a worker has imported them before): the
daemon asks a parser only for the endings of file names, and need not carry Arrow for that.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from dropload.model import Layout
from dropload.parsers.base import Batch

__all__ = ["DelimitedParser"]

_CHUNK_BYTES = 1 << 20
FEW_BYTES = 8 << 10
"""The tolerant reader has read so little before pyarrow has begun (measured: 1 KB takes 0.2 ms
instead of 0.8; with 18 KB they are equal)."""


class DelimitedParser:
    """Comma, tab, semicolon, pipe and other separated text, quoted or not."""

    name = "delimited"
    suffixes: tuple[str, ...] = (".csv", ".tsv", ".tab", ".txt", ".psv", ".dat")
    readers: tuple[str, ...] = ("columnar", "tolerant")

    def detect(self, path: Path, *, thorough: bool = False, whole: bool = False) -> Layout:
        """Return how the file is written; raise FileError when it is not delimited text."""
        from dropload.detection import detect_layout  # noqa: PLC0415 - see above

        return detect_layout(path, thorough=thorough, whole=whole)

    def read(
        self, source: BinaryIO, layout: Layout, reader: str, *, max_record_bytes: int
    ) -> Iterator[Batch]:
        """Yield all data records of `source`; see `Parser.read`."""
        from dropload.parsers.delimited.beyond import Beyond  # noqa: PLC0415

        if not layout.seen_bytes:
            yield from self._read(source, layout, reader, max_record_bytes)
            return
        beyond = Beyond(source, layout)
        for batch in self._read(cast("BinaryIO", beyond), layout, reader, max_record_bytes):
            yield replace(batch, is_late=True) if beyond.has_marks else batch

    def _read(
        self, source: BinaryIO, layout: Layout, reader: str, max_record_bytes: int
    ) -> Iterator[Batch]:
        from dropload.parsers.delimited.columnar import read_columnar  # noqa: PLC0415 - see above
        from dropload.parsers.delimited.tolerant import read_tolerant  # noqa: PLC0415

        if layout.width:
            begun = _Begun(source)
            is_fast = reader == "columnar" and not begun.is_small
            read = read_columnar if is_fast else read_tolerant
            yield from read(cast("BinaryIO", begun), layout, max_record_bytes=max_record_bytes)
        # The hash is of the whole file, even where nothing is left to parse.
        while source.read(_CHUNK_BYTES):
            pass


class _Begun:
    """A stream whose first bytes are known before it is read."""

    def __init__(self, source: BinaryIO) -> None:
        first = source.read(_CHUNK_BYTES)
        more = source.read(_CHUNK_BYTES) if len(first) <= FEW_BYTES else b""
        self._first, self._source = first + more, source
        self.is_small = len(self._first) <= FEW_BYTES and not more
        """These are all of them."""

    def read(self, size: int) -> bytes:
        """Return some next bytes, none only at the end."""
        given, self._first = self._first[:size], self._first[size:]
        return given or self._source.read(size)
