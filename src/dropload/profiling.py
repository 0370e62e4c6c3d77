"""Read a whole file once and say what is in it: hash, rows, column types, refused rows."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import (
    MOST_SHORT,
    ColumnTypeDetector,
    Hints,
    gather_marks,
    rewrite_columns,
    texts_of_columns,
)
from dropload.errors import FileError
from dropload.footers import MOST_LINES, PATTERN, find_footer
from dropload.model import ColumnProfile, Layout, Profile, Reject
from dropload.naming import clean_column_names
from dropload.parsers.base import Batch, Parser, UnfaithfulError
from dropload.read_ahead import read_ahead
from dropload.row_checks import RowCheck

MAX_KEPT_REJECTS = 100
"""Refused rows that a profile carries whole; all are counted."""
_GATHERED_ROWS = 64_000
"""Batches are looked at together until they have so many rows: with fewer, calling Arrow for each
column, and waking the threads that do, takes longer than what it does (measured: 60 columns take
2.5 times as long by 1,900; 1,000,000 rows of 6 take a tenth more of a processor by 16,000)."""
_MOST_GATHERED_BYTES = 8 << 20
"""Batches of long rows are looked at before they take more memory than this."""
_THREADS = min(4, len(os.sched_getaffinity(0)))
"""Columns that are looked at at once."""


OnBatch = Callable[[Batch, str], None]
"""Gets the good records of a batch, and the name of the reader that has read them."""


class _Source(NamedTuple):
    """What is known of a file by its bytes; of one that was not read to its end, nothing."""

    file_hash: str = ""
    hash_algorithm: str = ""
    size_bytes: int = 0
    ends_with_line: bool = False


class HashingStream(RawIOBase, BinaryIO):
    """The bytes of a file, hashed as they are read."""

    def __init__(self, source: BinaryIO, algorithm: str) -> None:
        super().__init__()
        self.algorithm = algorithm
        self.size_bytes = 0
        """Bytes read so far."""
        self._source = source
        self._last_bytes = b""
        # Not for secrecy: it tells whether two files are the same.
        self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def read(self, size: int = -1, /) -> bytes:
        """Return some next bytes, none only at the end."""
        data = self._source.read(size)
        self._hash.update(data)
        self.size_bytes += len(data)
        self._last_bytes = data[-4:] or self._last_bytes
        return data

    @property
    def ends_with_line(self) -> bool:
        """Return whether the bytes read so far end with a line end, or are packed."""
        packed = self.name.lower().endswith(".gz")
        return packed or self._last_bytes.rstrip(b"\0\x1a").endswith((b"\n", b"\r"))

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return str(self._source.name)

    @property
    def mode(self) -> str:
        """Return how it is open."""
        return "rb"

    def readable(self) -> bool:
        """Return True: that is all it can do."""
        return True

    def hexdigest(self) -> str:
        """Return the hash of what has been read: of the whole file once the end is reached."""
        return self._hash.hexdigest()

    def seen(self) -> _Source:
        """Return what all bytes say; they must have been read to their end."""
        return _Source(self.hexdigest(), self.algorithm, self.size_bytes, self.ends_with_line)


@contextmanager
def open_hashed(path: Path, algorithm: str) -> Iterator[HashingStream]:
    """Open a file for one reading from beginning to end that also hashes it."""
    # Unbuffered: readers ask for large blocks, a buffer would only copy them once more.
    with path.open("rb", buffering=0) as source:
        yield HashingStream(source, algorithm)


def profile_file(
    path: Path,
    layout: Layout,
    parser: Parser,
    *,
    hash_algorithm: str,
    max_record_bytes: int,
    check: RowCheck | None = None,
    hints: Hints = Hints(),  # noqa: B008 - it cannot be changed
    on_progress: Callable[[int, int], None] | None = None,
    on_batch: OnBatch | None = None,
) -> Profile:
    """Return what one streaming read of the whole file finds; memory does not grow with it.

    The first reader of the parser that is faithful to the file does it; when one finds out half
    way that it is not, the next starts again. `hints` settle columns that can be read in two
    ways. `on_progress` is called with the records, good and bad, and the bytes read so far. With a
    `check`, rows that it refuses are rejects. `on_batch` gets what is good of each batch, and the
    reader's name: all of the file from the one that is named in the profile.

    Raises what the parser raises: FileError for an unreadable file, MisjudgedError for a layout
    that the rest of the file contradicts.
    """
    for reader in parser.readers:
        with ThreadPoolExecutor(_THREADS) as pool, open_hashed(path, hash_algorithm) as stream:
            tally = _Tally(layout, hints, pool)
            try:
                found = parser.read(stream, layout, reader, max_record_bytes=max_record_bytes)
                with read_ahead(found) as batches:
                    for batch in batches:
                        good = batch if check is None else check.sift(batch)
                        if on_batch is not None:
                            on_batch(good, reader)
                        tally.add(good)
                        if on_progress is not None:
                            on_progress(tally.rows, stream.size_bytes)
            except UnfaithfulError:
                continue
            return tally.profile(stream.seen(), reader)
    raise FileError(
        f"{path.name} cannot be read as {parser.name}: no reader returns what is written.",
        hint="Save it again, with quotes around text and one record a line.",
    )


def profile_batches(batches: Sequence[Batch], layout: Layout, reader: str, hints: Hints) -> Profile:
    """Return what is found in batches that begin a file; nothing is known of the whole of it."""
    with ThreadPoolExecutor(_THREADS) as pool:
        tally = _Tally(layout, hints, pool)
        for batch in batches:
            tally.add(batch)
        return tally.profile(_Source(), reader)


def first_rows(
    path: Path,
    layout: Layout,
    parser: Parser,
    profile: Profile,
    count: int,
    *,
    max_record_bytes: int,
) -> list[tuple[str | None, ...]]:
    """Return the first good records, each value as its type prints it; null is None."""
    columns = enumerate(profile.columns)
    notations = {at: found.type.notation for at, found in columns if found.type.notation}
    rows: list[tuple[str | None, ...]] = []
    with path.open("rb") as stream:
        for batch in parser.read(stream, layout, profile.reader, max_record_bytes=max_record_bytes):
            records = rewrite_columns(batch.records.slice(0, count - len(rows)), notations)
            rows += zip(*(column.to_pylist() for column in records.columns), strict=True)
            if len(rows) >= count:
                break
    return rows


class _Tally:
    """What has been found so far."""

    def __init__(self, layout: Layout, hints: Hints, pool: Executor) -> None:
        self.rows = 0
        self._pool = pool
        self._layout = layout
        self._detectors = [ColumnTypeDetector(hints) for _ in range(layout.width)]
        self._gathered: list[Batch] = []
        self._gathered_rows = 0
        self._gathered_bytes = 0
        self._rejected = 0
        self._rejects: list[Reject] = []
        self._begins_like_footers = False
        self._last: deque[Reject] = deque(maxlen=MOST_LINES)

    def add(self, batch: Batch) -> None:
        """Take the next batch into account, in the order of the file."""
        self.rows += batch.records.num_rows + len(batch.rejects)
        self._rejected += len(batch.rejects)
        self._rejects.extend(batch.rejects[: MAX_KEPT_REJECTS - len(self._rejects)])
        self._last.extend(batch.rejects[-MOST_LINES:])
        self._gathered.append(batch)
        self._gathered_rows += batch.records.num_rows + len(batch.rejects)
        self._gathered_bytes += batch.records.nbytes
        if self._gathered_rows >= _GATHERED_ROWS or self._gathered_bytes >= _MOST_GATHERED_BYTES:
            self._observe_gathered()

    def _observe_gathered(self) -> None:
        """Let the detectors see what has come since the last time: few rows are not worth it."""
        if not self._gathered:
            return
        gathered = [batch.records for batch in self._gathered]
        source_rows = pa.concat_arrays([batch.source_rows for batch in self._gathered])
        self._gathered.clear()
        self._gathered_rows = self._gathered_bytes = 0
        if len(source_rows) > MOST_SHORT:
            self._observe_many(gathered, source_rows)
        else:
            self._observe_few(pa.concat_batches(gathered), source_rows)
        # No number, day or other typed value begins like a footer.
        if not self._begins_like_footers and self._detectors[0].is_text:
            firsts = (records.column(0) for records in gathered)
            found = (pc.match_substring_regex(first, PATTERN) for first in firsts)
            self._begins_like_footers = any(pc.any(likes).as_py() for likes in found)

    def _observe_few(self, records: pa.RecordBatch, source_rows: pa.Array) -> None:
        shorts = texts_of_columns(records)
        for detector, column, short in zip(self._detectors, records.columns, shorts, strict=True):
            detector.observe(column, source_rows, short)

    def _observe_many(self, gathered: list[pa.RecordBatch], source_rows: pa.Array) -> None:
        """Look at several columns at once: Arrow lets other threads go on meanwhile."""

        def observe(share: int) -> None:
            for position in range(share, len(self._detectors), _THREADS):
                column = pa.concat_arrays([records.column(position) for records in gathered])
                self._detectors[position].observe(column, source_rows)

        deque(self._pool.map(observe, range(_THREADS)), maxlen=0)

    def profile(self, source: _Source, reader: str) -> Profile:
        """Return what all batches together say."""
        self._observe_gathered()
        footer: tuple[Reject, ...] = ()
        # A line that does not end may be a row whose transfer broke off.
        is_certain = source.ends_with_line and not self._begins_like_footers
        if self.rows > self._rejected and is_certain:
            footer = find_footer(self._last, self.rows, self._layout.width)
        rows = self.rows - len(footer)
        return Profile(
            file_hash=source.file_hash,
            hash_algorithm=source.hash_algorithm,
            size_bytes=source.size_bytes,
            rows=rows,
            columns=self._columns(),
            rejected_rows=self._rejected - len(footer),
            rejects=tuple(reject for reject in self._rejects if reject.source_row <= rows),
            reader=reader,
            footer=footer,
        )

    def _columns(self) -> tuple[ColumnProfile, ...]:
        sources = self._layout.header_names
        names = clean_column_names(sources)
        marks = gather_marks(self._detectors)
        columns = []
        for name, source, detector in zip(names, sources, self._detectors, strict=True):
            found = detector.decide(marks)
            nulls, longest = detector.nulls, detector.max_length
            columns.append(
                ColumnProfile(
                    name,
                    source,
                    found.type,
                    nulls,
                    longest,
                    found.note,
                    found.doubt,
                    found.nearly,
                    found.pointed,
                )
            )
        return tuple(columns)
