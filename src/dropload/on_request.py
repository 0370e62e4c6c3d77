"""What a person asks of one file: how it is written, what a load would do, load it now."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from dropload.dock import Dock, prepare
from dropload.durable import path_text
from dropload.errors import DroploadError, RefusedError, advice_for_person
from dropload.examination import (
    Examined,
    examine,
    examine_for_table,
    examine_in,
    find_layout,
    look_up_table,
    plan_load,
)
from dropload.identity import worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.journal import AuditAction
from dropload.logs import get_logger
from dropload.model import Area, Drop, Layout, LoadType, Outcome, Plan
from dropload.pipeline import process_drop
from dropload.refusals import note_refusal, noted_refusal
from dropload.under_way import OnStep

_CALLS = itertools.count(1)
"""Numbers of the loads that this process was asked for: each is a worker of its own."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What reading a file found, as far as it could be read."""

    path: Path
    layout: Layout | None = None
    """None when nobody could say how it is written."""
    examined: Examined | None = None
    """None when it could not be read to its end."""
    error: DroploadError | OSError | None = None
    """Why it could not be read; None when it could."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """What loading a file would do, and what it rests on."""

    plan: Plan
    examined: Examined


def inspect_file(dock: Dock, path: Path) -> Inspection:
    """Say how a file is written and what is in it; raises nothing, touches no database."""
    found = Inspection(path)
    try:
        is_in_inbox = dock.tree.inbox_of(path.absolute()) is not None
        # Where it would go makes no difference here; elsewhere it would have to be said.
        place = (None, None) if is_in_inbox else (Area.NON_REFERENCE, LoadType.APPEND)
        drop = drop_of_path(path, dock.tree, *place, force=False, requested_by="")
        # How it is written is worth knowing of a file that cannot be read to its end, too.
        parser, layout = find_layout(drop.path)
        found = replace(found, layout=layout)
        examined = examine_in(dock, drop, parser, layout)
    except (DroploadError, OSError) as exc:
        return replace(found, error=exc)
    return replace(found, layout=examined.layout, examined=examined)


def plan_file(
    dock: Dock, path: Path, area: Area | None, load_type: LoadType | None, *, force: bool
) -> PlannedFile:
    """Return what loading a file would do; writes nothing.

    Raises DroploadError where it would not be loaded: refused, held.
    """
    drop = drop_of_path(path, dock.tree, area, load_type, force=force, requested_by="")
    named = name_drop(drop, dock.target)
    examined = examine(dock, drop)
    with dock.target.read() as conn:
        known = look_up_table(dock, conn, named)
    examined = examine_for_table(dock, named, examined, known)
    plan = plan_load(dock, named, examined, known)
    if not plan.creates_table:
        with dock.target.read() as conn:
            plan = replace(plan, rows_before=dock.target.count_rows(conn, plan.table))
    return PlannedFile(plan, examined)


def load_file(
    dock: Dock,
    path: Path,
    area: Area | None,
    load_type: LoadType | None,
    *,
    force: bool,
    actor: str,
    reason: str = "",
    on_step: OnStep = lambda _step, _rows: None,
) -> Outcome:
    """Load a file now, without the gate, and return what became of it.

    Makes folders and journal where they are missing. Several threads may load at the same time.
    Raises DroploadError when it cannot be tried at all.
    """
    prepare(dock, actor)
    action = AuditAction.LOAD_FORCED if force else AuditAction.LOAD
    with noted_refusal(dock, actor, action, reason=reason):
        drop = drop_of_path(
            path, dock.tree, area, load_type, force=force, requested_by=actor, reason=reason
        )
    # Two threads with one name would take each other's claims over.
    worker = worker_name(str(next(_CALLS)))
    try:
        outcome = process_drop(dock, drop, worker, on_step)
    except BaseException:
        _free_claim(dock, drop, worker)
        raise
    # The person who asked is told, whom nothing answers by itself later.
    outcome = replace(outcome, hint=advice_for_person(outcome.hint, outcome.code))
    if outcome.load_id is None:
        # A claim writes down who asked; what gets none is written down here.
        refused = RefusedError(f"{path_text(path.name)}: {outcome.message}")
        note_refusal(dock, actor, action, refused, reason=reason)
    return outcome


def _free_claim(dock: Dock, drop: Drop, worker: str) -> None:
    """Let others have the file: this process lives on, and so would its claim."""
    try:
        with dock.target.write() as conn:
            dock.journal.claims.free_claim(conn, drop.path, worker)
    except DroploadError as exc:
        get_logger().debug("claim_not_released", reason=str(exc))
