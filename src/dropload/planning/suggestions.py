"""Which table a file may belong to, and which of its columns may have been renamed: for people.

Nothing here decides anything; it is shown where a decision is wanted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import product

from dropload.model import TableName
from dropload.naming import match_key

_MOST_TABLES = 3
_LEAST_SHARE = 0.5
"""A table of which the file has fewer columns is no suggestion."""
_ALIKE = 0.82
"""Share of letters in the same order from which two names look like one with a typing error."""
_WORDS = re.compile(r"[A-ZÀ-Þ]?[a-zà-ÿ]+|[A-ZÀ-Þ]+|[0-9]+")


def find_better_tables(
    file_columns: Sequence[str], tables: Mapping[TableName, Sequence[str]], than: float
) -> list[tuple[TableName, float]]:
    """Return tables of which the file has a larger share of the columns, the best first.

    `than` is the share of the table that was meant, 0..1. Among equals the table that leaves
    fewer of the file's columns over goes first.
    """
    names = {match_key(name) for name in file_columns}
    least = max(than, _LEAST_SHARE)
    found = []
    for table, columns in tables.items():
        keys = {match_key(name) for name in columns}
        shared = len(names & keys)
        share = shared / len(keys) if keys else 0.0
        if share > than and share >= least:
            found.append((-share, len(names) - shared, str(table), table))
    return [(table, -share) for share, _, _, table in sorted(found)[:_MOST_TABLES]]


def propose_renames(missing: Iterable[str], added: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of a missing column of the table and a new one of the file that looks like it.

    Each name is in one pair at most; the most alike are paired first.
    """
    scored = [(_likeness(old, new), old, new) for old, new in product(missing, added)]
    pairs: list[tuple[str, str]] = []
    for likeness, old, new in sorted(scored, key=lambda found: -found[0]):
        if likeness > 0 and not any(old == left or new == right for left, right in pairs):
            pairs.append((old, new))
    return pairs


def _likeness(one: str, other: str) -> float:
    """Return 0 when the names are not alike, else how much, up to 1."""
    if _is_short_for(one, other) or _is_short_for(other, one):
        return 1.0
    ratio = SequenceMatcher(None, match_key(one), match_key(other)).ratio()
    return ratio if ratio >= _ALIKE else 0.0


def _is_short_for(short: str, full: str) -> bool:
    """Return whether each word of one name is, or abbreviates, the word of the other."""
    shorts, fulls = _words(short), _words(full)
    return (
        len(shorts) == len(fulls)
        and shorts != fulls
        and all(_abbreviates(one, other) for one, other in zip(shorts, fulls, strict=True))
    )


def _words(name: str) -> list[str]:
    return [word.casefold() for word in _WORDS.findall(name)]


def _abbreviates(short: str, word: str) -> bool:
    """Return whether letters were left out of the word: `nm` for `name`, `cust` for `customer`."""
    if short == word:
        return True
    if len(short) < 2 or short[0] != word[0]:
        return False
    letters = iter(word)
    return all(letter in letters for letter in short)
