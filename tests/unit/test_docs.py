"""The documents are true: what they name is there, what is there they name, examples run."""

import ast
import re
import tempfile
import tomllib
from pathlib import Path

import pytest
import yaml

from dropload.alert_config import Event
from dropload.cli.pages import find_topic, named_topics
from dropload.config import Config
from dropload.errors import ConfigError
from dropload.model import State, Verdict
from tests.conftest import Yard
from tests.documents import (
    DOCS,
    PAGES,
    ROOT,
    Block,
    anchors,
    blocks,
    broken_link,
    check_command,
    links,
    our_arguments,
    prose,
    read,
    table_rows,
    typed_commands,
)
from tests.fields import default_of, fields_of, values_of
from tests.pictures import still_pictures
from tests.unit.test_cli import Run, run
from tests.unit.test_monitoring import rules

__all__ = ["run"]
SOURCE = ROOT / "src" / "dropload"
RUNBOOK = DOCS / "runbook.md"
LANGUAGES = {"", "console", "ini", "mermaid", "pycon", "sql", "text", "toml", "yaml"}
NAMES_OF_MEASUREMENTS = (["new", "table"], ["append"], ["fullload"])
"""In docs/performance.md, `dropload append` is what is compared with the peers."""
PARTS = ("- **Means.** ", "- **Look.** ", "- **Do.** ", "- **Worry when** ")
"""What every section of the runbook says, in this order."""


# --- pages and links -------------------------------------------------------------------------


def test_every_link_leads_somewhere() -> None:
    checked = [(page, link) for page in PAGES for link in links(page)]
    assert len(checked) > 150
    assert [said for page, link in checked if (said := broken_link(page, link))] == []


def test_a_broken_link_is_found() -> None:
    readme = ROOT / "README.md"
    assert broken_link(readme, "docs/operators.md#what-never-to-do") is None
    assert broken_link(readme, "docs/operator.md") is not None
    assert broken_link(readme, "docs/operators.md#nowhere") is not None
    assert broken_link(DOCS / "install.md", "#7-nothing") is not None


def test_the_map_has_every_page_once_and_each_says_what_it_is() -> None:
    mapped = [cells[0] for cells in table_rows(read(DOCS / "README.md"))][1:]
    assert sorted(re.findall(r"\((\S+)\)", " ".join(mapped))) == sorted(
        page.name for page in DOCS.glob("*.md") if page.name != "README.md"
    )
    for page in PAGES:
        assert len(re.findall(r"^# .", prose(page), re.MULTILINE)) == 1, page.name


def test_every_example_says_what_it_is_written_in() -> None:
    assert {block.language for block in blocks()} <= LANGUAGES
    # Those of Python are run by test_api.py.
    assert {block.page.name for block in blocks("pycon")} == {"python-api.md"}


# --- commands --------------------------------------------------------------------------------


