"""Delimited text (CSV, TSV and their kin): one layout, two readers that agree on every cell."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dropload.detection import detect_layout
from dropload.model import Layout
from dropload.parsers.base import Batch
from dropload.parsers.delimited.columnar import read_columnar
from dropload.parsers.delimited.text import read_chunks
from dropload.parsers.delimited.tolerant import read_tolerant

__all__ = ["DelimitedParser"]

_DRAIN_BYTES = 1 << 20


class DelimitedParser:
    """Comma, tab, semicolon, pipe and other separated text, quoted or not."""

    name = "delimited"
    suffixes: tuple[str, ...] = (".csv", ".tsv", ".tab", ".txt", ".psv", ".dat")
    readers: tuple[str, ...] = ("columnar", "tolerant")

    def detect(self, path: Path, *, thorough: bool = False) -> Layout:
        """Return how the file is written; raise FileError when it is not delimited text."""
        return detect_layout(path, thorough=thorough)

    def read(
        self, source: BinaryIO, layout: Layout, reader: str, *, max_record_bytes: int
    ) -> Iterator[Batch]:
        """Yield all data records of `source`; see `Parser.read`."""
        if layout.width:
            read = read_columnar if reader == "columnar" else read_tolerant
            yield from read(source, layout, max_record_bytes=max_record_bytes)
        # The hash is of the whole file, even where nothing is left to parse.
        for _ in read_chunks(source, _DRAIN_BYTES):
            pass
