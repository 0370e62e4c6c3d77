"""Read every delimited file that a careful person could read, and say which rows are refused."""

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

from dropload.model import Layout, Reject
from dropload.parsers.base import Batch
from dropload.parsers.delimited.records import NUL, QUOTED_EMPTY, RecordSplitter, Stretch
from dropload.parsers.delimited.text import decode_chunks
from dropload.wrapping import unwrap_texts

CHUNK_BYTES = 512 * 1024
"""One batch comes from one chunk: some ten thousand narrow records, a few megabytes of objects."""


def read_tolerant(
    source: BinaryIO, layout: Layout, *, max_record_bytes: int, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Batch]:
    """Yield all data records; refused ones are in the batch of their stretch.

    A blank line is no record. A record that has only empty cells beyond the header's width is
    accepted without them; every other wrong number of cells is refused, as is a misquoted cell or a
    NUL.
    """
    texts = decode_chunks(source, layout.encoding, chunk_bytes)
    if layout.wrapping:
        texts = unwrap_texts(texts, layout.wrapping, layout.delimiter)
    splitter = RecordSplitter(layout, max_record_bytes)
    yield from _sort_out(splitter, texts, _Sieve(layout))


def read_stretch(
    text: str, layout: Layout, splitter: RecordSplitter, *, rows_before: int
) -> Iterator[Batch]:
    """Yield the records of some whole lines out of the middle of a file, as `read_tolerant` would.

    The splitter knows on which line they begin; they are those after `rows_before`. What another
    part of the file says about quotes is not known here: who asks must look after that, and the
    splitter tells what this part says.
    """
    yield from _sort_out(splitter, [text], _Sieve(layout, rows_before))


def _sort_out(splitter: RecordSplitter, texts: Iterable[str], sieve: "_Sieve") -> Iterator[Batch]:
    for stretch in splitter.split(text.replace("\0", NUL) for text in texts):
        batch = sieve.sort_out(stretch)
        if batch.records.num_rows or batch.rejects:
            yield batch


class _Sieve:
    """Numbers records, parts good ones from bad ones."""

    def __init__(self, layout: Layout, rows_before: int = 0) -> None:
        self._width = layout.width
        self._header = layout.header
        self._names = layout.header_names
        self._row = rows_before

    def sort_out(self, stretch: Stretch) -> Batch:
        """Return the stretch as a batch: its good records, and why the others are refused."""
        if self._is_clean(stretch):
            first = self._row + 1
            self._row += len(stretch.rows)
            return self._batch(stretch.rows, range(first, self._row + 1), [], stretch.lines)
        rows: list[list[str]] = []
        numbers: list[int] = []
        lines: list[int] = []
        rejects: list[Reject] = []
        for place, (cells, line) in enumerate(zip(stretch.rows, stretch.lines, strict=True)):
            if self._is_blank(cells):
                continue
            self._row += 1
            reject = self._refuse(cells, line, stretch.misquoted.get(place))
            if reject is not None:
                rejects.append(reject)
                continue
            rows.append(cells[: self._width])
            numbers.append(self._row)
            lines.append(line)
        return self._batch(rows, numbers, rejects, lines)

    def _is_clean(self, stretch: Stretch) -> bool:
        """Return whether every row is a good record, at the least cost."""
        if (
            stretch.may_hold_nul
            or stretch.misquoted
            or set(map(len, stretch.rows)) != {self._width}
        ):
            return False
        return self._width > 1 or [""] not in stretch.rows

    def _is_blank(self, cells: list[str]) -> bool:
        if len(cells) != 1:
            return False
        return not cells[0] or (self._width > 1 and not cells[0].strip(" \t"))

    def _refuse(self, cells: list[str], line: int, misquoted: int | None) -> Reject | None:
        if misquoted is not None:
            return self._reject(cells, line, "misquoted", _MISQUOTED_MESSAGE, misquoted)
        if len(cells) < self._width:
            return self._reject(cells, line, "too_few_cells", self._miscount(cells))
        if any(cell not in ("", QUOTED_EMPTY) for cell in cells[self._width :]):
            return self._reject(cells, line, "too_many_cells", self._miscount(cells))
        for position, cell in enumerate(cells):
            if NUL in cell:
                return self._reject(cells, line, "nul_byte", _NUL_MESSAGE, position)
        return None

    def _miscount(self, cells: list[str]) -> str:
        norm = "the header has" if self._header else "the other rows have"
        message = f"has {_count(len(cells))} where {norm} {self._width:,}"
        if any("\n" in cell or "\r" in cell for cell in cells):
            message += "; a quoted cell runs over several lines: is a quote missing or too many?"
        return message

    def _reject(
        self, cells: list[str], line: int, code: str, message: str, position: int | None = None
    ) -> Reject:
        texts = tuple(_as_written(cell) for cell in cells)
        column = value = ""
        if position is not None:
            name = self._names[position] if position < self._width else ""
            column = name or f"column {position + 1}"
            value = texts[position] or ""
        return Reject(self._row, line, column, value, code, message, texts)

    def _batch(
        self,
        rows: list[list[str]],
        numbers: Sequence[int],
        rejects: list[Reject],
        lines: list[int],
    ) -> Batch:
        columns = zip(*rows, strict=True) if rows else [()] * self._width
        records = pa.RecordBatch.from_arrays(
            [pa.array(_cells(column), pa.string()) for column in columns],
            names=[f"c{position}" for position in range(self._width)],
        )
        return Batch(
            records, pa.array(numbers, pa.int64()), tuple(rejects), pa.array(lines, pa.int64())
        )


_NUL_MESSAGE = "holds a NUL character, which no database can keep as text; remove it"
_MISQUOTED_MESSAGE = (
    "begins with a quote that closes before the cell ends; "
    "write quotes that belong to the text twice"
)


def _cells(column: Sequence[str]) -> list[str | None]:
    if QUOTED_EMPTY in column:
        return ["" if cell == QUOTED_EMPTY else cell or None for cell in column]
    return [cell or None for cell in column]


def _as_written(cell: str) -> str | None:
    """Return the text of a cell, None for an empty one without quotes."""
    return "" if cell == QUOTED_EMPTY else cell.replace(NUL, "\0") or None


def _count(cells: int) -> str:
    return f"{cells:,} cell{'' if cells == 1 else 's'}"