def test_the_page_of_the_commands_is_made_of_them(run: Run) -> None:
    assert run("help", "commands")[1] == read(DOCS / "commands.md"), (
        "dropload help commands > docs/commands.md"
    )


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.name)
def test_every_command_that_is_typed_in_an_example_is_understood(block: Block) -> None:
    typed = list(typed_commands(block.text))
    assert typed, "an example of the console shows what is typed: `$ dropload status`"
    ours = [given for words in typed if (given := our_arguments(words)) is not None]
    assert [said for given in ours if (said := check_command(given))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_sentence_names_is_understood(page: Path) -> None:
    said = [
        wrong
        for named in re.findall(r"`(dropload [^`]+)`", re.sub(r"\s+", " ", prose(page)))
        for words in typed_commands(f"$ {named.replace('[', '').replace(']', '')}")
        if (given := our_arguments(words)) is not None
        and given not in NAMES_OF_MEASUREMENTS
        and (wrong := check_command(given, whole=False))
    ]
    assert said == []


def test_every_command_of_an_example_can_be_given(run: Run, yard: Yard) -> None:
    yard.drop("orders.csv", "a,b\n1,2\n")
    given = [
        our_arguments(words) for block in blocks("console") for words in typed_commands(block.text)
    ]
    # What goes on until it is stopped, or needs the file that it names.
    left_out = {"run", "--watch", "--config", "--version"}
    for arguments in given:
        if arguments and not left_out & set(arguments):
            status, text, said = run(*arguments)
            assert "internal error" not in said, arguments
            assert status != 2 or arguments[0] == "health", (arguments, said)
            assert text or said, arguments


def test_a_command_that_is_not_there_is_found() -> None:
    text = "$ dropload status --wacth | head\n$ sudo dropload histroy\n# X=1 dropload undo 3"
    given = [our_arguments(words) for words in typed_commands(text)]
    assert given == [["status", "--wacth"], None, ["histroy"], ["undo", "3"]]
    assert [check_command(one) is None for one in given if one] == [False, False, True]
    assert check_command(["undo", "three"]) is not None
    assert our_arguments(["systemctl", "status", "dropload"]) is None


# --- configuration ---------------------------------------------------------------------------


def test_every_key_is_described_with_its_default_and_values() -> None:
    described = {
        cells[0].strip("`"): cells[1:3]
        for cells in table_rows(read(DOCS / "configuration.md"))
        if "." in cells[0]
    }
    there = {key: [default_of(one), values_of(key, one)] for key, one in fields_of(Config)}
    assert len(there) > 90
    assert described == there


def test_every_key_that_a_page_names_is_there() -> None:
    keys = {key for key, _ in fields_of(Config)} | {"notify.receivers", "expected.files"}
    sections = "|".join(Config.model_fields)
    for page in PAGES:
        named = set(
            re.findall(rf"`((?:{sections})\.[a-z_]+(?:\.[a-z_]+)*)(?: = [^`]+)?`", read(page))
        )
        files = {
            name for name in named if name.endswith((".file", ".md", ".toml")) and name not in keys
        }
        assert named - files - keys == set(), page.name
        variables = re.findall(r"DROPLOAD_([A-Z]+__[A-Z_]+)", read(page))
        for variable in variables:
            key = variable.lower().replace("__", ".")
            named_by_people = re.fullmatch(r"notify\.receivers\.\w+\.url", key)
            assert key in keys or named_by_people, f"{page.name}: DROPLOAD_{variable}"


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.name)
def test_every_example_of_the_configuration_is_right(block: Block) -> None:
    Config.model_validate(tomllib.loads(block.text))


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.name)
def test_every_example_of_yaml_can_be_read(block: Block) -> None:
    assert yaml.safe_load(block.text)


# --- the runbook -----------------------------------------------------------------------------


def checks_of_health() -> set[str]:
    """Return the names of all checks, from the calls that make them."""
    names: set[str] = set()
    for path in (SOURCE / "health").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Check", "Lane")
                and isinstance(node.args[0], ast.Constant)
            ):
                names.add(str(node.args[0].value))
    return names


def test_every_alert_check_and_notification_has_its_section() -> None:
    alerts, checks, events = (
        {name for cells in index for name in re.findall(r"`([^`]+)`", cells[place])}
        for index in [[c for c in table_rows(read(RUNBOOK)) if len(c) == 4][1:]]
        for place in range(3)
    )
    assert alerts == {rule["alert"] for rule in rules()}
    assert len(checks_of_health()) > 20
    # Where it cannot be read, health has nothing else to say.
    assert checks == checks_of_health() | {ConfigError.category}
    assert events == {event.value for event in Event}


def test_every_section_of_the_runbook_is_found_and_says_what_it_must() -> None:
    sections = re.split(r"^### ", read(RUNBOOK), flags=re.MULTILINE)[1:]
    index = [cells[3] for cells in table_rows(read(RUNBOOK)) if len(cells) == 4][1:]
    titles = [re.findall(r"\[(.+)\]", cell)[0] for cell in index]
    assert sorted(titles) == sorted(section.partition("\n")[0] for section in sections)
    for section in sections:
        body = section.split("\n## ")[0]
        places = [body.find(part) for part in PARTS]
        assert -1 not in places, section.partition("\n")[0]
        assert places == sorted(places)


