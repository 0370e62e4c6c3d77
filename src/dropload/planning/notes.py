"""What a plan says in words about the file and its table, for people."""

from collections.abc import Iterable, Mapping, Sequence

from dropload.model import (
    ColumnProfile,
    ColumnType,
    Layout,
    LoadType,
    PlannedColumn,
    Profile,
    TableColumn,
    TableInfo,
    TableName,
    TableRules,
)
from dropload.planning.request import CountRows
from dropload.planning.suggestions import find_better_tables, propose_renames
from dropload.targets.base import Rules


def describe_layout(layout: Layout) -> list[str]:
    """Return what was left out of the file as no rows, a sentence each."""
    return [f"{remark[0].upper()}{remark[1:]}." for remark in layout.remarks]


def describe_footer(profile: Profile) -> list[str]:
    """Return what was found behind the table; empty when there was nothing."""
    if not profile.footer:
        return []
    lines = ", ".join(
        f'line {line.line} "{next(filter(None, line.fields), "")[:60]}"' for line in profile.footer
    )
    return [f"Behind the table, and not loaded: {lines}."]


def describe_changes(
    info: TableInfo, columns: Sequence[PlannedColumn], missing: Iterable[TableColumn]
) -> list[str]:
    """Return how the table changes, what the file lacks, and what may be a renamed column."""
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
        notes.append(f"The file lacks {listed(absent)}: its rows get null, or the table's default.")
    if not info.has_lineage:
        notes.append(
            f"{info.table} was not made by dropload and has no lineage columns: "
            "an append to it cannot be undone."
        )
    return notes


def describe_widening(old: ColumnType, source: ColumnProfile) -> str:
    """Return why a column becomes wider."""
    reason = f"the table held {old}, this file has {source.type}"
    return f"{reason} ({source.note})" if source.note else reason


def describe_rules(
    load_type: LoadType, info: TableInfo, rules: TableRules, columns: Iterable[str]
) -> list[str]:
    """Return what the plan says about triggers, constraints and numbered columns."""
    notes = []
    if rules.triggers:
        change = "deleted and inserted" if load_type is LoadType.FULLLOAD else "inserted"
        notes.append(f"Triggers fire for the rows that are {change}: {listed(rules.triggers)}.")
    if rules.constraints:
        names = listed(rules.constraints)
        notes.append(f"Constraints are checked for all rows, or none is loaded: {names}.")
    filled = set(columns)
    for name in info.numbered:
        source = "come from the file" if name in filled else "are given by the database"
        notes.append(f'The numbers of column "{name}" {source}.')
    return notes


def suggest_tables(
    sources: list[tuple[int, ColumnProfile]],
    tables: Mapping[TableName, Sequence[str]],
    share: float,
) -> str:
    """Return which tables the file's columns fit better; `share` is that of the table meant."""
    better = find_better_tables([source.name for _, source in sources], tables, share)
    if not better:
        return "Check that the file belongs to this table, and its header line."
    named = ", ".join(f"{table} ({share:.0%} of its columns)" for table, share in better)
    return f"Check the file's name: its columns would fit {named} better."


def suggest_renames(missing: Iterable[str], unknown: Iterable[str]) -> str:
    """Return which unknown columns look like missing ones, as a sentence or nothing."""
    pairs = propose_renames(missing, unknown)
    said = ", ".join(f'"{new}" looks like "{old}"' for old, new in pairs)
    return f" {said}: rename it in the file if that is meant." if pairs else ""


def suggest_new_table(info: TableInfo, rules: Rules, count_rows: CountRows) -> str:
    """Say of an empty table that dropload made, as after an undo, how it comes to other columns."""
    if not info.has_lineage or count_rows():
        return ""
    return (
        " dropload made that table, and it is empty: if its columns are the wrong ones, "
        f"`{rules.drop_words(info.table)}`, and this file, dropped again, makes it anew."
    )


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names in quotes, the first of them when there are many."""
    quoted = [f'"{name}"' for name in names]
    if not quoted:
        return "none"
    more = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + more
