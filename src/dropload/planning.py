"""Decide what a load will do, before anything is written: a plan, a refusal, or a hold."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dropload.column_types import INTEGER_DIGITS, common_type, is_doubt
from dropload.config import LoadConfig
from dropload.errors import FileError, HeldError
from dropload.matching import find_better_tables, propose_renames
from dropload.model import (
    CheckedColumn,
    ColumnProfile,
    ColumnType,
    Kind,
    Layout,
    LoadType,
    Plan,
    PlannedColumn,
    Profile,
    TableColumn,
    TableInfo,
    TableName,
    TableRules,
)
from dropload.naming import match_key
from dropload.reports import REJECT_COLUMNS
from dropload.targets.base import Rules

ListTables = Callable[[], Mapping[TableName, Sequence[str]]]
"""Returns the names of the columns of each table beside the one that is meant."""
Measure = Callable[[TableColumn], ColumnType]
"""Returns the smallest type that holds what a column of the table holds now: its declared digits
include room to spare, which must not count when a wider type is chosen."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a plan is asked for."""

    table: TableName
    load_type: LoadType
    force: bool = False
    notes: tuple[str, ...] = ()
    """What was noticed on the way here, for example about the table's name."""


def make_plan(
    request: Request,
    layout: Layout,
    profile: Profile,
    info: TableInfo | None,
    settings: LoadConfig,
    rules: Rules,
    measure: Measure,
    checks: tuple[CheckedColumn, ...] = (),
    table_rules: TableRules = TableRules(),  # noqa: B008 - it cannot be changed
    list_tables: ListTables = dict,
) -> Plan:
    """Return the plan; `info` is the table as it is now, None when there is none.

    `list_tables` is asked only when the file does not fit its table: columns by table.
    `measure` is asked only for columns whose type does not hold the file's values; `checks` are
    the columns whose values have been looked at one by one, `table_rules` what hangs on the table.

    Raises FileError when the sender must act, HeldError when a guard rail wants a decision.
    """
    _check_confidence(request, layout, settings)
    _check_content(request, profile, info, settings, checks)
    sources, notes = _loadable_columns(profile, rules)
    if notes and request.load_type is LoadType.FULLLOAD and not request.force:
        raise HeldError(
            f"This file of rejected rows has only {profile.rows:,} rows; a fullload of it would "
            f"replace all rows of {request.table}.",
            hint="Drop it into the append inbox, or drop the whole corrected file here.",
        )
    request = replace(request, notes=(*request.notes, *notes, *_footer_notes(profile)))
    if info is not None and not request.force:
        _check_doubts(info, sources)
    if len(sources) > rules.limits.columns:
        raise FileError(
            f"The file has {len(sources):,} columns; a table can have {rules.limits.columns:,}.",
            hint="Split it into several files with fewer columns.",
            code="too_many_columns",
        )
    if info is None:
        plan = _plan_new_table(request, layout, profile, sources, rules)
    else:
        sources, notes = _leave_out_computed(info, sources)
        request = replace(request, notes=(*request.notes, *notes))
        _check_match(info, sources, settings, list_tables)
        plan = _plan_known_table(request, layout, profile, info, sources, rules, measure, checks)
        if not request.force:
            _check_guard_rails(plan, info, settings, table_rules)
        said = _describe_rules(request, table_rules, [c.name for c in plan.columns])
        plan = replace(plan, notes=(*plan.notes, *said))
    return plan


# --- the file itself


def _check_doubts(info: TableInfo, sources: list[tuple[int, ColumnProfile]]) -> None:
    """Hold a file whose column could be read in two ways where the table has numbers or days."""
    pairs = _pair_columns(info, sources)
    for at, source in sources:
        column = pairs.get(at)
        if column is None or not info.has_lineage or column.type.kind is Kind.TEXT:
            continue
        if is_doubt(source.note):
            raise HeldError(
                f'Column "{column.name}" of {info.table} holds {column.shown_type}, and here '
                f"{source.note}.",
                hint="Set that, and drop a new version; released, the file makes the column text.",
            )


def _footer_notes(profile: Profile) -> list[str]:
    if not profile.footer:
        return []
    lines = ", ".join(
        f'line {line.line} "{next(filter(None, line.fields), "")[:60]}"' for line in profile.footer
    )
    return [f"Behind the table, and not loaded: {lines}."]