# --- help ------------------------------------------------------------------------------------


def test_help_explains_whatever_has_a_name(run: Run) -> None:
    known = set(named_topics())
    named = {rule["alert"] for rule in rules()} | {key for key, _ in fields_of(Config)}
    assert named <= known
    assert {"operators", "runbook", "dropload_inbox_files"} <= known
    for topic in ("operators", "DroploadSlow", "late writers", "late_write", "gate.checks"):
        status, text, _ = run("help", *topic.split())
        assert status == 0
        assert len(text) > 100, topic
    assert "- Default: `6`" in run("help", "gate.checks")[1]
    assert "DROPLOAD_GATE__CHECKS" in run("help", "gate.checks")[1]
    assert run("help", "late", "writers")[1] == run("help", "late_write")[1]
    assert run("help", "DroploadSlow")[1].startswith("### DroploadSlow\n")
    assert "A gauge by `state`." in run("help", "dropload_inbox_files")[1]
    assert "operators" in run("help", "topics")[1].splitlines()
    assert "Did you mean gate.checks?" in run("help", "gate.check")[2]


@pytest.mark.parametrize(
    ("topic", "begin"),
    [
        ("expected", "## [expected]\n"),
        ("[load]", "## [load]\n"),
        ("alerts", "## Alerts\n"),
        ("a file failed", "### A file failed\n"),
        ("watching", "## 6. Watching\n"),
        ("notify.receivers.oncall.url", "# notify.receivers.oncall.url\n"),
        ("expected.files.sales.by", "# expected.files.sales.by\n"),
    ],
)
def test_help_knows_sections_headings_and_names_of_ones_own(
    run: Run, topic: str, begin: str
) -> None:
    status, text, _ = run("help", *topic.split())
    assert status == 0
    assert text.startswith(begin)


def test_help_has_whatever_a_name_stands_for(run: Run) -> None:
    text = run("help", "database")[1]
    assert text.startswith("### DroploadDatabaseDown\n")
    assert "## [database]\n" in text
    text = run("help", "undo it all")[1]
    assert {"More: `dropload help postgresql`.", "More: `dropload help sqlserver`."} <= set(
        text.splitlines()
    )
    variable = "DROPLOAD_NOTIFY__RECEIVERS__ONCALL__URL"
    assert variable in run("help", "notify.receivers.oncall.url")[1]


def test_help_takes_no_comment_of_an_example_for_a_heading(run: Run) -> None:
    assert "systemctl enable --now dropload@sales" in run("help", "several trees on one machine")[1]
    assert run("help", "systemctl daemon-reload")[0] == 1


def test_help_says_in_words_what_pictures_show_and_leaves_links_out(run: Run) -> None:
    text = run("help", "operators")[1]
    assert pictured("status") in text
    assert "](" not in text
    assert "(see install.md)" in run("help", "put", "off")[1]


def test_help_draws_what_it_prints_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dropload.cli.explain.is_terminal", lambda: True)
    drawn = run("help", "DroploadSlow")[1]
    assert "DroploadSlow" in drawn
    assert "•" in drawn
    assert "###" not in drawn


def test_every_name_that_help_knows_is_explained() -> None:
    known = set(named_topics())
    assert len(known) > 200
    assert {"late writers", "late_write", "DroploadSlow", "process_open_fds"} <= known
    assert {name for name in known if find_topic(name) is None} == set()


# --- SQL -------------------------------------------------------------------------------------


