"""Decide, from repeated looks at an inbox, which files are whole."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

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


class _Standing(NamedTuple):
    """How far a file has come; those that came together share one, which is all of a full inbox."""

    change: str
    appeared_at: float
    changed_at: float
    next_check_at: float
    checks_done: int = 0
    is_accepted: bool = False


class _Slot:
    """What the gate remembers of one file; there may be 100,000 in the daemon's memory."""

    __slots__ = ("look", "name", "standing", "version")

    def __init__(self, name: str, version: bytes, standing: _Standing) -> None:
        self.name = name
        self.version = version
        """As `Observation.pack_version` makes it."""
        self.standing = standing
        self.look = 0
        """Number of the look that has seen it last."""


class Gate:
    """The stability check: `checks` unchanged observations, each an interval after the last.

    Pure: the clock is handed in and must be monotonic, so that neither an old mtime nor a clock
    that is put right lets half a file through. Not thread-safe.
    """

    def __init__(self, checks: int, interval_seconds: float) -> None:
        self.set_pace(checks, interval_seconds)
        self._slots: dict[Inbox, dict[str, _Slot]] = {}
        self._fresh: dict[Inbox, deque[_Slot]] = {}
        """What appeared or changed, and nobody has taken yet."""
        self._gone: list[tuple[Inbox, str]] = []
        self._look = 0
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
        could not be listed (asked for when all observations are taken). A file is returned once for
        each version, or again after `reopen`.
        """
        self._look = look = self._look + 1
        appeared = _Standing("appeared", now, now, now + self.interval_seconds)
        # Files of one standing get one new standing, not each its own.
        checked = cache(partial(self._check, now=now))
        accept = cache(_accept)
        accepted: list[Observation] = []
        inbox: Inbox | None = None
        slots: dict[str, _Slot] = {}
        for seen in observations:
            if seen.inbox is not inbox:
                inbox = seen.inbox
                slots = self._slots.setdefault(inbox, {})
            version = seen.pack_version()
            slot = slots.get(seen.name)
            if slot is None:
                slot = slots[seen.name] = _Slot(seen.name, version, appeared)
                self._note_fresh(inbox, slot)
            elif slot.version != version:
                self._renew(slot, seen, version, now)
            elif now >= slot.standing.next_check_at - self._tolerance:
                slot.standing = checked(slot.standing)
            slot.look = look
            standing = slot.standing
            is_whole = standing.checks_done >= self.checks or seen.done_companion
            if is_whole and not standing.is_accepted:
                slot.standing = accept(standing)
                accepted.append(seen)
        self._forget_gone(unseen_inboxes)
        self._count_waiting()
        accepted.sort(key=lambda seen: (seen.mtime_ns, seen.name))
        return accepted

    def appeared_at(self, seen: Observation) -> float:
        """Return when a file of the last listing was first seen; what is still written is one."""
        return self._slots[seen.inbox][seen.name].standing.appeared_at

    def reopen(self, path: Path) -> None:
        """Start again for a file that was accepted and turned out to have changed."""
        for inbox, slots in self._slots.items():
            slot = slots.get(path.name) if inbox.path == path.parent else None
            if slot is not None:
                # The next look only begins: it is no check of the file that was refused.
                self.waiting_count += slot.standing.is_accepted
                self._next_due = float("-inf")
                slot.standing = slot.standing._replace(
                    is_accepted=False, checks_done=-1, next_check_at=float("-inf")
                )
                self._note_fresh(inbox, slot)

    def forget(self, path: Path) -> None:
        """Take what stands there next for a new drop, though it be the same version again."""
        for inbox, slots in self._slots.items():
            if inbox.path == path.parent:
                slots.pop(path.name, None)

    def waiting(self) -> Iterator[WaitingFile]:
        """Yield the files that are not accepted yet."""
        for inbox, slots in self._slots.items():
            for slot in slots.values():
                if not slot.standing.is_accepted:
                    yield self._describe(inbox, slot)

    def _describe(self, inbox: Inbox, slot: _Slot) -> WaitingFile:
        standing = slot.standing
        return WaitingFile(
            # Not `/`, which would intern the name itself for as long as the file waits.
            path=Path(f"{inbox.path}/{slot.name}"),
            inbox=inbox,
            version=FileVersion.unpack(slot.version),
            checks_done=max(0, standing.checks_done),
            checks_needed=self.checks,
            interval_seconds=self.interval_seconds,
            changed_at=standing.changed_at,
            next_check_at=standing.next_check_at,
            change=standing.change,
        )

    def next_due(self) -> float | None:
        """Return when the next check of any file can count, None when no file is waiting."""
        return self._next_due

    def take_fresh(self, most: int) -> list[WaitingFile]:
        """Return what appeared or changed since this was last asked: some of one inbox, or none.

        Each is told as it is now, or was when it left.
        """
        for inbox, slots in self._fresh.items():
            if slots:
                taken = [slots.popleft() for _ in range(min(most, len(slots)))]
                return [self._describe(inbox, slot) for slot in dict.fromkeys(taken)]
        return []

    def take_gone(self) -> list[Path]:
        """Return what left since this was last asked."""
        gone, self._gone = self._gone, []
        # What is back by now did not leave: its coming was noted before its going is told.
        return [inbox.path / name for inbox, name in gone if name not in self._slots[inbox]]

    def _note_fresh(self, inbox: Inbox, slot: _Slot) -> None:
        self._fresh.setdefault(inbox, deque()).append(slot)

    def _renew(self, slot: _Slot, seen: Observation, version: bytes, now: float) -> None:
        """Begin again with a file that is another version than it was."""
        before = slot.standing
        is_written_on = FileVersion.unpack(slot.version).inode == seen.version.inode
        slot.standing = _Standing(
            _name_change(FileVersion.unpack(slot.version), seen.version),
            before.appeared_at if is_written_on and not before.is_accepted else now,
            now,
            now + self.interval_seconds,
        )
        slot.version = version
        self._note_fresh(seen.inbox, slot)

    def _check(self, standing: _Standing, now: float) -> _Standing:
        """Return the standing of a file after one more look at which it was unchanged."""
        # From the time it was due, not from now: else the tolerance would add up over the checks.
        return standing._replace(
            checks_done=standing.checks_done + 1,
            next_check_at=max(standing.next_check_at, now) + self.interval_seconds,
        )

    def _forget_gone(self, unseen_inboxes: Collection[Inbox]) -> None:
        for inbox, slots in self._slots.items():
            if inbox in unseen_inboxes:
                continue
            gone = [name for name, slot in slots.items() if slot.look != self._look]
            self._gone += [(inbox, name) for name in gone]
            for name in gone:
                del slots[name]

    def _count_waiting(self) -> None:
        standings = (slot.standing for slots in self._slots.values() for slot in slots.values())
        times = [standing.next_check_at for standing in standings if not standing.is_accepted]
        self.waiting_count = len(times)
        self._next_due = min(times, default=None)


def _accept(standing: _Standing) -> _Standing:
    """Return the standing of a file that is let through: no more checks of this version."""
    return standing._replace(is_accepted=True, next_check_at=float("inf"))


def _name_change(before: FileVersion, after: FileVersion) -> str:
    """Return how two versions differ."""
    if before.inode == after.inode and before.size_bytes != after.size_bytes:
        return "grew" if before.size_bytes < after.size_bytes else "shrank"
    return "changed"
