"""What the watching daemon tells the journal: what waits, what left, what was held or let go."""

import os
from collections.abc import Sequence
from pathlib import Path

from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import FileError
from dropload.gate import Gate, WaitingFile
from dropload.journal import HELD, RELEASED, WAITING, AuditAction, path_key, path_of_key
from dropload.logs import get_logger
from dropload.model import DAEMON, Drop, FileVersion, Inbox
from dropload.watcher import Scan

_TOLD_AT_ONCE = 500
"""Files that one transaction tells the journal of; ten times as many take 10 MB more."""

Noted = tuple[Path, Inbox, FileVersion, str]
"""A file that waits, and the reason for people."""


class Bookkeeper:
    """Keeps what the journal has not been told yet, through any time the database is away.

    Each method that writes raises the target's error and keeps what it could not write. Not
    thread-safe: the daemon's one thread calls it.
    """

    def __init__(self, dock: Dock) -> None:
        self._dock = dock
        self._fresh: list[WaitingFile] = []
        """What the gate has told of, and the journal could not be told yet."""
        self._gone: list[Path] = []
        """Files that came and went, of which the journal has not been told yet."""
        self._looked_back = False
        """Whether the journal was told of what left while no daemon looked."""
        self._held: dict[Path, Drop] = {}
        self._unfreed: list[tuple[Path, str]] = []
        """Claims of workers that could not give them up, because the database was away."""
        self._reloads: list[str] = []
        self._log = get_logger()

    def configure(self, dock: Dock) -> None:
        """Write into the journal of this dock from now on."""
        self._dock = dock

    # --- what the daemon notes

    def note_unfreed(self, path: Path, worker: str) -> None:
        """Note a claim that its worker could not give up."""
        self._unfreed.append((path, worker))

    def note_reload(self, sections: str) -> None:
        """Note which sections another configuration has changed."""
        self._reloads.append(sections)

    def hold(self, drop: Drop) -> None:
        """Keep a drop until people release its file."""
        self._held[drop.path] = drop

    def let_go(self, path: Path) -> None:
        """Forget that a file was held, if it was."""
        self._held.pop(path, None)

    @property
    def held_count(self) -> int:
        """Return how many files are held."""
        return len(self._held)

    # --- what it tells the journal

    def catch_up(self, scan: Scan | None) -> None:
        """Free the claims nobody works on, look back once, and audit new configurations."""
        self._free_claims()
        self._look_back(scan)
        self._tell_reloads()

    def _free_claims(self) -> None:
        """Free what nobody works on, before loads start.

        Another worker would be refused the file, and those behind it would overtake it.
        """
        if not self._unfreed:
            return
        with self._dock.target.write() as conn:
            for path, worker in self._unfreed:
                self._dock.journal.claims.free_claim(conn, path, worker)
        self._unfreed = []

    def _look_back(self, scan: Scan | None) -> None:
        """Find, once, what left the inboxes while no daemon looked: it would wait for ever."""
        if self._looked_back or scan is None:
            return
        with self._dock.target.read() as conn:
            rows = self._dock.journal.tracking.with_status(conn, WAITING, HELD, RELEASED)
        seen = {inbox.path for inbox in self._dock.tree.inboxes if inbox not in scan.failed}
        paths = [path_of_key(row.file_path) for row in rows]
        self._gone += [p for p in paths if p.parent in seen and not os.path.lexists(p)]
        self._looked_back = not scan.failed

    def _tell_reloads(self) -> None:
        if not self._reloads:
            return
        audit = self._dock.journal.audit
        with self._dock.target.write() as conn:
            for sections in self._reloads:
                audit.add(conn, DAEMON, AuditAction.CONFIGURATION_RELOAD, None, sections)
        self._reloads = []

    def tell_waiting(self, gate: Gate) -> list[Path]:
        """Tell what came to the gate and what left the inboxes; return what left."""
        self._tell_fresh(gate, f"until nothing changes for {gate.checks} checks")
        self._gone += gate.take_gone()
        if self._gone:
            self._write([], self._gone)
        left, self._gone = self._gone, []
        for path in left:
            self.let_go(path)
        return left

    def _tell_fresh(self, gate: Gate, reason: str) -> None:
        """Tell what came, so much at a time that memory does not grow with how much came."""
        while fresh := self._fresh or gate.take_fresh(_TOLD_AT_ONCE):
            self._fresh = fresh
            back = {file.path for file in fresh}
            self._gone = [path for path in self._gone if path not in back]
            noted = [(file.path, file.inbox, file.version, reason) for file in fresh]
            try:
                self._write(noted, [])
            except FileError:
                # One that the journal refuses must not keep it from the others.
                self._write_one_by_one(noted)
            self._fresh = []

    def _write(self, noted: Sequence[Noted], gone: Sequence[Path]) -> None:
        with self._dock.target.write() as conn:
            self._dock.journal.tracking.upsert_waiting(conn, noted)
            # Files that were loaded have another status by now and are not touched.
            self._dock.journal.tracking.mark_vanished(conn, gone)

    def _write_one_by_one(self, noted: Sequence[Noted]) -> None:
        for one in noted:
            try:
                self._write([one], [])
            except FileError as exc:
                # Its load will say why.
                self._log.warning("file_not_noted", file=path_text(one[0]), reason=str(exc))

    def take_released(self) -> list[Drop]:
        """Return the drops that people have released since they were held."""
        if not self._held:
            return []
        with self._dock.target.read() as conn:
            rows = self._dock.journal.tracking.with_status(conn, RELEASED)
        released = {row.file_path for row in rows}
        return [self._held.pop(path) for path in list(self._held) if path_key(path) in released]
