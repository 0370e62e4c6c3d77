"""Take away files that were filed long ago, with their answers, and what a crash left behind."""

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from dropload.dock import Dock
from dropload.durable import explain_os_error, path_text, stored_path_text, sync_folder
from dropload.folders import DONE_SUFFIX, find_path, numbered_paths
from dropload.journal import FiledLoad, path_key
from dropload.reports import REJECT_COLUMNS, rejects_path, report_paths

_BATCH = 500
"""Loads whose places are forgotten in one transaction."""
_LEFTOVER_SECONDS = 24 * 3600
_LEFTOVER = re.compile(r"\.dropload-\d+-[0-9a-f]{8}\.tmp|\.\d{8}T\d{6}Z(-\d+)?_.+\.rejects.*\.tmp")
"""What a crash leaves of a report, a move, or a rejects file that was being written."""
_HEADER_BYTES = 1 << 20
"""So much of a rejects file is looked at for the columns that say that it is one."""
_TRIED_NAMES = 20
"""Variants `-2`, `-3`, … of the name of a rejects file that are found again."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Something that went, or would go."""

    kind: str
    number: int = 1
    size_bytes: int = 0
    name: str = ""
    rows: int = 0
    """Rows of a backup: how many bytes they take, not every database says cheaply."""


@dataclass(frozen=True, slots=True)
class Left:
    """Something old that could not be taken away, and why."""

    name: str
    reason: str


def remove_files(dock: Dock, before: datetime, *, dry_run: bool) -> Iterator[Removed | Left]:
    """Yield the files filed before that time, with what stands beside them, as they go."""
    last_id = 0
    while True:
        with dock.target.read() as conn:
            retention = dock.journal.retention
            batch = retention.filed(conn, before, last_id, _BATCH)
            in_use = retention.paths_in_use(conn)
        if not batch:
            return
        last_id = batch[-1].load_id
        remover = _FileRemover(dock, before, in_use, dry_run=dry_run)
        for load in batch:
            yield from remover.remove(load)
        yield from remover.forget()


class _FileRemover:
    """Removes the files of one batch of loads, and then has the journal forget their places."""

    def __init__(self, dock: Dock, before: datetime, in_use: set[str], *, dry_run: bool) -> None:
        self._dock = dock
        self._before = before.timestamp()
        self._in_use = in_use
        self._dry_run = dry_run
        tree = dock.tree
        self._folders = {
            folder
            for inbox in tree.inboxes
            for folder in (tree.processed(inbox), tree.error(inbox))
        }
        self._gone: list[FiledLoad] = []
        self._touched: set[Path] = set()

    def remove(self, load: FiledLoad) -> Iterator[Removed | Left]:
        """Remove the file of a load and what stands beside it."""
        filed = find_path(load.filed_path)
        if filed.parent not in self._folders:
            return  # another tree's, which the same journal serves
        if path_key(filed) in self._in_use:
            return  # somebody loads it from here
        try:
            if self._was_changed(filed, load):
                yield Left(path_text(filed), "it was changed after it had been filed")
                return
            for path in (filed, *self._companions(filed, load)):
                size = _size_of(path)
                if size is None:
                    continue
                if not self._dry_run:
                    path.unlink(missing_ok=True)
                    self._touched.add(path.parent)
                yield Removed("files", size_bytes=size, name=path_text(path))
        except OSError as exc:
            yield Left(path_text(filed), explain_os_error(filed.parent, exc))
            return
        if filed.parent in self._touched or _has_entries(filed.parent):
            # A folder in which nothing stands may be one whose share is not mounted: what it says
            # is believed when there is a file in it again.
            self._gone.append(load)

    def forget(self) -> Iterator[Left]:
        """Note that the files are gone, once that is sure to survive a power cut."""
        if not self._gone or self._dry_run:
            return
        try:
            for folder in self._touched:
                sync_folder(folder)
        except OSError as exc:
            yield Left(path_text(folder), explain_os_error(folder, exc))
            return
        with self._dock.target.write() as conn:
            ids = [load.load_id for load in self._gone]
            self._dock.journal.retention.forget_places(conn, ids)

    def _was_changed(self, filed: Path, load: FiledLoad) -> bool:
        """Return whether somebody works on the file: it is not the one that was filed, and new."""
        try:
            found = filed.lstat()
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(found.st_mode):
            return True
        return found.st_mtime > self._before and found.st_mtime_ns != load.mtime_ns

    def _companions(self, filed: Path, load: FiledLoad) -> Iterator[Path]:
        """Yield what dropload has put beside the file, and what its sender did."""
        yield filed.with_name(filed.name + DONE_SUFFIX)
        reports = set(report_paths(filed))
        if load.report_path:
            reports.add(find_path(load.report_path))
        answers = {path for path in reports if path.parent == filed.parent}
        answers.update(_find_rejects(filed, tuple(answers)))
        present = [path for path in answers if _size_of(path) is not None]
        if not present:
            return
        with self._dock.target.read() as conn:
            texts = [stored_path_text(path) for path in present]
            theirs = self._dock.journal.retention.paths_filed(conn, texts)
        yield from (path for path in present if stored_path_text(path) not in theirs)


def _find_rejects(filed: Path, reports: Iterable[Path]) -> Iterator[Path]:
    """Yield the rejects file of a filed file: what has the name, or the name that a report tells.

    Only if it is one: somebody else's file may have had the name first.
    """
    told = "".join(_start_of(report).decode("utf-8", "replace") for report in reports)
    wanted = rejects_path(filed)
    for path in islice(numbered_paths(wanted), _TRIED_NAMES):
        if path != wanted and path.name not in told:
            continue
        # Without the zeros that UTF-16 puts between its letters.
        start = _start_of(path).replace(b"\0", b"")
        if all(name.encode() in start for name in REJECT_COLUMNS[:2]):
            yield path


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER_BYTES)
    except (FileNotFoundError, IsADirectoryError):
        return b""


def _size_of(path: Path) -> int | None:
    """Return the size of a plain file, None where there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _has_entries(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def remove_leftovers(
    dock: Dock, *, dry_run: bool, clock: Callable[[], float] = time.time
) -> Iterator[Removed | Left]:
    """Yield what a crash left a day ago or earlier, as it goes."""
    before = clock() - _LEFTOVER_SECONDS
    for folder in dock.tree.working_folders():
        try:
            # By their names: a path for each of 100,000 files would take more memory than all else.
            with os.scandir(folder) as entries:
                found = [entry.name for entry in entries if _LEFTOVER.fullmatch(entry.name)]
            for path in (folder / name for name in found):
                size = _size_of(path)
                if size is None or path.lstat().st_mtime > before:
                    continue
                if not dry_run:
                    path.unlink(missing_ok=True)
                yield Removed("leftovers", size_bytes=size, name=path_text(path))
        except OSError as exc:
            yield Left(path_text(folder), explain_os_error(folder, exc))
