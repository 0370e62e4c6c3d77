"""Delimited text inside gzip: read as it is unpacked, never whole in memory or on the disk."""

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
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

    def detect(self, path: Path, *, thorough: bool = False) -> Layout:
        """Return how the text inside is written, by its first 32 MiB."""
        with path.open("rb") as packed, tempfile.NamedTemporaryFile(suffix=path.stem) as sample:
            with _unpacked(packed) as stream:
                _copy_sample(stream, sample)
            return self._inner.detect(Path(sample.name), thorough=thorough)

    def read(
        self, source: BinaryIO, layout: Layout, reader: str, *, max_record_bytes: int
    ) -> Iterator[Batch]:
        """Yield all data records; see `Parser.read`. `source` is read to its end, packed."""
        with _unpacked(source) as stream:
            yield from self._inner.read(stream, layout, reader, max_record_bytes=max_record_bytes)
        while source.read(_BLOCK_BYTES):
            pass


class _Unpacker(RawIOBase):
    """The bytes inside, as long as they are not suspiciously many."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__()
        self._packed = _Counter(packed)
        self._inside = gzip.GzipFile(fileobj=cast("IO[bytes]", self._packed), mode="rb")
        self._bytes = 0

    def readable(self) -> bool:
        """Return True: this is what it is for."""
        return True

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


def _copy_sample(stream: BinaryIO, sample: IO[bytes]) -> None:
    """Copy the beginning, and only whole lines of it where that is not all."""
    data = stream.read(_SAMPLE_BYTES)
    if len(data) == _SAMPLE_BYTES and stream.read(1):
        # In UTF-16 and UTF-32 the byte of a line end is only a part of it.
        is_wide = b"\0" in data[:64]
        data = data[: len(data) // 4 * 4] if is_wide else data[: data.rfind(b"\n") + 1] or data
    sample.write(data)
    sample.flush()
