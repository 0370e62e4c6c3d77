"""Decide what a load will do, before anything is written: a plan, a refusal, or a hold."""

from collections.abc import Iterable
from dataclasses import replace

from dropload.column_types import common_type
from dropload.config import LoadConfig
from dropload.model import (
    CheckedColumn,
    ColumnProfile,
    Layout,
    Plan,
    PlannedColumn,
    Profile,
    TableColumn,
    TableInfo,
    TableRules,
)
from dropload.planning.columns import leave_out_computed, loadable_columns, pair_columns, seen_type
from dropload.planning.guards import (
    check_confidence,
    check_content,
    check_doubts,
    check_guard_rails,
    check_match,
    check_missing,
    check_points,
    check_rejects_file,
    check_slips,
    check_values,
    check_width,
)
from dropload.planning.notes import (
    describe_changes,
    describe_footer,
    describe_layout,
    describe_rules,
    describe_widening,
)
from dropload.planning.request import Measure, Questions, Request
from dropload.targets.base import Rules


def make_plan(
    request: Request,
    layout: Layout,
    profile: Profile,
    info: TableInfo | None,
    settings: LoadConfig,
    rules: Rules,
    questions: Questions,
    checks: tuple[CheckedColumn, ...],
    table_rules: TableRules,
) -> Plan:
    """Return the plan; `info` is the table as it is now, None when there is none.

    `checks` are the columns whose values have been looked at one by one, `table_rules` what hangs
    on the table.

    Raises FileError when the sender must act, HeldError when a guard rail wants a decision.
    """
    check_confidence(request, layout, settings)
    check_content(request, profile, info, settings, checks)
    check_values(layout, profile)
    sources, notes = loadable_columns(profile, rules)
    if notes:
        check_rejects_file(request, profile)
    request = replace(
        request, notes=(*request.notes, *notes, *describe_layout(layout), *describe_footer(profile))
    )
    if info is not None and not request.force:
        check_doubts(info, sources)
        check_slips(info, sources)
        check_points(info, sources, questions.find_commas)
    check_width(len(sources), rules.limits.columns)
    if info is None:
        plan = _plan_new_table(request, layout, profile, sources, rules)
    else:
        sources, notes = leave_out_computed(info, sources)
        request = replace(request, notes=(*request.notes, *notes))
        check_match(info, sources, settings, rules, questions)
        plan = _plan_known_table(
            request, layout, profile, info, sources, rules, questions.measure, checks
        )
        if not request.force:
            check_guard_rails(plan, settings, table_rules, questions.count_rows)
        filled = [column.name for column in plan.columns]
        said = describe_rules(request.load_type, info, table_rules, filled)
        plan = replace(plan, notes=(*plan.notes, *said))
    return plan


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
        notes=(*request.notes, f"The table {request.table} is new."),
    )


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
    pairs = pair_columns(info, sources)
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
    check_missing(info, missing)
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
        rows_before=None,
        notes=(*request.notes, *describe_changes(info, columns, missing)),
        checks=checks,
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
    seen = seen_type(source)
    if only_nulls or rules.holds(column, seen):
        return PlannedColumn(column.name, column.type, position, "keep", source.note)
    wide = rules.with_room(common_type(measure(column), seen))
    return PlannedColumn(
        column.name, wide, position, "widen", describe_widening(column.type, source)
    )


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
