"""What one receiver is to be told: put together, held back in quiet hours, bounded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dropload.alert_config import Event, NotifyConfig, NotifyReceiver, Severity
from dropload.notify.note import Key, Note, note_from_json
from dropload.notify.quiet_hours import end_of_quiet

MOST_GROUPS = 200
"""Different things that one receiver may have waiting; what comes beyond is counted only."""


@dataclass(slots=True)
class Group:
    """Notes of one kind."""

    first: Note
    last: Note
    count: int
    added_at: float
    """When the first was put in, by the clock of the mailbox."""

    def to_json(self) -> dict[str, Any]:
        """Return what `Mailbox.restore` reads."""
        return {
            "first": self.first.to_json(),
            "last": self.last.to_json(),
            "count": self.count,
        }


class Mailbox:
    """Collects notes for one receiver and says when they are to go; no thread, no network."""

    def __init__(
        self,
        receiver: NotifyReceiver,
        settings: NotifyConfig,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        """`clock`: seconds for waits; `now`: the time of day, for quiet hours."""
        self._receiver = receiver
        self._settings = settings
        self._clock = clock
        self._now = now
        self._groups: dict[Key, Group] = {}
        self._last_sent = float("-inf")
        self.turned_away = 0
        """Notes for which there was no room since the last message."""

    def add(self, note: Note) -> bool:
        """Put a note in; return whether it will be told of."""
        if not note.concerns(self._receiver) or (note.is_over and not self._settings.recovery):
            return False
        if note.is_over and self._cancels(note):
            return False
        group = self._groups.get(note.key)
        if group is not None:
            group.last = note
            group.count += 1
        elif len(self._groups) >= MOST_GROUPS:
            self.turned_away += 1
        else:
            self._groups[note.key] = Group(note, note, 1, self._clock())
        return True

    def _cancels(self, over: Note) -> bool:
        """Return whether something is over of which nobody has heard yet: then nobody will.

        A file that failed stays in error/, though its table loads again.
        """
        young = [
            key
            for key, group in self._groups.items()
            if _is_end_of(over, group.last)
            and self._clock() - group.added_at < self._settings.window_seconds
        ]
        if over.event is not Event.FILE_FAILED:
            for key in young:
                del self._groups[key]
        return bool(young)

    def due_in(self) -> float | None:
        """Return in how many seconds there is something to send; None: not before more comes."""
        if not self._groups:
            return None
        ready = self._ready()
        if not ready:
            end = end_of_quiet(self._settings, self._now())
            return max(0.0, (end - self._now()).total_seconds()) if end else 0.0
        at = min(group.added_at for group in ready) + self._settings.window_seconds
        if not any(group.last.severity is Severity.CRITICAL for group in ready):
            at = max(at, self._last_sent + self._settings.gap_seconds)
        return max(0.0, at - self._clock())

    def take(self) -> list[Group]:
        """Take out what may go now, the gravest first."""
        ready = self._ready()
        for group in ready:
            del self._groups[group.first.key]
        if ready:
            self._last_sent = self._clock()
        return sorted(ready, key=lambda group: (group.last.is_over, -group.last.severity.rank))

    def put_back(self, groups: Iterable[Group]) -> None:
        """Put in again what could not be sent."""
        later, self._groups = self._groups, {group.first.key: group for group in groups}
        for key, group in later.items():
            there = self._groups.setdefault(key, group)
            if there is not group:
                there.last = group.last
                there.count += group.count

    def restore(self, kept: Iterable[dict[str, Any]]) -> None:
        """Put in what `Group.to_json` said in an earlier life."""
        for values in kept:
            first, last = note_from_json(values["first"]), note_from_json(values["last"])
            self._groups[first.key] = Group(first, last, int(values["count"]), self._clock())

    def waiting(self) -> list[Group]:
        """Return what is in it."""
        return list(self._groups.values())

    def _ready(self) -> list[Group]:
        """Return what may be told at this time of day."""
        is_quiet = end_of_quiet(self._settings, self._now()) is not None
        if not is_quiet or self._receiver.ignore_quiet_hours:
            return list(self._groups.values())
        least = self._settings.quiet_lets_through
        if not isinstance(least, Severity):
            return []
        return [group for group in self._groups.values() if group.last.severity.rank >= least.rank]


def _is_end_of(over: Note, note: Note) -> bool:
    if note.is_over or note.event is not over.event or note.table != over.table:
        return False
    return note.subject == over.subject
