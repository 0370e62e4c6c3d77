"""What `--json` prints is in docs/json.md, key by key, and nothing else is."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from dropload.intake import drop_of_path, name_drop
from dropload.model import Load, Progress, Step
from tests.conftest import Yard
from tests.unit.test_cli import Run, run

__all__ = ["run"]
DOCS = Path(__file__).parents[2] / "docs" / "json.md"
ROWS = "id\n1\n2\n"


def documented(section: str) -> set[str]:
    """Return the keys of a section's table, the first column."""
    text = DOCS.read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(section)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/json.md has no section {section!r}"
    return {
        key
        for line in re.findall(r"^\| ([^|]+) \|", found[1], re.MULTILINE)
        for key in re.findall(r"`(\w+)`", line)
    }


def claimed(yard: Yard) -> Load:
    drop = drop_of_path(
        yard.put("busy.csv", ROWS), yard.dock.tree, None, None, force=False, requested_by="x"
    )
    named = name_drop(drop, yard.dock.target)
    with yard.dock.target.write() as conn:
        load = yard.dock.journal.claims.claim(conn, named.drop, named.table, "x@1.1#1#1")
        assert isinstance(load, Load)
        yard.dock.journal.claims.renew(conn, load, Progress(Step.PROFILING, 1, 1, 1.0))
    return load


@pytest.fixture
def told(yard: Yard, run: Run) -> Callable[..., dict[str, Any]]:
    """Return the last object that a command prints, over a tree with one of everything."""
    yard.drop("t.csv", ROWS, "reference")
    yard.drop("t.csv", ROWS, "reference")
    yard.drop("t.csv", "id\n1,2\n", "reference")
    yard.drop("t.csv", "id,more\n1,2\n3,4\n", "reference", "fullload")
    yard.drop("t.csv", "id,more\n", "reference", "fullload")
    claimed(yard)

    def last(*command: str) -> dict[str, Any]:
        line = run(*command, "--json")[1].splitlines()[-1]
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    return last


Told = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("command", "section"),
    [
        (("history",), "A load"),
        (("history", "--duplicates"), "`history --duplicates`"),
        (("history", "--errors"), "`history --errors`"),
        (("history", "--audit"), "An action"),
        (("status", "--account"), "`status --account`"),
        (("status",), "`status`"),
        (("stats",), "`stats`"),
        (("reference", "list"), "`reference list`"),
        (("reference", "check"), "`reference check`, `reference repair`"),
        (("cleanup", "--dry-run"), "`cleanup`"),
        (("health",), "`health`"),
    ],
)
def test_the_keys_of_what_looks_are_documented(
    told: Told, command: tuple[str, ...], section: str
) -> None:
    assert set(told(*command)) == documented(section)


def test_the_keys_of_what_is_inside_are_documented(told: Told) -> None:
    shown = told("show", "1")
    assert set(shown) == documented("A load") | documented("`show`")
    assert set(shown["actions"][0]) == documented("An action")
    status = told("status")
    assert set(status["files"][0]) == documented("A file")
    assert set(status["loads"][0]) == documented("A load under way")
    assert set(told("reference", "list")["columns"][0]) == {"name", "type"}
    cleaned = told("cleanup", "--dry-run")["removed"]
    assert set(cleaned) == documented("What a cleanup counts")
    assert all(set(counted) == {"number", "bytes"} for counted in cleaned.values())
    assert set(told("health")["checks"][0]) <= {"name", "status", "message"}


def test_the_keys_of_what_acts_are_documented(told: Told, yard: Yard) -> None:
    inbox = yard.inbox("reference", "append").path
    loaded = yard.put("u.csv", ROWS, "reference")
    failure = documented("A refusal")
    outcome = told("load", str(loaded))
    assert set(outcome) == documented("`load`")
    yard.put("u.csv", "id\n1,2\n", "reference")
    failed = told("load", str(inbox / "u.csv"))
    assert set(failed) == documented("`load`") | failure
    undo = documented("`undo`")
    assert set(told("undo", str(outcome["load_id"]), "--dry-run")) == undo
    assert set(told("undo", "1")) == undo | failure
    assert set(told("retry", str(failed["load_id"]))) == documented("`retry`")
    assert set(told("cancel", str(inbox / "u.csv"))) == documented("`cancel`")
    assert set(told("release", str(inbox / "u.csv"))) == documented("`release`")
    assert set(told("show", "99")) == failure
    (yard.root / "file.csv").write_text(ROWS)
    assert set(told("inspect", str(yard.root / "file.csv"))) == documented("`inspect`")
    place = ("--area", "reference", "--load-type", "append")
    planned = told("plan", str(yard.root / "file.csv"), *place)
    assert set(planned) == documented("`plan`")


def test_every_command_that_prints_json_has_its_section() -> None:
    from dropload.cli.app import dropload

    text = DOCS.read_text(encoding="utf-8")
    missing = [name for name in printing("", dropload) if f"`{name}`" not in text]
    assert missing == []


def printing(above: str, group: click.Group) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from printing(f"{above}{name} ", command)
        elif any("--json" in option.opts for option in command.params):
            yield f"{above}{name}"
