"""When the inboxes are looked at, and what is seen: soon where something happens, else seldom."""

import time
from collections.abc import Callable

from dropload.config import ALWAYS_IGNORED
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.gate import Gate
from dropload.intake import drop_of_observation
from dropload.logs import get_logger
from dropload.model import Drop
from dropload.watcher import Look, Scan, Watcher

SCAN_SHARE = 0.2
"""At most this share of the time goes into scanning, however many events come in."""
BUSY_SCAN_SHARE = 0.05
"""At most this share while no worker is free: what is found would only wait in another queue."""
QUIET_SHARE = 0.005
"""At most this share goes into looks that nothing has asked for, where every inbox sends events."""
MOST_QUIET_SECONDS = 180.0
"""Between two such looks, unless the configuration names more."""
MIN_SCAN_GAP_SECONDS = 0.1


class Scanner:
    """Looks at the inboxes, and shows the gate what is there; used from the daemon's thread."""

    def __init__(
        self,
        dock: Dock,
        gate: Gate,
        watcher: Watcher,
        is_busy: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`is_busy` tells whether drops wait, and no worker is free."""
        self._dock = dock
        self._gate = gate
        self._watcher = watcher
        self._is_busy = is_busy
        self._clock = clock
        self.scan: Scan | None = None
        """What the last look saw; None before the first."""
        self.scan_seconds = 0.0
        """What it took."""
        self.last_scan = float("-inf")
        """When it began, by the daemon's clock."""
        self._is_asked_to_look = False
        """Something was told of since the last look, which may have been too early to see it."""
        self._said_problems: tuple[str, ...] = ()
        self._log = get_logger()

    def configure(self, dock: Dock) -> None:
        """Look as another configuration says, from the next look on."""
        self._dock = dock

    def is_due(self, *, woken: bool) -> bool:
        """Return whether to look now; `woken`: something was told of since this was asked last."""
        self._is_asked_to_look = self._is_asked_to_look or woken
        since = self._clock() - self.last_scan
        next_check = self._gate.next_due()
        check_due = next_check is not None and next_check <= self._clock()
        asked = self._is_asked_to_look or check_due
        return since >= self.least_seconds_between_scans() and (
            asked or since >= self.seconds_between_scans()
        )

    def next_due(self) -> float:
        """Return when to look next, by the daemon's clock."""
        regular = self.last_scan + self.seconds_between_scans()
        asked = self._clock() if self._is_asked_to_look else self._gate.next_due()
        if asked is None:
            return regular
        return min(regular, max(asked, self.last_scan + self.least_seconds_between_scans()))

    def look(self) -> list[Drop]:
        """Look at the inboxes; return the files that the gate lets through."""
        began = self._clock()
        look = Look(self._dock.tree, (*ALWAYS_IGNORED, *self._dock.config.watch.ignore))
        accepted = self._gate.observe(look.files(), began, look.failed)
        self.scan = look.tell()
        self.last_scan, self._is_asked_to_look = began, False
        self.scan_seconds = self._clock() - began
        return [
            drop_of_observation(observation, self._gate.appeared_at(observation), began)
            for observation in accepted
        ]

    def least_seconds_between_scans(self) -> float:
        """Return the seconds from one look to the next, at least."""
        share = BUSY_SCAN_SHARE if self._is_busy() else SCAN_SHARE
        return max(MIN_SCAN_GAP_SECONDS, self.scan_seconds / share)

    def seconds_between_scans(self) -> float:
        """Return the seconds from one look to the next where nothing asks for one."""
        usual = self.seconds_between_turns()
        if not self._watcher.hears_all:
            return usual
        # Such a look finds what no event tells of: what was taken away, or missed. With 100,000
        # files it is dear.
        return max(usual, min(self.scan_seconds / QUIET_SHARE, MOST_QUIET_SECONDS))

    def seconds_between_turns(self) -> float:
        """Return how often the daemon does what else there is to do, at least."""
        config = self._dock.config
        return min(config.watch.scan_interval_seconds, config.gate.interval_seconds)

    def say_problems(self) -> None:
        """Log what is wrong with the tree when it changes, not at every look."""
        if self.scan is None:
            return
        problems = [*self.scan.failed.values()]
        problems += [f"stray: {path_text(path)}" for path in self.scan.strays]
        problems += [
            f"no file for the companion {path_text(path)}"
            for path in self.scan.companions_without_file
        ]
        for problem in problems:
            if problem not in self._said_problems:
                self._log.warning("tree_problem", problem=problem)
        self._said_problems = tuple(problems)
