"""dropload for Python programs: the commands of the command line as methods."""

import operator
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, SupportsIndex, TypeVar

from dropload.api.results import Failure, Result, Success, error_of, make_error
from dropload.api.wording import in_python, reworded
from dropload.config import Config
from dropload.config_reading import load_config
from dropload.dock import Dock, Prepared, check_prepared, open_dock, prepare
from dropload.error_codes import code_of
from dropload.error_groups import ErrorGroup
from dropload.errors import ConfigError, DroploadError, RefusedError
from dropload.health import Health, check_health
from dropload.identity import person_name
from dropload.interventions import (
    Cancelled,
    Returned,
    cancel_file,
    cancel_load,
    release_file,
    retry_load,
)
from dropload.journal import Action, ActionFilter, AuditAction, Duplicate
from dropload.load_stats import DEFAULT_PERIOD, TableStats, collect_stats
from dropload.logs import pass_on_to_logging
from dropload.looking_back import (
    LoadDetails,
    Since,
    group_errors,
    list_actions,
    list_duplicates,
    list_loads,
    show_load,
)
from dropload.model import Area, LoadRecord, LoadType, Outcome, Plan, TrackedFile, Verdict
from dropload.on_request import Inspection, inspect_file, load_file, plan_file
from dropload.status import Status, read_status
from dropload.stored_tables import (
    TableDetails,
    TableSummary,
    describe_table,
    list_tables,
    read_rows,
)
from dropload.undo import UndoPlan, ask_for_undo, plan_undo

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


