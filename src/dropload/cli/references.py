"""The commands that look after the reference configuration: reference list, check, repair."""

from collections.abc import Sequence
from typing import Any

import click

from dropload.cli import output
from dropload.cli.session import Session, actor_option, json_option, pass_session
from dropload.identity import person_name
from dropload.references import (
    Finding,
    Flaw,
    check_references,
    list_references,
    repair_references,
)

_WORDS = {
    Flaw.NO_TABLE: "its table is gone",
    Flaw.NO_ROW: "no row in Reference_Data_Cfg",
    Flaw.OTHER_COLUMNS: "the row names other columns",
}
_CHECKED = "`dropload reference repair` does this: it writes rows of Reference_Data_Cfg only."
_REPAIRED = "Only rows of Reference_Data_Cfg were written; no table was touched."


@click.group(short_help="List, check or repair Reference_Data_Cfg.")
def reference() -> None:
    """List, check or repair what Reference_Data_Cfg says of the reference tables.

    Each load of the reference area writes the row of its table. Tables that somebody dropped, made
    or changed by hand leave rows that are not right any more.
    """


@reference.command("list", short_help="List the reference tables.")
@json_option
@pass_session
def reference_list(session: Session, as_json: bool) -> None:
    """List the reference tables with their columns and the load that came last."""
    tables = list_references(session.prepared_dock)
    if as_json:
        for table in tables:
            row = table.row
            output.print_json(
                {
                    "table": str(row.table),
                    "columns": [{"name": name, "type": kind} for name, kind in row.columns],
                    "created_at": row.created_at,
                    "updated_at": row.updated_at,
                    "load_id": row.load_id or None,
                    "flaw": table.finding.flaw if table.finding else None,
                }
            )
        return
    if not tables:
        click.echo("No reference tables yet.")
        return
    output.print_table(
        ["table", "columns", "row made (UTC)", "row written (UTC)", "by load", "status"],
        [
            (
                str(table.row.table),
                len(table.row.columns),
                table.row.created_at,
                table.row.updated_at,
                str(table.row.load_id or ""),
                _WORDS[table.finding.flaw] if table.finding else "ok",
            )
            for table in tables
        ],
    )
    if any(table.finding for table in tables):
        output.print_note("`dropload reference check` says what differs, and what a repair does.")


@reference.command("check", short_help="Compare the configuration with the tables.")
@json_option
@pass_session
def reference_check(session: Session, as_json: bool) -> int:
    """Compare the configuration with the tables; exit status 1 when they differ.

    Finds rows without a table, tables of the reference schema without a row, and columns that
    were changed, and says what `reference repair` would do.
    """
    findings = check_references(session.prepared_dock)
    _show(findings, "what a repair does", _CHECKED, as_json=as_json)
    return 1 if findings else 0


@reference.command("repair", short_help="Put the configuration right; tables stay as they are.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@actor_option
@json_option
@pass_session
def reference_repair(session: Session, dry_run: bool, actor: str, as_json: bool) -> None:
    """Put the configuration right: it follows the tables, no table is touched.

    Goes into the audit log.
    """
    dock = session.prepared_dock
    findings = check_references(dock) if dry_run else repair_references(dock, person_name(actor))
    doing, after = ("what a repair does", _CHECKED) if dry_run else ("what was done", _REPAIRED)
    _show(findings, doing, after, as_json=as_json)


def _show(findings: Sequence[Finding], doing: str, after: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"findings": [_finding_as_json(finding) for finding in findings]})
        return
    if not findings:
        click.echo("Every reference table has its row, and every row its table.")
        return
    output.print_table(
        ["table", "found", doing],
        [(str(f.table), "; ".join([_WORDS[f.flaw], *f.differences]), f.repair) for f in findings],
    )
    output.print_note(after)


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    return {
        "table": str(finding.table),
        "flaw": finding.flaw,
        "differences": list(finding.differences),
        "repair": finding.repair,
    }


COMMANDS: tuple[click.Command, ...] = (reference,)
