"""What a table must hold after loads and undos: the replay of the loads that stand."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from dropload.dock import Dock
from dropload.errors import RefusedError
from dropload.model import Outcome, State, Verdict
from dropload.undo import plan_undo, undo_load


class Killed(BaseException):
    """The end of a process, as far as its database sees it: a connection that is gone."""


def dies_at(dock: Dock, statement: int, action: Callable[[], object]) -> bool:
    """Let so many statements of an action pass; the next one, or its commit, is the end."""
    left = [statement]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    engine = dock.target.engine
    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(engine, event, count)
    try:
        action()
    except Killed:
        return True
    finally:
        for event in ("before_cursor_execute", "commit"):
            sa.event.remove(engine, event, count)
    return False


@dataclass
class Replay:
    """Does to a table what it is told, and knows what the table must hold then."""

    dock: Dock
    drop: Callable[[str, str], Outcome]
    """Loads a text, by a load type."""
    look: Callable[[], list[Any]]
    """Returns the values of the table's first column, in any order."""
    standing: list[tuple[int, str, tuple[int, ...]]] = field(default_factory=list)
    """Load, load type and values of what stands, in order."""
    undone: list[int] = field(default_factory=list)
    number: int = 0

    @property
    def rows(self) -> list[int]:
        found: list[int] = []
        for _, load_type, values in self.standing:
            found = [*([] if load_type == "fullload" else found), *values]
        return sorted(found)

    def load(self, load_type: str, rows: int) -> None:
        values = tuple(range(self.number, self.number + rows))
        self.number += rows
        outcome = self.drop(load_type, "n\n" + "".join(f"{value}\n" for value in values))
        assert outcome.verdict is Verdict.LOADED, outcome
        assert outcome.load_id is not None
        self.standing.append((outcome.load_id, load_type, values))

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
        assert sorted(map(int, self.look())) == self.rows

    def take_random_step(self, chance: random.Random) -> None:
        kind = chance.choice(["append", "append", "fullload", "undo", "undo", "die"])
        if kind in ("append", "fullload") or not self.standing:
            self.load("append" if not self.standing else kind, chance.randint(1, 4))
            return
        # Mostly the last ones: what lies below a fullload is refused.
        known = [*self.undone, *(load_id for load_id, *_ in self.standing)]
        load_id = chance.choice([self.standing[-1][0], chance.choice(known)])
        if kind == "undo":
            self.undo(load_id)
        else:
            self.undo_and_die(load_id, chance.randint(0, 45))

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
