"""The health of folders and disks."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dropload.config import HealthConfig
from dropload.durable import explain_os_error, path_text
from dropload.folders import DropTree, is_world_writable
from dropload.health.answer import Check, Figure, Level
from dropload.health.lanes import Lane, Say
from dropload.model import Inbox


def folder_lanes(tree: DropTree) -> Iterator[Lane]:
    """Yield a lane for each folder of the tree: each may be a share of its own."""
    proved = set(tree.working_folders())
    inboxes = {
        folder: inbox
        for inbox in tree.inboxes
        for folder in (tree.processed(inbox), tree.error(inbox))
    }
    for folder in tree.folders():
        yield Lane(
            "folders",
            f"the folder {path_text(folder)}",
            partial(_check_folder, tree, folder, inboxes.get(folder), folder in proved),
        )


def _check_folder(
    tree: DropTree, folder: Path, inbox: Inbox | None, is_worked_in: bool, _say: Say
) -> Iterator[Check]:
    """Yield only what is worth knowing; silence is health."""
    problem = tree.check_folder(folder) if is_worked_in else None
    if problem is not None:
        yield Check("folders", Level.CRITICAL, problem.message)
        return
    if is_world_writable(folder):
        yield Check("folders", Level.WARNING, f"everybody may write into {path_text(folder)}")
    if inbox is not None and folder.stat().st_dev != inbox.path.stat().st_dev:
        said = f"{path_text(folder)} is on another file system: files are copied there"
        yield Check("file systems", Level.OK, said)


def merge_missing(tree: DropTree, checks: list[Check]) -> list[Check]:
    """Return the checks with one in the place of all folders where the whole tree is missing."""
    wrong = [found for found in checks if found.name == "folders" and found.level is Level.CRITICAL]
    # Only what the lanes have found missing is looked at: a share that hangs would hold this up.
    if len(wrong) < len(list(tree.working_folders())):
        return checks
    missing = tree.explain_missing()
    if not missing:
        return checks
    said = Check("folders", Level.CRITICAL, missing)
    return [*(said if found is wrong[0] else found for found in checks if found not in wrong[1:])]


def disk_lanes(places: dict[str, Path], settings: HealthConfig) -> Iterator[Lane]:
    """Yield a lane for each place that dropload writes to; `places`: by name of the figure."""
    for name, path in places.items():
        # Below another place is on its disk, but for mounts, of which the outer one may be full.
        if any(path != other and path.is_relative_to(other) for other in places.values()):
            continue
        yield Lane(
            "disk",
            f"the disk of {path_text(path)}",
            partial(_check_disk_in_lane, name, path, settings),
        )


def _check_disk_in_lane(
    name: str, path: Path, settings: HealthConfig, _say: Say
) -> Iterator[Check]:
    yield check_disk(name, path, settings)


def check_disk(name: str, path: Path, settings: HealthConfig) -> Check:
    """Return whether there is room below a folder, in bytes and in files."""
    try:
        found = os.statvfs(path)
    except OSError as exc:
        return Check("disk", Level.UNKNOWN, explain_os_error(path, exc))
    free_mb = found.f_bavail * found.f_frsize // 2**20
    critical, warning = settings.min_free_critical_mb, settings.min_free_mb
    figures = [Figure(f"{name}_free", free_mb, "MB", f"{warning}:", f"{critical}:")]
    level = Level.OK
    if free_mb < warning:
        level = Level.CRITICAL if free_mb < critical else Level.WARNING
    text = f"{free_mb:,} MB free below {path_text(path)}"
    # File systems that make inodes as they need them say 0 of 0.
    if found.f_files:
        few = settings.min_free_inodes
        figures.append(Figure(f"{name}_free_inodes", found.f_favail, "", f"{few}:"))
        if found.f_favail < few:
            level = max(level, Level.WARNING)
            text += f", room for only {found.f_favail:,} more files"
    return Check("disk", level, text, tuple(figures))
