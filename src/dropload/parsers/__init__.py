"""Find the parser that reads a file, by the ending of its name."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from dropload.errors import FileError
from dropload.parsers.base import Parser

ENTRY_POINTS = "dropload.parsers"


def find_parser(path: Path, parsers: Sequence[Parser] | None = None) -> Parser:
    """Return the parser for a file of this name, among all installed ones unless told.

    Raises FileError (code `unknown_format`) when none reads such files.
    """
    candidates = installed_parsers() if parsers is None else parsers
    name = path.name.lower()
    matches = [
        (len(suffix), parser)
        for parser in candidates
        for suffix in parser.suffixes
        if name.endswith(suffix)
    ]
    if not matches:
        raise _unknown_format(path, candidates)
    # The longest ending says most: .csv.gz is more than .gz.
    return max(matches, key=lambda match: match[0])[1]


@cache
def installed_parsers() -> tuple[Parser, ...]:
    """Return one parser for each entry point, ordered by name."""
    found = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return tuple(cast("Parser", point.load()()) for point in found)


def known_suffixes() -> tuple[str, ...]:
    """Return the file name endings that some installed parser reads, lower case, with the dot."""
    return tuple(suffix for parser in installed_parsers() for suffix in parser.suffixes)


def _unknown_format(path: Path, candidates: Sequence[Parser]) -> FileError:
    known = sorted({suffix for parser in candidates for suffix in parser.suffixes})
    ending = f'files that end in "{path.suffix}"' if path.suffix else "files without an ending"
    return FileError(
        f"{path.name}: dropload does not read {ending}.",
        hint=f"Drop one of {', '.join(known)}; from a spreadsheet, save the table as CSV first.",
        code="unknown_format",
    )
