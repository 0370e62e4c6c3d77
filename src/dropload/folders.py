"""The drop tree on disk: make it, prove that it works, and name what is filed in it."""

import contextlib
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path

from dropload.durable import explain_os_error, hidden_path, path_text, stored_path_text
from dropload.errors import ConfigError
from dropload.model import Area, Inbox, LoadType

AREA_FOLDERS = {
    Area.REFERENCE: "reference_data_table",
    Area.NON_REFERENCE: "none_reference_data_table",
}
PROCESSED, ERROR = "processed", "error"
FOLDER_MODE = 0o2770
"""Operators and the service share files through the group (setgid); nothing for others."""
DONE_SUFFIX = ".done"
REJECTS_SUFFIX = ".rejects"
"""Stands before the file's own suffix: `20261120T101500Z_airports.rejects.csv`."""

_NAME_MAX_BYTES = 255
_ROOM_BYTES = 32
"""Kept free when a name is shortened: `-2` and what goes behind it, such as `.report.txt`."""
_PREFIX = re.compile(
    r"([0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z)"
    r"(?:-[0-9]+)?_"
)


@dataclass(frozen=True, slots=True)
class FolderProblem:
    """Something that keeps a folder of the drop tree from being used."""

    folder: Path
    message: str
    """One sentence that names the folder, and one with what to do."""


@dataclass(frozen=True)
class DropTree:
    """The folders below one root."""

    root: Path

    def __post_init__(self) -> None:
        # A later chdir must not turn one tree into another.
        object.__setattr__(self, "root", self.root.absolute())

    @cached_property
    def inboxes(self) -> tuple[Inbox, ...]:
        """Return the four folders that are scanned."""
        return tuple(
            Inbox(area, load_type, self.root / folder / load_type.value)
            for area, folder in AREA_FOLDERS.items()
            for load_type in LoadType
        )

    def processed(self, inbox: Inbox) -> Path:
        """Return where files go whose load is over."""
        return inbox.path / PROCESSED

    def error(self, inbox: Inbox) -> Path:
        """Return where files go that their sender must mend."""
        return inbox.path / ERROR

    def inbox_of(self, path: Path) -> Inbox | None:
        """Return the inbox that `path` lies directly in, also if a symlink or `..` leads there."""
        parent = path.absolute().parent
        for inbox in self.inboxes:
            if parent == inbox.path:
                return inbox
        real = parent.resolve()
        return next((inbox for inbox in self.inboxes if real == inbox.path.resolve()), None)

    def inbox_filed_from(self, path: Path) -> Inbox | None:
        """Return the inbox whose processed/ or error/ `path` lies directly in."""
        parent = path.absolute().parent.resolve()
        for inbox in self.inboxes:
            if parent in (self.processed(inbox).resolve(), self.error(inbox).resolve()):
                return inbox
        return None

    def working_folders(self) -> Iterator[Path]:
        """Yield the folders that dropload moves files from and to."""
        for inbox in self.inboxes:
            yield from (inbox.path, self.processed(inbox), self.error(inbox))

    def folders(self) -> Iterator[Path]:
        """Yield every folder of the tree, outer ones first."""
        yield self.root
        yield from (self.root / folder for folder in AREA_FOLDERS.values())
        yield from self.working_folders()

    def create(self) -> list[Path]:
        """Make the folders that are missing and return them; those that exist are left as they are.

        Raises ConfigError when one cannot be made.
        """
        return [folder for folder in self.folders() if _make_folder(folder)]

    def explain_missing(self) -> str:
        """Return in one sentence that the whole tree is not there, empty where some of it is."""
        if any(os.path.lexists(inbox.path) for inbox in self.inboxes):
            return ""
        if shut := find_shut_folder(self.root):
            return (
                f"The drop tree {path_text(self.root)} cannot be looked at: this user may not "
                f"enter {path_text(shut)}. Ask as the user that dropload runs as."
            )
        return (
            f"The drop tree {path_text(self.root)} is not there. Make it with `dropload init`, or "
            "mount the share that it is on."
        )

    def check(self) -> list[FolderProblem]:
        """Prove by doing that files can be read, written and renamed where dropload must."""
        found = map(self.check_folder, self.working_folders())
        return [problem for problem in found if problem is not None]

    def check_folder(self, folder: Path) -> FolderProblem | None:
        """Prove it for one of the folders; None when all is well."""
        message = _try_folder(folder)
        return FolderProblem(folder, message) if message else None

    def world_writable(self) -> list[Path]:
        """Return the folders into which everybody on this machine could drop or from which take."""
        return [folder for folder in self.folders() if is_world_writable(folder)]


