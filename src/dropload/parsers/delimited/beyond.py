"""Look, while a file is read, at what detection has not looked at."""

from typing import BinaryIO

from dropload.detection.scan import Utf8Scan
from dropload.model import Layout
from dropload.parsers.base import MisjudgedError


class Beyond:
    """The bytes of a file whose layout was found in its beginning, which is UTF-8."""

    def __init__(self, source: BinaryIO, layout: Layout) -> None:
        self._source = source
        self._seen_bytes = layout.seen_bytes
        self._scan = Utf8Scan()

    @property
    def has_marks(self) -> bool:
        """Return whether the first quote, or the first escape, has come behind the beginning."""
        found = self._scan.found
        return max(found.quote_offset, found.escape_offset) >= self._seen_bytes

    def read(self, size: int) -> bytes:
        """Return some next bytes, none only at the end; raises MisjudgedError where not UTF-8."""
        data = self._source.read(size)
        if not (self._scan.add(data) if data else self._scan.is_whole):
            raise MisjudgedError("bytes that are not UTF-8 behind the beginning")
        return data
