"""Settle what came back from workers: what is over, held, or tried again, and when."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dropload.bookkeeping import Bookkeeper
from dropload.dispatch import Dispatcher
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import TABLE_BUSY, DroploadError
from dropload.gate import Gate
from dropload.logs import get_logger
from dropload.model import Drop, Outcome, Verdict
from dropload.outage import Outage
from dropload.retries import back_off_seconds
from dropload.returned import Finished

TABLE_WAIT_SECONDS = 2.0
"""So long until a table is asked for again that another daemon was loading."""
_OVER = (Verdict.LOADED, Verdict.DUPLICATE, Verdict.FAILED)
_WAITS_FOR_PERSON = (Verdict.HELD, Verdict.CANCELLED)
_BEFORE_OTHERS = ("transient", "stale_plan", "config")
"""Troubles that those behind a file would meet, too: they wait for it."""


class PutOffDrop(NamedTuple):
    """A drop that is tried again later."""

    at: float
    """By the daemon's clock."""
    drop: Drop
    reason: str


class Settler:
    """Owns what is tried again, and how often it was; used from the daemon's thread only."""

    def __init__(
        self,
        dock: Dock,
        gate: Gate,
        dispatcher: Dispatcher,
        books: Bookkeeper,
        outage: Outage,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dock = dock
        self._gate = gate
        self._dispatcher = dispatcher
        self._books = books
        self._outage = outage
        self._clock = clock
        self.put_off: list[PutOffDrop] = []
        """Drops to be tried again, while those behind them go on."""
        self.failures: dict[Path, int] = {}
        """How often a file was tried in vain since it came."""
        self._unmoved: list[Path] = []
        """Files whose loads are over and that could not be moved."""
        self._log = get_logger()

    def configure(self, dock: Dock) -> None:
        """Wait as another configuration says, from the next drop on."""
        self._dock = dock

    @property
    def has_given_up(self) -> bool:
        """Return whether nothing but waiting will help what is put off, if anything is."""
        attempts = self._dock.config.retry.attempts
        return all(self.failures.get(late.drop.path, 0) > attempts for late in self.put_off)

    def settle(self, finished: Finished) -> None:
        """Decide what becomes of a drop that came back."""
        if finished.outcome is None:
            self._settle_crash(finished)
            return
        outcome, drop = finished.outcome, finished.drop
        self._books.let_go(drop.path)
        if outcome.claimed_by:
            self._books.note_unfreed(drop.path, outcome.claimed_by)
        if outcome.verdict in _OVER:
            self._settle_over(drop, outcome)
        elif outcome.verdict in _WAITS_FOR_PERSON:
            self._books.hold(drop)
        elif outcome.verdict is Verdict.PAUSED:
            self._settle_paused(drop, finished.table, outcome)
        else:
            self._settle_retry(drop, finished.table, outcome)

    def repeat_first(self, drop: Drop, table: str, reason: str) -> None:
        """Try a drop again before those behind it: files of one table keep their order."""
        self._dispatcher.pause(table, self._count_failure(drop), reason)
        self._dispatcher.add(drop, table, first=True)

    def take_due(self) -> list[Drop]:
        """Return the drops that were put off until now."""
        now = self._clock()
        due = [late.drop for late in self.put_off if late.at <= now]
        self.put_off = [late for late in self.put_off if late.at > now]
        return due

    def forget(self, path: Path) -> None:
        """Forget how often a file was tried, which is no longer there."""
        self.failures.pop(path, None)

    def forget_unmoved(self) -> None:
        """Let the gate see files anew that were to be moved late: that was tried."""
        for path in self._unmoved:
            self._gate.forget(path)
        self._unmoved = []

    def _settle_over(self, drop: Drop, outcome: Outcome) -> None:
        self.forget(drop.path)
        if outcome.moved:
            # It may be back before the next look: `retry` puts it there.
            self._gate.forget(drop.path)
        else:
            self._unmoved.append(drop.path)

    def _settle_paused(self, drop: Drop, table: str, outcome: Outcome) -> None:
        self._log.error("table_paused", table=table, code=outcome.code, reason=outcome.message)
        seconds = self._dock.config.retry.pause_seconds
        reason = f"{outcome.message} {outcome.hint}"
        self._dispatcher.pause(table, seconds, reason, for_owner=True)
        self._dispatcher.add(drop, table, first=True)

    def _settle_retry(self, drop: Drop, table: str, outcome: Outcome) -> None:
        if outcome.category == "file_changed":
            self._gate.reopen(drop.path)
        elif outcome.category == TABLE_BUSY:
            self._dispatcher.pause(table, TABLE_WAIT_SECONDS, "")
            self._dispatcher.add(drop, table, first=True)
        elif outcome.category in _BEFORE_OTHERS:
            self.repeat_first(drop, table, outcome.message)
            self._outage.probe(at_once=True)
        else:
            # Only this file is in trouble: those behind it need not wait.
            at = self._clock() + self._count_failure(drop)
            self.put_off.append(PutOffDrop(at, drop, outcome.message))

    def _settle_crash(self, finished: Finished) -> None:
        """Count the death of a worker against its file; the third one is the file's fault."""
        drop, table = finished.drop, finished.table
        if not finished.crash:
            self.repeat_first(drop, table, "its worker process was replaced")
            return
        self._log.error("worker_died", file=path_text(drop.path.name), reason=finished.crash)
        try:
            with self._dock.target.write() as conn:
                self._dock.journal.claims.record_crash(
                    conn, drop.path, timed_out=finished.timed_out
                )
        except DroploadError as exc:
            self._outage.begin(exc)
        self.repeat_first(drop, table, finished.crash)

    def _count_failure(self, drop: Drop) -> float:
        """Count a try in vain; return in how many seconds the next one is."""
        failures = self.failures[drop.path] = self.failures.get(drop.path, 0) + 1
        return back_off_seconds(failures, self._dock.config.retry)
