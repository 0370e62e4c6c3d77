"""Decide what a file's table and columns are called."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dropload.durable import path_text
from dropload.errors import FileError
from dropload.folders import REJECTS_SUFFIX, strip_filed_prefix

LINEAGE_COLUMNS = ("_load_id", "_source_row")
MAX_COLUMN_CHARS = 120
"""The widest common limit is 128; the rest is room for what a target adds."""

_UUID = re.compile(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
)

OWN_TABLES = frozenset(
    {
        "audit_log",
        "file_monitor_tracking",
        "load_history",
        "load_reject",
        "reference_data_cfg",
        "schema_version",
    }
)
"""The journal's tables; refused in every area because the areas may share one schema."""

# Union of the RESERVED_WORDS of two dialects of SQLAlchemy 2.1, those of the server targets;
# copied because importing both dialects costs every start a quarter of a second.
_WORDS = """
add all alter analyse analyze and any array as asc asymmetric authorization backup begin between
binary both break browse bulk by cascade case cast check checkpoint close clustered coalesce collate
column commit compute constraint contains containstable continue convert create cross current
current_catalog current_date current_role current_schema current_time current_timestamp current_user
cursor database dbcc deallocate declare default deferrable delete deny desc disk distinct
distributed do double drop dump else end errlvl escape except exec execute exists exit external
false fetch file fillfactor for foreign freetext freetexttable freeze from full function goto grant
group having holdlock identity identity_insert identitycol if ilike in index initially inner insert
intersect into is isnull join key kill leading left like limit lineno load localtime localtimestamp
merge national natural new nocheck nonclustered not notnull null nullif of off offset offsets old on
only open opendatasource openquery openrowset openxml option or order outer over overlaps percent
pivot placing plan precision primary print proc procedure public raiserror read readtext reconfigure
references replication restore restrict return returning revert revoke right rollback rowcount
rowguidcol rule save schema securityaudit select session_user set setuser shutdown similar some
statistics symmetric system_user table tablesample textsize then to top trailing tran transaction
trigger true truncate tsequal union unique unpivot update updatetext use user using values variadic
varying verbose view waitfor when where while window with writetext
"""
RESERVED_WORDS = frozenset(_WORDS.split())