class ReferenceDataAPI:
    """One drop tree and its database, for programs; may be used by several threads at once.

    Every method answers with a `Result`: what is expected to go wrong (a wrong configuration, a
    file that cannot be read, a database that is away, a refusal) comes as a failure with its
    error, never as an exception; so is what is no number of a load where one is asked for. Only
    wrong programs get exceptions: another wrong type, an area that does not exist, a call after
    `close`.

    Nothing is read or opened before the first call. Times are UTC, and know it
    (`datetime` with `tzinfo`); a time without a zone is taken for UTC.
    """

    def __init__(self, config: Config | Path | str | None = None, *, actor: str = "") -> None:
        """Work under a configuration, a file of one, or the one in force as for the command line.

        `actor` says on whose behalf the program asks; the audit log keeps it beside the system
        user.
        """
        self._config = config
        self._actor = actor
        self._lock = threading.Lock()
        self._dock: Dock | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the database; call it when no other call is under way."""
        with self._lock:
            self._closed = True
            if self._dock is not None:
                self._dock.target.close()
                self._dock = None

    # --- files

    def inspect(self, path: Path | str) -> Result[Inspection]:
        """Say how a file is written and what is in it; touches no database.

        The failure of a file that cannot be read to its end has the layout as far as it is known.
        """

        def look(dock: Dock) -> Result[Inspection]:
            found = inspect_file(dock, Path(path))
            return Success(found) if not found.error else Failure(error_of(found.error), found)

        return self._ask(look, needs_journal=False)

    def plan(
        self,
        path: Path | str,
        area: Area | str | None = None,
        load_type: LoadType | str | None = None,
        *,
        force: bool = False,
    ) -> Result[Plan]:
        """Say what loading a file would do, and why; writes nothing.

        A file in an inbox has its area and load type from there; any other needs both. With
        `force`: as if duplicates and guard rails did not count.
        """
        place = _place(area, load_type)
        return self._ask_for(
            lambda dock: plan_file(dock, Path(path), *place, force=force).plan,
            needs_journal=False,
        )

    def load(
        self,
        path: Path | str,
        area: Area | str | None = None,
        load_type: LoadType | str | None = None,
        *,
        force: bool = False,
        reason: str = "",
        on_step: Callable[[str, int], None] | None = None,
    ) -> Result[Outcome]:
        """Load a file now, without the gate; be sure that nobody is still writing it.

        A file in an inbox is filed as usual; any other stays where it is, and needs area and load
        type. Makes folders and journal where they are missing. A duplicate is a success, whose
        verdict says so; failed, held and put off are failures, with the outcome as their value.
        `on_step` gets the step under way and its rows so far, in the thread that loads.
        """
        place = _place(area, load_type)

        def work(dock: Dock) -> Result[Outcome]:
            outcome = load_file(
                dock,
                Path(path),
                *place,
                force=force,
                actor=self._person,
                reason=reason,
                on_step=on_step or (lambda _step, _rows: None),
            )
            if outcome.verdict in (Verdict.LOADED, Verdict.DUPLICATE):
                return Success(replace(outcome, hint=in_python(outcome.hint)))
            category = outcome.category or outcome.verdict.value
            error = make_error(category, outcome.message, outcome.hint, dl_code=outcome.code)
            return Failure(error, replace(outcome, hint=error.hint))

        return self._ask(work, needs_journal=False)

    def release(self, held: Path | str | int, *, reason: str = "") -> Result[TrackedFile]:
        """Let a held file load after all, at the daemon's next look; answers with what it was.

        It is named by its path, or by the number of the load that was held.
        """

        def work(dock: Dock) -> TrackedFile:
            released = release_file(dock, _load_or_path(held), self._person, reason)
            return reworded(released, "reason", "error_message")

        return self._ask_for(work)

    # --- loads

    def history(
        self, table: str | None = None, *, since: Since = None, limit: int = 50
    ) -> Result[list[LoadRecord]]:
        """List the loads, newest first; `table` is `name` or `schema.name`.

        `since` is a time, or how long ago (a timedelta, or words such as `7d`). Raises ValueError
        for words that are neither, and for a `limit` below 1.
        """
        return self._ask_for(
            lambda dock: [
                reworded(load, "error_message") for load in list_loads(dock, table, since, limit)
            ]
        )

    def show(self, load_id: int) -> Result[LoadDetails]:
        """Tell everything about one load: its record, layout, plan and rejected rows."""

        def work(dock: Dock) -> LoadDetails:
            found = show_load(dock, _load_number(load_id))
            return replace(
                found,
                load=reworded(found.load, "error_message"),
                actions=tuple(reworded(action, "detail") for action in found.actions),
            )

        return self._ask_for(work)

    def duplicates(
        self, table: str | None = None, *, since: Since = None, limit: int = 50
    ) -> Result[list[Duplicate]]:
        """List the files that were not loaded because of another load, newest first."""
        return self._ask_for(
            lambda dock: [
                reworded(found, "message") for found in list_duplicates(dock, table, since, limit)
            ]
        )

    def errors(
        self, table: str | None = None, *, since: Since = None, limit: int = 50
    ) -> Result[list[ErrorGroup]]:
        """Group what went wrong by category, table and the files' names; the most first."""
        return self._ask_for(
            lambda dock: [
                reworded(group, "last_message") for group in group_errors(dock, table, since, limit)
            ]
        )

    def audit(
        self,
        *,
        load_id: int | None = None,
        actor: str | None = None,
        action: str | None = None,
        table: str | None = None,
        since: Since = None,
        limit: int = 50,
    ) -> Result[list[Action]]:
        """List who did what and what came of it, newest first; `actor` may be a part of the name.

        Raises ValueError for an action that there is none of.
        """
        action = AuditAction(action).value if action else None

        def work(dock: Dock) -> list[Action]:
            number = None if load_id is None else _load_number(load_id)
            wanted = ActionFilter(number, actor, action, table)
            found = list_actions(dock, wanted, since, limit)
            return [reworded(one, "detail") for one in found]

        return self._ask_for(work)

    def stats(
        self, table: str | None = None, *, since: Since = DEFAULT_PERIOD
    ) -> Result[list[TableStats]]:
        """Say how fast loads are, by table and load type, and which were unusual.

        `table` is `name` or `schema.name`; `since` as in `history`, None for all that is kept.
        """
        return self._ask_for(lambda dock: collect_stats(dock, table, since))

    def undo(
        self, load_id: int, *, dry_run: bool = False, force: bool = False, reason: str = ""
    ) -> Result[UndoPlan]:
        """Take back what a load has changed in its table, in one transaction.

        With `dry_run` only say what would change. A failure that is a refusal has the plan as its
        value, with the loads that are in the way. With `force`, rows that no load has brought do
        not keep a backup from being restored.
        """

        def work(dock: Dock) -> Result[UndoPlan]:
            number = _load_number(load_id)
            if dry_run:
                plan = plan_undo(dock, number, force=force)
            else:
                plan = ask_for_undo(dock, number, self._person, reason=reason, force=force)
            if plan.refused:
                code = code_of("not_undone")
                error = make_error(RefusedError.category, plan.refused, plan.hint, dl_code=code)
                return Failure(error, replace(plan, hint=error.hint))
            return Success(plan)

        return self._ask(work)

    def cancel(self, what: int | Path | str, *, reason: str = "") -> Result[Cancelled]:
        """Stop a load that is not committed yet, or a file that waits; it is held in its inbox.

        A load is named by its number, a file by its path.
        """

        def work(dock: Dock) -> Cancelled:
            meant = _load_or_path(what)
            if isinstance(meant, int):
                return cancel_load(dock, meant, self._person, reason)
            return cancel_file(dock, meant, self._person, reason)

        return self._ask_for(work)

    def retry(self, load_id: int, *, reason: str = "") -> Result[Returned]:
        """Put the file of a failed load back into its inbox, where it is a new drop."""
        return self._ask_for(
            lambda dock: retry_load(dock, _load_number(load_id), self._person, reason)
        )

    # --- tables

    def tables(self) -> Result[list[TableSummary]]:
        """List the tables of both areas with their last loads."""
        return self._ask_for(list_tables)

    def table_info(self, table: str) -> Result[TableDetails]:
        """Tell columns with types, rows, the last load and the reference row of a table."""
        return self._ask_for(lambda dock: describe_table(dock, table))

    def read_table(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        lineage: bool = False,
    ) -> Result["pd.DataFrame"]:
        """Read a table into a DataFrame, in the order of loading where the table knows it.

        Integers are Int64, decimals Decimal objects, days and timestamps datetime64[us], texts
        string; nulls stay nulls. `lineage` adds `_load_id` and `_source_row`. Needs pandas:
        `pip install 'dropload[pandas]'`.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"limit must not be negative: {limit}")

        def work(dock: Dock) -> "pd.DataFrame":
            to_frame = _find_to_frame()
            return to_frame(read_rows(dock, table, columns=columns, limit=limit, lineage=lineage))

        return self._ask_for(work)

    # --- the service

    def init(self) -> Result[Prepared]:
        """Make the folders and the journal's tables where they are missing."""
        return self._ask_for(
            lambda dock: prepare(dock, self._person, anew=True), needs_journal=False
        )

    def status(self) -> Result[Status]:
        """Say what is waiting and why, what is loading, and how the last loads ended.

        Answers with less while the database is away: see `database_problem`.
        """

        def work(dock: Dock) -> Status:
            found = read_status(dock)
            last = tuple(reworded(load, "error_message") for load in found.last)
            files = tuple(replace(file, why=reworded(file.why, "text")) for file in found.files)
            return replace(found, last=last, files=files)

        return self._ask_for(work, needs_journal=False)

    def health(self) -> Result[Health]:
        """Check folders, daemon, database and disk; bad health is a success with its level."""
        return self._ask_for(lambda dock: check_health(dock.config), needs_journal=False)

    # --- how a question is asked

    @property
    def _person(self) -> str:
        return person_name(self._actor)

    def _ask_for(self, work: Callable[[Dock], T], *, needs_journal: bool = True) -> Result[T]:
        """Return the value of some work, or why there is none."""
        return self._ask(lambda dock: Success(work(dock)), needs_journal=needs_journal)

    def _ask(self, work: Callable[[Dock], Result[T]], *, needs_journal: bool = True) -> Result[T]:
        try:
            dock = self._open()
            if needs_journal:
                check_prepared(dock)
            return work(dock)
        except (DroploadError, OSError) as exc:
            return Failure(error_of(exc))

    def _open(self) -> Dock:
        with self._lock:
            if self._closed:
                raise RuntimeError("This ReferenceDataAPI is closed.")
            if self._dock is None:
                pass_on_to_logging()
                self._dock = open_dock(self._read_config())
            return self._dock

    def _read_config(self) -> Config:
        if isinstance(self._config, Config):
            return self._config
        return load_config(Path(self._config) if self._config is not None else None).config


def _load_number(said: object) -> int:
    """Return the number of a load; raise RefusedError for what is none, also for True."""
    if isinstance(said, bool) or not isinstance(said, SupportsIndex):
        raise RefusedError(
            f"{said!r} is not the number of a load.", hint="`dropload history` lists the loads."
        )
    return operator.index(said)


def _load_or_path(said: object) -> Path | int:
    """Return what names a load or a file; raise RefusedError for what does neither."""
    return Path(said) if isinstance(said, str | os.PathLike) else _load_number(said)


def _place(
    area: Area | str | None, load_type: LoadType | str | None
) -> tuple[Area | None, LoadType | None]:
    """Return where a file belongs; raise ValueError for a word that is none."""
    return (Area(area) if area else None, LoadType(load_type) if load_type else None)


def _find_to_frame() -> Callable[..., "pd.DataFrame"]:
    """Return what makes data frames; only here pandas is imported, which takes its time."""
    try:
        from dropload.frames import to_frame  # noqa: PLC0415 - see above
    except ImportError as exc:
        raise ConfigError(
            "pandas is not installed, which data frames need.",
            hint="Install it: pip install 'dropload[pandas]'.",
            code="extra",
        ) from exc
    return to_frame