@pytest.fixture
def owned(yard: Yard) -> Yard:
    """Return a database in which everything stands that the page for owners asks for."""
    rows = "order_no,customer\n1001,Ada\n1003,Grace\n"
    yard.drop("orders.csv", rows)
    yard.drop("orders.csv", "order_no,customer\n1,2,3\n")
    yard.drop("airports.csv", "id\n1\n2\n", "reference", "fullload")
    yard.drop("airports.csv", "id\n1\n3\n", "reference", "fullload")
    return yard


def test_the_questions_to_the_database_are_answered(owned: Yard) -> None:
    page = DOCS / "database-owners.md"
    questions = [block.text for block in blocks("sql") if block.page == page]
    answers = [owned.query(text) for text in questions if text.startswith("SELECT")]
    assert len(answers) == 8
    came_from, of_load, history, differing, refused, _, backups, left = answers
    assert came_from[0][:2] == ("orders.csv", 2)
    assert [row[0] for row in of_load] == [1001, 1003]
    assert [(row[0], row[4]) for row in history] == [(1, 2)]
    assert differing == []
    assert refused[0][0] == "orders.csv"
    assert backups[0][2] == "bkp.airports__4"
    assert left == [("bkp.airports__4",)]
    owned.execute('DELETE FROM "dbo.orders" WHERE order_no = 1001')
    [asked] = [text for text in questions if "HAVING" in text]
    assert owned.query(asked) == [(1, 2, 1)]


def test_dropload_can_be_taken_out_again(owned: Yard) -> None:
    page = DOCS / "database-owners.md"
    statements = [block.text for block in blocks("sql") if block.page == page]
    journal = {name for name in owned.tables() if re.match(r"ref\.[A-Z]", name)}
    described = re.findall(r"^\| `(\w+)` \|", read(page), re.MULTILINE)
    assert {f"ref.{name}" for name in described} == journal
    owned.dock.target.close()
    for text in statements:
        if not text.startswith("SELECT"):
            owned.execute(text)
    assert owned.tables() - {"sqlite_sequence"} == {"dbo.orders", "ref.airports", "bkp.airports__4"}
    assert owned.query('SELECT * FROM "dbo.orders"') == [(1001, "Ada"), (1003, "Grace")]


# --- pictures --------------------------------------------------------------------------------


def pictured(name: str) -> str:
    text = read(DOCS / "pictures" / f"{name}.svg")
    said = re.search(r"<desc>\n(.*?)\n</desc>", text, re.DOTALL)
    assert said is not None
    return said[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_pictures_show_what_the_program_prints() -> None:
    with tempfile.TemporaryDirectory(prefix="dropload-pictures-") as scratch:
        drawn = {one.name: one.text for one in still_pictures(Path(scratch).resolve())}
    assert len(drawn) == 4
    assert {name: pictured(name) for name in drawn} == drawn, "make pictures"


def test_every_picture_is_shown_and_gives_no_machine_away() -> None:
    shown = re.findall(r"!\[(.+?)\]\(pictures/(\w+)\.svg\)", read(DOCS / "operators.md"))
    there = {path.stem for path in (DOCS / "pictures").glob("*.svg")}
    assert {name for _, name in shown} == there
    for name in there:
        text = read(DOCS / "pictures" / f"{name}.svg")
        assert not re.search(r"/(tmp|home|root)/|https?://(?!www\.w3\.org)", text), name


# --- states ----------------------------------------------------------------------------------


def test_who_drops_files_is_told_of_every_state_and_every_inbox() -> None:
    page = read(DOCS / "operators.md")
    rows = [cells[0] for cells in table_rows(page) if len(cells) == 3]
    states = {name for cell in rows for name in re.findall(r"`([a-z]+)`", cell)}
    assert {state.value for state in State} | {"held"} <= states
    for folder in ("reference_data_table", "none_reference_data_table", "fullload", "append"):
        assert folder in page


def test_the_architecture_names_every_verdict() -> None:
    page = read(DOCS / "architecture.md")
    assert {verdict.value for verdict in Verdict if f"`{verdict.value}`" not in page} == set()
    assert "the-states-of-a-load" in anchors(DOCS / "architecture.md")
