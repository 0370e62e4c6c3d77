r"""Cut text into records: delimiters, quotes, escapes and line breaks, and nothing else.

The rules, for every reader of this family:

- A record ends at `\n`, `\r\n` or a bare `\r`, mixed as they come, outside quotes.
- What a cell is says `dropload.quoting`; a record with a misquoted cell is to be refused.
- Quotes that join lines which could be rows, in a file with quotes within cells, mean inches.
- When a quoted part with text behind it runs over several lines, its closing quote is far more
  likely the next value's opening one: that is an unbalanced quote, not a value.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dropload.detection.line_ends import count_line_breaks
from dropload.detection.splitting import hides_rows
from dropload.errors import FileError
from dropload.model import Layout
from dropload.quoting import CellRules

QUOTED_EMPTY = "\0"
"""Stands for `""` among the cells, where the empty string is a cell with nothing in it."""
NUL = "\udc00"
"""Stands for a NUL of the file: strict decoding can never produce it, so nothing is mixed up."""

_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n)")
_EMPTY_LINES = re.compile(r"[\r\n]*+")


@dataclass(slots=True)
class Stretch:
    """Records that follow each other, blank lines among them (as one empty cell)."""

    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """The physical line on which each record starts, from 1."""
    misquoted: dict[int, int] = field(default_factory=dict)
    """The misquoted cell's position for each place in `rows` that has one; it is as written."""
    may_hold_nul: bool = False


