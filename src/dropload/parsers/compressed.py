"""Delimited text inside gzip: read as it is unpacked, never whole in memory or on the disk."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, SEEK_SET, BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from typing import IO, BinaryIO, cast

from dropload.errors import FileError
from dropload.model import Layout
from dropload.parsers.base import Batch
from dropload.parsers.delimited import DelimitedParser

MAX_EXPANSION = 200
"""An archive that unpacks to more times its size is taken for a trap: tables reach 10 to 50."""
_FREE_BYTES = 100 << 20
"""Up to here nothing is said: small archives may hold very even tables."""
_SAMPLE_BYTES = 32 << 20
"""What is unpacked to find out how the file is written; reading it all checks that."""
_BLOCK_BYTES = 1 << 20


class GzipParser:
    """What `DelimitedParser` reads, packed with gzip."""

    name = "gzip"
    suffixes: tuple[str, ...] = tuple(f"{suffix}.gz" for suffix in DelimitedParser.suffixes)
    readers: tuple[str, ...] = DelimitedParser.readers

    def __init__(self) -> None:
        self._inner = DelimitedParser()

    def detect(self, path: Path, *, thorough: bool = False, whole: bool = False) -> Layout:
        """Return how the text inside is written, by its first bytes where those are to do."""
        from dropload.detection import lay_out  # noqa: PLC0415 - see `delimited`

        with path.open("rb") as packed, _unpacked(packed) as stream:
            layout = None if thorough or whole else _lay_out_sample(stream)
            return layout or lay_out(stream, thorough=thorough, whole=True)

    def read(
        self, source: BinaryIO, layout: Layout, reader: str, *, max_record_bytes: int
    ) -> Iterator[Batch]:
        """Yield all data records; see `Parser.read`. `source` is read to its end, packed."""
        with _unpacked(source) as stream:
            yield from self._inner.read(stream, layout, reader, max_record_bytes=max_record_bytes)
        while source.read(_BLOCK_BYTES):
            pass


class _Unpacker(RawIOBase):
    """The bytes inside, as long as they are not suspiciously many.

    To go back to an earlier one, all before it are unpacked anew.
    """

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__()
        self._source = packed
        self._begin()

    def _begin(self) -> None:
        self._packed = _Counter(self._source)
        self._inside = gzip.GzipFile(fileobj=cast("IO[bytes]", self._packed), mode="rb")
        self._bytes = 0

    def readable(self) -> bool:
        """Return True: this is what it is for."""
        return True

    def seekable(self) -> bool:
        """Return whether the archive can be read anew."""
        return self._source.seekable()

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        """Go to an offset from the beginning, from here, or from the end; return where it is."""
        if whence == SEEK_END:
            self.seek(sys.maxsize)
        goal = offset + (self._bytes if whence != SEEK_SET else 0)
        if goal < self._bytes:
            self._source.seek(0)
            self._begin()
        while self._bytes < goal and self.read(min(_BLOCK_BYTES, goal - self._bytes)):
            pass
        return self._bytes

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Fill the buffer with unpacked bytes; return how many, 0 at the end."""
        try:
            count = self._inside.readinto(buffer)
        except EOFError as exc:
            raise FileError(
                "The archive ends before its content does: the transfer broke off.",
                hint="Send it again.",
                code="damaged_archive",
            ) from exc
        except (OSError, zlib.error) as exc:
            if isinstance(exc, OSError) and not isinstance(exc, gzip.BadGzipFile):
                raise
            raise FileError(
                f"This is no whole gzip archive: {exc}.",
                hint="Pack the file again, or drop it unpacked.",
                code="damaged_archive",
            ) from exc
        self._bytes += count
        if self._bytes > max(_FREE_BYTES, MAX_EXPANSION * self._packed.count):
            raise FileError(
                f"The archive unpacks to more than {MAX_EXPANSION} times its size.",
                hint="If that is right, unpack it and drop the file inside.",
                code="expansion",
            )
        return count


class _Counter:
    """Counts the packed bytes as they are read."""

    def __init__(self, source: BinaryIO) -> None:
        self.count = 0
        self._source = source

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` packed bytes, and count them."""
        data = self._source.read(size)
        self.count += len(data)
        return data


@contextmanager
def _unpacked(packed: BinaryIO) -> Iterator[BinaryIO]:
    with BufferedReader(_Unpacker(packed), _BLOCK_BYTES) as stream:
        yield cast("BinaryIO", stream)


def _lay_out_sample(stream: BinaryIO) -> Layout | None:
    """Return how the text is written by its first bytes; None where only all of it can say."""
    from dropload.detection import lay_out, lay_out_beginning  # noqa: PLC0415 - see `delimited`

    sample = stream.read(_SAMPLE_BYTES)
    if not stream.read(1):
        return lay_out(BytesIO(sample), whole=True)
    sample = sample[: _count_bytes_of_lines(sample)]
    return lay_out_beginning(BytesIO(sample), len(sample)) if sample else None


def _count_bytes_of_lines(text: bytes) -> int:
    """Return how many bytes whole lines of text take, in what an ASCII character is one byte of."""
    # A carriage return at the very end may be the first half of a line end.
    return max(text.rfind(b"\n"), text.rfind(b"\r", 0, -1)) + 1
