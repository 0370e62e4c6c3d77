"""The answer beside a file: what became of it, and which of its rows were refused."""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dropload.dock import Dock
from dropload.durable import path_text, remove_quietly
from dropload.errors import DroploadError, FileError
from dropload.examination import Examined, examine, examine_for_table, look_up_table
from dropload.intake import name_drop
from dropload.journal import drop_from_record
from dropload.logs import get_logger
from dropload.model import CHANGING_ACTIONS, Load, LoadRecord, Reject, State, TableName
from dropload.moving import is_placeholder, put_beside, write_text_beside
from dropload.profiling import open_hashed
from dropload.reports import (
    SHOWN_REJECTS,
    Findings,
    rejects_path,
    render_report,
    report_path,
    write_rejects,
)
from dropload.row_checks import RowCheck


def explain_failure(load: Load, error: FileError, examined: Examined | None) -> Findings:
    """Return what there is to say about a file of which nothing was loaded."""
    return _failed(load, error.message, error.hint, error.dl_code, examined)


def _failed(
    load: Load, problem: str, advice: str, code: str, examined: Examined | None
) -> Findings:
    title = f"{path_text(load.drop.path.name)} was not loaded."
    return replace(_findings(load, title, problem, advice, examined), code=code)


def explain_success(load: Load, examined: Examined, notes: tuple[str, ...]) -> Findings:
    """Return what there is to say about a file that was loaded: rows refused, columns changed."""
    profile = examined.profile
    loaded = f"{path_text(load.drop.path.name)} was loaded into {load.table}"
    if not profile.rejected_rows:
        return _findings(load, f"{loaded}, which was changed for it.", "", "", examined, notes)
    return _findings(
        load,
        f"{loaded}, except for {profile.rejected_rows:,} of its {profile.rows:,} rows.",
        "",
        "Correct the rows in the rejects file and drop that file into the append inbox.",
        examined,
        notes,
    )


def _findings(
    load: Load,
    title: str,
    problem: str,
    advice: str,
    examined: Examined | None,
    notes: tuple[str, ...] = (),
) -> Findings:
    return Findings(
        load,
        title,
        problem,
        advice,
        datetime.now(UTC),
        layout=examined.layout if examined else None,
        profile=examined.profile if examined else None,
        notes=notes,
    )


def write_answer(
    dock: Dock, findings: Findings, examined: Examined | None, filed_path: Path | None
) -> Path | None:
    """Write the refused rows and the report where the file will stand; return the report's path.

    Returns None when there is no such place (a file outside the tree), or when its folder refuses:
    the file has its end in the journal, with or without an answer beside it.
    """
    if filed_path is None:
        return None
    try:
        if examined is not None and findings.rejects:
            written = _write_all_rejects(dock, findings.load.drop.path, examined, filed_path)
            findings = replace(findings, rejects_file=written.name)
        form = dock.config.load.report_format
        return write_text_beside(report_path(filed_path, form), render_report(findings, form))
    except (OSError, DroploadError) as exc:
        get_logger().error("report_not_written", file=path_text(filed_path), reason=str(exc))
        return None


def repeat_answer(
    dock: Dock, row: LoadRecord, filed_path: Path | None, *, in_short: bool = False
) -> Path | None:
    """Return the report of a load that is over, written now if a crash came before it.

    The file is read again, as far as it still stands where it was dropped; not `in_short`.
    """
    plan = json.loads(row.plan or "{}")
    is_changed = any(column["action"] in CHANGING_ACTIONS for column in plan.get("columns", ()))
    is_failed = row.state is State.FAILED
    is_notable = row.state is State.COMMITTED and (bool(row.rows_rejected) or is_changed)
    if filed_path is None or not (is_failed or is_notable):
        return None
    written = report_path(filed_path, dock.config.load.report_format)
    if is_placeholder(written):
        written.unlink()
    if written.exists():
        return written
    load = _load_of(row)
    # What workers died of would end this process too.
    examined = None if in_short or row.crashes else _examine_again(dock, load)
    if is_failed:
        findings = _failed(load, row.error_message or "", "", row.error_code or "", examined)
    elif examined is not None:
        findings = explain_success(load, examined, tuple(plan.get("notes", ())))
    elif load.drop.path.exists():
        findings = _explain_briefly(dock, row, load, tuple(plan.get("notes", ())))
    else:
        return None  # the file was moved, and so its answer had been tried before
    return write_answer(dock, findings, examined, filed_path)


def _explain_briefly(dock: Dock, row: LoadRecord, load: Load, notes: tuple[str, ...]) -> Findings:
    """Return what the journal alone tells about a file that was loaded in part."""
    with dock.target.read() as conn:
        rejects = dock.journal.history.rejects(conn, row.load_id)
    told = [f"line {reject.line:,}: {reject.message}" for reject in rejects[:SHOWN_REJECTS]]
    loaded = f"{path_text(load.drop.path.name)} was loaded into {load.table}"
    if not row.rows_rejected:
        return _findings(load, f"{loaded}, which was changed for it.", "", "", None, notes)
    return _findings(
        load,
        f"{loaded}, except for {row.rows_rejected:,} of its {row.rows_read or 0:,} rows.",
        "\n".join(told),
        "The load was cut off before the refused rows were written beside the file: take them out "
        "of it, correct them, and drop them under another name.",
        None,
        notes,
    )


def _load_of(row: LoadRecord) -> Load:
    table = TableName(row.schema_name, row.table_name)
    return Load(row.load_id, row.tracking_id, drop_from_record(row), table, "recovery")


def _examine_again(dock: Dock, load: Load) -> Examined | None:
    """Return what reading the file finds; None when it finds what kept the file from its table."""
    try:
        named = name_drop(load.drop, dock.target)
        examined = examine(dock, load.drop)
        with dock.target.read() as conn:
            known = look_up_table(dock, conn, named)
        return examine_for_table(dock, named, examined, known)
    except (FileError, OSError):
        return None
    except DroploadError as exc:
        get_logger().debug("file_not_examined", load_id=load.load_id, reason=str(exc))
        return None


def _write_all_rejects(dock: Dock, source: Path, examined: Examined, filed_path: Path) -> Path:
    """Read the file once more and write every refused record beside where it will stand."""
    path = rejects_path(filed_path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with closing(_all_rejects(dock, source, examined)) as rejects:
            write_rejects(temporary, examined.layout, rejects)
        return put_beside(temporary, path)
    finally:
        remove_quietly(temporary)


def _all_rejects(dock: Dock, source: Path, examined: Examined) -> Generator[Reject]:
    profile, layout = examined.profile, examined.layout
    limit = dock.config.load.max_record_bytes
    check = RowCheck(examined.checks, layout, dock.target.refusal)
    with open_hashed(source, profile.hash_algorithm) as stream:
        for batch in examined.parser.read(stream, layout, profile.reader, max_record_bytes=limit):
            # What comes behind the last row is the footer.
            yield from (
                reject for reject in check.sift(batch).rejects if reject.source_row <= profile.rows
            )
