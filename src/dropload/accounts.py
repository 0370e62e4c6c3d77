"""Account for every file that was ever seen: loaded, error, duplicate, waiting, held, or missing.

| found                                           | counted as                              |
|-------------------------------------------------|-----------------------------------------|
| load committed, filed or undone                 | loaded                                  |
| load failed                                     | error                                   |
| load duplicate                                  | duplicate                               |
| file in an inbox, held                          | held                                    |
| file in an inbox, its load not over, or none    | waiting                                 |
| noted file gone from its inbox, no load over    | withdrawn: taken away by its sender     |
| load over and not filed, its file is nowhere    | in none                                 |
| file in processed/ or error/ that no load named | in none                                 |
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from dropload.config import ALWAYS_IGNORED
from dropload.dock import Dock
from dropload.durable import path_text, stored_path_text
from dropload.folders import DONE_SUFFIX, ignore_rule, numbered_paths
from dropload.journal import HELD, path_key, path_of_key
from dropload.model import FileVersion, LoadEnd, Observation, State, TrackedFile
from dropload.moving import is_placeholder
from dropload.reports import path_of_report, rejects_path, report_paths
from dropload.watcher import scan_inboxes

COUNTED = ("loaded", "error", "duplicate", "waiting", "held", "withdrawn")
"""What a file can be; `withdrawn`: its sender took it away before it was loaded."""
_OF_STATE = {
    State.COMMITTED: "loaded",
    State.FILED: "loaded",
    State.UNDONE: "loaded",
    State.FAILED: "error",
    State.DUPLICATE: "duplicate",
}
_MORE_LOOKS = 2
_PAUSE_SECONDS = 0.5
_TRIED_NAMES = 20
"""Variants `-2`, `-3`, … of the name of an answer that are known again."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that is in none of the counts."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Account:
    """What became of every file: the counts, and those that are in none of them."""

    counts: dict[str, int]
    """A number for each of `COUNTED`."""
    missing: tuple[Missing, ...]

    @property
    def seen(self) -> int:
        """Return the number of files that were ever seen."""
        return sum(self.counts.values()) + len(self.missing)


def account_for_files(dock: Dock, pause: Callable[[float], None] = time.sleep) -> Account:
    """Compare the journal with the drop tree; raises DroploadError while the database is away.

    Every load counts, so a name that was loaded twice counts twice. What retention or people took
    out of processed/ and error/ is still accounted for by its load.
    """
    account = _compare(dock)
    for _ in range(_MORE_LOOKS):
        if not account.missing:
            break
        # A file may be on its way while we look: only what stays missing is.
        pause(_PAUSE_SECONDS)
        again = _compare(dock)
        missing = {found.path for found in account.missing}
        account = replace(again, missing=tuple(m for m in again.missing if m.path in missing))
    return account


def _compare(dock: Dock) -> Account:
    with dock.target.read() as conn:
        loads = dock.journal.history.ends(conn)
        tracked = dock.journal.tracking.all(conn)
    scan = scan_inboxes(dock.tree, (*ALWAYS_IGNORED, *dock.config.watch.ignore))
    standing, unseen = scan.observations, {inbox.path for inbox in scan.failed}
    seen = {path_key(file.path): file for file in standing}
    over = [load for load in loads if load.state in _OF_STATE and load.in_tree]
    counts = Counter(dict.fromkeys(COUNTED, 0))
    counts.update(_OF_STATE[load.state] for load in over)
    unmoved = {(load.file_path, load.version) for load in over if load.filed_at is None}
    counts.update(_count_standing(seen, tracked, unmoved))
    tracked = [row for row in tracked if path_of_key(row.file_path).parent not in unseen]
    counts["withdrawn"] += sum(_is_withdrawn(row, seen) for row in tracked)
    lost = list(_find_lost(over, seen))
    for load, _ in lost:
        counts[_OF_STATE[load.state]] -= 1
    missing = [found for _, found in lost]
    missing += [Missing(path_text(i.path), f"unknown: {why}") for i, why in scan.failed.items()]
    missing += _find_unnamed(dock, loads)
    return Account(dict(counts), tuple(missing))


def _count_standing(
    seen: dict[str, Observation],
    tracked: Iterable[TrackedFile],
    unmoved: set[tuple[str, FileVersion]],
) -> Iterator[str]:
    """Yield what each file in an inbox is; those that only have to be moved are counted already."""
    held = {row.file_path: row for row in tracked if row.status == HELD}
    for key, file in seen.items():
        row = held.get(key)
        if row is not None and row.is_version(file.version):
            yield "held"
        elif (key, file.version) not in unmoved:
            yield "waiting"


def _is_withdrawn(row: TrackedFile, seen: dict[str, Observation]) -> bool:
    """Return whether a file that was noted left its inbox and no load dealt with it."""
    return row.file_path not in seen and row.status not in _OF_STATE


def _find_lost(
    over: Iterable[LoadEnd], seen: dict[str, Observation]
) -> Iterator[tuple[LoadEnd, Missing]]:
    """Yield loads that are over and not filed, whose file stands neither here nor there."""
    for load in over:
        if load.filed_at is not None or load.file_path in seen:
            continue
        if load.filed_path and any(_exists(path) for path in _variants(Path(load.filed_path))):
            continue
        reason = f"load {load.load_id} is {load.state} and its file is neither here nor moved"
        yield load, Missing(load.file_path, reason)


def _find_unnamed(dock: Dock, loads: Iterable[LoadEnd]) -> Iterator[Missing]:
    """Yield what stands in processed/ and error/ and no load put there."""
    named = {name for load in loads for name in _names_of(load)}
    is_ignored = ignore_rule(ALWAYS_IGNORED)
    for inbox in dock.tree.inboxes:
        for folder in (dock.tree.processed(inbox), dock.tree.error(inbox)):
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if is_ignored(path.name) or stored_path_text(path) in named or is_placeholder(path):
                    continue
                reason = f"stands in {folder.name}/ and no load put it there"
                yield Missing(path_text(path), reason)


def _names_of(load: LoadEnd) -> Iterator[str]:
    """Yield the paths of a filed file and of what may stand beside it."""
    if load.report_path:
        yield load.report_path
    filed = load.filed_path or path_of_report(load.report_path)
    if not filed:
        return
    yield filed
    yield f"{filed}{DONE_SUFFIX}"
    for path in (*report_paths(Path(filed)), rejects_path(Path(filed))):
        yield from map(str, _variants(path))


def _variants(path: Path) -> Iterable[Path]:
    return islice(numbered_paths(path), _TRIED_NAMES)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # a folder that is closed to us says nothing about the file