class RecordSplitter:
    """Cuts the text of one file into records; keeps the line number as it goes."""

    def __init__(self, layout: Layout, max_record_chars: int, *, first_line: int = 0) -> None:
        """`first_line`: where a text begins that is from behind the head; 0: it is a whole file."""
        self._layout = layout
        self._max_chars = max_record_chars
        self._delimiter = layout.delimiter
        self._quote = layout.quotechar
        self._rules = CellRules(
            layout.delimiter,
            layout.quotechar,
            layout.escapechar,
            skip_initial_space=layout.skip_initial_space,
        )
        self._escape = self._rules.escape
        self._match_cell = self._rules.compile_cell().match
        self._special = re.compile("|".join(map(re.escape, self._quote + self._escape)))
        self._line = first_line or 1
        self._in_head = not first_line
        self._open_quote_line = 0
        self.sees_bare_quote = False
        """Whether a quote stood within a cell that does not begin with one."""
        self._hiding_line = 0
        """Where a record begins whose lines could be rows, 0 while there is none."""

    def split(self, chunks: Iterable[str]) -> Iterator[Stretch]:
        """Yield the data records of the text, one stretch for each chunk that ends a record.

        Holds one chunk or one record, whichever is longer. Raises FileError: `unbalanced_quote`
        for a quote that is never closed, `record_too_long` for an endless line without quotes.
        """
        pieces: list[str] = []
        size = wanted = 0
        for piece in chunks:
            pieces.append(piece)
            size += len(piece)
            if size < wanted:
                continue
            text = "".join(pieces)
            stretch, end = self._cut(text, final=False)
            if stretch.rows:
                yield stretch
            pieces, size = [text[end:]], len(text) - end
            self._refuse_if_longer(size, text[end:])
            # Twice what was left over: a long record must not be scanned again for each chunk.
            wanted = min(2 * size, self._max_chars + 1)
        stretch, _ = self._cut(self.terminated("".join(pieces)), final=True)
        if stretch.rows:
            yield stretch

    @property
    def sees_hidden_rows(self) -> bool:
        """Return whether the lines of a record so far could each be a row."""
        return bool(self._hiding_line)

    def end_of_whole(self, text: str) -> int:
        """Return where the last record of a text ends that is whole, 0 without one.

        Raises FileError as `split` does.
        """
        return self._cut(text, final=False)[1]

    def head_end(self, text: str, *, final: bool) -> int | None:
        """Return where the first data record starts, None when more text is needed to say."""
        pos = 0
        for _ in range(self._layout.skip_lines):
            match = _LINE.match(text, pos)
            if match is None:
                return len(text) if final else None
            pos = match.end()
        end: int | None = pos
        for _ in range(self._layout.header_lines if self._layout.header else 0):
            if end is not None:
                end = self._header_end(text, end, final=final)
        return end

    def terminated(self, text: str) -> str:
        """Return the file's last text with the line end that it may lack."""
        if self._escape:
            # A lone escape at the very end protects nothing: it is text.
            dangling = (len(text) - len(text.rstrip(self._escape))) % 2
            # Behind a return that may be protected, a line feed would be the other half of it.
            line_end = "\r" if text.endswith("\r") else "\n"
            return text + self._escape * dangling + line_end
        return text if not text or text.endswith(("\n", "\r")) else text + "\n"

    def _header_end(self, text: str, pos: int, *, final: bool) -> int | None:
        match = _EMPTY_LINES.match(text, pos)
        pos = match.end() if match else pos
        self._line = 1 + count_line_breaks(text, 0, pos)
        if pos == len(text):
            return pos if final else None
        end = self._take_record(text, pos, Stretch())
        if end is None and final:
            raise unbalanced_quote(self._open_quote_line, self._quote)
        return end

    def _cut(self, text: str, *, final: bool) -> tuple[Stretch, int]:
        """Return the whole records of `text` and where the rest begins."""
        stretch = Stretch()
        if not final:
            # A return at the border may be half of a line end.
            text = text.removesuffix("\r")
        pos = self._pass_head(text, final=final) if self._in_head else 0
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        stretch.may_hold_nul = NUL in text
        self._open_quote_line = 0
        while not self._in_head and pos < end:
            plain_end = self._plain_end(text, pos, end)
            if plain_end > pos:
                self._take_plain(text[pos:plain_end], stretch)
                pos = plain_end
                continue
            record_end = self._take_record(text, pos, stretch)
            if record_end is None:
                break
            pos = record_end
        if final and pos < end:
            raise unbalanced_quote(self._open_quote_line, self._quote)
        return stretch, pos

    def _pass_head(self, text: str, *, final: bool) -> int:
        end = self.head_end(text, final=final)
        if end is None:
            return 0
        self._in_head = False
        self._line = 1 + count_line_breaks(text, 0, end)
        return end

    def _plain_end(self, text: str, pos: int, end: int) -> int:
        """Return the end of the lines from `pos` on that hold no quote, escape or lead blank."""
        if self._layout.skip_initial_space:
            return pos
        special = self._next_special(text, pos, end)
        if special >= end:
            return end
        return max(text.rfind("\n", pos, special), text.rfind("\r", pos, special), pos - 1) + 1

    def _next_special(self, text: str, pos: int, end: int) -> int:
        if self._quote and self._escape:
            match = self._special.search(text, pos, end)
            return match.start() if match else end
        mark = self._quote or self._escape
        found = text.find(mark, pos, end) if mark else -1
        return found if found >= 0 else end

    def _take_plain(self, text: str, stretch: Stretch) -> None:
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        # The text ends with a line break, behind which nothing follows.
        lines.pop()
        if len(text) > self._max_chars:
            self._refuse_if_longer(max(map(len, lines)))
        delimiter = self._delimiter
        if delimiter:
            stretch.rows.extend([line.split(delimiter) for line in lines])
        else:
            stretch.rows.extend([[line] for line in lines])
        stretch.lines.extend(range(self._line, self._line + len(lines)))
        self._line += len(lines)

    def _take_record(self, text: str, start: int, stretch: Stretch) -> int | None:
        """Add the record that begins at `start`, return its end; None when it is not all there."""
        cells: list[str] = []
        pos = start
        line_break = None
        match_cell, quote, escape = self._match_cell, self._quote, self._escape
        while line_break is None:
            match = match_cell(text, pos)
            if match is None:
                self._note_open_quote(text, start, pos)
                return None
            quoted, tail, plain, line_break = match.groups()
            if quoted is None:
                self.sees_bare_quote = self.sees_bare_quote or bool(quote and quote in plain)
                cells.append(self._rules.unescape(plain) if escape else plain)
            elif not tail and not escape and quote not in quoted:
                cells.append(quoted or QUOTED_EMPTY)
            else:
                if tail:
                    self._check_closing(text, start, pos, quoted, tail)
                cells.append(self._read_quoted(quoted, tail, len(cells), stretch))
            pos = match.end()
        self._refuse_if_longer(pos - start)
        stretch.rows.append(cells)
        stretch.lines.append(self._line)
        if breaks := count_line_breaks(text, start, pos) - 1:
            self._note_hidden_rows(text[start:pos], len(cells))
        self._refuse_hidden_rows()
        self._line += breaks + 1
        return pos

    def _read_quoted(self, quoted: str, tail: str, position: int, stretch: Stretch) -> str:
        value = self._rules.unquote(quoted, tail)
        if value is None:
            stretch.misquoted.setdefault(len(stretch.rows), position)
            return f"{self._quote}{quoted}{self._quote}{tail}"
        return value or QUOTED_EMPTY

    def _check_closing(self, text: str, start: int, pos: int, quoted: str, tail: str) -> None:
        if tail.strip(" \t") and ("\n" in quoted or "\r" in quoted):
            raise unbalanced_quote(self._line + count_line_breaks(text, start, pos), self._quote)

    def _note_hidden_rows(self, record: str, width: int) -> None:
        if not self._hiding_line and hides_rows(record, self._delimiter, self._quote, width):
            self._hiding_line = self._line

    def _refuse_hidden_rows(self) -> None:
        """Raise FileError when quotes join what could be rows, and stand within cells as well."""
        if self.sees_bare_quote and self._hiding_line:
            raise FileError(
                f"Line {self._hiding_line:,}: a quote ({self._quote}) joins lines that could each "
                "be a row, and quotes stand within cells, too.",
                hint="Write a quote that belongs to the text, such as one for inches, twice and "
                "enclose its cell.",
                code="unbalanced_quote",
            )

    def _note_open_quote(self, text: str, start: int, pos: int) -> None:
        at_quote = self._quote and text[pos : pos + 4096].lstrip(" ").startswith(self._quote)
        line = self._line + count_line_breaks(text, start, pos)
        self._open_quote_line = line if at_quote else 0

    def _refuse_if_longer(self, chars: int, rest: str = "") -> None:
        """Raise FileError when a record is too long; `rest` is one whose end was not found yet."""
        if chars <= self._max_chars:
            return
        if rest and not self._open_quote_line:
            # A cell without line breaks has not been looked into: no record could end in it.
            self._take_record(rest, 0, Stretch())
        # More characters than bytes are allowed: in every encoding that is too long.
        if self._open_quote_line:
            raise unbalanced_quote(self._open_quote_line, self._quote, self._max_chars)
        raise FileError(
            f"Line {self._line:,}: the record that starts here is longer than "
            f"{self._max_chars:,} bytes.",
            hint="Check that the file has line ends, or raise load.max_record_bytes.",
            code="record_too_long",
        )


def unbalanced_quote(line: int, quote: str, within_bytes: int = 0) -> FileError:
    """Return the error for a quote that was opened on `line` and not properly closed."""
    within = f" within {within_bytes:,} bytes" if within_bytes else ""
    longer = "; a cell that is so long needs a higher load.max_record_bytes" if within else ""
    return FileError(
        f"Line {line:,}: a quote ({quote}) was opened here and not closed{within}.",
        hint=f"Close it, or write a quote that belongs to the text twice ({quote}{quote}){longer}.",
        code="unbalanced_quote",
    )
