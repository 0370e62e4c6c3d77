"""Cut sampled lines into records and cells, forgiving what real files get wrong."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dropload.detection.cells import TYPED, classify_cell
from dropload.quoting import CellRules

# A quoted cell may hold line breaks; one that never ends must not swallow the sample.
_LONGEST_QUOTED_LINES = 1000
# A file in which many quotes never close does not use them for quoting: stop looking for the end.
_VAIN_SEARCHES = 12

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are set apart from each other."""

    delimiter: str
    quotechar: str = '"'
    escapechar: str = ""
    skip_initial_space: bool = False


@dataclass(slots=True)
class Records:
    """Lines cut into records; blank lines are left out."""

    cells: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """For each record the physical line on which it starts, from 0."""
    quoted: int = 0
    """Cells that are quoted as they should be."""
    broken: int = 0
    """Cells that begin with a quote but do not end with one."""
    restored: int = 0
    """Quoted cells that hold quotes which are neither doubled nor escaped."""
    bare: int = 0
    """Cells without quotes around them that hold one inside."""
    escaped: int = 0
    """Quoted cells that hold the escape character before a quote."""
    joined: int = 0
    """Records that take more than one line."""
    hiding: int = 0
    """Among them those whose lines could be rows."""

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.cells)


def hides_rows(text: str, delimiter: str, quote: str, width: int) -> bool:
    """Return whether each line of a record that takes several could be a row, with like values.

    Numbers, days or the like must stand in a column: quotes mean inches then, and enclose nothing.
    """
    if width < 2:
        return False
    lines = _LINE_END.split(text.rstrip("\r\n"))
    rows = [[cell.strip(f" {quote}") for cell in line.split(delimiter)] for line in lines]
    if any(len(row) != width for row in rows):
        return False
    first, *others = (list(map(classify_cell, row)) for row in rows)
    return all(kinds == first for kinds in others) and not TYPED.isdisjoint(first)


class Splitter:
    """Cuts lines into cells as one dialect says; lines without quotes take the short way."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._vain_searches = 0
        self._rules = CellRules(
            dialect.delimiter,
            dialect.quotechar,
            dialect.escapechar,
            skip_initial_space=dialect.skip_initial_space,
        )
        self._cell = self._rules.compile_cell()
        self._open_cell = self._rules.compile_open_cell()
        quote, escape = re.escape(dialect.quotechar), re.escape(dialect.escapechar)
        self._opening = re.compile(f"{self._rules.lead}{quote}")
        # Two escape characters are one that is meant: only an odd one is before the quote.
        self._escaped = re.compile(f"(?<!{escape})(?:{escape}{escape})*+{escape}{quote}")

    def split(self, lines: Sequence[str]) -> Records:
        """Return the records of the lines."""
        records = Records()
        number = 0
        while number < len(lines):
            line = lines[number]
            if not line or line.isspace():
                number += 1
                continue
            records.lines.append(number)
            taken = self._add_record(records, lines, number)
            records.joined += taken > 1
            number += taken
        return records

    def _add_record(self, records: Records, lines: Sequence[str], number: int) -> int:
        """Append the record that starts on a line; return how many lines it takes."""
        line, dialect = lines[number], self.dialect
        plain = not dialect.quotechar or dialect.quotechar not in line
        if plain and not (dialect.escapechar and dialect.escapechar in line):
            records.cells.append(self._split_plain(line))
            return 1
        text, taken = self._join_lines(lines, number)
        if taken == 1 and records.joined and self._is_cut(lines, number):
            records.lines.pop()
            return len(lines) - number
        cells = self._split_quoted(text, records)
        records.cells.append(cells)
        if taken > 1:
            records.hiding += hides_rows(text, dialect.delimiter, dialect.quotechar, len(cells))
        return taken

    def _split_plain(self, line: str) -> list[str]:
        """Return the cells of a line without quotes and escapes."""
        delimiter = self.dialect.delimiter
        if not self.dialect.skip_initial_space:
            return line.split(delimiter) if delimiter else [line]
        if delimiter == " ":
            return re.split(" +", line.lstrip(" "))
        return [cell.lstrip(" ") for cell in (line.split(delimiter) if delimiter else [line])]

    def _join_lines(self, lines: Sequence[str], number: int) -> tuple[str, int]:
        """Return the text of the record that starts here and how many lines it takes."""
        text = lines[number]
        if self._vain_searches >= _VAIN_SEARCHES or (opened := self._find_open(text)) < 0:
            return text, 1
        quote = self.dialect.quotechar
        # Only from the open cell on is looked at again: what is before it stays as it is.
        tail, marks = [text[opened:]], text.count(quote)
        for taken, line in enumerate(lines[number + 1 : number + _LONGEST_QUOTED_LINES], 2):
            tail.append(line)
            found = line.count(quote)
            marks += found
            # Marks come in pairs where none is escaped by another character.
            if not found or (marks % 2 and not self.dialect.escapechar):
                continue
            rest = "\n".join(tail)
            if (opened := self._find_open(rest)) < 0:
                return self._accept("\n".join(lines[number : number + taken]), text, taken)
            tail = [rest[opened:]]
        self._vain_searches += 1
        return text, 1

    def _is_cut(self, lines: Sequence[str], number: int) -> bool:
        """Return whether the sample ends within the cell that opens on this line."""
        rest = lines[number:]
        if len(rest) > _LONGEST_QUOTED_LINES or self._find_open(rest[0]) < 0:
            return False
        return self._find_open("\n".join(rest)) >= 0

    def _accept(self, joined: str, first: str, taken: int) -> tuple[str, int]:
        """Return the joined lines if their quotes are in order, else the first line alone."""
        check = Records()
        self._split_quoted(joined, check)
        if check.broken:
            self._vain_searches += 1
            return first, 1
        return joined, taken

    def _find_open(self, text: str) -> int:
        """Return where the quoted cell begins that the text ends within, -1 when there is none."""
        position, ended = 0, text + "\n"
        while match := self._cell.match(ended, position):
            if match[4] is not None:
                return -1
            position = match.end()
        return position if self._opening.match(text, position) else -1

    def _split_quoted(self, text: str, records: Records) -> list[str]:
        """Return the cells of a record, counting how its quotes are used."""
        cells: list[str] = []
        position, ended = 0, text + "\n"
        while True:
            match = self._cell.match(ended, position) or self._open_cell.match(ended, position)
            if match is None:
                return cells
            cells.append(self._read_cell(match, records))
            position = match.end()
            if match[4] is not None:
                return cells

    def _read_cell(self, match: re.Match[str], records: Records) -> str:
        """Return a cell's value, unquoted and unescaped."""
        quote, quoted = self.dialect.quotechar, match[1]
        if quoted is None:
            opens = bool(quote) and match[3].startswith(quote)
            records.broken += opens
            records.bare += bool(quote) and not opens and quote in match[3]
            return self._rules.unescape(match[3])
        value = self._rules.unquote(quoted, match[2])
        if value is None:
            records.broken += 1
            return f"{quote}{quoted}{quote}{match[2]}"
        records.quoted += 1
        records.restored += bool(match[2].strip(" \t"))
        if self.dialect.escapechar and self._escaped.search(quoted):
            records.escaped += 1
        return value
