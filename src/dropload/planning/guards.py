"""What keeps a file from being loaded: refusals that the sender mends, holds that a person ends."""

from collections.abc import Iterable

from dropload.config import LoadConfig
from dropload.errors import FileError, HeldError
from dropload.model import (
    CheckedColumn,
    ColumnProfile,
    Kind,
    Layout,
    LoadType,
    Plan,
    Profile,
    TableColumn,
    TableInfo,
    TableRules,
)
from dropload.planning.columns import pair_columns
from dropload.planning.notes import listed, suggest_new_table, suggest_renames, suggest_tables
from dropload.planning.request import CountRows, FindCommas, Questions, Request
from dropload.reports import count_of
from dropload.targets.base import Rules


def check_confidence(request: Request, layout: Layout, settings: LoadConfig) -> None:
    """Hold a file of which it is not sure enough how it is written (HeldError)."""
    if request.force:
        return
    if layout.doubt:
        raise HeldError(
            f"It is not sure that all of this file is read: {layout.doubt}.",
            hint="Take out of the file what is not of the table; release it if it is right so.",
            code="doubtful_layout",
        )
    if layout.confidence >= settings.min_confidence:
        return
    raise HeldError(
        f"How this file is written is not sure: {layout.confidence:.0%} "
        f"(needed: {settings.min_confidence:.0%}). {'; '.join(layout.evidence)}.",
        hint="Look at it with `dropload inspect`, and release it if the layout is right.",
        code="doubtful_layout",
    )


def check_rejects_file(request: Request, profile: Profile) -> None:
    """Hold a fullload of a file that holds only the rows which were refused before."""
    if request.load_type is LoadType.FULLLOAD and not request.force:
        raise HeldError(
            f"This file of rejected rows has only {count_of(profile.rows, 'row')}; a fullload of "
            f"it would replace all rows of {request.table}.",
            hint="Drop it into the append inbox, or drop the whole corrected file here.",
            code="rejects_as_fullload",
        )


def check_width(columns: int, most: int, *, spare: int = 0) -> None:
    """Refuse a file with more columns than a table can have; `spare` ones may not be loaded."""
    if columns > most + spare:
        raise FileError(
            f"The file has {columns:,} columns; a table can have {most:,}.",
            hint="Split it into several files with fewer columns.",
            code="too_many_columns",
        )


def check_values(layout: Layout, profile: Profile) -> None:
    """Refuse a file of delimiters only: rows of nulls, below no name at all."""
    if layout.header or not profile.good_rows:
        return
    if all(column.nulls == profile.good_rows for column in profile.columns):
        rows = "only row holds" if profile.good_rows == 1 else f"{profile.good_rows:,} rows hold"
        raise FileError(
            f"The file's {rows} no value at all, only delimiters.",
            hint="Check the export that wrote it, then drop it again.",
            code="empty",
        )


def check_content(
    request: Request,
    profile: Profile,
    info: TableInfo | None,
    settings: LoadConfig,
    checks: Iterable[CheckedColumn],
) -> None:
    """Refuse a file with too many bad rows or none to append; hold an empty fullload."""
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
            hint="Drop a new version; if the table really is to be emptied, release the file."
            if info is not None
            else "Drop a version with rows: there is no such table yet that it could empty.",
            code="would_empty",
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
        first = profile.rejects[0]
        return (
            f"None of the file's {count_of(profile.rows, 'row')} can be loaded. "
            f"Line {first.line:,}: {first.message}."
        )
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


def check_doubts(info: TableInfo, sources: list[tuple[int, ColumnProfile]]) -> None:
    """Hold a file whose column could be read in two ways where the table has numbers or days."""
    pairs = pair_columns(info, sources)
    for at, source in sources:
        column = pairs.get(at)
        if column is None or not info.has_lineage or column.type.kind is Kind.TEXT:
            continue
        if source.doubt:
            raise HeldError(
                f'Column "{column.name}" of {info.table} holds {column.shown_type}, and here '
                f"{source.note}.",
                hint=f"Set {source.doubt}, and drop a new version; released, the file makes the "
                "column text.",
                code="doubtful_values",
            )


