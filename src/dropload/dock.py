"""Everything a stage works with, opened together: configuration, drop tree, target, journal."""

from dataclasses import dataclass
from datetime import timedelta

from dropload.config import Config
from dropload.folders import DropTree
from dropload.journal import Journal
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
