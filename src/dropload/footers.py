"""Tell lines behind a table, that say something about it, from rows that lack cells."""

import re
from collections.abc import Iterable

from dropload.model import Reject

MOST_LINES = 5
"""More lines than these are no footer."""

# Words that a row cut off in its first cell would hardly be: a transfer that broke off must not
# pass for a table with a footer, nor "Note 10" for a remark.
_COUNT = r"\(?\d[\d,. ]* ?(?:rows?|records?|lines?|zeilen?|datens\w+|lignes?|filas?)\b"
_SUM = (
    "(?:(?:grand |sub-?)?totals?|sum|(?:zwischen|gesamt)?summe|gesamt|count|anzahl|records|rows"
    r"|lines)\b(?:\s*$|(?: \w+){0,3}\s*(?:[:=#]|\d[\d.,]*\s*$))"
)
_REMARK = (
    r"(?:source|quelle|notes?|hinweis|remarks?|stand|datum|date|as of)\b\s*:|as of\s+\d|stand\s+\d"
    r"|(?:generated|created|exported|printed|erstellt|gedruckt|exportiert)\b"
    r"\s*(?::|\d|(?:on|at|by|from|with|am|um|von|mit)\b)"
)
_END = r"(?:(?:end|ende) (?:of|der) (?:file|report|data|table|datei|liste)|eof|trailer)\b"
PATTERN = rf"(?i)^\s*(?:{_COUNT}|{_SUM}|{_REMARK}|{_END}|[#*=_]|-{{2,}})"
"""How such lines begin; RE2 and `re` read it alike."""
_FOOTER = re.compile(PATTERN)


def find_footer(last: Iterable[Reject], rows: int, width: int) -> tuple[Reject, ...]:
    """Return those of the last rejects, in order, that are the file's last lines and its footer.

    `rows` are all records, `width` the cells of a record. A footer has one cell where the table
    has more.
    """
    found: list[Reject] = []
    for reject in reversed(list(last)[-MOST_LINES:]):
        if reject.source_row != rows - len(found) or not _is_about_the_table(reject, width):
            break
        found.append(reject)
    return tuple(reversed(found))


def _is_about_the_table(reject: Reject, width: int) -> bool:
    filled = [field for field in reject.fields if field and field.strip()]
    is_short = reject.code == "too_few_cells"
    return (
        width > 1 and is_short and len(filled) == 1 and _FOOTER.match(filled[0].strip()) is not None
    )
