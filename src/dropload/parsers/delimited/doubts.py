"""Find what not everybody reads alike in delimited text, before pyarrow is given it."""

import re
from typing import Any, NamedTuple

from dropload.model import Layout


class _Patterns(NamedTuple):
    """What cells look like that nobody doubts."""

    closed_cells: re.Pattern[bytes]
    open_cell: re.Pattern[bytes]

    @classmethod
    def of(cls, layout: Layout, refused: bytes) -> "_Patterns":
        """Return those of a layout; `refused` are the characters that are no text of a cell."""
        is_read_alike = layout.quotechar and not layout.skip_initial_space
        quote = re.escape(layout.quotechar.encode()) if is_read_alike else b"(?!)"
        border = b"[" + re.escape(layout.delimiter.encode()) + b"\\r\\n]"
        plain = b"[^%b]*+" % re.escape(refused)
        opened = b"(?<=%b)%b%b(?:%b%b%b)*+" % (border, quote, plain, quote, quote, plain)
        closed = b"%b(?:%b%b(?=%b)%b)*+" % (plain, opened, quote, border, plain)
        return cls(re.compile(closed), re.compile(b"%b(?:%b)?" % (opened, quote)))

    def end_of_closed_cells(self, window: bytes) -> int:
        """Return where the cells end that are closed; the window begins outside quotes."""
        match: Any = self.closed_cells.match(window)
        return int(match.end())


class DoubtFinder:
    """Finds quotes that stand where not everybody reads them alike, escapes and NULs.

    Every quote opens a cell (behind a delimiter, a line end or at the start), closes one (before
    a delimiter, a line end or the end), or is doubled within one. Whatever else there is, the
    tolerant reader knows the rules. Where blanks may stand before a quote, none is read alike.
    """

    def __init__(self, layout: Layout) -> None:
        self._quote = layout.quotechar.encode()
        self._refused = tuple(filter(None, (b"\0", layout.escapechar.encode())))
        # To look for one character takes a quarter of the time of looking for one of two.
        self._strict = _Patterns.of(layout, self._quote + b"".join(self._refused))
        self._usual = _Patterns.of(layout, self._quote) if self._quote else self._strict
        self._carry = b"\n"
        """The end of the bytes so far, from in front of the first cell that may go on."""

    @property
    def is_inside(self) -> bool:
        """Return whether the bytes so far end within quotes."""
        return self.is_open and self._carry.count(self._quote) % 2 == 1

    @property
    def is_open(self) -> bool:
        """Return whether the bytes so far end within a cell that has begun with a quote."""
        return len(self._carry) > 1

    def find(self, chunk: bytes) -> int:
        """Look at the next bytes; return how many of them all are from the first doubt on, or 0.

        Behind a doubt a record is taken to begin.
        """
        is_refused = any(mark in chunk for mark in self._refused)
        may_be_doubtful = is_refused or (bool(self._quote) and self._quote in chunk)
        if not (self.is_open or may_be_doubtful):
            self._carry = chunk[-1:] or self._carry
            return 0
        patterns = self._strict if is_refused else self._usual
        window = self._carry + chunk
        end = patterns.end_of_closed_cells(window)
        if end == len(window):
            self._carry = window[-1:]
            return 0
        if not patterns.open_cell.fullmatch(window, end):
            self._carry = b"\n"
            return len(window) - end
        self._carry = window[end - 1 :]
        return 0