def find_shut_folder(path: Path) -> Path | None:
    """Return the innermost folder of those down to a path if it may not be entered, else None."""
    there = next((one for one in (path, *path.parents) if os.path.lexists(one)), None)
    return there if there and there.is_dir() and not os.access(there, os.X_OK) else None


def is_world_writable(folder: Path) -> bool:
    """Return whether everybody on this machine could drop files there or take them."""
    return folder.is_dir() and bool(folder.stat().st_mode & stat.S_IWOTH)


def _make_folder(folder: Path) -> bool:
    try:
        if folder.is_dir():
            return False
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # CIFS and FAT: the mount decides about modes
            folder.chmod(FOLDER_MODE)  # mkdir's own mode is cut down by the umask, without setgid
    except FileExistsError as exc:
        raise ConfigError(
            f"{path_text(folder)} exists and is not a folder.",
            hint="Move it away or name another root.",
            code="tree",
        ) from exc
    except OSError as exc:
        raise ConfigError(
            f"The folder {path_text(folder)} cannot be made: {exc.strerror}.",
            hint="Run as a user who may write there, or name another root.",
            code="tree",
        ) from exc
    return True


def _try_folder(folder: Path) -> str:
    """Return what went wrong when a file was written, renamed and removed, or the empty string."""
    first, second = hidden_path(folder), hidden_path(folder)
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
        write_probe(first)
        first.rename(second)
        second.unlink()
    except OSError as exc:
        for left in (first, second):
            with contextlib.suppress(OSError):
                left.unlink()
        return explain_os_error(folder, exc)
    return ""


def write_probe(path: Path) -> None:
    """Create a file that proves that files can be; it need not survive a power cut.

    Waiting for the disk would take seconds where loads keep it busy.
    """
    with path.open("xb") as file:
        file.write(b"dropload checks this folder\n")


# --- names ---------------------------------------------------------------------------------


def filed_name(name: str, at: datetime) -> str:
    """Return `20261120T101500Z_airports.csv`; a prefix from an earlier filing is replaced."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}_{strip_filed_prefix(name)}"


def strip_filed_prefix(name: str) -> str:
    """Return `name` without the prefixes that filing put before it, however many there are."""
    while (match := _PREFIX.match(name)) and match.end() < len(name):
        name = name[match.end() :]
    return name


def choose_filed_path(folder: Path, name: str, at: datetime) -> Path:
    """Return the first free path for a file that is filed now: `…Z_name`, `…Z-2_name`, ….

    Names that would pass the 255 bytes of Linux lose the end of their stem, never the suffix.
    """
    wanted = folder / _shorten(filed_name(name, at), _NAME_MAX_BYTES - _ROOM_BYTES)
    return next(path for path in numbered_paths(wanted) if not os.path.lexists(path))


def numbered_paths(path: Path) -> Iterator[Path]:
    """Yield `path`, then its variants `-2`, `-3`, …: behind our prefix, else before the suffix."""
    yield path
    match = _PREFIX.match(path.name)
    head, tail = (match[1], path.name[match.end() - 1 :]) if match else (path.stem, path.suffix)
    number = 2
    while True:
        yield path.with_name(f"{head}-{number}{tail}")
        number += 1


def _shorten(name: str, limit_bytes: int) -> str:
    suffix = "".join(Path(name).suffixes[-2:])
    if len(os.fsencode(suffix)) > limit_bytes // 4:
        suffix = ""
    stem = name.removesuffix(suffix)
    while len(os.fsencode(stem + suffix)) > limit_bytes:
        stem = stem[:-1]
    return stem + suffix


def find_path(text: str) -> Path:
    """Return the path that `stored_path_text` made this text of, as far as it still exists."""
    path = Path(text)
    if "\\x" not in text or os.path.lexists(path):
        return path
    parent = find_path(str(path.parent))
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if stored_path_text(entry.name) == path.name:
                return parent / entry.name
    return path


@lru_cache(maxsize=8)
def ignore_rule(patterns: tuple[str, ...]) -> Callable[[str], object]:
    """Return the patterns as one question, fast enough to be put to 100,000 names.

    The answer is true or not; it is no bool, which would take another call for each name.

    Patterns are shell patterns and mind case; plain names such as `Thumbs.db` do not.
    """
    if not patterns:
        return lambda _name: False
    is_plain = re.compile(r"[^*?\[]+").fullmatch
    parts = (
        f"(?i:{fnmatch.translate(p)})" if is_plain(p) else fnmatch.translate(p) for p in patterns
    )
    return re.compile("|".join(parts)).match
