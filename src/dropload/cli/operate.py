"""The commands that do something: run, init, load, release."""

import shlex
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dropload.cli import output, timings
from dropload.cli.session import (
    Session,
    actor_option,
    json_option,
    load_or_path,
    pass_session,
    place_options,
    reason_option,
)
from dropload.daemon import Daemon
from dropload.dock import prepare
from dropload.durable import path_text
from dropload.identity import person_name
from dropload.interventions import release_file
from dropload.model import Area, LoadType, Outcome, Verdict
from dropload.reports import count_of


@click.command(short_help="Watch the drop tree and load what is dropped.")
@click.option(
    "--until-idle", is_flag=True, help="Stop when nothing is left to do, instead of waiting."
)
@pass_session
def run(session: Session, until_idle: bool) -> None:
    """Watch the drop tree and load what is dropped, until stopped.

    Makes the folders and the journal when they are not there. A file is touched only when it has
    not changed for `gate.checks` checks, `gate.interval_seconds` apart (6 x 15 s); a companion
    NAME.done beside it says that it is complete at once. Stop with Ctrl-C or SIGTERM: loads under
    way may finish for `workers.stop_timeout_seconds`, then they are cut off and go on next time.
    SIGHUP has it read its configuration anew: all but [paths], [database] and [schemas].
    """
    session.is_service = True
    session.dock.target.audit_lines.check()
    daemon = Daemon(session.dock, until_idle=until_idle, read_config=session.read_config)
    signal.signal(signal.SIGHUP, lambda *_: daemon.reload())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    daemon.run()


@click.command(short_help="Make the folders and the journal's tables.")
@actor_option
@pass_session
def init(session: Session, actor: str) -> None:
    """Make the folders of the drop tree and the journal's tables; may be run again at any time."""
    dock = session.dock
    made = prepare(dock, person_name(actor), anew=True)
    for folder in made.folders:
        click.echo(f"made   {folder}")
    for script in made.scripts:
        click.echo(f"ran    sql/{dock.target.name}/{script}")
    if not made.folders and not made.scripts:
        click.echo("Everything was there already.")
    click.echo(f"drop tree  {dock.tree.root}")
    click.echo(f"database   {dock.target.describe()}")


@click.command(short_help="Load a file now, without waiting at the gate.")
@click.argument("file", type=click.Path(path_type=Path))
@place_options
@click.option(
    "--force", is_flag=True, help="Load although the same bytes are there, or a guard rail holds."
)
@click.option(
    "--timings", "with_timings", is_flag=True, help="Say how long each step of the load took."
)
@reason_option
@actor_option
@json_option
@pass_session
def load(
    session: Session,
    file: Path,
    area: str | None,
    load_type: str | None,
    force: bool,
    with_timings: bool,
    reason: str,
    actor: str,
    as_json: bool,
) -> int:
    """Load FILE now, without waiting at the gate.

    A file in an inbox is filed as usual; any other stays where it is and needs --area and
    --load-type, unless it is in processed/ or error/ of an inbox. Be sure that nobody is still
    writing it. With --timings a table says where the time went: `journal` are the transactions that
    write to the journal alone; what it writes together with rows counts as theirs.
    """
    # What reads files is not imported for the other commands.
    from dropload.on_request import load_file  # noqa: PLC0415

    with _Bar(path_text(file.name), shown=not as_json and output.is_terminal()) as bar:
        outcome = load_file(
            session.dock,
            file,
            Area(area) if area else None,
            LoadType(load_type) if load_type else None,
            force=force,
            actor=person_name(actor),
            reason=reason,
            on_step=bar.on_step,
        )
    if as_json:
        took = timings.as_json(outcome) if with_timings else {}
        output.print_json(_outcome_as_json(outcome) | took)
    else:
        place = (f"--area {area} " if area else "") + (
            f"--load-type {load_type} " if load_type else ""
        )
        _print_outcome(_with_command(outcome, place))
        if with_timings:
            output.print_listing(timings.as_listing(outcome))
    return 0 if _is_good(outcome) else 1


def _is_good(outcome: Outcome) -> bool:
    """Return whether the rows are in the table."""
    return outcome.verdict in (Verdict.LOADED, Verdict.DUPLICATE)


