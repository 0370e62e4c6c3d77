"""Look into the inboxes: the scan is the truth, file system events only bring it forward."""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.utils import BaseThread

from dropload.durable import explain_os_error, path_text
from dropload.folders import AREA_FOLDERS, DONE_SUFFIX, ERROR, PROCESSED, DropTree, ignore_rule
from dropload.model import Inbox, Observation
from dropload.mounts import file_system_type, is_network

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

_MAX_NAMED = 100
"""Strays and lonely companions are named up to this number, and counted beyond it."""
_MAX_WALKED = 1_000
"""Entries of foreign folders that one scan looks at: somebody may have moved an archive in."""
_GATHER_SECONDS = 0.2
"""After an event the rest of a burst is waited for, or 10,000 files would cause 10,000 scans."""
_STOP_SECONDS = 5.0
_WAKING_EVENTS: list[type[FileSystemEvent]] = [FileCreatedEvent, FileMovedEvent, FileClosedEvent]
"""Not modifications (a growing file sends thousands) nor deletions (our own moves)."""


# --- the scan ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scan:
    """What one look at the whole drop tree found."""

    observations: Sequence[Observation]
    """Every file that waits in an inbox, in no particular order; none where `Look` passed them on.
    """
    strays: tuple[Path, ...]
    """What stands where it does not belong or is no plain file: reported, never touched."""
    stray_count: int
    """More than `strays` has when there are very many; then a lower bound."""
    failed: Mapping[Inbox, str]
    """Inboxes that could not be listed, with what is wrong and what to do."""
    companions_without_file: tuple[Path, ...]
    """`X.done` without `X`: somebody waits for a load that will not come."""


