"""Take off what is drawn around every line of a printed or wrapped table and belongs to no value.

- `pipes`: every row stands between pipes, `|a|b|`.
- `rules`: lines of dashes part the rows, `+---+---+`; cells are filled up with blanks, and rows may
  stand between pipes, too.
- `quotes`: every line is enclosed in quotes once more, `"1,""Anna"",5"`.

Nothing is taken off a line that is not drawn so: its cells say what is wrong with it.
"""

import re
from collections.abc import Iterator
from enum import StrEnum

_LINE = re.compile(r"[^\r\n]+")
# A printed line is not longer: text without line ends must not be held.
_LONGEST_LINE = 1 << 20


class Wrapping(StrEnum):
    """What is drawn around the lines of a table."""

    NONE = ""
    PIPES = "pipes"
    RULES = "rules"
    QUOTES = "quotes"


def unwrap_texts(texts: Iterator[str], wrapping: Wrapping, delimiter: str) -> Iterator[str]:
    """Yield the text with every line unwrapped; lines keep their number."""
    held = ""
    for piece in texts:
        text = held + piece
        end = _last_line_end(text)
        held = text[end:]
        if not end and len(text) > _LONGEST_LINE:
            held = ""
            yield text
        elif end:
            yield _unwrap_lines(text[:end], wrapping, delimiter)
    if held:
        yield _unwrap_lines(held, wrapping, delimiter)


def unwrap_line(line: str, wrapping: Wrapping, delimiter: str) -> str:
    """Return what the line says; nothing for a rule."""
    if wrapping is Wrapping.QUOTES:
        return _strip_quotes(line)
    if wrapping is Wrapping.RULES:
        if is_rule(line, delimiter):
            return ""
        if not delimiter.strip(" "):
            return line
        line = re.sub(f" *{re.escape(delimiter)} *", lambda _: delimiter, line.strip(" "))
    return _strip_pipes(line)


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


def _unwrap_lines(text: str, wrapping: Wrapping, delimiter: str) -> str:
    return _LINE.sub(lambda line: unwrap_line(line[0], wrapping, delimiter), text)


def _last_line_end(text: str) -> int:
    """Return where the last whole line ends; a return at the border may be half of a line end."""
    return max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1


def _strip_pipes(line: str) -> str:
    return line.strip(" ")[1:-1] if stands_between_pipes(line) else line


def _strip_quotes(line: str) -> str:
    return line.strip(" ")[1:-1].replace('""', '"') if stands_between_quotes(line) else line
