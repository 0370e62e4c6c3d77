"""Which column of the file means which column of the table."""

from collections.abc import Callable
from dataclasses import replace

from dropload.column_types import INTEGER_DIGITS
from dropload.errors import FileError
from dropload.model import (
    CheckedColumn,
    ColumnProfile,
    ColumnType,
    Kind,
    Profile,
    TableColumn,
    TableInfo,
)
from dropload.naming import match_key
from dropload.planning.notes import listed
from dropload.reports import REJECT_COLUMNS
from dropload.targets.base import Rules


def loadable_columns(
    profile: Profile, rules: Rules
) -> tuple[list[tuple[int, ColumnProfile]], tuple[str, ...]]:
    """Return position and profile of the columns that go to the table, under their names there."""
    headers = tuple(column.source_name.strip() for column in profile.columns)
    count = len(headers)
    notes: tuple[str, ...] = ()
    if headers[-len(REJECT_COLUMNS) :] == REJECT_COLUMNS:
        count -= len(REJECT_COLUMNS)
        notes = (f"The columns {listed(REJECT_COLUMNS)} of a rejects file are not loaded.",)
    names = rules.column_names([column.name for column in profile.columns[:count]])
    columns = zip(profile.columns, names, strict=False)
    named = (_called(column, name) for column, name in columns)
    return list(enumerate(named)), notes


def _called(column: ColumnProfile, name: str) -> ColumnProfile:
    return column if column.name == name else replace(column, name=name)


def leave_out_computed(
    info: TableInfo, sources: list[tuple[int, ColumnProfile]]
) -> tuple[list[tuple[int, ColumnProfile]], tuple[str, ...]]:
    """Return the columns without those that the table computes, and a note for each of these."""
    computed = {match_key(name): name for name in info.computed}
    kept = [(at, source) for at, source in sources if match_key(source.name) not in computed]
    left = [computed[match_key(s.name)] for _, s in sources if match_key(s.name) in computed]
    notes = (f'Column "{name}" is computed by {info.table}: not loaded.' for name in left)
    return kept, tuple(notes)


def pair_columns(
    info: TableInfo, sources: list[tuple[int, ColumnProfile]]
) -> dict[int, TableColumn]:
    """Return for each position in the file the table's column that it means, where there is one.

    Equal names go first; then names that are equal without case, accents and punctuation. So
    `Change` and `Change %` find their own columns although their letters are the same.
    """
    pairs: dict[int, TableColumn] = {}
    for alike in (_same, str.casefold, match_key):
        taken = {column.name for column in pairs.values()}
        free = {alike(c.name): c for c in info.columns if c.name not in taken}
        wanting = [(at, alike(source.name)) for at, source in sources if at not in pairs]
        for at, key in wanting:
            if key and key in free:
                _check_unambiguous(info, sources, wanting, key)
                _check_one_column(info, taken, alike, key)
                pairs[at] = free[key]
        if len(pairs) == len(sources):
            break
    return pairs


def _check_one_column(
    info: TableInfo, taken: set[str], alike: Callable[[str], str], key: str
) -> None:
    free = [c.name for c in info.columns if c.name not in taken and alike(c.name) == key]
    if len(free) > 1:
        raise FileError(
            f"A column of the file could be any of these of {info.table}: {listed(free)}.",
            hint="Write the column's name as the table has it.",
            code="ambiguous_columns",
        )


def _same(name: str) -> str:
    return name


def _check_unambiguous(
    info: TableInfo,
    sources: list[tuple[int, ColumnProfile]],
    wanting: list[tuple[int, str]],
    key: str,
) -> None:
    rivals = {at for at, wanted in wanting if wanted == key}
    if len(rivals) > 1:
        names = [source.name for at, source in sources if at in rivals]
        raise FileError(
            f"Several columns of the file mean the same column of {info.table}: {listed(names)}.",
            hint="Give each column a name of its own.",
            code="ambiguous_columns",
        )


def find_checks(profile: Profile, info: TableInfo, rules: Rules) -> tuple[CheckedColumn, ...]:
    """Return the columns whose values must be looked at one by one before they go to the table.

    A column of a table that dropload made becomes wider instead.
    """
    sources, _ = loadable_columns(profile, rules)
    sources, _ = leave_out_computed(info, sources)
    pairs = pair_columns(info, sources)
    by_position = dict(sources)
    return tuple(
        CheckedColumn(at, column, _notation_for(by_position[at], column))
        for at, column in sorted(pairs.items())
        if _is_doubtful(by_position[at], column, profile, info, rules)
    )


def _notation_for(source: ColumnProfile, column: TableColumn) -> str:
    """Return how the file writes what the table keeps otherwise; a text is kept as written."""
    return "" if column.type.kind is Kind.TEXT else source.type.notation


def _is_doubtful(
    source: ColumnProfile, column: TableColumn, profile: Profile, info: TableInfo, rules: Rules
) -> bool:
    if source.nulls and not column.nullable:
        return True
    has_values = source.nulls < profile.good_rows
    return not info.has_lineage and has_values and not rules.holds(column, seen_type(source))


def seen_type(source: ColumnProfile) -> ColumnType:
    """Return the type with the digits of the whole numbers that the file really has."""
    if source.type.kind is not Kind.INTEGER:
        return source.type
    return replace(source.type, precision=min(source.max_length, INTEGER_DIGITS))
