"""Take away what has been kept for long enough: backups, filed files, the journal's old rows.

| what                                   | goes when                      | never               |
|----------------------------------------|--------------------------------|---------------------|
| backup of replaced rows                | old, or too many for its table | file still unmoved  |
| file that a load's filed_path names    | filed long ago                 | changed since       |
| its report, rejects and `.done`        | with it                        | another's file      |
| `.dropload-*.tmp` in a working folder  | a day old                      |                     |
| load with its rejects                  | old, its file and backup gone  | open, held, unfiled |
| load by which the same bytes are known | loses layout, plan and rejects |                     |
| audit log                              | old, 90 days at least          |                     |
| paths without a load                   | old                            | a file waits there  |
| log of an earlier day                  | old, or too many               |                     |

Every step is a batch of its own and may be cut off at any point: the next cleanup goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dropload.dock import Dock
from dropload.durable import explain_os_error, path_text
from dropload.errors import DroploadError
from dropload.journal import KEPT_DAYS, AuditAction, KeptBackup, Terms
from dropload.model import TableName
from dropload.old_files import Left, Removed, remove_files, remove_leftovers
from dropload.old_logs import find_old_logs, start_new_log
from dropload.refusals import noted_refusal
from dropload.reports import count_of

KINDS = (
    "backups",
    "files",
    "leftovers",
    "loads",
    "shortened",
    "rejects",
    "actions",
    "paths",
    "logs",
)
"""What a cleanup counts, in this order."""
_ANY_NUMBER = 1_000_000
"""Logs that are kept by their age alone."""
_BATCH = 500
"""Rows of the journal that go in one transaction: others get their turn."""
_MAX_NAMED = 1_000
"""Names that are kept for people, and counted beyond it."""


@dataclass(slots=True)
class Cleaned:
    """What a cleanup did, counted while it goes on."""

    numbers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    size_bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    backup_rows: int = 0
    """Rows that the backups held."""
    names: list[str] = field(default_factory=list)
    """The first files and backups that went."""
    left: list[Left] = field(default_factory=list)

    def add(self, found: Removed | Left) -> None:
        """Count one finding."""
        if isinstance(found, Left):
            self.left.append(found)
            return
        self.numbers[found.kind] += found.number
        self.size_bytes[found.kind] += found.size_bytes
        self.backup_rows += found.rows
        if found.name and len(self.names) < _MAX_NAMED:
            self.names.append(found.name)

    @property
    def total_bytes(self) -> int:
        """Return the room that files took."""
        return sum(self.size_bytes.values())

    @property
    def summary(self) -> str:
        """Return the counts as one line, the empty string when nothing went."""
        said = [f"{number:,} {kind}" for kind, number in self.numbers.items() if number]
        room = []
        if self.numbers["backups"]:
            room.append(f"{count_of(self.backup_rows, 'row')} of backups")
        if self.total_bytes:
            room.append(f"{self.total_bytes:,} bytes of files")
        return "; ".join([", ".join(said), *room]) if said else ""


def clean_up(dock: Dock, actor: str, *, dry_run: bool = False) -> Cleaned:
    """Do a whole cleanup now; with `dry_run` only count what it would do."""
    cleaned = Cleaned()
    if dry_run:
        for found in remove_old(dock, dry_run=True):
            cleaned.add(found)
        return cleaned
    with noted_refusal(dock, actor, AuditAction.CLEANUP):
        take_turn(dock, actor, timedelta(0))
        for found in remove_old(dock):
            cleaned.add(found)
        note_done(dock, actor, cleaned)
    return cleaned


def take_turn(dock: Dock, actor: str, every: timedelta) -> timedelta:
    """Return how long the cleanup of this tree has to wait; nothing: it is this daemon's turn."""
    with dock.target.write() as conn:
        return dock.journal.retention.take_turn(conn, actor, path_text(dock.tree.root), every)


def note_done(dock: Dock, actor: str, cleaned: Cleaned) -> None:
    """Write what went into the audit log."""
    if cleaned.summary:
        with dock.target.write() as conn:
            dock.journal.audit.add(conn, actor, AuditAction.CLEANUP_DONE, None, cleaned.summary)


def remove_old(dock: Dock, *, dry_run: bool = False) -> Iterator[Removed | Left]:
    """Yield what goes, as it goes; nobody has to take all of it at once.

    Raises DroploadError when the database goes away meanwhile.
    """
    terms = _find_terms(dock)
    yield from _remove_backups(dock, terms, dry_run=dry_run)
    yield from remove_files(dock, terms.filed, dry_run=dry_run)
    yield from remove_leftovers(dock, dry_run=dry_run)
    yield from (_count_rows(dock, terms) if dry_run else _forget_rows(dock, terms))
    yield from _remove_logs(dock, dry_run=dry_run)


