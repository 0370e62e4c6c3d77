"""Look at several things at once, and let none of them keep the others waiting."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dropload.errors import DroploadError
from dropload.health.answer import Check, Level

_NAMED = 3
"""Things that hang are named up to this number, and counted beyond it."""

Say = Callable[[str], None]
"""Names what is being asked now: whoever hangs there is named by it."""


@dataclass(slots=True)
class Lane:
    """Checks that are made one after the other, in a thread that may be given up."""

    name: str
    subject: str
    """What is asked, for people: `the folder /srv/dropoff`."""
    look: Callable[[Say], Iterable[Check]]
    found: list[Check] = field(default_factory=list)

    def run(self) -> None:
        """Look; whatever is raised is a finding, too."""
        try:
            for check in self.look(self._say):
                self.found.append(check)
        except DroploadError as exc:
            self.found.append(Check(self.name, Level.CRITICAL, str(exc)))
        except Exception as exc:  # noqa: BLE001 - the other lanes have something to tell
            said = f"the check itself fails: {type(exc).__name__}: {exc}"
            self.found.append(Check(self.name, Level.UNKNOWN, said))

    def _say(self, subject: str) -> None:
        self.subject = subject


def run_lanes(lanes: Sequence[Lane], limit_seconds: float) -> list[Check]:
    """Return what all lanes find within the time; what hangs is CRITICAL, by name.

    A system call on a dead share may never return: its thread is left behind.
    """
    threads = [
        threading.Thread(target=lane.run, name=f"check of {lane.name}", daemon=True)
        for lane in lanes
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = [lane for lane, thread in zip(lanes, threads, strict=True) if thread.is_alive()]
    found = [check for lane in lanes for check in tuple(lane.found)]
    return [*found, *_name_late(late, limit_seconds)]


def _name_late(late: Sequence[Lane], limit_seconds: float) -> Iterable[Check]:
    for name in dict.fromkeys(lane.name for lane in late):
        subjects = [lane.subject for lane in late if lane.name == name]
        more = f" and {len(subjects) - _NAMED} more" if len(subjects) > _NAMED else ""
        said = f"no answer within {limit_seconds:g} s from {', '.join(subjects[:_NAMED])}{more}"
        yield Check(name, Level.CRITICAL, said)
