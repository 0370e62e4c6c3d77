"""Every condition that is reported has a code that stays, and is documented."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropload import errors
from dropload.api import ReferenceDataAPI
from dropload.error_codes import CONDITIONS, WHO, code_of, find_condition
from dropload.errors import DroploadError
from dropload.model import Verdict
from tests.conftest import Yard, make_config
from tests.unit.test_cli import Run, run

__all__ = ["run"]

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dropload"
RAISED = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, DroploadError)
}
REJECTS = ("too_few_cells", "too_many_cells", "misquoted", "nul_byte", "null_value", "misfit")


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call in the source that makes an error or a reject, with where it stands."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node


def texts(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may be."""
    for inner in [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]:
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def test_codes_and_names_are_given_once_and_say_who_must_act() -> None:
    codes, names = [one.code for one in CONDITIONS], [one.name for one in CONDITIONS]
    assert len(set(codes)) == len(codes)
    assert len(set(names)) == len(names)
    assert codes == sorted(codes)
    for code in codes:
        assert re.fullmatch(r"DL-\d{3}", code)
        assert code[3] in WHO


def test_every_error_that_is_raised_has_a_code() -> None:
    found = 0
    for place, call in calls():
        assert isinstance(call.func, ast.Name)
        if call.func.id in RAISED | {"Reject"}:
            found += 1
            for keyword in call.keywords:
                for name in texts(keyword.value) if keyword.arg == "code" else ():
                    assert not name or code_of(name), f"{place}: {name}"
    assert found > 150
    for name in RAISED:
        assert code_of(getattr(errors, name).default_code), name
    for name in REJECTS:
        assert code_of(name).startswith("DL-8"), name


def test_an_error_has_a_code_for_those_who_must_act() -> None:
    families = {
        errors.ConfigError: "1",
        errors.TransientError: "2",
        errors.FileError: "3",
        errors.HeldError: "4",
        errors.TargetError: "5",
        errors.RefusedError: "7",
    }
    for place, call in calls():
        assert isinstance(call.func, ast.Name)
        if call.func.id not in RAISED:
            continue
        kind: type = getattr(errors, call.func.id)
        for keyword in call.keywords:
            for name in texts(keyword.value) if keyword.arg == "code" else ():
                digits = {digit for base, digit in families.items() if issubclass(kind, base)}
                # Asked for by status, it is nobody's yet: the daemon prepares it.
                is_told_twice = name == "not_prepared"
                assert not name or is_told_twice or code_of(name)[3] in digits, f"{place}: {name}"


def test_every_documented_condition_can_happen() -> None:
    used: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path.name == "error_codes.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
    assert [one.name for one in CONDITIONS if one.name not in used] == []


def test_the_document_is_made_of_the_table(run: Run) -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert run("help", "errors")[1] == text, "dropload help errors > docs/errors.md"


@pytest.mark.parametrize("said", ["DL-310", "dl-310", "dl310", "310", "rejected_rows"])
def test_a_code_is_explained_however_it_is_said(run: Run, said: str) -> None:
    status, text, _ = run("help", said)
    assert status == 0
    assert text.startswith("DL-310  Too many rows were refused (rejected_rows)\n")
    assert "Who sent the file" in text


def test_help_explains_commands_and_topics_and_names_what_is_near(run: Run) -> None:
    assert "Usage: dropload config show" in run("help", "config", "show")[1]
    assert run("help")[1] == run("--help")[1]
    assert "# max_shrink = 0.5" in run("help", "settings")[1]
    assert len(run("help", "codes")[1].splitlines()) == len(CONDITIONS)
    status, _, said = run("help", "histroy")
    assert status == 1
    assert "Did you mean history?" in said
    assert "`dropload help codes`" in run("help", "nothing of the kind")[2]


def test_messages_on_the_terminal_and_as_json_have_the_code(
    run: Run, yard: Yard, tmp_path: Path
) -> None:
    assert "There is no load 7. [DL-702]" in run("show", "7")[2]
    assert json.loads(run("show", "7", "--json")[1])["code"] == "DL-702"
    file = tmp_path / "bad.csv"
    file.write_text("a,b\n1\n")
    place = ("--area", "non-reference", "--load-type", "append")
    assert "[DL-310]" in run("load", str(file), *place)[1]
    assert json.loads(run("load", str(file), *place, "--json")[1])["code"] == "DL-310"
    assert json.loads(run("history", "--json")[1].splitlines()[0])["error_code"] == "DL-310"
    assert "error code\tDL-310" in run("show", "1")[1]
    assert json.loads(run("inspect", str(tmp_path / "none.csv"), "--json")[1])["code"] == "DL-704"


def test_an_unforeseen_error_has_its_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("dropload.cli.checks.Session.loaded", property(fail))
    assert "RuntimeError: broken [DL-900]" in run("config", "check")[2]


def test_reports_and_the_journal_have_the_code(yard: Yard) -> None:
    outcome = yard.drop("orders.csv", "a,b\n1\n")
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "DL-310")
    assert outcome.report_path is not None
    assert "error code DL-310; more with: dropload help DL-310" in outcome.report_path.read_text()
    yard.drop("orders.csv", "a,b\n1,2\n")
    assert yard.drop("orders.csv", "a,b\n", load_type="fullload").code == "DL-401"
    assert yard.drop("orders.csv", "a,b\n1,2\n").code == "DL-600"
    codes = yard.query('SELECT error_code FROM "ref.Load_History" ORDER BY load_id')
    assert codes == [("DL-310",), (None,), ("DL-401",), ("DL-600",)]


def test_programs_get_the_code(tmp_path: Path) -> None:
    with ReferenceDataAPI(make_config(tmp_path)) as api:
        api.init()
        missing = api.show(1)
        assert missing.error is not None
        assert (missing.error.category, missing.error.dl_code) == ("refused", "DL-702")


def test_a_condition_is_found_by_code_or_name_only() -> None:
    assert find_condition("DL-1000") is None
    assert find_condition("") is None
    found = find_condition("login")
    assert found is not None
    assert found.code == "DL-105"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_what_completes_commands(run: Run, shell: str) -> None:
    status, text, _ = run("completion", shell)
    assert status == 0
    assert f"_DROPLOAD_COMPLETE={shell}_complete" in text


def test_the_shell_of_the_environment_is_meant(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert run("completion")[1] == run("completion", "fish")[1]
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "Name one of bash, zsh, fish." in run("completion")[2]


def test_commands_and_options_are_completed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DROPLOAD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "dropload sta")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run()[1].split() == ["plain,stats", "plain,status"]
    monkeypatch.setenv("COMP_WORDS", "dropload history --du")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert run()[1].split() == ["plain,--duplicates"]