class _Bar:
    """A line that shows the step and the rows done, while a person is looking."""

    def __init__(self, name: str, *, shown: bool) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[name]}  {task.description}  {task.completed:,} rows"),
            TimeElapsedColumn(),
            transient=True,
            disable=not shown,
        )
        self._task = self._progress.add_task("reading", total=None, name=name)

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_step(self, step: str, rows: int) -> None:
        self._progress.update(self._task, description=step, completed=rows)


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    category = outcome.category or outcome.verdict.value
    failure = output.failure_as_json(category, outcome.message, outcome.hint, outcome.code)
    return ({"ok": True} if _is_good(outcome) else failure) | {
        "verdict": outcome.verdict,
        "load_id": outcome.load_id,
        "file_path": path_text(outcome.path),
        "table": outcome.table,
        "rows_read": outcome.rows_read,
        "rows_loaded": outcome.rows_loaded,
        "rows_rejected": outcome.rows_rejected,
        "filed_path": path_text(outcome.filed_path) if outcome.filed_path else None,
        "report_path": path_text(outcome.report_path) if outcome.report_path else None,
        "notes": list(outcome.notes),
        "error_category": outcome.category or None,
        "error_message": f"{outcome.message} {outcome.hint}".strip() or None,
    }


def _with_command(outcome: Outcome, place: str) -> Outcome:
    """Return the outcome of a duplicate with a hint that can be followed as it stands."""
    if outcome.verdict is not Verdict.DUPLICATE:
        return outcome
    file = shlex.quote(path_text(outcome.filed_path or outcome.path))
    hint = f"Nothing to do. To load it all the same:\n    dropload load --force {place}{file}"
    return replace(outcome, hint=hint)


def _print_outcome(outcome: Outcome) -> None:
    number = f" (load {outcome.load_id})" if outcome.load_id else ""
    if outcome.verdict is Verdict.LOADED:
        loaded = count_of(outcome.rows_loaded, "row")
        click.echo(f"{loaded} loaded into {outcome.table}{number}.")
        if outcome.rows_rejected:
            rejected = count_of(outcome.rows_rejected, "row")
            click.echo(
                f"{rejected} rejected: `dropload show {outcome.load_id}` says which and why."
            )
        for note in outcome.notes:
            click.echo(f"  {note}")
    else:
        code = f" [{outcome.code}]" if outcome.code else ""
        click.echo(f"{outcome.verdict.value}{number}: {outcome.message}{code}")
        if outcome.hint:
            click.echo(f"  {outcome.hint}")
    for label, path in (("file", outcome.filed_path), ("report", outcome.report_path)):
        if path is not None:
            click.echo(f"  {label}: {path_text(path)}")


@click.command(short_help="Let a held file load after all.")
@click.argument("held", metavar="LOAD_ID|PATH", type=load_or_path)
@reason_option
@actor_option
@json_option
@pass_session
def release(session: Session, held: int | Path, reason: str, actor: str, as_json: bool) -> None:
    """Let a held file load after all, named by its load or its path.

    A file is held when it may do harm that nobody wants, and a person can tell:

    \b
      a fullload would empty its table, shrink it by more than load.max_shrink, lack
        columns of it, or delete rows of other tables (ON DELETE CASCADE)
      how the file is written, or that all of it is read, is not sure (load.min_confidence)
      a few of its values would turn a column of numbers or days into text
      its numbers could be meant otherwise than those of earlier files (1.234 and 1,234)
      it is a rejects file dropped as a fullload, or grew after it was loaded
      somebody has cancelled it

    `dropload status` says which, `dropload show LOAD_ID` all about it. The release counts for the
    version that is there now; a new version is judged again.
    """  # noqa: D301 - click knows a paragraph that keeps its lines by this character
    released = release_file(session.prepared_dock, held, person_name(actor), reason)
    if as_json:
        output.print_json(
            {
                "ok": True,
                "file_path": released.file_path,
                "table": released.table_name or None,
                "load_id": released.load_id,
                "was_held": released.reason or None,
            }
        )
        return
    click.echo(f"Released: {released.file_name} loads at the daemon's next look.")


COMMANDS: tuple[click.Command, ...] = (run, init, load, release)
