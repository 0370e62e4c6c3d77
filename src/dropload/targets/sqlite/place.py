"""Where the file of an SQLite database may stand, and what keeps it from being used there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dropload.durable import path_text
from dropload.errors import ConfigError
from dropload.identity import person_name
from dropload.mounts import is_network


class Fault(NamedTuple):
    """What is wrong with a place, and what to do."""

    message: str
    hint: str


def check_place(path: Path) -> None:
    """Raise ConfigError where no database can be made or kept."""
    if fault := _fault_of_folder(path):
        raise ConfigError(fault.message, hint=fault.hint, code="database_place")
    if is_network(_nearest_folder(path)):
        raise ConfigError(
            f"The database {path_text(path)} is on a network share, where SQLite's locks do not "
            "hold.",
            hint="Put it on a local disk, or use a database server.",
            code="database_place",
        )


def find_fault(path: Path) -> Fault | None:
    """Return why the database cannot be opened or written, None where the place is well."""
    return _fault_of_folder(path) or next(_faults_of_files(path), None)


def _fault_of_folder(path: Path) -> Fault | None:
    folder, user = _nearest_folder(path), person_name()
    if not folder.is_dir():
        return Fault(
            f"The database {path_text(path)} cannot be made: {path_text(folder)} is no folder.",
            "Name another file in database.url.",
        )
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return Fault(
            f"The folder {path_text(folder)} of the database is on a file system that is mounted "
            "for reading only.",
            "Mount it for writing, or name another file in database.url.",
        )
    return Fault(
        f"The folder {path_text(folder)} of the database cannot be written by user {user}.",
        f"Give {user} the right (SQLite keeps files beside {path_text(path.name)}), or name "
        "another file in database.url.",
    )


def _faults_of_files(path: Path) -> Iterator[Fault]:
    user = person_name()
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            yield Fault(
                f"The database's file {path_text(file)} cannot be read and written by user {user}.",
                f"Give {user} the right; a command run as another user may have made the file.",
            )


def _nearest_folder(path: Path) -> Path:
    """Return the first folder above the file that is there."""
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder
