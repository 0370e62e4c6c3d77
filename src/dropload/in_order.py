"""Several small files of one table that a worker got together: one after the other, in order."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from structlog.contextvars import bound_contextvars

from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import DroploadError
from dropload.filing import FiledTogether
from dropload.late_threads import done_meanwhile
from dropload.logs import get_logger
from dropload.model import Drop, Outcome, Verdict, WorkerResult
from dropload.pipeline import load_drop, tell_unusual

_GOES_ON = (Verdict.LOADED, Verdict.DUPLICATE)
"""Ends after which the next file is loaded at once: those of one table keep their order, and who is
to be told of a file that failed, or is held, is told now."""
MOST_SECONDS = 1.0
"""After so long what has not begun goes back, so that a stop, or a cancelled wait, comes soon."""

NOTE_SECONDS = 1.0
"""After so long what is moved is noted, though a load is still under way."""


def load_in_order(
    dock: Dock, drops: Sequence[Drop], worker: str, trace_ids: Sequence[str] = ()
) -> list[WorkerResult]:
    """Load files of one table; return what became of each, of the first ones at least.

    Each load has its own claim and its own publishing transaction, so that a bad file harms only
    itself. That they were moved is noted of all of them together, in the end or after a while. What
    is not returned has not begun.
    """
    given = list(zip(drops, trace_ids or [""] * len(drops), strict=True))
    if len(given) == 1:
        return _look_back(dock, _load_each(dock, given, worker, None), trace_ids)
    later = FiledTogether(dock.target, dock.journal)
    with done_meanwhile(partial(_note_early, later), NOTE_SECONDS):
        results = _load_each(dock, given, worker, later)
    try:
        later.note()
    except DroploadError as exc:
        get_logger().error("file_not_moved", code=exc.dl_code, reason=str(exc))
        return [_not_noted(one, exc, worker, later) for one in results]
    return _look_back(dock, results, trace_ids)


def _note_early(later: FiledTogether) -> None:
    """Note what is moved while one load takes long; the end tries again where that fails."""
    with suppress(DroploadError):
        later.note()


def _load_each(
    dock: Dock, given: Sequence[tuple[Drop, str]], worker: str, later: FiledTogether | None
) -> list[WorkerResult]:
    since, results = time.monotonic(), list[WorkerResult]()
    for drop, trace_id in given:
        began = time.monotonic() - since
        if results and began > MOST_SECONDS:
            break
        outcome, crash = _load(dock, drop, worker, trace_id, later)
        results.append(WorkerResult(outcome, began, time.monotonic() - since, crash))
        if outcome is None or outcome.verdict not in _GOES_ON:
            break
    return results


def _load(
    dock: Dock, drop: Drop, worker: str, trace_id: str, later: FiledTogether | None
) -> tuple[Outcome | None, str]:
    with bound_contextvars(**({"trace_id": trace_id} if trace_id else {})):
        try:
            return load_drop(dock, drop, worker, filing=later), ""
        except Exception as exc:  # noqa: BLE001 - everything must come back in words
            # Told in words: not every exception survives the way back through a pipe.
            get_logger().exception("load_broke_off", file=path_text(drop.path.name))
            return None, f"{type(exc).__name__}: {exc}"


def _look_back(
    dock: Dock, results: Sequence[WorkerResult], trace_ids: Sequence[str]
) -> list[WorkerResult]:
    # Only the last can be without an outcome: the trace ids are in step.
    outcomes = [one.outcome for one in results if one.outcome is not None]
    told = iter(tell_unusual(dock, outcomes, trace_ids))
    return [one if one.outcome is None else replace(one, outcome=next(told)) for one in results]


def _not_noted(
    one: WorkerResult, error: DroploadError, worker: str, later: FiledTogether
) -> WorkerResult:
    """Return what became of a file; of one that is moved recovery may have to note that."""
    outcome = one.outcome
    if outcome is None or outcome.filed_path is None or outcome.load_id is None:
        return one
    if later.is_noted(outcome.load_id):
        return one
    unmoved = replace(outcome, moved=False, filed_path=None, hint=str(error), claimed_by=worker)
    return replace(one, outcome=unmoved)
