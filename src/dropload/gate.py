"""Decide, from repeated looks at an inbox, which files are whole."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dropload.model import FileVersion, Inbox, Observation

_MAX_TOLERANCE_SECONDS = 0.5
_TOLERANCE_SHARE = 0.1
"""A check may come this much early, or the jitter of scheduling would cost a whole round."""


@dataclass(frozen=True, slots=True)
class WaitingFile:
    """A file that the gate has not let through yet, and why; times are monotonic seconds."""

    path: Path
    inbox: Inbox
    version: FileVersion
    checks_done: int
    checks_needed: int
    interval_seconds: float
    changed_at: float
    """When it was first seen as it is now."""
    next_check_at: float
    change: str
    """How it differed from what was seen before: `appeared`, `grew`, `shrank` or `changed`."""

    @property
    def whole_at(self) -> float:
        """Return when the last check is due, if nothing changes."""
        following = self.checks_needed - self.checks_done - 1
        return self.next_check_at + following * self.interval_seconds


class _Slot:
    """What the gate remembers of one file."""

    __slots__ = (
        "accepted",
        "appeared_at",
        "change",
        "changed_at",
        "checks_done",
        "next_check_at",
        "seen",
    )

    def __init__(self, seen: Observation, now: float, next_check_at: float, change: str) -> None:
        self.seen = seen
        self.accepted = False
        self.checks_done = 0
        self.appeared_at = self.changed_at = now
        self.next_check_at = next_check_at
        self.change = change


class Gate:
    """The stability check: `checks` unchanged observations, each an interval after the last.

    Pure: the clock is handed in and must be monotonic, so that neither an old mtime nor a clock
    that is put right lets half a file through. Not thread-safe.
    """

    def __init__(self, checks: int, interval_seconds: float) -> None:
        self.set_pace(checks, interval_seconds)
        self._slots: dict[Inbox, dict[str, _Slot]] = {}
        self._fresh: list[_Slot] = []
        self._gone: list[tuple[Inbox, str]] = []
        self._next_due: float | None = None
        self.waiting_count = 0
        """Files that are not accepted yet."""

    def set_pace(self, checks: int, interval_seconds: float) -> None:
        """Ask for other checks from now on; those that files have passed still count."""
        self.checks = checks
        self.interval_seconds = interval_seconds
        self._tolerance = min(_MAX_TOLERANCE_SECONDS, interval_seconds * _TOLERANCE_SHARE)

    def observe(
        self,
        observations: Iterable[Observation],
        now: float,
        unseen_inboxes: Collection[Inbox] = (),
    ) -> list[Observation]:
        """Take in one complete listing and return the files that it completes, oldest first.

        Files that are not in the listing are forgotten, except those of `unseen_inboxes`, which
        could not be listed. A file is returned once for each version, or again after `reopen`.
        """
        before = self._slots
        self._slots = {inbox: before[inbox] for inbox in unseen_inboxes if inbox in before}
        accepted: list[Observation] = []
        inbox: Inbox | None = None
        known: dict[str, _Slot] = {}
        slots: dict[str, _Slot] = {}
        for seen in observations:
            if seen.inbox is not inbox:
                inbox = seen.inbox
                known, slots = before.get(inbox, {}), self._slots.setdefault(inbox, {})
            slot = known.get(seen.name)
            # One comparison of tuples settles nearly every file of a full inbox.
            if slot is None or slot.seen != seen:
                slot = self._look_closer(slot, seen, now)
            elif not slot.accepted and now >= slot.next_check_at - self._tolerance:
                self._count_check(slot, now)
            slots[seen.name] = slot
            if not slot.accepted and self._is_whole(slot):
                slot.accepted = True
                accepted.append(slot.seen)
        self._note_gone(before)
        self._count_waiting()
        accepted.sort(key=lambda seen: (seen.mtime_ns, seen.name))
        return accepted

    def appeared_at(self, seen: Observation) -> float:
        """Return when a file of the last listing was first seen; what is still written is one."""
        return self._slots[seen.inbox][seen.name].appeared_at

    def reopen(self, path: Path) -> None:
        """Start again for a file that was accepted and turned out to have changed."""
        for inbox, slots in self._slots.items():
            slot = slots.get(path.name) if inbox.path == path.parent else None
            if slot is not None:
                slot.accepted = False
                # The next look only begins: it is no check of the file that was refused.
                slot.checks_done, slot.next_check_at = -1, float("-inf")
                self._fresh.append(slot)

    def forget(self, path: Path) -> None:
        """Take what stands there next for a new drop, though it be the same version again."""
        for inbox, slots in self._slots.items():
            if inbox.path == path.parent:
                slots.pop(path.name, None)

    def waiting(self) -> Iterator[WaitingFile]:
        """Yield the files that are not accepted yet."""
        return map(self._describe, self._waiting_slots())

    def _describe(self, slot: _Slot) -> WaitingFile:
        return WaitingFile(
            path=slot.seen.path,
            inbox=slot.seen.inbox,
            version=slot.seen.version,
            checks_done=max(0, slot.checks_done),
            checks_needed=self.checks,
            interval_seconds=self.interval_seconds,
            changed_at=slot.changed_at,
            next_check_at=slot.next_check_at,
            change=slot.change,
        )

    def next_due(self) -> float | None:
        """Return when the next check of any file can count, None when no file is waiting."""
        return self._next_due

    def take_changes(self) -> tuple[list[WaitingFile], list[Path]]:
        """Return what appeared or changed, and what left, since this was last asked."""
        fresh, self._fresh = self._fresh, []
        gone, self._gone = self._gone, []
        # What is back by now did not leave: its coming was noted before its going is told.
        gone = [place for place in gone if place[1] not in self._slots.get(place[0], ())]
        return [self._describe(slot) for slot in fresh], [inbox.path / name for inbox, name in gone]

    def _note_gone(self, before: dict[Inbox, dict[str, _Slot]]) -> None:
        for inbox, slots in before.items():
            now = self._slots.get(inbox, {})
            if now is not slots and slots.keys() - now.keys():
                self._gone += [(inbox, name) for name in slots.keys() - now.keys()]

    def _count_waiting(self) -> None:
        times = [slot.next_check_at for slot in self._waiting_slots()]
        self.waiting_count = len(times)
        self._next_due = min(times, default=None)

    def _waiting_slots(self) -> Iterator[_Slot]:
        for slots in self._slots.values():
            for slot in slots.values():
                if not slot.accepted:
                    yield slot

    def _look_closer(self, slot: _Slot | None, seen: Observation, now: float) -> _Slot:
        """Return the slot of a file that is new, has changed, or only got or lost its companion."""
        change = "appeared" if slot is None else _name_change(slot.seen, seen)
        if slot is None or change:
            fresh = _Slot(seen, now, now + self.interval_seconds, change)
            if slot is not None and slot.seen.inode == seen.inode and not slot.accepted:
                fresh.appeared_at = slot.appeared_at  # still being written
            self._fresh.append(fresh)
            return fresh
        slot.seen = seen
        if not slot.accepted and now >= slot.next_check_at - self._tolerance:
            self._count_check(slot, now)
        return slot

    def _count_check(self, slot: _Slot, now: float) -> None:
        slot.checks_done += 1
        # From the time it was due, not from now: else the tolerance would add up over the checks.
        slot.next_check_at = max(slot.next_check_at, now) + self.interval_seconds

    def _is_whole(self, slot: _Slot) -> bool:
        return slot.checks_done >= self.checks or slot.seen.done_companion


def _name_change(before: Observation, after: Observation) -> str:
    """Return how the version differs, the empty string when it does not."""
    if before.version == after.version:
        return ""
    if before.inode == after.inode and before.size_bytes != after.size_bytes:
        return "grew" if before.size_bytes < after.size_bytes else "shrank"
    return "changed"