_DIGEST_CHARS = 8
_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12][0-9]|3[01])"
_HOUR, _SIXTY = r"(?:[01][0-9]|2[0-3])", r"[0-5][0-9]"
_ZONE = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
_TIME = rf"""
    (?: T{_HOUR}{_SIXTY}(?:{_SIXTY}(?:[.,][0-9]{{1,9}})?)?{_ZONE}           # T1015, T101500Z
      | T{_HOUR}[-:._]{_SIXTY}(?:[-:._]{_SIXTY}(?:[.,][0-9]{{1,9}})?)?{_ZONE}  # T10:15:00
      | [-_. ]{_HOUR}{_SIXTY}{_SIXTY}Z?                                     # _101500
      | [-_. ]{_HOUR}(?P<colon>[-:._]){_SIXTY}(?P=colon){_SIXTY}Z?          # _10-15-00
    )(?![0-9])
"""
# Years outside 1900-2099 are far more often customer or article numbers than dates.
_DATE = re.compile(
    rf"""(?<![0-9])
    (?P<year>(?:19|20)[0-9]{{2}})
    (?: (?P<month>{_MONTH})(?P<day>{_DAY})(?:{_HOUR}{_SIXTY}{_SIXTY})?
      | (?P<sep>[-_. ])(?P<month2>{_MONTH})(?P=sep)(?P<day2>{_DAY})
    )(?![0-9])
    (?:{_TIME})?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class NamedTable:
    """The table that a file name leads to."""

    name: str
    note: str = ""
    """Why the name is not the one that a person may expect; empty when there is nothing to say."""


def table_name(file_name: str, *, max_length: int, known_suffixes: Sequence[str]) -> NamedTable:
    """Return the table that a file of this name belongs to.

    `max_length` counts UTF-8 bytes, the strictest of the targets' ways to count. `known_suffixes`
    are such as `.csv`, in any case; `.gz` and `.rejects` are always known.
    Raises FileError with code `no_table_name` or `reserved_name`.
    """
    name = _clean_table_name(_strip_date_and_suffixes(_nfc(file_name), known_suffixes))
    shown = path_text(file_name)
    if not name:
        raise FileError(
            f'The file name "{shown}" has no letter or digit that could name a table.',
            hint="Rename the file after its table, for example airports_20241201.csv.",
            code="no_table_name",
        )
    if name in OWN_TABLES:
        raise FileError(
            f'The file name "{shown}" leads to "{name}", where dropload keeps its journal.',
            hint="Rename the file, for example by putting the subject in front.",
            code="reserved_name",
        )
    return _fit_target(name, max_length)


def file_pattern(file_name: str) -> str:
    """Return what the names of one sender's files have in common: each digit is a `#`.

    `sales_20261120.csv` and `sales_20261121.csv` are `sales_########.csv`; letters of a UUID count
    as digits, and our own prefix goes.
    """
    name = _UUID.sub(lambda uuid: re.sub(r"\w", "#", uuid[0]), strip_filed_prefix(file_name))
    return re.sub(r"\d", "#", name)


def _strip_date_and_suffixes(name: str, known_suffixes: Sequence[str]) -> str:
    """Return the name without what changes from one delivery to the next, however it is nested."""
    suffixes = (*(suffix.lower() for suffix in known_suffixes if suffix), ".gz", REJECTS_SUFFIX)
    before = ""
    while name != before:
        before = name
        name = _strip_suffixes(strip_filed_prefix(name), suffixes)
        name = _DATE.sub(_drop_real_date, name).rstrip("_-. ")
    return name


def _strip_suffixes(name: str, suffixes: Sequence[str]) -> str:
    while found := next((s for s in suffixes if name.lower().endswith(s)), ""):
        name = name[: -len(found)]
    return name


def _drop_real_date(match: re.Match[str]) -> str:
    """Return `_` for a date of the calendar; 20230231 is a number and stays."""
    year = int(match["year"])
    month = int(match["month"] or match["month2"])
    day = int(match["day"] or match["day2"])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = (
        29 if month == 2 and leap else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
    )
    return "_" if day <= last else match[0]


def _clean_table_name(text: str) -> str:
    """Return `text` in lower case, of letters, digits and single inner underscores only."""
    kept: list[str] = []
    for char in _nfc(text.lower()):
        category = unicodedata.category(char)
        if category[0] == "L" or category == "Nd" or _continues_letter(char, category, kept):
            kept.append(char)
        else:
            kept.append("_")
    return re.sub("_+", "_", "".join(kept)).strip("_")


def _continues_letter(char: str, category: str, kept: list[str]) -> bool:
    # The vowel sign of an Indic script belongs to its letter, a variation selector to an emoji.
    is_mark = category in {"Mn", "Mc"} and not "\ufe00" <= char <= "\ufe0f"
    return is_mark and bool(kept) and unicodedata.category(kept[-1])[0] in "LM"


def _fit_target(name: str, max_length: int) -> NamedTable:
    notes = []
    if unicodedata.category(name[0]) == "Nd":
        notes.append(f'"{name}" starts with a digit, so the table is called "t_{name}".')
        name = f"t_{name}"
    elif name in RESERVED_WORDS:
        notes.append(f'"{name}" is a reserved word of SQL, so the table is called "t_{name}".')
        name = f"t_{name}"
    if len(name.encode()) > max_length:
        cut = _cut(name, max_length, _utf8_bytes)
        notes.append(
            f'"{name}" is longer than the {max_length} bytes that the target allows, '
            f'so the table is called "{cut}".'
        )
        name = cut
    return NamedTable(name, " ".join(notes))


def clean_column_names(header_names: Sequence[str]) -> tuple[str, ...]:
    """Return one usable, unique column name for each header cell, as close to the cell as possible.

    The text is kept, case and punctuation included, because the database owner looks for it and
    identifiers are always quoted. Unique means: on a target that ignores case and width, too.
    """
    return _clean_column_names(tuple(header_names))


@lru_cache(maxsize=64)
def _clean_column_names(header_names: tuple[str, ...]) -> tuple[str, ...]:
    """Do so; file after file has the same header."""
    cleaned = [_clean_column_name(cell) for cell in header_names]
    used = {_identity(name) for name in LINEAGE_COLUMNS}
    blocked = used.union(map(_identity, cleaned))
    numbers: dict[str, int] = {}
    names = []
    for position, wanted in enumerate(cleaned, start=1):
        name = wanted or f"column_{position}"
        if _identity(name) in (used if wanted else blocked):
            name = _free_name(name, blocked, numbers)
        used.add(_identity(name))
        blocked.add(_identity(name))
        names.append(name)
    return tuple(names)


@lru_cache(maxsize=4096)
def match_key(name: str) -> str:
    """Return what two column names must share to be taken for the same column.

    Case, accents, blanks and punctuation do not count: `Élan vital` and `elan_vital` match.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    # Combining classes from 200 are accents; lower ones are vowels and signs that make other words.
    letters = (c for c in plain if unicodedata.combining(c) < 200)
    key = "".join(c for c in letters if unicodedata.category(c)[0] in "LNM")
    # Two columns called "%" and "#" must not match each other as "nothing".
    return key or plain


def _clean_column_name(cell: str) -> str:
    text = _nfc(cell).replace("\ufeff", "")
    printable = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    name = " ".join(printable.split())
    if not _identity(name):
        return ""  # zero-width characters only: nobody could see or type it
    return name if len(name) <= MAX_COLUMN_CHARS else _cut(name, MAX_COLUMN_CHARS, len)


def _identity(name: str) -> str:
    """Return the key by which the least discerning target tells columns apart."""
    if name.isascii():
        return name.lower().strip()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c) != "Cf").strip()


def _free_name(name: str, blocked: set[str], numbers: dict[str, int]) -> str:
    """Return `name_2` or the next free one; `numbers` remembers, per name, which were tried."""
    key = _identity(name)
    while True:
        number = numbers[key] = numbers.get(key, 1) + 1
        candidate = f"{name[: MAX_COLUMN_CHARS - len(str(number)) - 1]}_{number}"
        if _identity(candidate) not in blocked:
            return candidate


def _nfc(text: str) -> str:
    """Return composed text; bytes of a name that was not UTF-8 become `_`."""
    return unicodedata.normalize("NFC", re.sub("[\ud800-\udfff]", "_", text))


def _cut(name: str, limit: int, measure: Callable[[str], int]) -> str:
    """Return the start of `name` with a digest of all of it: stable, and its own for each name."""
    room = limit - _DIGEST_CHARS - 1
    head = name
    while head and measure(head) > room:
        head = head[:-1]
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{head.rstrip('_ ')}_{digest}"


def _utf8_bytes(text: str) -> int:
    return len(text.encode())
