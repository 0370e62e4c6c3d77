"""What every file format must offer: say how a file is written, and read it as batches of text."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from dropload.model import Layout, Reject

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that were read together, as columns of text."""

    records: "pa.RecordBatch"
    """One `pa.string()` column per column of the file, in its order, named c0, c1, ...; null for
    an empty unquoted cell, the empty string for a quoted one. Good records only."""
    source_rows: "pa.Array"
    """int64: for each record its number in the file, from 1, header and blank lines not counted."""
    rejects: tuple[Reject, ...] = ()
    """Records of the same stretch that were refused, in their order."""
    lines: "pa.Array | None" = None
    """int64: for each record the physical line on which it starts, from 1; None where the reader
    has not counted lines."""
    is_late: bool = False
    """Something was read by now that has a say in how a file is written, and the layout was found
    without it: look at the whole file before this counts."""


class UnfaithfulError(Exception):
    """The fast reader cannot read this file exactly: read it again with the tolerant one."""


class MisjudgedError(Exception):
    """The file is not written as its beginning said: look at the whole of it."""


class Parser(Protocol):
    """One family of file formats, found by the entry point group `dropload.parsers`."""

    name: str
    suffixes: tuple[str, ...]
    """File name endings in lower case, with the dot."""
    readers: tuple[str, ...]
    """Names of its readers, fastest first; the last one reads everything that is readable."""

    def detect(self, path: Path, *, thorough: bool = False, whole: bool = False) -> Layout:
        """Return how the file is written; raise FileError when it is not of this family.

        What that rests on may be the beginning of the file, and `Layout.seen_bytes` says so: then
        `whole` may be asked for. `thorough` may take longer still: reading the file has
        contradicted the first answer.
        """
        ...

    def read(
        self, source: BinaryIO, layout: Layout, reader: str, *, max_record_bytes: int
    ) -> Iterator[Batch]:
        """Yield all data records of `source`, a stream of the file's bytes from the beginning.

        Memory is bounded by the batch and `max_record_bytes`, not by the file. Raise FileError
        when the file is unreadable as laid out, UnfaithfulError when this `reader` would not
        return exactly what is written, MisjudgedError when the layout rests on the beginning of
        the file and the rest is written otherwise. Bytes are read to the very end, so that a
        hashing stream has seen the whole file.
        """
        ...
