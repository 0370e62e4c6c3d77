"""Take off what is drawn around every line of a printed or wrapped table and belongs to no value.

- `pipes`: every row stands between pipes, `|a|b|`.
- `rules`: lines of dashes part the rows, `+---+---+`; cells are filled up with blanks, and rows may
  stand between pipes, too.
- `ruler`: one line of dashes stands below the header, and nothing else is drawn.
- `quotes`: every line is enclosed in quotes once more, `"1,""Anna"",5"`.

Nothing is taken off a line that is not drawn so: its cells say what is wrong with it.
"""

import re
from collections.abc import Iterator
from enum import StrEnum

_LINE = re.compile(r"[^\r\n]+")
# Delimiters of rows that are written, not drawn: only one rule stands in such a file.
_WRITTEN = frozenset(",;\t")
# A printed line is not longer: text without line ends must not be held.
_LONGEST_LINE = 1 << 20


class Wrapping(StrEnum):
    """What is drawn around the lines of a table."""

    NONE = ""
    PIPES = "pipes"
    RULES = "rules"
    RULER = "ruler"
    QUOTES = "quotes"


def unwrap_texts(texts: Iterator[str], wrapping: Wrapping, delimiter: str) -> Iterator[str]:
    """Yield the text with every line unwrapped; lines keep their number."""
    unwrap = Unwrapper(wrapping, delimiter).unwrap_text
    held = ""
    for piece in texts:
        text = held + piece
        end = _last_line_end(text)
        held = text[end:]
        if not end and len(text) > _LONGEST_LINE:
            held = ""
            yield text
        elif end:
            yield unwrap(text[:end])
    if held:
        yield unwrap(held)


class Unwrapper:
    """Takes the drawing off the lines of one file, in their order."""

    def __init__(self, wrapping: Wrapping, delimiter: str) -> None:
        self._wrapping = wrapping
        self._delimiter = delimiter
        self._first_rule = ""
        self._cell = _compile_padded_cell(delimiter) if delimiter.strip(" ") else None

    def unwrap_text(self, text: str) -> str:
        """Return the text of whole lines as they read without what is drawn around them."""
        return _LINE.sub(lambda line: self.unwrap_line(line[0]), text)

    def unwrap_line(self, line: str) -> str:
        """Return what the line says; nothing for a rule."""
        if self._wrapping is Wrapping.QUOTES:
            return _strip_quotes(line)
        if self._wrapping is Wrapping.PIPES:
            return _strip_pipes(line)
        if self._is_drawn(line):
            return ""
        if self._wrapping is Wrapping.RULER or self._cell is None:
            return line
        return _strip_pipes(self._cell.sub(_without_blanks, line.strip(" ")))

    def _is_drawn(self, line: str) -> bool:
        """Return whether a line is a rule, and no row whose values are dashes."""
        delimiter, first = self._delimiter, self._first_rule
        if not is_rule(line, delimiter):
            return False
        if delimiter in _WRITTEN and (first or delimiter not in line):
            return False
        if not first:
            self._first_rule = line.strip()
            return True
        return delimiter not in line or line.strip() == first or _is_as_long(line.strip(), first)


def is_rule(line: str, delimiter: str) -> bool:
    """Return whether a line only parts rows: dashes, crossings and delimiters."""
    return ("--" in line or "==" in line) and set(line) <= {*"-=+:| \t", delimiter}


def stands_between_pipes(line: str) -> bool:
    """Return whether a line begins and ends with a pipe."""
    line = line.strip(" ")
    return len(line) > 1 and line.startswith("|") and line.endswith("|")


def stands_between_quotes(line: str) -> bool:
    """Return whether the whole line is one text in quotes, with its own quotes doubled."""
    line = line.strip(" ")
    inside = line[1:-1]
    enclosed = len(line) > 1 and line[0] == line[-1] == '"'
    return enclosed and '"' not in inside.replace('""', "")


def _is_as_long(line: str, first: str) -> bool:
    """Return whether a line is drawn through from end to end, as the first rule is."""
    return len(line) == len(first) and " " not in line


def _compile_padded_cell(delimiter: str) -> re.Pattern[str]:
    """Return the pattern of a cell with the blanks around it, and of its end.

    Blanks within quotes, and around a delimiter with a backslash before it, are the cell's own.
    """
    cut = re.escape(delimiter)
    quoted = f'"[^"]*+(?:""[^"]*+)*+"(?= *(?:{cut}|$))'
    return re.compile(rf" *({quoted}|(?:\\.?|(?!{cut})[^\\])*+)({cut}|$)")


def _without_blanks(cell: re.Match[str]) -> str:
    return cell[1].rstrip(" ") + cell[2]


def _last_line_end(text: str) -> int:
    """Return where the last whole line ends; a return at the border may be half of a line end."""
    return max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1


def _strip_pipes(line: str) -> str:
    return line.strip(" ")[1:-1] if stands_between_pipes(line) else line


def _strip_quotes(line: str) -> str:
    return line.strip(" ")[1:-1].replace('""', '"') if stands_between_quotes(line) else line