def _check_confidence(request: Request, layout: Layout, settings: LoadConfig) -> None:
    if layout.confidence >= settings.min_confidence or request.force:
        return
    raise HeldError(
        f"How this file is written is not sure: {layout.confidence:.0%} "
        f"(needed: {settings.min_confidence:.0%}). {'; '.join(layout.evidence)}.",
        hint="Look at it with `dropload inspect`, and release it if the layout is right.",
    )


def _check_content(
    request: Request,
    profile: Profile,
    info: TableInfo | None,
    settings: LoadConfig,
    checks: Iterable[CheckedColumn],
) -> None:
    if profile.rejected_rows > settings.max_rejected_rows:
        raise FileError(
            _rejects_sentence(profile, settings.max_rejected_rows) + _culprit(profile, checks),
            hint="Correct these rows in the original file and drop it again; nothing of it was "
            "loaded.",
            code="rejected_rows",
            rejects=profile.rejects,
        )
    if profile.good_rows > 0:
        return
    what = _emptiness(profile)
    if request.load_type is LoadType.FULLLOAD:
        if request.force and info is not None and profile.columns:
            return
        if request.force:
            raise FileError(
                f"{what} There is no table {request.table} that it could empty.",
                hint="Drop a file with rows.",
                code="empty",
            )
        raise HeldError(
            f"{what} A fullload of it would leave {request.table} without rows.",
            hint="Drop a new version; if the table really is to be emptied, release the file.",
        )
    if not profile.columns or info is None:
        raise FileError(
            f"{what} There is nothing to append to {request.table}.",
            hint="Check the export that wrote it, then drop it again.",
            code="empty",
        )


def _emptiness(profile: Profile) -> str:
    if profile.size_bytes == 0:
        return "The file is empty (0 bytes)."
    if profile.rows > 0:
        return f"None of the file's {profile.rows:,} rows can be loaded."
    if not profile.columns:
        return "The file holds nothing but blanks."
    return "The file holds a header and no rows."


def _rejects_sentence(profile: Profile, allowed: int) -> str:
    count, rows = profile.rejected_rows, profile.rows
    bad = "1 row cannot" if count == 1 else f"{count:,} rows cannot"
    rule = "none is allowed" if allowed == 0 else f"{allowed:,} are allowed"
    return f"{bad} be loaded, of {rows:,} ({rule}: load.max_rejected_rows)."


def _culprit(profile: Profile, checks: Iterable[CheckedColumn]) -> str:
    """Return a sentence that names the one column of the table that refuses rows, if it is one."""
    columns = {reject.column for reject in profile.rejects}
    if len(columns) != 1:
        return ""
    [name] = columns
    sources = [column.source_name or column.name for column in profile.columns]
    found = [c.column for c in checks if name in (sources[c.position], c.column.name)]
    return f' Column "{found[0].name}" of the table holds {found[0].shown_type}.' if found else ""


def find_checks(profile: Profile, info: TableInfo, rules: Rules) -> tuple[CheckedColumn, ...]:
    """Return the columns whose values must be looked at one by one before they go to the table.

    A column of a table that dropload made becomes wider instead.
    """
    sources, _ = _loadable_columns(profile, rules)
    sources, _ = _leave_out_computed(info, sources)
    pairs = _pair_columns(info, sources)
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
    return not info.has_lineage and has_values and not rules.holds(column, _seen_type(source))


def _loadable_columns(
    profile: Profile, rules: Rules
) -> tuple[list[tuple[int, ColumnProfile]], tuple[str, ...]]:
    """Return position and profile of the columns that go to the table, under their names there."""
    headers = tuple(column.source_name.strip() for column in profile.columns)
    count = len(headers)
    notes: tuple[str, ...] = ()
    if headers[-len(REJECT_COLUMNS) :] == REJECT_COLUMNS:
        count -= len(REJECT_COLUMNS)
        notes = (f"The columns {_listed(REJECT_COLUMNS)} of a rejects file are not loaded.",)
    names = rules.column_names([column.name for column in profile.columns[:count]])
    columns = zip(profile.columns, names, strict=False)
    return [(at, replace(column, name=name)) for at, (column, name) in enumerate(columns)], notes


# --- a table that is not there yet


def _plan_new_table(
    request: Request,
    layout: Layout,
    profile: Profile,
    sources: Iterable[tuple[int, ColumnProfile]],
    rules: Rules,
) -> Plan:
    columns = tuple(
        PlannedColumn(column.name, rules.with_room(column.type), position, "create", column.note)
        for position, column in sources
    )
    return Plan(
        table=request.table,
        load_type=request.load_type,
        layout=layout,
        profile=profile,
        columns=columns,
        missing=(),
        table_before=None,
        table_columns=tuple(TableColumn(c.name, c.type) for c in columns),
        has_lineage=True,
        rows_before=0,
        notes=(*request.notes, f"The table {request.table} does not exist and is created."),
    )


