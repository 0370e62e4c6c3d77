"""docs/architecture.md is true: its modules, layers, steps, and the states of a load."""

import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from dropload import endings, pipeline, stage_writer, staging_ahead
from dropload.errors import (
    DroploadError,
    DuplicateError,
    FileChangedError,
    FileError,
    HeldError,
    TransientError,
)
from dropload.interventions import cancel_load
from dropload.late_filing import file_late
from dropload.model import State, Step
from dropload.undo import undo_load
from tests.conftest import Yard
from tests.documents import DOCS, ROOT, blocks, read, table_rows

PAGE = DOCS / "architecture.md"
SOURCE = ROOT / "src" / "dropload"
TEXT = read(PAGE)
START = "[*]"
LARGE = "id,text\n" + "".join(f"{n},{'x' * 20}\n" for n in range(4000))
"""Too large for one transaction, so that it goes through every state."""


def diagram(kind: str) -> str:
    [text] = [
        block.text
        for block in blocks("mermaid")
        if block.page == PAGE and block.text.startswith(kind)
    ]
    return text


def drawn() -> set[tuple[str, str]]:
    """Return the transitions that the diagram has, but for those into the end."""
    arrows = re.findall(r"^ +(\S+) --> ([^:\s]+)", diagram("stateDiagram"), re.MULTILINE)
    return {(before, after) for before, after in arrows if after != START}


# --- modules ---------------------------------------------------------------------------------


def is_module(name: str) -> bool:
    path = SOURCE.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_every_module_on_the_way_of_a_file_is_there_under_this_name() -> None:
    flow = re.findall(r"\w+\[(\S+): [^\]]+\]", diagram("flowchart"))
    steps = [re.findall(r"`([a-z_.]+)`", cells[1]) for cells in table_rows(TEXT) if len(cells) == 3]
    named = {name for names in [*steps[1:], flow] for name in names}
    assert len(named) > 20
    assert {name for name in named if not is_module(name)} == set()


def test_every_module_that_a_sentence_names_is_there() -> None:
    beside = TEXT.partition("Beside this way stand:")[2].partition("## ")[0]
    promises = TEXT.partition("## What is promised")[2].partition("## ")[0]
    modules = set(re.findall(r"`([a-z_]+)`", beside))
    assert len(modules) > 12
    assert {name for name in modules if not is_module(name)} == set()
    mechanisms = set(re.findall(r"`([a-z_]+)`", promises)) - {"committed", "once_key"}
    assert {name for name in mechanisms if not is_module(name)} == set()


def test_the_layers_are_those_that_are_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    checked = [layer.replace("dropload.", "").replace(" | ", ", ") for layer in layers]
    [text] = [block.text for block in blocks("text") if block.page == PAGE]
    assert text.splitlines() == checked


def test_every_step_that_status_tells_is_named() -> None:
    assert [step.value for step in Step if f"`{step.value}`" not in TEXT] == []


# --- states ----------------------------------------------------------------------------------


@pytest.fixture
def watched(yard: Yard) -> Yard:
    """Return a yard whose database writes down each change of a load's state."""
    yard.execute(
        """
        CREATE TABLE changes (was TEXT, became TEXT);
        CREATE TRIGGER begun AFTER INSERT ON "ref.Load_History"
        BEGIN INSERT INTO changes VALUES ('[*]', NEW.state); END;
        CREATE TRIGGER went_on AFTER UPDATE OF state ON "ref.Load_History"
        WHEN OLD.state <> NEW.state
        BEGIN INSERT INTO changes VALUES (OLD.state, NEW.state); END;
        """
    )
    return yard


def changes(yard: Yard) -> list[tuple[str, str]]:
    return [(str(was), str(became)) for was, became in yard.query("SELECT * FROM changes")]


def fail_in(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: DroploadError) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(owner, name, fail)


def before_plan(monkeypatch: pytest.MonkeyPatch, error: DroploadError) -> None:
    fail_in(monkeypatch, pipeline, "plan_load", error)


def while_staging(monkeypatch: pytest.MonkeyPatch, error: DroploadError) -> None:
    fail_in(monkeypatch, stage_writer.StageWriter, "finish", error)


def while_publishing(monkeypatch: pytest.MonkeyPatch, error: DroploadError) -> None:
    fail_in(monkeypatch, pipeline, "publish_rows", error)


WHERE: dict[str, Callable[[pytest.MonkeyPatch, DroploadError], None]] = {
    "claimed": before_plan,
    "staging": while_staging,
    "publishing": while_publishing,
}
ENDS = [
    *(("claimed", error) for error in (FileError("x"), HeldError("x"), FileChangedError("x"))),
    *(("staging", error) for error in (FileError("x"), FileChangedError("x"))),
    *(("publishing", error) for error in (FileError("x"), HeldError("x"))),
]
"""The errors that a step may raise, which end the load."""


def walk(yard: Yard, monkeypatch: pytest.MonkeyPatch, state: str, error: DroploadError) -> None:
    """Have a load meet an error in one of its states."""
    with monkeypatch.context() as patched:
        WHERE[state](patched, error)
        yard.drop(f"{state}.csv", LARGE)


def duplicate_of_load_1() -> DuplicateError:
    return DuplicateError("x", load_id=1)


def test_the_diagram_has_every_change_of_state_and_no_other(
    watched: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.drop("small.csv", "id\n1\n")
    watched.drop("small.csv", "id\n1\n")
    watched.drop("large.csv", LARGE)
    undo_load(watched.dock, 3, "somebody")
    for state, error in ENDS:
        walk(watched, monkeypatch, state, error)
    walk(watched, monkeypatch, "publishing", duplicate_of_load_1())
    for state in ("staging", "publishing"):
        walk(watched, monkeypatch, state, TransientError("x"))
        watched.load(watched.inbox().path / f"{state}.csv")
    with monkeypatch.context() as patched:
        patched.setattr(staging_ahead, "AHEAD_BYTES", 1)
        watched.drop("ahead.csv", LARGE)
    come_back(watched, monkeypatch)
    lose_an_answer(watched, monkeypatch)
    assert set(changes(watched)) == drawn()


def come_back(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load a file that is gone before it can be moved, and is back later."""
    with monkeypatch.context() as patched:
        fail_in(patched, endings, "file_away", TransientError("the folder refuses it"))
        yard.drop("away.csv", "id\n1\n")
    path = yard.inbox().path / "away.csv"
    taken = path.rename(yard.root / "taken.csv")
    file_late(yard.dock)
    taken.rename(path)
    yard.load(path)


def lose_an_answer(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a step be done again whose last commit was written, and its answer lost."""
    finish, lost = stage_writer.StageWriter.finish, [TransientError("lost")]

    def finish_and_lose(*given: Any) -> None:
        finish(*given)
        if lost:
            raise lost.pop()

    with monkeypatch.context() as patched:
        patched.setattr(stage_writer.StageWriter, "finish", finish_and_lose)
        yard.drop("lost.csv", LARGE)


def test_a_load_that_is_cancelled_by_a_person_ends_in_any_open_state(
    watched: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, state in enumerate(WHERE, 1):
        walk(watched, monkeypatch, state, TransientError("x"))
        cancel_load(watched.dock, number, "somebody")
    ended = {was for was, became in changes(watched) if became == State.CANCELLED}
    assert ended == {"claimed", "staging", "publishing"}
    assert set(changes(watched)) <= drawn()


def test_every_state_is_drawn() -> None:
    states = {name for change in drawn() for name in change} - {START}
    assert states == {state.value for state in State}
