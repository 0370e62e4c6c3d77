"""Run every check at once and put the answers together."""

from pathlib import Path

from dropload.config import Config
from dropload.folders import DropTree
from dropload.health.answer import Check, Health, Level
from dropload.health.database import database_lane
from dropload.health.lanes import run_lanes
from dropload.health.places import disk_lanes, folder_lanes, merge_missing
from dropload.health.signs import daemon_lane


def check_health(config: Config) -> Health:
    """Run every check; none raises, and none takes longer than `health.check_timeout_seconds`.

    Nothing is changed: files and rows that prove that writing works are taken back.
    """
    tree = DropTree(config.paths.dropoff)
    lanes = [
        daemon_lane(config),
        database_lane(config),
        *folder_lanes(tree),
        *disk_lanes(_places(config, tree), config.health),
    ]
    found = merge_missing(tree, run_lanes(lanes, config.health.check_timeout_seconds))
    if not any(check.name == "folders" for check in found):
        found.append(Check("folders", Level.OK, f"all folders of {tree.root} are usable"))
    # Two places on one disk, or in one folder, may have the same to say.
    said = {(check.name, check.level, check.message): check for check in reversed(found)}
    return Health(tuple(reversed(said.values())))


def _places(config: Config, tree: DropTree) -> dict[str, Path]:
    """Return the places beside the database that must not become full, by a short name."""
    places = {"tree": tree.root, "state": config.state_folder.absolute()}
    if config.log.file is not None:
        places["log"] = config.log.file.absolute().parent
    return places