# --- a table that is there


def _plan_known_table(
    request: Request,
    layout: Layout,
    profile: Profile,
    info: TableInfo,
    sources: list[tuple[int, ColumnProfile]],
    rules: Rules,
    measure: Measure,
    checks: tuple[CheckedColumn, ...],
) -> Plan:
    pairs = _pair_columns(info, sources)
    # Values that were looked at fit, whatever the types say.
    sure = {checked.position for checked in checks}
    columns = tuple(
        PlannedColumn(pairs[position].name, pairs[position].type, position)
        if position in sure
        else _place_column(position, source, pairs.get(position), profile, rules, measure)
        for position, source in sources
    )
    filled = {c.name for c in columns}
    missing = tuple(c for c in info.columns if c.name not in filled)
    _check_missing(info, missing)
    return Plan(
        table=request.table,
        load_type=request.load_type,
        layout=layout,
        profile=profile,
        columns=columns,
        missing=tuple(c.name for c in missing),
        table_before=info.columns,
        table_columns=_resulting_columns(info, columns),
        has_lineage=info.has_lineage,
        rows_before=info.rows,
        notes=(*request.notes, *_known_table_notes(info, columns, missing)),
        checks=checks,
    )


def _leave_out_computed(
    info: TableInfo, sources: list[tuple[int, ColumnProfile]]
) -> tuple[list[tuple[int, ColumnProfile]], tuple[str, ...]]:
    """Return the columns without those that the table computes, and a note for each of these."""
    computed = {match_key(name): name for name in info.computed}
    kept = [(at, source) for at, source in sources if match_key(source.name) not in computed]
    left = [computed[match_key(s.name)] for _, s in sources if match_key(s.name) in computed]
    notes = (f'Column "{name}" is computed by {info.table}: not loaded.' for name in left)
    return kept, tuple(notes)


