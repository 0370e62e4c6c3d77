"""Everything a stage works with, opened together: configuration, drop tree, target, journal."""

from dataclasses import dataclass
from datetime import timedelta

from dropload.config import Config
from dropload.errors import RefusedError
from dropload.folders import DropTree
from dropload.journal import Journal, pending_scripts
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


def check_prepared(dock: Dock) -> None:
    """Raise RefusedError where the database has no journal yet, or an older one."""
    missing = pending_scripts(dock.target)
    if missing:
        names = ", ".join(path.name for path in missing)
        raise RefusedError(
            f"The database is not prepared ({names}): {dock.target.describe()}.",
            hint="`dropload init` or the daemon's first start does it.",
        )
