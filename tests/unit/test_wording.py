"""Advice in the words of who reads it: commands for people, calls for programs."""

import re
from pathlib import Path
from typing import Any

import click
import pytest

import dropload
from dropload.api import AsyncReferenceDataAPI, ReferenceDataAPI
from dropload.api.wording import METHODS, in_python
from dropload.cli.app import dropload as commands
from tests.conftest import Yard

SOURCE = Path(dropload.__file__).parent


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("`dropload undo 57` takes them back.", "`undo(57)` takes them back."),
        ("`dropload history` lists them.", "`history()` lists them."),
        ("`dropload load --force FILE` would.", "`load(path, force=True)` would."),
        ("`dropload load '/x/a b.csv'` loads it.", "`load('/x/a b.csv')` loads it."),
        ("or add --force to delete them.", "or add force=True to delete them."),
        (
            "Add --area reference|non-reference and --load-type fullload|append.",
            'Add area="reference" or "non-reference" and load_type="fullload" or "append".',
        ),
        ("Leave out --area and --load-type.", "Leave out area and load_type."),
        ("start it with `dropload run`", "start it with `dropload run`"),
        ("a dash -- and a--b stay", "a dash -- and a--b stay"),
    ],
)
def test_commands_and_options_become_calls_and_parameters(said: str, meant: str) -> None:
    assert in_python(said) == meant


def test_every_method_is_a_command_and_of_both_apis() -> None:
    for name in METHODS:
        assert name in commands.list_commands(click.Context(commands))
        assert callable(getattr(ReferenceDataAPI, name))
        assert callable(getattr(AsyncReferenceDataAPI, name))


def test_every_command_that_a_text_names_is_there() -> None:
    named = {
        match
        for path in SOURCE.rglob("*.py")
        for match in re.findall(r"`dropload ([a-z]+)", path.read_text(encoding="utf-8"))
    }
    assert {"undo", "status", "release"} <= named
    assert named - set(commands.list_commands(click.Context(commands))) == set()


def test_a_program_is_told_of_parameters(yard: Yard, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("id\n1\n2\n3\n")
    with ReferenceDataAPI(yard.dock.config) as api:
        place = api.load(outside).error
        assert place is not None
        assert "area=" in place.hint
        first = api.load(outside, "reference", "fullload")
        assert first.ok
        again = api.load(outside, "reference", "fullload")
        assert again.ok
        assert "force=True" in again.value.hint
        outside.write_text("id\n")
        held = api.load(outside, "reference", "fullload")
        assert held.error is not None
        assert held.value is not None
        assert held.error.hint == held.value.hint == "To load it all the same: force=True."
        for refused in (api.show(99), api.undo(99), api.cancel(first.value.load_id or 0)):
            assert refused.error is not None
            assert "dropload" not in refused.error.hint
            assert "--" not in str(refused.error)


def test_what_the_journal_keeps_is_told_in_the_words_of_programs(yard: Yard) -> None:
    for _ in range(2):
        yard.drop("orders.csv", "id\n1\n2\n")
    advice = "Nothing to do; `load(path, force=True)` would load them again."
    with ReferenceDataAPI(yard.dock.config) as api:
        assert api.undo(2).error is not None
        [duplicate] = api.duplicates().value or []
        history = api.history().value or []
        shown, status = api.show(2).value, api.status().value
    assert shown is not None
    assert status is not None
    told = [duplicate.message, *(load.error_message for load in (history[0], shown.load))]
    assert all((text or "").endswith(advice) for text in [*told, status.last[0].error_message])


@pytest.mark.parametrize("wrong", [True, False, 1.0, None, b"1"])
def test_only_a_number_names_a_load(yard: Yard, wrong: Any) -> None:
    yard.drop("orders.csv", "id\n1\n2\n")
    with ReferenceDataAPI(yard.dock.config) as api:
        said = [
            method(wrong) for method in (api.undo, api.cancel, api.retry, api.release, api.show)
        ]
        said.append(api.undo("1"))  # type: ignore[arg-type]
        assert [answer.error and answer.error.category for answer in said] == ["refused"] * 6
        for answer in said:
            assert "is not the number of a load" in str(answer.error)
        history = api.history().value
        assert history is not None
        assert [load.state for load in history] == ["filed"]
