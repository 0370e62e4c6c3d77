r"""Say where a cell ends and what its text is: the rules that detection and reading share.

- Quotes mean something only at the start of a cell; elsewhere they are characters like others.
- Inside quotes a doubled quote is one quote; delimiters and line breaks are text, kept as written.
- A quote closes its cell where the delimiter or the line's end follows. Blanks between the two
  belong to no value.
- Other quotes inside are text where that is certain: `"say "hi" now"` is `say "hi" now`. What
  begins with a quote and ends otherwise, as `"a" b` does, is misquoted: nobody knows what is meant.
- The escape character protects quote, delimiter, line break and itself, in quotes or not; before
  anything else it is a character like others, so that `C:\new` stays whole.
- With `skip_initial_space`, blanks before a cell belong to no value; quotes start after them.
"""

import re

_BLANKS = " \t"
_LINE_BREAK = "(\\r\\n|\\r|\\n)"
_PROTECTED = "(?:\\r\\n|[\\s\\S])"
"""What stands behind an escape character and loses its meaning by it."""
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space", ":": "colon"}


def name_delimiter(delimiter: str) -> str:
    """Return the word for a delimiter in a sentence."""
    return _NAMES.get(delimiter, repr(delimiter))


class CellRules:
    """The rules for one way of writing cells."""

    def __init__(
        self, delimiter: str, quotechar: str, escapechar: str, *, skip_initial_space: bool
    ) -> None:
        self.delimiter = delimiter
        self.quote = quotechar
        self.escape = "" if escapechar == quotechar else escapechar
        self.lead = " *+" if skip_initial_space else ""
        quote, escape = re.escape(self.quote), re.escape(self.escape)
        specials = re.escape(delimiter[:1] + self.quote + self.escape)
        self._escapes = re.compile(f"{escape}(?:\\r\\n|[{specials}\\r\\n])")
        self._quoted_escapes = re.compile(f"{self._escapes.pattern}|{quote * 2}")

    def compile_cell(self) -> re.Pattern[str]:
        """Return the pattern of a cell and its end: quoted, tail, plain, line break as groups.

        The line break is None where the delimiter ends the cell. Possessive throughout: a cell is
        read once, whatever its length, and needs no stack.
        """
        q, e = re.escape(self.quote), re.escape(self.escape)
        plain, end = self._plain_pattern(_PROTECTED), self._end_pattern()
        if not q:
            return re.compile(f"{self.lead}(?:(?!)()()|({plain})){end}")
        doubled = f"(?:{q}{q}|{e}{_PROTECTED})" if e else f"{q}{q}"
        quoted = f"{q}([^{q}{e}]*+(?:{doubled}[^{q}{e}]*+)*+){q}({plain})"
        return re.compile(f"{self.lead}(?:{quoted}|(?!{q})({plain})){end}")

    def compile_open_cell(self) -> re.Pattern[str]:
        """Return a like pattern for a cell that `compile_cell` finds no end of: all is plain."""
        plain = self._plain_pattern("[^\\r\\n]")
        dangling = f"{re.escape(self.escape)}?" if self.escape else ""
        return re.compile(f"{self.lead}(?:(?!)()()|({plain}{dangling})){self._end_pattern()}")

    def unescape(self, text: str) -> str:
        """Return the text of a cell without quotes."""
        if self.escape and self.escape in text:
            return self._escapes.sub(_without_first, text)
        return text

    def unquote(self, quoted: str, tail: str) -> str | None:
        """Return the text of a quoted cell and what follows it, None when it is misquoted."""
        if tail and tail.strip(_BLANKS):
            return self._restore(quoted, tail.rstrip(_BLANKS))
        return self._undouble(quoted)

    def _restore(self, quoted: str, tail: str) -> str | None:
        """Return the text of a cell that holds quotes which are neither doubled nor escaped."""
        inside = f"{quoted}{self.quote}{tail[:-1]}"
        if not tail.endswith(self.quote) or self._ends_in_escape(inside):
            return None
        if self._may_have_opened_another(quoted, tail) or self._are_two_texts(inside):
            return None
        return self._undouble(inside)

    def _ends_in_escape(self, text: str) -> bool:
        """Return whether what follows the text is escaped."""
        return bool(self.escape) and (len(text) - len(text.rstrip(self.escape))) % 2 == 1

    def _may_have_opened_another(self, quoted: str, tail: str) -> bool:
        """Return whether the quote behind `quoted` may be the opening one of the next cell."""
        if not self.delimiter or not quoted.rstrip(" ").endswith(self.delimiter.rstrip(" ")):
            return False
        return quoted.endswith(self.delimiter) or tail.count(self.quote) == 1

    def _are_two_texts(self, inside: str) -> bool:
        """Return whether the first quote closes a word and the last one opens one."""
        first, last = inside.find(self.quote), inside.rfind(self.quote)
        gap = inside[first + 1 : last]
        return bool(inside[:first].strip()) and gap[:1].isspace() and gap[-1:].isspace()

    def _undouble(self, text: str) -> str:
        if self.escape and self.escape in text:
            # Both in one pass, from the left: otherwise an escaped escape is taken twice.
            return self._quoted_escapes.sub(_without_first, text)
        return text.replace(self.quote * 2, self.quote)

    def _plain_pattern(self, protected: str) -> str:
        """Return the pattern of text up to a delimiter or a line break that is not `protected`."""
        d, e = re.escape(self.delimiter), re.escape(self.escape)
        text = f"[^{d}{e}\\r\\n]" if len(self.delimiter) < 2 else f"(?:(?!{d})[^{e}\\r\\n])"
        return f"{text}*+(?:{e}{protected}{text}*+)*+" if e else f"{text}*+"

    def _end_pattern(self) -> str:
        d = re.escape(self.delimiter)
        return f"(?:{d}|{_LINE_BREAK})" if d else _LINE_BREAK


def _without_first(match: re.Match[str]) -> str:
    return match[0][1:]
