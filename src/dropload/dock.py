"""Everything a stage works with, opened together: configuration, drop tree, target, journal."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dropload.config import Config
from dropload.durable import path_text
from dropload.errors import RefusedError
from dropload.folders import DropTree
from dropload.journal import INIT, Journal, apply_scripts, pending_scripts
from dropload.reports import count_of
from dropload.targets import open_target
from dropload.targets.base import Target


@dataclass(frozen=True, slots=True)
class Dock:
    """The loading dock: one per process."""

    config: Config
    tree: DropTree
    target: Target
    journal: Journal


def open_dock(config: Config) -> Dock:
    """Return a dock; nothing is created and the database is not contacted yet."""
    target = open_target(config)
    lease = timedelta(seconds=config.workers.lease_seconds)
    tree = DropTree(config.paths.dropoff.absolute())
    return Dock(config, tree, target, Journal(target, lease))


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was missing and has been made."""

    folders: tuple[Path, ...]
    scripts: tuple[str, ...]
    """Names of the scripts that made the journal's tables, or brought them up to date."""


def prepare(dock: Dock, actor: str) -> Prepared:
    """Make the folders and the journal's tables where they are missing, with their audit."""
    folders = dock.tree.create()
    scripts = apply_scripts(dock.target, actor)
    if folders:
        detail = f"{count_of(len(folders), 'folder')} of {path_text(dock.tree.root)}"
        with dock.target.write() as conn:
            dock.journal.audit.add(conn, actor, INIT, None, detail)
    return Prepared(tuple(folders), tuple(scripts))


def check_prepared(dock: Dock) -> None:
    """Raise RefusedError where the database has no journal yet, or an older one."""
    missing = pending_scripts(dock.target)
    if missing:
        names = ", ".join(path.name for path in missing)
        raise RefusedError(
            f"The database is not prepared ({names}): {dock.target.describe()}.",
            hint="`dropload init` or the daemon's first start does it.",
        )