def _pair_columns(
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
    return pairs


def _check_one_column(
    info: TableInfo, taken: set[str], alike: Callable[[str], str], key: str
) -> None:
    free = [c.name for c in info.columns if c.name not in taken and alike(c.name) == key]
    if len(free) > 1:
        raise FileError(
            f"A column of the file could be any of these of {info.table}: {_listed(free)}.",
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
            f"Several columns of the file mean the same column of {info.table}: {_listed(names)}.",
            hint="Give each column a name of its own.",
            code="ambiguous_columns",
        )


def _check_match(
    info: TableInfo,
    sources: list[tuple[int, ColumnProfile]],
    settings: LoadConfig,
    list_tables: ListTables,
) -> None:
    pairs = _pair_columns(info, sources)
    found = {column.name for column in pairs.values()}
    share = len(found) / len(info.columns) if info.columns else 1.0
    if share >= settings.min_matching_columns:
        return
    missing = [column.name for column in info.columns if column.name not in found]
    unknown = [source.name for at, source in sources if at not in pairs]
    raise FileError(
        f"Only {len(found)} of the {len(info.columns)} columns of {info.table} are in the file "
        f"({share:.0%}; needed: {settings.min_matching_columns:.0%}). "
        f"Missing: {_listed(missing)}. Not in the table: {_listed(unknown)}.",
        hint=_suggest_tables(sources, list_tables(), share) + _suggest_renames(missing, unknown),
        code="column_mismatch",
    )


def _suggest_tables(
    sources: list[tuple[int, ColumnProfile]],
    tables: Mapping[TableName, Sequence[str]],
    share: float,
) -> str:
    better = find_better_tables([source.name for _, source in sources], tables, share)
    if not better:
        return "Check that the file belongs to this table, and its header line."
    named = ", ".join(f"{table} ({share:.0%} of its columns)" for table, share in better)
    return f"Check the file's name: its columns would fit {named} better."


def _suggest_renames(missing: Iterable[str], unknown: Iterable[str]) -> str:
    pairs = propose_renames(missing, unknown)
    said = ", ".join(f'"{new}" looks like "{old}"' for old, new in pairs)
    return f" {said}: rename it in the file if that is meant." if pairs else ""


def _check_missing(info: TableInfo, missing: Iterable[TableColumn]) -> None:
    required = [c.name for c in missing if not (c.nullable or c.has_default)]
    if required:
        raise FileError(
            f"{info.table} needs a value in {_listed(required)}, and the file has no such column.",
            hint="Add the column to the file.",
            code="missing_required",
        )


def _place_column(
    position: int,
    source: ColumnProfile,
    column: TableColumn | None,
    profile: Profile,
    rules: Rules,
    measure: Measure,
) -> PlannedColumn:
    """Return where the values of one column of the file go."""
    if column is None:
        room = rules.with_room(source.type)
        return PlannedColumn(source.name, room, position, "add", "new in this file")
    only_nulls = source.nulls == profile.good_rows
    seen = _seen_type(source)
    if only_nulls or rules.holds(column, seen):
        return PlannedColumn(column.name, column.type, position, "keep", source.note)
    wide = rules.with_room(common_type(measure(column), seen))
    return PlannedColumn(column.name, wide, position, "widen", _widening(column.type, source))


def _seen_type(source: ColumnProfile) -> ColumnType:
    """Return the type with the digits of the whole numbers that the file really has."""
    if source.type.kind is not Kind.INTEGER:
        return source.type
    return replace(source.type, precision=min(source.max_length, INTEGER_DIGITS))


def _widening(old: ColumnType, source: ColumnProfile) -> str:
    reason = f"the table held {old}, this file has {source.type}"
    return f"{reason} ({source.note})" if source.note else reason


def _resulting_columns(
    info: TableInfo, columns: tuple[PlannedColumn, ...]
) -> tuple[TableColumn, ...]:
    changed = {c.name: c.type for c in columns}
    kept = [
        c if changed.get(c.name, c.type) == c.type else TableColumn(c.name, changed[c.name])
        for c in info.columns
    ]
    added = [TableColumn(c.name, c.type) for c in columns if c.action == "add"]
    return (*kept, *added)


def _known_table_notes(
    info: TableInfo, columns: Sequence[PlannedColumn], missing: Iterable[TableColumn]
) -> list[str]:
    notes = []
    for column in columns:
        if column.action == "add":
            notes.append(f'Column "{column.name}" is new and is added to the table.')
        if column.action == "widen":
            notes.append(f'Column "{column.name}" becomes {column.type}: {column.reason}.')
    absent = [c.name for c in missing]
    new = [c.name for c in columns if c.action == "add"]
    notes += [
        f'Column "{after}" of the file looks like "{before}" of the table: rename it in the file '
        "if that is meant."
        for before, after in propose_renames(absent, new)
    ]
    if absent:
        notes.append(
            f"The file lacks {_listed(absent)}: its rows get null, or the table's default."
        )
    if not info.has_lineage:
        notes.append(
            f"{info.table} was not made by dropload and has no lineage columns: "
            "an append to it cannot be undone."
        )
    return notes


def _describe_rules(request: Request, rules: TableRules, columns: Iterable[str]) -> list[str]:
    """Return what the plan says about triggers, constraints and numbered columns."""
    notes = []
    if rules.triggers:
        change = "deleted and inserted" if request.load_type is LoadType.FULLLOAD else "inserted"
        notes.append(f"Triggers fire for the rows that are {change}: {_listed(rules.triggers)}.")
    if rules.constraints:
        names = _listed(rules.constraints)
        notes.append(f"Constraints are checked for all rows, or none is loaded: {names}.")
    filled = set(columns)
    for name in rules.numbered:
        source = "come from the file" if name in filled else "are given by the database"
        notes.append(f'The numbers of column "{name}" {source}.')
    return notes


# --- guard rails


def _check_guard_rails(
    plan: Plan, info: TableInfo, settings: LoadConfig, table_rules: TableRules
) -> None:
    if plan.load_type is not LoadType.FULLLOAD:
        return
    if table_rules.dependents:
        raise HeldError(
            f"A fullload deletes the rows of {info.table}, and with them changes those of "
            f"{', '.join(table_rules.dependents)}.",
            hint="Change that foreign key or load the file as append; release the file only if "
            "the other tables may lose their rows, too.",
        )
    if plan.missing:
        raise HeldError(
            f"The file lacks {_listed(plan.missing)}, which {info.table} has.",
            hint="Drop a complete version, or release the file: these columns become null or "
            "their default.",
        )
    rows = plan.profile.good_rows
    if rows < info.rows * (1 - settings.max_shrink):
        lost = 1 - rows / info.rows
        raise HeldError(
            f"The file has {rows:,} rows, {lost:.0%} fewer than {info.table} holds "
            f"({info.rows:,}).",
            hint="Drop a complete version, or release the file if this is right.",
        )


def _listed(names: Iterable[str], most: int = 8) -> str:
    quoted = [f'"{name}"' for name in names]
    if not quoted:
        return "none"
    more = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + more
