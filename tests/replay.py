"""What a table must hold after loads and undos: the replay of the loads that stand."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.errors import RefusedError
from dropload.identity import worker_name
from dropload.late_filing import recover
from dropload.model import Drop, State, Verdict
from dropload.pipeline import process_drop
from dropload.undo import plan_undo, undo_load

_DURABLE_CALLS = ("replace", "rename", "link", "unlink", "fsync")


class Killed(BaseException):
    """The end of a process, as far as its database and its folders see it."""


def dies_at(dock: Dock, moment: int, action: Callable[[], object]) -> bool:
    """Let so many moments of an action pass, and end it at the next: nothing of it is done.

    A moment is a statement, a commit, or a call that changes a folder or makes a file durable.
    """
    left = [moment]
    its_thread = threading.get_ident()

    def count(*_: object) -> None:
        if threading.get_ident() != its_thread:
            # A lease that is renewed meanwhile ends with the process, and decides nothing.
            return
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    engine = dock.target.engine
    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(engine, event, count)
    try:
        with _counted_calls(count):
            action()
    except Killed:
        return True
    finally:
        for event in ("before_cursor_execute", "commit"):
            sa.event.remove(engine, event, count)
    return False


@contextmanager
def _counted_calls(count: Callable[[], None]) -> Iterator[None]:
    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            count()
            return call(*args, **kwargs)

        return run

    with ExitStack() as patches:
        for name in _DURABLE_CALLS:
            patches.enter_context(mock.patch.object(os, name, counted(getattr(os, name))))
        yield


def _dead_worker() -> str:
    """Return the name of a worker of this machine that has ended."""
    whole, _, started = worker_name().rpartition("#")
    return f"{whole}#{int(started) - 1}"


@dataclass
class Replay:
    """Does to a table what it is told, and knows what the table must hold then."""

    dock: Dock
    drop: Callable[[str, str], Drop]
    """Puts a text into the inbox of a load type."""
    look: Callable[[], list[Any]]
    """Returns the values of the table's first column, in any order."""
    standing: list[tuple[int, str, tuple[int, ...]]] = field(default_factory=list)
    """Load, load type and values of what stands, in order."""
    undone: list[int] = field(default_factory=list)
    number: int = 0
    deaths: int = 0
    """Loads that were cut off in the middle."""
    steps: list[str] = field(default_factory=list)
    """What was done, for whoever has to find out what went wrong."""

    @property
    def rows(self) -> list[int]:
        found: list[int] = []
        for _, load_type, values in self.standing:
            found = [*([] if load_type == "fullload" else found), *values]
        return sorted(found)

    def load(self, load_type: str, rows: int) -> None:
        drop, values = self._put(load_type, rows)
        outcome = process_drop(self.dock, drop, worker_name())
        assert outcome.verdict is Verdict.LOADED, outcome
        assert outcome.load_id is not None
        self.standing.append((outcome.load_id, load_type, values))

    def load_and_die(self, load_type: str, rows: int, moments: list[int]) -> None:
        """Be killed in the middle of a load, perhaps again while it is recovered, and live on."""
        drop, values = self._put(load_type, rows)
        for moment in moments:
            worker = _dead_worker()
            self.deaths += dies_at(self.dock, moment, lambda: self._live(drop, worker))  # noqa: B023 - called at once
        while drop.path.exists():
            self._live(drop, worker_name())
        recover(self.dock)
        with self.dock.target.read() as conn:
            loads = self.dock.journal.history.latest(conn, None, 1000)
        known = {*self.undone, *(number for number, *_ in self.standing)}
        [found] = [load.load_id for load in loads if self._stands(load.state, load.load_id, known)]
        self.standing.append((found, load_type, values))

    def _live(self, drop: Drop, worker: str) -> None:
        """Do what a daemon does that is started anew."""
        recover(self.dock)
        if drop.path.exists():
            process_drop(self.dock, drop, worker)

    @staticmethod
    def _stands(state: State, load_id: int, known: set[int]) -> bool:
        assert state in (State.FILED, State.UNDONE, State.CANCELLED), state
        return state is State.FILED and load_id not in known

    def _put(self, load_type: str, rows: int) -> tuple[Drop, tuple[int, ...]]:
        values = tuple(range(self.number, self.number + rows))
        self.number += rows
        return self.drop(load_type, "n\n" + "".join(f"{value}\n" for value in values)), values

    def undo(self, load_id: int) -> None:
        """Undo, or be refused: as the loads behind it say."""
        plan = plan_undo(self.dock, load_id)
        if load_id in self.undone or self._in_the_way(load_id):
            assert [load.load_id for load in plan.in_the_way] == self._in_the_way(load_id)
            assert plan.refused
            try:
                undo_load(self.dock, load_id, "ada")
            except RefusedError:
                return
            raise AssertionError(f"load {load_id} was undone")
        assert not plan.refused, plan
        assert undo_load(self.dock, load_id, "ada") == plan, "as the dry run said"
        self._forget(load_id)
        assert plan.rows_after == len(self.rows)

    def undo_and_die(self, load_id: int, statement: int) -> None:
        """Be killed in the middle of an undo: it is done, or nothing is."""
        try:
            dies_at(self.dock, statement, lambda: undo_load(self.dock, load_id, "ada"))
        except RefusedError:
            return
        if self._state(load_id) is State.UNDONE and load_id not in self.undone:
            self._forget(load_id)

    def check(self) -> None:
        assert sorted(map(int, self.look())) == self.rows, "\n".join(self.steps)

    def take_random_step(self, chance: random.Random) -> None:
        kinds = ["append", "append", "fullload", "undo", "undo", "die", "die loading"]
        kind = chance.choice(kinds)
        if kind in ("append", "fullload", "die loading") or not self.standing:
            self._load_somehow(kind, chance)
            return
        # Mostly the last ones: what lies below a fullload is refused.
        known = [*self.undone, *(load_id for load_id, *_ in self.standing)]
        load_id = chance.choice([self.standing[-1][0], chance.choice(known)])
        moment = chance.randint(0, 45)
        self.steps.append(f"{kind}: load {load_id}, moment {moment}")
        if kind == "undo":
            self.undo(load_id)
        else:
            self.undo_and_die(load_id, moment)

    def _load_somehow(self, kind: str, chance: random.Random) -> None:
        load_type = chance.choice(["append", "fullload"]) if kind == "die loading" else kind
        load_type = load_type if self.standing and load_type == "fullload" else "append"
        rows = chance.randint(1, 4)
        moments = [chance.randint(0, 60) for _ in range(chance.randint(1, 3))]
        self.steps.append(f"{kind}: {load_type} of {rows} rows, moments {moments}")
        if kind == "die loading":
            self.load_and_die(load_type, rows, moments)
        else:
            self.load(load_type, rows)

    def _in_the_way(self, load_id: int) -> list[int]:
        numbers = [number for number, *_ in self.standing]
        if load_id not in numbers:
            return []
        at = numbers.index(load_id)
        later = self.standing[at + 1 :]
        if self.standing[at][1] == "append":
            first = [n for n, load in enumerate(later) if load[1] == "fullload"]
            later = later[first[0] :] if first else []
        return [number for number, *_ in reversed(later)]

    def _forget(self, load_id: int) -> None:
        self.standing = [load for load in self.standing if load[0] != load_id]
        self.undone.append(load_id)

    def _state(self, load_id: int) -> State:
        with self.dock.target.read() as conn:
            return self.dock.journal.history.existing(conn, load_id).state
