"""Keep a reserve of free disk: no load starts while there is less, and each change is said once."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from dropload.dock import Dock
from dropload.durable import path_text
from dropload.logs import get_logger

_LOOK_SECONDS = 5.0
"""So often the disks are asked; a load that runs takes more than that to write much."""
_SURPLUS = 1.1
"""Loads start again when there is this much more than the reserve: not one by one, at its edge."""
_LARGEST_PART = 10
"""The reserve takes at most one part in so many of a file system."""
_MB = 2**20


class Room(NamedTuple):
    """Of a file system; both 0 where it does not say."""

    free_bytes: int
    total_bytes: int


class DiskReserve:
    """Knows whether there is room for another load."""

    def __init__(
        self,
        dock: Dock,
        clock: Callable[[], float] = time.monotonic,
        measure: Callable[[Path], Room] | None = None,
    ) -> None:
        self._dock = dock
        self._clock = clock
        self._measure = measure or measure_room
        self._next_look = float("-inf")
        self.problem = ""
        """Why no load starts; empty while there is room."""

    def configure(self, dock: Dock) -> None:
        """Go by another reserve, at once."""
        self._dock = dock
        self._next_look = float("-inf")

    def has_room(self) -> bool:
        """Return whether the reserve is free everywhere that a load writes to."""
        if self._clock() >= self._next_look:
            self._next_look = self._clock() + _LOOK_SECONDS
            self._look()
        return not self.problem

    def _look(self) -> None:
        was_short, self.problem = bool(self.problem), self._find_problem()
        if self.problem and not was_short:
            get_logger().error("disk_reserve_reached", reason=self.problem)
        elif was_short and not self.problem:
            get_logger().info("disk_reserve_free_again")

    def _find_problem(self) -> str:
        reserve = self._dock.config.workers.disk_reserve_mb
        for place in dict.fromkeys(self._places()) if reserve else ():
            try:
                room = self._measure(place)
            except OSError:
                continue  # a folder that is gone is said by those who look into it
            # Small file systems would never have as much as is usual elsewhere.
            kept = min(reserve * _MB, room.total_bytes // _LARGEST_PART)
            if room.free_bytes < kept * (_SURPLUS if self.problem else 1):
                return (
                    f"no load starts: only {room.free_bytes // _MB:,} MB free below "
                    f"{path_text(place)}, less than the reserve of {kept // _MB:,} MB. Make room "
                    "there; the files wait, and load by themselves then"
                )
        return ""

    def _places(self) -> Iterator[Path]:
        """Yield where the daemon writes: files are filed, its state kept, rows stored."""
        dock = self._dock
        yield dock.tree.root
        yield dock.config.state_folder.absolute()
        if dock.target.file is not None:
            yield dock.target.file.absolute().parent


def measure_room(place: Path) -> Room:
    """Return how much room the file system of a folder has."""
    found = os.statvfs(place)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
