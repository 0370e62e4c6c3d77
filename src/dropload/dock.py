"""Everything a stage works with, opened together: configuration, drop tree, target, journal."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dropload.audit_lines import AuditLines
from dropload.config import Config
from dropload.durable import path_text
from dropload.errors import ConfigError, RefusedError
from dropload.folders import DropTree
from dropload.journal import AuditAction, Journal, apply_scripts, pending_scripts
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
    target.audit_lines = AuditLines(config.log)
    lease = timedelta(seconds=config.workers.lease_seconds)
    tree = DropTree(config.paths.dropoff.absolute())
    return Dock(config, tree, target, Journal(target, lease))


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was missing and has been made."""

    folders: tuple[Path, ...]
    scripts: tuple[str, ...]
    """Names of the scripts that made the journal's tables, or brought them up to date."""


def check_tree_new(dock: Dock) -> None:
    """Raise ConfigError where the whole tree is gone that was there: its share is not mounted.

    What is made on the bare mount point would be hidden by the mount, and files with it.
    """
    tree = dock.tree
    if any(inbox.path.is_dir() for inbox in tree.inboxes):
        return
    with dock.target.read() as conn:
        was_there = dock.journal.tracking.knows_files_below(conn, tree.root)
    if was_there:
        raise ConfigError(
            f"The drop tree {path_text(tree.root)} was there and is gone.",
            hint="Mount the share that it is on; `dropload init` makes an empty one.",
            code="tree",
        )


def prepare(dock: Dock, actor: str, *, anew: bool = False) -> Prepared:
    """Make the folders and the journal's tables where they are missing, with their audit.

    Raises ConfigError when the whole tree is gone that was there, unless it is wanted `anew`.
    """
    scripts = apply_scripts(dock.target, actor)
    if not anew:
        check_tree_new(dock)
    folders = dock.tree.create()
    if folders:
        detail = f"{count_of(len(folders), 'folder')} of {path_text(dock.tree.root)}"
        with dock.target.write() as conn:
            dock.journal.audit.add(conn, actor, AuditAction.INIT, None, detail)
    return Prepared(tuple(folders), tuple(scripts))


def check_prepared(dock: Dock) -> None:
    """Raise RefusedError where the database has no journal yet, or an older one."""
    missing = pending_scripts(dock.target)
    if missing:
        names = ", ".join(path.name for path in missing)
        raise RefusedError(
            f"The database is not prepared ({names}): {dock.target.describe()}.",
            hint="`dropload init` or the daemon's first start does it.",
            code="not_prepared",
        )
