"""Read delimited text with pyarrow, and refuse to where it would not return what is written."""

import codecs
from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import chain
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from dropload.detection.line_ends import count_breaks
from dropload.detection.splitting import hides_rows
from dropload.errors import FileError
from dropload.model import Layout
from dropload.parsers.base import Batch, UnfaithfulError
from dropload.parsers.delimited.blocks import Block, cut_blocks
from dropload.parsers.delimited.records import RecordSplitter
from dropload.parsers.delimited.text import (
    CTRL_Z,
    UTF8_BOM,
    decode_chunks,
    is_utf8,
    read_chunks,
)
from dropload.parsers.delimited.tolerant import read_stretch

BLOCK_BYTES = 1 << 20
"""Measured: smaller blocks are slower, larger ones only cost memory."""
_PART_BYTES = 1 << 16
"""Of a block with a ragged record in it; parts are tried on their own."""
_MAX_HEAD_BYTES = 16 << 20
"""Lines to skip and header; more is left to the tolerant reader."""
_MOST_JUDGED = 10_000
"""Records of several lines that are looked at for hidden rows: each costs some microseconds."""
_ABSENT = "\x1f"
"""Delimiter for files of one column; a file that holds it is left to the tolerant reader."""


def read_columnar(
    source: BinaryIO, layout: Layout, *, max_record_bytes: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[Batch]:
    """Yield all data records as the tolerant reader would, or raise UnfaithfulError on the way.

    pyarrow pads nothing and drops nothing, but it is silent about quotes that are never closed,
    text behind a closing quote, and quotes that open in one record and close in another. So the
    bytes that it is fed are checked first: see `cut_blocks`. Records with such quotes, with escapes
    or a NUL, and those that do not have the header's width, are read by the tolerant reader, with
    what is around them: see `_read_blocks`.
    """
    _refuse_layout(layout)
    # A record may take two blocks: none may be longer than the limit.
    block_bytes = min(block_bytes, max_record_bytes // 2)
    hidden = _HiddenRows(layout)
    chunks, first_line = _skip_head(
        _utf8_chunks(source, layout, block_bytes), layout, max_record_bytes, hidden
    )
    body = _refuse_absent(_end_line(_drop_ctrl_z(chunks), layout), layout)
    numbered = _Numbering()
    row = 0
    for block, found in _read_blocks(cut_blocks(body, layout, first_line, block_bytes), layout):
        if not row and block.data.startswith(UTF8_BOM):
            raise UnfaithfulError("a byte-order mark in the first record")
        if found is None:
            splitter = RecordSplitter(layout, max_record_bytes, first_line=block.first_line)
            batches = list(_read_tolerantly(block, layout, row, splitter))
            hidden.note(splitter)
        else:
            batches = list(numbered(block, found, row))
            hidden.look_at(block, batches)
        for batch in batches:
            row += batch.records.num_rows + len(batch.rejects)
            yield batch


class _HiddenRows:
    """Refuses files in which lines of a record could be rows, and quotes stand within cells, too.

    Who reads the whole file says what is wrong with it.
    """

    def __init__(self, layout: Layout) -> None:
        self._delimiter = layout.delimiter
        self._quote = layout.quotechar
        self._width = layout.width
        self._sees_bare_quote = False
        self._sees_hidden_rows = False
        self._left = _MOST_JUDGED

    def note(self, splitter: RecordSplitter) -> None:
        """Take into account what the tolerant reader has seen; raises UnfaithfulError."""
        self._sees_bare_quote = self._sees_bare_quote or splitter.sees_bare_quote
        self._sees_hidden_rows = self._sees_hidden_rows or splitter.sees_hidden_rows
        self._refuse()

    def look_at(self, block: Block, batches: Iterable[Batch]) -> None:
        """Take into account what pyarrow has read; raises UnfaithfulError."""
        if self._sees_hidden_rows or not self._quote or self._quote.encode() not in block.data:
            return
        found = [batch.records for batch in batches]
        if block.line_breaks != sum(records.num_rows for records in found):
            self._sees_hidden_rows = any(map(self._hides_rows, found))
            self._refuse()

    def _refuse(self) -> None:
        if self._sees_bare_quote and self._sees_hidden_rows:
            raise UnfaithfulError("quotes within cells, and quotes that may join rows")

    def _hides_rows(self, records: pa.RecordBatch) -> bool:
        """Return whether a record's lines could be rows; so it is where very many have several."""
        masks = (pc.match_substring_regex(column, "[\\r\\n]") for column in records.columns)
        long = records.filter(reduce(pc.or_, (pc.fill_null(mask, False) for mask in masks)))
        self._left -= long.num_rows
        if self._left < 0:
            return True
        rows = zip(*(column.to_pylist() for column in long.columns), strict=True)
        texts = (self._delimiter.join(map(self._as_written, row)) for row in rows)
        return any(hides_rows(text, self._delimiter, self._quote, self._width) for text in texts)

    def _as_written(self, cell: str | None) -> str:
        """Return a cell as the file has it; quotes that need not be there make no difference."""
        text = cell or ""
        if {self._quote, self._delimiter, "\r", "\n"}.isdisjoint(text):
            return text
        return f"{self._quote}{text.replace(self._quote, 2 * self._quote)}{self._quote}"


class _Numbering:
    """Says which records, on which lines, pyarrow has found in a block."""

    def __init__(self) -> None:
        self._counted = pa.array([], pa.int64())
        """1, 2, 3, ... as far as it was needed."""

    def __call__(
        self, block: Block, found: Iterable[pa.RecordBatch], rows_before: int
    ) -> Iterator[Batch]:
        """Yield them all as batches; there is one, or none."""
        for records in found:
            if len(self._counted) < records.num_rows:
                self._counted = pa.array(range(1, records.num_rows + 1), pa.int64())
            numbers = self._counted.slice(0, records.num_rows)
            # Without blank lines, and line ends within quotes, each record is one line.
            is_line_each = block.line_breaks == records.num_rows
            lines = pc.add(numbers, block.first_line - 1) if is_line_each else None
            yield Batch(records, pc.add(numbers, rows_before), lines=lines)


def _read_blocks(
    blocks: Iterable[Block], layout: Layout
) -> Iterator[tuple[Block, list[pa.RecordBatch] | None]]:
    """Yield blocks and what pyarrow finds in them, None for what it cannot read.

    That is cut into parts before, to leave little to the tolerant reader, which takes twelve times
    as long; smaller ones are not worth it, and a block stays whole where a record is longer.
    """
    read = _BlockReader(layout)
    for block in blocks:
        if block.is_doubtful:
            yield block, None
            continue
        found = read(block.data)
        if found is None and len(block.data) > _PART_BYTES:
            yield from ((part, read(part.data)) for part in _parts(block, layout))
        else:
            yield block, found


def _parts(block: Block, layout: Layout) -> list[Block]:
    try:
        return list(cut_blocks([block.data], layout, block.first_line, _PART_BYTES))
    except UnfaithfulError:
        return [block]


class _BlockReader:
    """Has pyarrow read one block after the other."""

    def __init__(self, layout: Layout) -> None:
        self._names = [f"c{position}" for position in range(layout.width)]
        self._skips_blanks = layout.skip_initial_space
        self._is_ragged = False
        self._parse_options = csv.ParseOptions(
            delimiter=layout.delimiter or _ABSENT,
            quote_char=layout.quotechar or False,
            double_quote=True,
            escape_char=False,
            newlines_in_values=True,
            ignore_empty_lines=True,
            invalid_row_handler=self._note_ragged,
        )
        self._convert_options = csv.ConvertOptions(
            column_types=dict.fromkeys(self._names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    def __call__(self, data: bytes) -> list[pa.RecordBatch] | None:
        """Return the block's records, None where one has more or fewer cells than it should, say.

        They are in one batch, in none where there are only blank lines.
        """
        if data.startswith(UTF8_BOM):
            return None  # pyarrow would drop it: here it belongs to a value
        self._is_ragged = False
        # One thread is as fast, and the order of rows is certain.
        options = csv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=self._names
        )
        try:
            table = csv.read_csv(
                pa.BufferReader(data), options, self._parse_options, self._convert_options
            )
        except pa.ArrowException as exc:
            if self._is_ragged:
                return None
            raise UnfaithfulError(str(exc)) from exc
        batches: list[pa.RecordBatch] = table.combine_chunks().to_batches()
        return list(map(_without_lead, batches)) if self._skips_blanks else batches

    def _note_ragged(self, _row: csv.InvalidRow) -> str:
        self._is_ragged = True
        return "error"


def _without_lead(records: pa.RecordBatch) -> pa.RecordBatch:
    """Return the records without blanks before their values, none of which is quoted."""
    columns = []
    for column in records.columns:
        texts = pc.utf8_ltrim(column, characters=" ")
        columns.append(pc.if_else(pc.equal(pc.binary_length(texts), 0), None, texts))
    return pa.RecordBatch.from_arrays(columns, schema=records.schema)


def _read_tolerantly(
    block: Block, layout: Layout, rows_before: int, splitter: RecordSplitter
) -> Iterator[Batch]:
    try:
        yield from read_stretch(block.data.decode(), layout, splitter, rows_before=rows_before)
    except (UnicodeDecodeError, FileError) as exc:
        # The whole file may have an earlier fault.
        raise UnfaithfulError(str(exc)) from exc


def _refuse_layout(layout: Layout) -> None:
    if layout.wrapping:
        raise UnfaithfulError("something drawn around the lines")
    # Several blanks may be one delimiter, and a line of blanks a record or none.
    if layout.skip_initial_space and (layout.delimiter in ("", " ") or layout.width < 2):
        raise UnfaithfulError("blanks that may be delimiters")
    for mark in (layout.delimiter, layout.quotechar, layout.escapechar):
        if len(mark) > 1 or not mark.isascii():
            raise UnfaithfulError(f"{mark!r} is not one ASCII character")


def _utf8_chunks(source: BinaryIO, layout: Layout, chunk_bytes: int) -> Iterator[bytes]:
    """Yield the file as UTF-8 without its byte-order mark."""
    if is_utf8(layout.encoding):
        return _drop_bom(read_chunks(source, chunk_bytes))
    return _transcode(source, layout.encoding, chunk_bytes)


def _transcode(source: BinaryIO, encoding: str, chunk_bytes: int) -> Iterator[bytes]:
    try:
        for text in decode_chunks(source, encoding, chunk_bytes):
            yield text.encode()
    except FileError as exc:
        # The tolerant reader says it better, or finds an earlier fault.
        raise UnfaithfulError(str(exc)) from exc


def _drop_bom(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= 2 * len(UTF8_BOM):
            break
    if first.startswith(2 * UTF8_BOM):
        raise UnfaithfulError("two byte-order marks")
    if first := first.removeprefix(UTF8_BOM):
        yield first
    yield from chunks


def _skip_head(
    chunks: Iterator[bytes], layout: Layout, max_record_bytes: int, hidden: _HiddenRows
) -> tuple[Iterator[bytes], int]:
    """Return what follows skipped lines and header, and the line on which it begins.

    They are found as the tolerant reader finds them.
    """
    splitter = RecordSplitter(layout, max_record_bytes)
    head = b""
    end = None
    for chunk in chunks:
        head += chunk
        end = _head_end(splitter, head, final=False)
        if end is not None:
            break
        _refuse_long_head(len(head), max_record_bytes)
    if end is None:
        end = _head_end(splitter, head, final=True) or 0
    _refuse_long_head(end, max_record_bytes)
    if splitter.sees_bare_quote:
        raise UnfaithfulError("a quote within a name")
    hidden.note(splitter)
    return chain([head[end:]], chunks), 1 + count_breaks(head, end)


def _refuse_long_head(size_bytes: int, max_record_bytes: int) -> None:
    if size_bytes > min(max_record_bytes, _MAX_HEAD_BYTES):
        raise UnfaithfulError("the lines before the first record are too long")


def _head_end(splitter: RecordSplitter, head: bytes, *, final: bool) -> int | None:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final)
        shown = splitter.terminated(text) if final else text.removesuffix("\r")
        end = splitter.head_end(shown, final=final)
    except (UnicodeDecodeError, FileError) as exc:
        raise UnfaithfulError(str(exc)) from exc
    return None if end is None else len(text[:end].encode())


def _drop_ctrl_z(chunks: Iterable[bytes]) -> Iterator[bytes]:
    mark = CTRL_Z.encode()
    held = b""
    for chunk in chunks:
        body = chunk.rstrip(mark)
        if body:
            yield held + body
            held = b""
        held += chunk[len(body) :]
        if len(held) > _MAX_HEAD_BYTES:
            raise UnfaithfulError("a long run of Ctrl-Z")


def _end_line(chunks: Iterable[bytes], layout: Layout) -> Iterator[bytes]:
    """Yield `chunks` with a line end at their end, if there are any."""
    held = b""
    for chunk in chunks:
        if held:
            yield held
        held = chunk
    if layout.escapechar and held.endswith(layout.escapechar.encode()):
        raise UnfaithfulError("an escape at the very end")
    if held:
        # Without it pyarrow takes the last cell for a quoted one when the cell before it is quoted
        # and the last is empty.
        yield held if held.endswith(b"\n") else held + b"\n"


def _refuse_absent(chunks: Iterable[bytes], layout: Layout) -> Iterator[bytes]:
    """Yield `chunks`; raise UnfaithfulError for text with what stands for no delimiter."""
    for chunk in chunks:
        if not layout.delimiter and _ABSENT.encode() in chunk:
            raise UnfaithfulError(f"{_ABSENT!r} in the text")
        yield chunk