@dataclass(slots=True)
class _Strays:
    """Paths that do not belong where they are, within bounds."""

    is_ignored: Callable[[str], object]
    named: list[Path] = field(default_factory=list)
    count: int = 0
    walked: int = 0

    def add(self, path: Path) -> None:
        self.count += 1
        if len(self.named) < _MAX_NAMED:
            self.named.append(path)

    def add_files_below(self, folder: Path) -> None:
        """Add the files in a foreign folder, however deep, as far as the bounds allow."""
        folders = [folder]
        while folders:
            for entry in _list_folder(folders.pop()):
                self.walked += 1
                if self.walked > _MAX_WALKED:
                    return
                if self.is_ignored(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    self.add(Path(entry.path))

    def add_between(self, folder: Path, expected: Sequence[str]) -> None:
        """Add what stands in a folder of the tree beside the folders that belong there."""
        for entry in _list_folder(folder):
            if entry.name in expected or self.is_ignored(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                self.add_files_below(Path(entry.path))
            else:
                self.add(Path(entry.path))


def scan_inboxes(tree: DropTree, ignore: Sequence[str]) -> Scan:
    """Return what stands in the four inboxes now, and what is elsewhere and should not be."""
    look = Look(tree, ignore)
    found = list(look.files())
    marked = {(seen.inbox, seen.name) for seen in found if seen.done_companion}
    if marked or look.failed:
        found = [
            seen
            for seen in found
            if seen.inbox not in look.failed
            and (seen.done_companion or (seen.inbox, seen.name) not in marked)
        ]
    return look.tell(found)


class Look:
    """One look at the whole drop tree, which passes files on while it finds them and keeps none.

    The daemon looks so: 100,000 observations at once would be a third of its memory.
    """

    def __init__(self, tree: DropTree, ignore: Sequence[str]) -> None:
        self._tree = tree
        self._is_ignored = ignore_rule(tuple(ignore))
        self._strays = _Strays(self._is_ignored)
        self._lonely: list[Path] = []
        self.failed: dict[Inbox, str] = {}
        """Inboxes that could not be listed, or only in part; known when all files are."""

    def files(self) -> Iterator[Observation]:
        """Yield every file that waits, those of an inbox one after the other.

        One with a companion comes a second time, with that, when its inbox has been listed.
        """
        for inbox in self._tree.inboxes:
            try:
                yield from self._list_inbox(inbox)
            except OSError as exc:
                self.failed[inbox] = explain_os_error(inbox.path, exc)

    def tell(self, observations: Sequence[Observation] = ()) -> Scan:
        """Return what was found beside the files; call it when all have been taken."""
        self._add_strays()
        strays, lonely = self._strays, sorted(self._lonely)[:_MAX_NAMED]
        return Scan(observations, tuple(strays.named), strays.count, self.failed, tuple(lonely))

    def _list_inbox(self, inbox: Inbox) -> Iterator[Observation]:
        is_ignored, is_regular = self._is_ignored, stat.S_ISREG
        companions: list[str] = []
        odd: list[str] = []
        # By descriptor: stat() then need not walk the path again for each of 100,000 files.
        fd = os.open(inbox.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    name = entry.name
                    if is_ignored(name):
                        continue
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # taken away since it was listed
                    if not is_regular(found.st_mode):
                        odd.append(name)
                    elif name.endswith(DONE_SUFFIX):
                        companions.append(name)
                    else:
                        yield Observation(
                            inbox, name, found.st_size, found.st_mtime_ns, found.st_ino
                        )
            yield from self._pair(inbox, fd, companions)
        finally:
            os.close(fd)
        self._add_odd(inbox, odd)

    def _pair(self, inbox: Inbox, fd: int, companions: Sequence[str]) -> Iterator[Observation]:
        """Yield the files that companions say to be whole; note the companions without a file."""
        for companion in companions:
            name = companion.removesuffix(DONE_SUFFIX)
            found = self._stat_file(fd, name)
            if found is None:
                self._lonely.append(inbox.path / companion)
            else:
                yield Observation(
                    inbox, name, found.st_size, found.st_mtime_ns, found.st_ino, done_companion=True
                )

    def _stat_file(self, fd: int, name: str) -> os.stat_result | None:
        """Return what stands there under a name, None where it is no file that waits."""
        if not name or name.endswith(DONE_SUFFIX) or self._is_ignored(name):
            return None
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def _add_odd(self, inbox: Inbox, odd: Sequence[str]) -> None:
        for name in odd:
            if name in (PROCESSED, ERROR):
                continue
            path = inbox.path / name
            self._strays.add(path)
            if path.is_dir() and not path.is_symlink():
                self._strays.add_files_below(path)

    def _add_strays(self) -> None:
        """Add what stands beside the inboxes."""
        tree = self._tree
        self._strays.add_between(tree.root, tuple(AREA_FOLDERS.values()))
        for folder in AREA_FOLDERS.values():
            expected = tuple(i.path.name for i in tree.inboxes if i.path.parent.name == folder)
            self._strays.add_between(tree.root / folder, expected)


def _list_folder(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a folder that holds no inbox files; one that cannot be read has none."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return  # what makes an inbox unusable is said by the scan of that inbox


# --- the hints -----------------------------------------------------------------------------


class Watcher:
    """Wakes a waiting daemon when something happens in an inbox, where the system can tell.

    Losing every event costs nothing but the time until the next scan. So whatever goes wrong here
    is said once, scanning alone goes on, and events are taken up again when they work.
    """

    def __init__(self, tree: DropTree, *, events: bool = True, mounts: Path | None = None) -> None:
        self._tree = tree
        self._events = events
        self._mounts = mounts
        # A SimpleQueue, because its put() may be called from a signal handler; Event.set() may not.
        self._signals: SimpleQueue[bool] = SimpleQueue()
        self._handler = _Handler(self._signals)
        self._observer: BaseObserver | None = None
        self._threads: frozenset[threading.Thread] = frozenset()
        self._watched: dict[Path, tuple[int, int]] = {}
        """Folder to its device and inode: a renamed root keeps its watch but is another folder."""
        self._said = ""

    def use_events(self, events: bool) -> None:
        """Listen for events from the next look on, or no longer."""
        if self._events and not events:
            self._drop_observer()
            self._said = ""
        self._events = events

    def start(self) -> str | None:
        """Begin to listen; return what keeps inboxes from sending events, if anything does."""
        return self.ensure_alive()

    def stop(self) -> None:
        """Stop listening and wake whoever waits."""
        self._drop_observer()
        self.wake()

    def wake(self) -> None:
        """End the present or the next `wait` at once; safe in a signal handler."""
        self._signals.put(True)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until something happens in an inbox; return False when the time ran out instead."""
        try:
            asked = self._signals.get(timeout=max(0.0, timeout_seconds))
        except Empty:
            return False
        ends = time.monotonic() + min(_GATHER_SECONDS, timeout_seconds)
        while not asked and (left := ends - time.monotonic()) > 0:
            try:
                asked = self._signals.get(timeout=left)
            except Empty:
                break
        self._handler.take_all()
        return True

    def ensure_alive(self) -> str | None:
        """Mend what died, moved or came back; return a sentence per change of state, else None.

        To be called after each scan; costs a stat per inbox when all is well.
        """
        if not self._events:
            return None
        wanted, troubles = self._find_folders()
        died = self._observer is not None and not self._is_listening()
        if died or wanted != self._watched:
            self._drop_observer()
            troubles += self._listen(wanted)
        said = " ".join(troubles)
        if said == self._said:
            return (
                "The thread that listens for file events had died; it was restarted."
                if died
                else None
            )
        self._said = said
        return said or "File events wake the daemon again for all inboxes."

    @property
    def hears_all(self) -> bool:
        """Return whether every inbox, as it stands there now, sends events."""
        if not self._events or self._said or not self._is_listening():
            return False
        wanted, troubles = self._find_folders()
        return wanted == self._watched and not troubles

    def _find_folders(self) -> tuple[dict[Path, tuple[int, int]], list[str]]:
        """Return the inboxes that can send events, and a sentence for each of the others."""
        wanted: dict[Path, tuple[int, int]] = {}
        troubles = []
        for inbox in self._tree.inboxes:
            try:
                found = inbox.path.stat()
            except OSError as exc:
                troubles.append(explain_os_error(inbox.path, exc))
                continue
            identity = (found.st_dev, found.st_ino)
            # The mount table is read only for folders that are not watched yet.
            if self._watched.get(inbox.path) != identity and is_network(inbox.path, self._mounts):
                kind = file_system_type(inbox.path, self._mounts)
                troubles.append(
                    f"{path_text(inbox.path)} is on {kind}, which sends no file events: "
                    "its files are found by scanning only."
                )
                continue
            wanted[inbox.path] = identity
        return wanted, troubles

    def _listen(self, folders: dict[Path, tuple[int, int]]) -> list[str]:
        """Watch these folders; return a sentence when that is not possible."""
        if not folders:
            return []
        before = set(threading.enumerate())
        try:
            self._observer = Observer()
            for folder in folders:
                self._observer.schedule(
                    self._handler, str(folder), recursive=False, event_filter=_WAKING_EVENTS
                )
            self._observer.start()
        except OSError as exc:
            self._drop_observer()
            return [_explain_no_events(exc)]
        started = set(threading.enumerate()) - before
        self._threads = frozenset(t for t in started if isinstance(t, BaseThread))
        self._watched = folders
        # Files that came while nobody listened sent no event.
        self._handler.hint()
        return []

    def _is_listening(self) -> bool:
        # observer.is_alive() stays true while its emitters are dead (watchdog 6 and 7), and an
        # emitter lives on when the thread that reads from the kernel has died: all are asked.
        observer = self._observer
        return (
            observer is not None
            and all(thread.is_alive() for thread in self._threads)
            and all(emitter.is_alive() for emitter in observer.emitters)
        )

    def _drop_observer(self) -> None:
        observer, self._observer = self._observer, None
        self._threads = frozenset()
        self._watched = {}
        if observer is None:
            return
        observer.stop()
        if observer.is_alive():
            observer.join(_STOP_SECONDS)


class _Handler(FileSystemEventHandler):
    """Turns events into one signal; whatever else it did could raise, and that kills the thread."""

    def __init__(self, signals: SimpleQueue[bool]) -> None:
        self._signals = signals
        self._pending = False

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002
        """Note that there is something to look at."""
        self.hint()

    def hint(self) -> None:
        """Put a signal into the queue unless one is there: a burst must not fill the memory."""
        if not self._pending:
            self._pending = True
            self._signals.put(False)

    def take_all(self) -> None:
        """Empty the queue before the scan that will see all that it stands for."""
        while not self._signals.empty():
            self._signals.get()
        self._pending = (
            False  # last: a hint drained with `pending` set would silence all later ones
        )


def _explain_no_events(exc: OSError) -> str:
    advice = {
        errno.ENOSPC: "Raise the sysctl fs.inotify.max_user_watches.",
        errno.EMFILE: "Raise the sysctl fs.inotify.max_user_instances, or the limit of open files.",
    }.get(exc.errno or 0, "")
    reason = exc.strerror or str(exc)
    return f"No file events ({reason}): files are found by scanning only. {advice}".rstrip()