def check_points(
    info: TableInfo, sources: list[tuple[int, ColumnProfile]], find_commas: FindCommas
) -> None:
    """Hold a file of `1.234` for a column whose numbers came with decimal commas until now."""
    pairs = pair_columns(info, sources)
    pointed = [(pairs[at], source) for at, source in sources if source.pointed and at in pairs]
    numbers = [(c, s) for c, s in pointed if Kind.TEXT not in (c.type.kind, s.type.kind)]
    commas = find_commas() if numbers and info.has_lineage else ()
    for column, source in numbers:
        if column.name in commas:
            raise HeldError(
                f'Column "{column.name}" of {info.table} came with decimal commas until now, and '
                f"here {source.pointed} can have a decimal point or a thousands separator.",
                hint="Set load.decimal_mark, and drop a new version; released, the point is read "
                "as decimal.",
                code="doubtful_values",
            )


def check_slips(info: TableInfo, sources: list[tuple[int, ColumnProfile]]) -> None:
    """Hold a file of which few values would turn a column of the table into text."""
    pairs = pair_columns(info, sources)
    for at, source in sources:
        column = pairs.get(at)
        if column is None or not info.has_lineage:
            continue
        if source.type.kind is Kind.TEXT and column.type.kind in source.nearly:
            raise HeldError(
                f'Column "{column.name}" of {info.table} holds {column.shown_type}, and this file '
                f"would make it text: {source.note}.",
                hint="Correct these values and drop a new version; released, the file makes the "
                "column text.",
                code="doubtful_values",
            )


def check_match(
    info: TableInfo,
    sources: list[tuple[int, ColumnProfile]],
    settings: LoadConfig,
    rules: Rules,
    questions: Questions,
) -> None:
    """Refuse a file that has too few of the table's columns; the hint names better tables."""
    pairs = pair_columns(info, sources)
    found = {column.name for column in pairs.values()}
    share = len(found) / len(info.columns) if info.columns else 1.0
    if share >= settings.min_matching_columns:
        return
    missing = [column.name for column in info.columns if column.name not in found]
    unknown = [source.name for at, source in sources if at not in pairs]
    raise FileError(
        f"Only {len(found)} of the {len(info.columns)} columns of {info.table} are in the file "
        f"({share:.0%}; needed: {settings.min_matching_columns:.0%}). "
        f"Missing: {listed(missing)}. Not in the table: {listed(unknown)}.",
        hint=suggest_tables(sources, questions.list_tables(), share)
        + suggest_renames(missing, unknown)
        + suggest_new_table(info, rules, questions.count_rows),
        code="column_mismatch",
    )


def check_missing(info: TableInfo, missing: Iterable[TableColumn]) -> None:
    """Refuse a file that lacks a column which the table needs a value for."""
    required = [c.name for c in missing if not (c.nullable or c.has_default)]
    if required:
        raise FileError(
            f"{info.table} needs a value in {listed(required)}, and the file has no such column.",
            hint="Add the column to the file.",
            code="missing_required",
        )


def check_guard_rails(
    plan: Plan, settings: LoadConfig, table_rules: TableRules, count_rows: CountRows
) -> None:
    """Hold a fullload that would take more from the database than is usual (HeldError)."""
    if plan.load_type is not LoadType.FULLLOAD:
        return
    if table_rules.dependents:
        raise HeldError(
            f"A fullload deletes the rows of {plan.table}, and with them changes those of "
            f"{', '.join(table_rules.dependents)}.",
            hint="Change that foreign key or load the file as append; release the file only if "
            "the other tables may lose their rows, too.",
            code="would_cascade",
        )
    if plan.missing:
        raise HeldError(
            f"The file lacks {listed(plan.missing)}, which {plan.table} has.",
            hint="Drop a complete version, or release the file: these columns become null or "
            "their default.",
            code="would_narrow",
        )
    rows, rows_now = plan.profile.good_rows, count_rows()
    if rows < rows_now * (1 - settings.max_shrink):
        lost = 1 - rows / rows_now
        raise HeldError(
            f"The file has {count_of(rows, 'row')}, {lost:.0%} fewer than {plan.table} holds "
            f"({rows_now:,}).",
            hint="Drop a complete version, or release the file if this is right.",
            code="would_shrink",
        )