def _find_terms(dock: Dock) -> Terms:
    settings = dock.config.retention
    with dock.target.read() as conn:
        now = dock.target.now(conn)
    return Terms(
        backups=now - timedelta(days=settings.backups_days),
        filed=now - timedelta(days=settings.filed_days),
        journal=now - timedelta(days=settings.journal_days),
        actions=now - timedelta(days=max(settings.journal_days, KEPT_DAYS)),
    )


# --- backups -------------------------------------------------------------------------------


def _remove_backups(dock: Dock, terms: Terms, *, dry_run: bool) -> Iterator[Removed | Left]:
    with dock.target.read() as conn:
        tables = dock.journal.retention.tables_with_backups(conn)
    for table in tables:
        try:
            yield from _remove_backups_of(dock, table, terms, dry_run=dry_run)
        except DroploadError as exc:
            yield Left(f"backups of {table}", str(exc))


def _remove_backups_of(
    dock: Dock, table: TableName, terms: Terms, *, dry_run: bool
) -> list[Removed]:
    target, journal = dock.target, dock.journal
    if dry_run:
        with target.read() as conn:
            old = _old_backups(dock, journal.retention.backups(conn, table), terms)
    else:
        with target.write() as conn:
            # Nobody publishes into the table, or undoes a load of it, meanwhile.
            target.lock_queue(conn, table)
            old = _old_backups(dock, journal.retention.backups(conn, table), terms)
            for backup in old:
                target.drop_table(conn, target.backup_name(table, backup.load_id))
                journal.loads.forget_backup(conn, backup.load_id)
    return [
        Removed("backups", name=str(target.backup_name(table, backup.load_id)), rows=backup.rows)
        for backup in old
    ]


def _old_backups(dock: Dock, backups: list[KeptBackup], terms: Terms) -> list[KeptBackup]:
    kept = dock.config.retention.backups_per_table
    return [
        backup
        for number, backup in enumerate(backups)
        if backup.is_filed and (number >= kept or backup.committed_at < terms.backups)
    ]


# --- the journal's rows --------------------------------------------------------------------


def _count_rows(dock: Dock, terms: Terms) -> Iterator[Removed]:
    with dock.target.read() as conn:
        counted = dock.journal.retention.count_old(conn, terms)
    for kind, number in counted.items():
        yield Removed(kind, number)


def _forget_rows(dock: Dock, terms: Terms) -> Iterator[Removed]:
    """Forget in batches; a load goes before its path."""
    retention, before = dock.journal.retention, terms.journal
    for kind, forget in (("loads", retention.forget_loads), ("shortened", retention.shorten_loads)):
        while True:
            with dock.target.write() as conn:
                number, rejects = forget(conn, before, _BATCH)
            if not number:
                break
            yield Removed(kind, number)
            yield Removed("rejects", rejects)
    for kind, delete, until in (
        ("actions", retention.forget_actions, terms.actions),
        ("paths", retention.forget_paths, before),
    ):
        while True:
            with dock.target.write() as conn:
                number = delete(conn, until, _BATCH)
            if not number:
                break
            yield Removed(kind, number)


# --- logs ----------------------------------------------------------------------------------


def _remove_logs(dock: Dock, *, dry_run: bool) -> Iterator[Removed | Left]:
    log, settings = dock.config.log, dock.config.retention
    if log.file is not None:
        terms = (settings.log_files, settings.log_days)
        yield from _remove_logs_of(log.file, *terms, dry_run=dry_run)
    if log.audit_file is not None:
        # As long as the table that it stands beside.
        terms = (_ANY_NUMBER, settings.journal_days)
        yield from _remove_logs_of(log.audit_file, *terms, dry_run=dry_run)


def _remove_logs_of(file: Path, kept: int, days: int, *, dry_run: bool) -> Iterator[Removed | Left]:
    today = datetime.now(UTC).date()
    try:
        if not dry_run:
            start_new_log(file, today)
        for path in find_old_logs(file, today, kept=kept, days=days):
            size = path.stat().st_size
            if not dry_run:
                path.unlink(missing_ok=True)
            yield Removed("logs", size_bytes=size, name=path_text(path))
    except OSError as exc:
        yield Left(path_text(file), explain_os_error(file.parent, exc))
