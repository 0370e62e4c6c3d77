"""The command line as people and scripts see it, run in this process."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog

from dropload import __version__
from dropload.api.results import error_of
from dropload.cli import main
from dropload.config import LogConfig
from dropload.errors import TransientError
from dropload.logs import configure_logs
from dropload.model import Verdict
from tests.conftest import Yard, open_yard

ORDERS = "id,name,amount\n1,Ada,10.50\n2,Bob,7.25\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command over the tree and database of `yard`; return status, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DROPLOAD_PATHS__DROPOFF", str(tmp_path / "dropoff"))
    monkeypatch.setenv("DROPLOAD_DATABASE__URL", f"sqlite:///{tmp_path / 'dropload.db'}")
    monkeypatch.setenv("DROPLOAD_LOG__LEVEL", "error")
    monkeypatch.setenv("DROPLOAD_HEALTH__CHECK_TIMEOUT_SECONDS", "30")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dropload", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def put(yard: Yard, name: str = "orders.csv", content: str = ORDERS) -> str:
    return str(yard.put(name, content))


def test_a_command_that_waits_says_so_once_and_what_to_do_when_it_was_too_long(
    run: Run, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.drop("orders.csv", ORDERS)
    monkeypatch.setattr("dropload.targets.waiting.PATIENCE_SECONDS", 0.01)
    monkeypatch.setenv("DROPLOAD_DATABASE__BUSY_TIMEOUT_SECONDS", "0.5")
    monkeypatch.setenv("DROPLOAD_RETRY__ATTEMPTS", "1")
    with yard.dock.target.write():
        status, _, errors = run("undo", "1")
    assert status == 1
    assert errors.count("dropload: waiting for the database: another writer has it\n") == 1
    assert run("undo", "1")[2] == ""


@pytest.mark.parametrize(
    ("hint", "code", "advice"),
    [
        ("It is tried again; see to /srv.", "database_away", "Try again when it is back; see to"),
        ("Is it up? it is tried again.", "database_away", "Is it up? try again when it is back."),
        ("Publishing is tried again; end it.", "locked", "Try again later; end it."),
        ("It is tried again. A key.", "slow_statement", "Try again later. A key."),
        ("Only the file of a failed load is tried again.", "database_away", "Only the file of a"),
    ],
)
def test_who_asked_is_not_told_that_it_is_tried_again(hint: str, code: str, advice: str) -> None:
    error = TransientError("It is away.", hint=hint, code=code)
    assert error.advice.startswith(advice)
    assert error_of(error).hint == error.advice
    assert str(error).endswith(hint), "the daemon does try again"


def test_every_command_has_a_help_text_that_says_what_it_does(run: Run) -> None:
    status, text, _ = run("--help")
    assert status == 0
    commands = re.findall(r"^  ([a-z]+) {2,}(\S.*)$", text, re.MULTILINE)
    names = {name for name, _ in commands}
    wanted = (
        "cancel cleanup completion config health help history init inspect load notify plan "
        "reference release retry run show stats status undo"
    )
    assert " ".join(sorted(names)) == wanted
    for name in names:
        status, text, _ = run(name, "--help")
        assert status == 0
        assert len(text.split()) > 20, name


@pytest.mark.parametrize("group", [[], ["config"], ["reference"]])
def test_no_command_is_cut_in_a_list_of_eighty_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch, group: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = run(*group, "--help")[1].partition("Commands:")[2]
    assert len(text.splitlines()) > 2
    assert "..." not in text


def test_the_version_is_told(run: Run) -> None:
    assert run("--version")[1].strip() == f"dropload {__version__}"


@pytest.mark.parametrize("arguments", [["nonsense"], ["show", "x"], ["inspect"], ["load"]])
def test_wrong_usage_ends_with_status_two(run: Run, arguments: list[str]) -> None:
    status, _, errors = run(*arguments)
    assert status == 2
    assert "Usage:" in errors


def test_init_makes_folders_and_tables_and_may_be_repeated(run: Run, tmp_path: Path) -> None:
    status, text, _ = run("init")
    assert status == 0
    assert "made " in text
    assert "0001_journal.sql" in text
    assert (tmp_path / "dropoff/reference_data_table/fullload/processed").is_dir()
    assert "Everything was there already." in run("init")[1]


def test_inspect_prints_one_json_object_a_line_also_for_files_it_cannot_read(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(ORDERS)
    (tmp_path / "b.csv").write_bytes(b"%PDF-1.4\n" + bytes(100))
    status, text, _ = run("inspect", "a.csv", "b.csv", "nowhere.csv")
    assert status == 1
    good, pdf, missing = [json.loads(line) for line in text.splitlines()]
    assert good["encoding"] == "utf-8"
    assert (good["delimiter"], good["quotechar"], good["escapechar"]) == (",", '"', "")
    assert (good["header"], good["skip_lines"]) == (True, 0)
    assert (good["columns"], good["rows"], good["rejects"]) == (3, 2, [])
    assert good["column_names"] == ["id", "name", "amount"]
    assert len(good["file_hash"]) == 64
    assert 0 < good["confidence"] <= 1
    assert [t["type"] for t in good["types"]] == ["integer", "text", "decimal(4,2)"]
    assert set(good["types"][0]) == {"name", "type", "nullable", "max_length", "note"}
    assert pdf["error_code"] == "not_delimited"
    assert "PDF" in pdf["error"]
    assert "cannot be read" in missing["error"]


def test_inspect_says_how_a_file_is_written_that_cannot_be_read_to_its_end(
    run: Run, tmp_path: Path
) -> None:
    text = 'id;name\n1;a\n2;"open\n' + "3;c\n" * 400_000
    (tmp_path / "a.csv").write_text(text)
    status, said, _ = run("inspect", "a.csv")
    answer = json.loads(said)
    assert status == 1
    assert answer["error"].startswith("Line 3: ")
    assert (answer["delimiter"], answer["header"], answer["columns"]) == (";", True, 2)
    assert answer["column_names"] == ["id", "name"]


def test_inspect_shows_the_first_rows_to_a_person(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.cli.output.is_terminal", lambda: True)
    rows = "".join(f"{n},5;31.12.2024;{'x' * 50}\n" for n in range(9))
    (tmp_path / "a.csv").write_text(f"amount;day;text\n{rows}")
    status, said, _ = run("inspect", "a.csv")
    assert status == 0
    assert "The first rows" in said
    shown = said.partition("The first rows")[2].splitlines()[2:]
    assert shown[0].split() == ["0.5", "2024-12-31", f"{'x' * 23}…"]
    assert len(shown) == 5


def test_plan_shows_the_statements_that_make_or_change_the_table(run: Run, yard: Yard) -> None:
    first = yard.put("orders.csv", "id,name\n1,a\n")
    assert 'CREATE TABLE "dbo.orders" ("id" ' in run("plan", str(first))[1]
    yard.load(first)
    wider = yard.put("orders.csv", "id,name,more\nx,a,b\n")
    said = run("plan", str(wider))[1]
    assert "ALTER COLUMN" not in said, "SQLite has no such statement"
    shown = [line.strip() for line in said.splitlines() if line.strip().endswith(";")]
    assert [line.split()[:2] for line in shown] == [
        ["CREATE", "TABLE"],
        ["INSERT", "INTO"],
        ["DROP", "TABLE"],
        ["ALTER", "TABLE"],
    ]
    ran: list[str] = []
    engine = yard.dock.target.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *found: ran.append(f"{found[2]};"))
    assert yard.load(wider).verdict is Verdict.LOADED
    assert [statement for statement in ran if statement in shown] == shown, "what is really run"
    more = yard.put("orders.csv", "id,name,more,last\nx,a,b,c\n")
    assert 'ALTER TABLE "dbo.orders" ADD COLUMN "last" TEXT;' in run("plan", str(more))[1]


def test_inspect_needs_neither_tree_nor_database(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ORDERS)
    assert run("inspect", "a.csv")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv"}


def test_plan_says_what_would_happen_and_writes_nothing(run: Run, yard: Yard) -> None:
    path = put(yard)
    status, text, _ = run("plan", path)
    assert status == 0
    assert "2 rows of orders.csv would create dbo.orders." in text
    assert "decimal(15,2)" in text
    assert "dbo.orders" not in yard.tables()
    assert yard.states() == []
    made = json.loads(run("plan", path, "--json")[1])
    assert made["table"] == {"schema": "dbo", "name": "orders"}
    assert [column["action"] for column in made["columns"]] == ["create"] * 3


def test_plan_of_a_file_elsewhere_needs_to_be_told_where_it_belongs(
    run: Run, yard: Yard, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(ORDERS)
    status, _, errors = run("plan", "a.csv")
    assert status == 1
    assert "--area" in errors
    status, text, _ = run("plan", "a.csv", "--area", "reference", "--load-type", "fullload")
    assert (status, "ref.a" in text) == (0, True)


def test_load_loads_now_and_says_where_the_file_is(run: Run, yard: Yard) -> None:
    status, text, _ = run("load", put(yard))
    assert status == 0
    assert "2 rows loaded into dbo.orders (load 1)." in text
    assert "Z_orders.csv" in text
    assert len(yard.table("dbo.orders")) == 2


def test_load_of_a_bad_file_names_the_report_and_ends_with_status_one(run: Run, yard: Yard) -> None:
    status, text, _ = run("load", put(yard, content=ORDERS + "3\n"))
    assert status == 1
    assert "1 row cannot be loaded" in text
    assert ".report.txt" in text
    answer = json.loads(run("load", put(yard, content=ORDERS + "4\n"), "--json")[1])
    assert (answer["verdict"], answer["rows_rejected"]) == ("failed", 1)
    assert answer["error_category"] == "file"


@pytest.mark.parametrize("is_in_tree", [True, False])
def test_the_hint_of_a_duplicate_can_be_followed_as_it_stands(
    run: Run, yard: Yard, tmp_path: Path, is_in_tree: bool
) -> None:
    yard.drop("orders.csv", ORDERS)
    place, path = [], put(yard)
    if not is_in_tree:
        place = ["--area", "non-reference", "--load-type", "append"]
        path = str(Path(path).rename(tmp_path / "orders.csv"))
    status, text, _ = run("load", path, *place)
    assert (status, text.startswith("duplicate")) == (0, True)
    [command] = [line for line in text.splitlines() if "--force" in line]
    status, text, _ = run(*shlex.split(command)[1:])
    assert (status, "2 rows loaded into dbo.orders" in text) == (0, True)
    assert len(yard.table("dbo.orders")) == 4


def test_a_file_in_error_has_its_place_from_its_inbox_and_stays_there(run: Run, yard: Yard) -> None:
    failed = yard.drop("orders.csv", ORDERS + "3\n").filed_path
    assert failed is not None
    failed.write_text(ORDERS)
    assert "would create dbo.orders" in run("plan", str(failed))[1]
    assert "2 rows loaded into ref.orders" in run("load", str(failed), "--area", "reference")[1]
    assert "2 rows loaded into dbo.orders" in run("load", str(failed))[1]
    assert failed.exists()


def test_load_refuses_a_contradiction_between_inbox_and_options(run: Run, yard: Yard) -> None:
    status, _, errors = run("load", put(yard), "--load-type", "fullload")
    assert status == 1
    assert "inbox for non-reference append" in errors


def test_history_lists_loads_newest_first_with_the_keys_of_the_contract(
    run: Run, yard: Yard
) -> None:
    assert "No loads yet." in run("history")[1]
    yard.drop("orders.csv", ORDERS)
    yard.drop("prices.csv", "p\n1\n2\n")
    yard.drop("orders.csv", ORDERS + "x\n")
    lines = run("history", "--json")[1].splitlines()
    loads = [json.loads(line) for line in lines]
    assert [load["load_id"] for load in loads] == [3, 2, 1]
    assert {
        "load_id",
        "file_name",
        "table",
        "load_type",
        "state",
        "rows_read",
        "rows_loaded",
        "rows_rejected",
        "committed_at",
        "error_category",
        "error_message",
    } <= set(loads[0])
    assert (loads[0]["state"], loads[0]["error_category"]) == ("failed", "file")
    assert [
        json.loads(line)["load_id"] for line in run("history", "orders", "--json")[1].splitlines()
    ] == [3, 1]
    assert len(run("history", "dbo.prices", "--json")[1].splitlines()) == 1
    assert "No loads of nothing yet." in run("history", "nothing")[1]
    plain = run("history")[1].splitlines()
    assert plain[0].split("\t")[:3] == ["load", "when (UTC)", "file"]
    assert len(plain) == 4


def test_the_views_of_the_history_have_stable_keys_one_object_a_line(run: Run, yard: Yard) -> None:
    yard.drop("orders_20261101.csv", ORDERS)
    yard.drop("orders_20261102.csv", ORDERS)
    yard.drop("orders_20261103.csv", "id\n1,2\n")
    [duplicate] = lines_of(run("history", "--duplicates", "--json"))
    assert list(duplicate) == [
        "load_id",
        "found_at",
        "file_name",
        "table",
        "load_type",
        "duplicate_of",
        "original_file_name",
        "original_committed_at",
        "message",
    ]
    assert (duplicate["load_id"], duplicate["duplicate_of"]) == (2, 1)
    [group] = lines_of(run("history", "--errors", "--since", "7d", "--json"))
    assert list(group) == [
        "category",
        "table",
        "file_pattern",
        "count",
        "first_at",
        "last_at",
        "last_load_id",
        "last_file_name",
        "last_message",
    ]
    assert (group["file_pattern"], group["count"]) == ("orders_########.csv", 1)
    actions = lines_of(run("history", "--audit", "--json"))
    assert list(actions[0]) == [
        "id",
        "at",
        "actor",
        "action",
        "result",
        "load_id",
        "file_name",
        "table",
        "load_state",
        "detail",
        "reason",
    ]
    assert [action["load_state"] for action in actions[:3]] == ["failed", "duplicate", "filed"]


def lines_of(answer: tuple[int, str, str]) -> list[dict[str, object]]:
    status, text, errors = answer
    assert (status, errors) == (0, "")
    return [json.loads(line) for line in text.splitlines()]


def test_a_narrow_terminal_keeps_what_tells_rows_apart_and_whole_reasons(
    run: Run, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders.csv", ORDERS)
    yard.drop("bad.csv", 'id,name\n1,"Ada\n')
    assert run("undo", "2")[0] == 1
    told = {
        view: run("history", *view.split())[1] for view in ("", "--errors", "--audit --action undo")
    }
    assert all(len(line) <= 80 for text in told.values() for line in text.splitlines())
    flat = {view: " ".join(text.split()) for view, text in told.items()}
    assert "The same bytes are in dbo.orders already: load 1 of orders.csv, 2" in flat[""]
    assert "append duplicate 0 The same" in flat[""]
    assert "dbo.bad bad.csv" in flat["--errors"]
    assert 'Line 2: a quote (") was opened here and not closed.' in flat["--errors"]
    refused = flat["--audit --action undo"]
    assert "undo refused 2 orders.csv Load 2 of orders.csv is duplicate: it has brought" in refused
    assert "None" not in run("history", "--audit")[1]


def test_the_views_of_the_history_are_tables_for_people(run: Run, yard: Yard) -> None:
    assert run("history", "--duplicates")[1] == "No duplicates.\n"
    assert run("history", "--errors")[1] == "Nothing went wrong.\n"
    assert run("history", "--audit", "--action", "undo")[1] == "No actions.\n"
    yard.drop("orders_20261101.csv", ORDERS)
    yard.drop("orders_20261102.csv", ORDERS)
    yard.drop("orders_20261103.csv", "id\n1,2\n")
    assert (
        "orders_20261102.csv\tdbo.orders\t1\torders_20261101.csv"
        in run("history", "--duplicates")[1]
    )
    assert (
        "file\tdbo.orders\torders_########.csv"
        in run("history", "--errors", "--table", "orders")[1]
    )
    assert "somebody\tload\tdone\t2\tduplicate" in run("history", "--audit", "--load", "2")[1]
    assert len(run("history", "--audit", "--limit", "2")[1].splitlines()) == 3
    assert run("history", "--since", "2999-01-01")[1] == "No loads in that time.\n"
    assert len(run("history", "--since", "2w")[1].splitlines()) == 4


@pytest.mark.parametrize("view", ["loads", "--errors", "--duplicates", "--audit"])
@pytest.mark.parametrize("columns", [80, 160])
def test_each_line_of_the_history_fits_into_the_terminal(
    run: Run, yard: Yard, monkeypatch: pytest.MonkeyPatch, view: str, columns: int
) -> None:
    monkeypatch.setattr("dropload.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    for day in ("2026-11-01", "2026-11-02"):
        yard.drop(f"customers_of_the_northern_region_{day}.csv", ORDERS)
        yard.drop(f"customers_of_the_western_region_{day}.csv", "id,name\n1\n")
    options = {"loads": [], "--audit": [view, "--action", "load"]}.get(view, [view])
    lines = run("history", *options)[1].splitlines()
    assert all(len(line) <= columns for line in lines)
    # Below a row stands why.
    heading, *rows = [line.split() for line in lines if not line.startswith("     ")]
    assert "(UTC)" in heading
    assert len(rows) == {"loads": 4, "--errors": 1, "--duplicates": 1, "--audit": 4}[view]
    shown = [cell for row in rows for cell in row]
    assert sum(bool(re.fullmatch(r"\d{4}-\d\d-\d\d", cell)) for cell in shown) >= len(rows)
    assert ("rejected" in heading) == (view == "loads" and columns == 160)


def test_a_held_load_is_not_shown_as_cancelled(run: Run, yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    yard.drop("orders.csv", "id,name,amount\n", load_type="fullload")
    assert "\theld\t" in run("history")[1]
    assert "\theld\t" in run("status")[1].partition("Last loads")[2]
    [held, filed] = lines_of(run("history", "--json"))
    assert (held["state"], held["outcome"]) == ("cancelled", "held")
    assert (filed["state"], filed["outcome"]) == ("filed", "filed")


def test_a_held_load_has_one_word_until_it_is_released(run: Run, yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    held = yard.put("orders.csv", "id,name,amount\n", load_type="fullload")
    yard.load(held)
    assert "Load 2 of orders.csv is held: it has brought no rows." in run("undo", "2")[2]
    assert "Load 2 of orders.csv is held; only the file of a failed" in run("retry", "2")[2]
    assert "Load 2 of orders.csv is over (held)." in run("cancel", "2")[2]
    assert run("release", "2")[0] == 0
    assert yard.load(held).verdict is Verdict.LOADED
    outcomes = [load["outcome"] for load in lines_of(run("history", "--json"))]
    assert outcomes == ["filed", "released", "filed"]
    assert "Load 2 of orders.csv is released: it" in run("undo", "2")[2]
    [group] = lines_of(run("history", "--errors", "--json"))
    assert (group["category"], group["count"]) == ("released", 1)
    assert yard.drop("orders.csv", ORDERS, load_type="fullload").verdict is Verdict.LOADED
    forced = yard.put("orders.csv", "id,name,amount\n", load_type="fullload")
    assert yard.load(forced).verdict is Verdict.HELD
    assert yard.load(forced, force=True).verdict is Verdict.LOADED
    assert [load["outcome"] for load in lines_of(run("history", "--json"))][1] == "released"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "soon"],
        ["--load", "1"],
        ["--errors", "--actor", "x"],
        ["a", "--table", "b"],
        ["--audit", "--duplicates"],
        ["--errors", "--audit"],
    ],
)
def test_history_refuses_what_does_not_belong_together(run: Run, arguments: list[str]) -> None:
    assert run("history", *arguments)[0] == 2


def test_an_account_of_the_files_is_not_watched(run: Run) -> None:
    status, _, errors = run("status", "--watch", "--account")
    assert (status, "--account goes with neither" in errors) == (2, True)


@pytest.mark.parametrize(("level", "is_told"), [(None, False), ("info", True)])
def test_a_command_logs_what_went_well_only_where_that_was_asked_for(
    run: Run, yard: Yard, monkeypatch: pytest.MonkeyPatch, level: str | None, is_told: bool
) -> None:
    monkeypatch.delenv("DROPLOAD_LOG__LEVEL")
    if level:
        monkeypatch.setenv("DROPLOAD_LOG__LEVEL", level)
    yard.drop("orders.csv", ORDERS)
    status, text, errors = run("undo", "1")
    assert (status, "2 rows removed" in text) == (0, True)
    assert ("load_undone" in errors) == is_told
    service = [sys.executable, "-m", "dropload", "run", "--until-idle"]
    ended = subprocess.run(service, capture_output=True, text=True, check=True)
    assert "daemon_started" in ended.stderr


def test_who_asks_goes_into_the_audit_log_with_every_command(run: Run, tmp_path: Path) -> None:
    assert run("init", "--actor", "ada")[0] == 0
    inbox = tmp_path / "dropoff/none_reference_data_table/fullload"
    (inbox / "a.csv").write_text(ORDERS)
    run("load", str(inbox / "a.csv"), "--actor", "bob", "--reason", "month end")
    (inbox / "a.csv").write_text("id,name,amount\n")
    assert run("load", str(inbox / "a.csv"), "--actor", "bob")[0] == 1
    run("release", str(inbox / "a.csv"), "--actor", "cyd", "--reason", "closing")
    run("reference", "repair", "--actor", "dan")
    run("cleanup", "--actor", "eve")
    actions = lines_of(run("history", "--audit", "--json"))
    said = [(str(one["actor"]).partition(" (")[0], one["action"]) for one in reversed(actions)]
    assert said.count(("ada", "init")) > 3
    assert [one for one in said if one[1] != "init"] == [
        ("bob", "load"),
        ("bob", "load"),
        ("cyd", "release"),
        ("eve", "cleanup"),
    ]
    assert actions[3]["reason"] == "month end"
    assert actions[1]["reason"] == "closing"


def test_show_tells_everything_about_a_load_and_refuses_an_unknown_one(
    run: Run, yard: Yard
) -> None:
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders.csv", ORDERS + "x\n")
    good = json.loads(run("show", "1", "--json")[1])
    assert good["layout"]["delimiter"] == ","
    assert [column["name"] for column in good["plan"]["columns"]] == ["id", "name", "amount"]
    text = run("show", "2")[1]
    assert "Rejected rows" in text
    assert "1 row cannot be loaded" in text
    status, _, errors = run("show", "99")
    assert status == 1
    assert "There is no load 99." in errors


def test_show_tells_people_how_the_file_was_written_and_no_internals(run: Run, yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders.csv", "id,name,amount,city\n3,Cyd,1.50,Rome\n")
    yard.drop("orders.csv", "id,name,amount,city\n", load_type="fullload")
    run("undo", "2", "--actor", "ada", "--reason", "wrong month")
    text = run("show", "2")[1]
    assert "4 columns, commas" in text
    assert "header in line 1" in text
    assert "\tkept\t" in text
    assert "city\ttext\tadded" in text
    assert "ada (" in text
    assert "wrong month" in text
    for internal in ("mtime", "in tree", "commit no", "crashes", "lease"):
        assert internal not in text
    held = run("show", "3")[1]
    assert "outcome\theld" in held
    assert "lease until" not in held
    assert "cancelled" not in held


def test_status_lists_what_waits_and_what_ended(run: Run, yard: Yard) -> None:
    assert "Nothing is waiting." in run("status")[1]
    yard.drop("orders.csv", ORDERS)
    put(yard, "new.csv")
    text = run("status")[1]
    assert "new.csv" in text
    assert "no daemon is running" in text
    assert "orders.csv" in text
    answer = json.loads(run("status", "--json")[1])
    assert answer["daemon"] is None
    assert [Path(file["path"]).name for file in answer["files"]] == ["new.csv"]
    assert answer["last"][0]["state"] == "filed"


def test_status_still_answers_while_the_database_is_away(run: Run, tmp_path: Path) -> None:
    inbox = tmp_path / "dropoff/reference_data_table/append"
    inbox.mkdir(parents=True)
    (inbox / "a.csv").write_text(ORDERS)
    status, text, _ = run("status")
    assert status == 0
    assert "a.csv" in text
    assert "Problem:" in text


def test_health_follows_the_plugin_convention(run: Run, yard: Yard) -> None:
    status, text, _ = run("health")
    assert status == 2
    assert text.startswith("DROPLOAD CRITICAL - daemon: not running")
    answer = json.loads(run("health", "--json")[1])
    assert answer["status"] == "critical"
    assert {check["name"] for check in answer["checks"]} >= {
        "folders",
        "daemon",
        "disk",
        "database",
    }
    assert all(set(check) == {"name", "status", "message"} for check in answer["checks"])


def test_health_warns_of_a_folder_that_everybody_may_write_into(run: Run, yard: Yard) -> None:
    inbox = yard.inbox().path
    inbox.chmod(0o777)
    checks = json.loads(run("health", "--json")[1])["checks"]
    [folders] = [check for check in checks if check["name"] == "folders"]
    assert folders["status"] == "warning"
    assert str(inbox) in folders["message"]


def test_health_is_critical_when_the_database_was_never_prepared(run: Run, tmp_path: Path) -> None:
    text = run("health")[1]
    assert "dropload init" in text
    assert text.count("The drop tree") == 1


def test_health_explains_itself_line_by_line_and_calls_wrong_usage_unknown(
    run: Run, yard: Yard
) -> None:
    first, *lines = run("health", "-v")[1].splitlines()
    assert first.startswith("DROPLOAD CRITICAL - daemon: not running")
    assert lines[0] == "CRITICAL daemon: not running: start it with `dropload run`"
    assert any(line.startswith("OK       writing: ") for line in lines)
    status, _, errors = run("health", "--loud")
    assert (status, "--loud" in errors) == (3, True)


def test_health_says_when_not_even_its_own_process_answers(
    run: Run, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.cli.checks.run_apart", lambda _work, _limit: None)
    status, text, _ = run("health")
    assert (status, "something blocks its process" in text) == (2, True)


def test_health_of_a_wrong_configuration_is_critical_and_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPLOAD_GATE__CHECKS", "0")
    status, text, _ = run("health")
    assert status == 2
    assert "gate.checks" in text
    assert json.loads(run("health", "--json")[1])["status"] == "critical"


def test_config_check_and_show_name_every_value_and_its_source(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPLOAD_DATABASE__PASSWORD", "geheim")
    assert "The configuration is right." in run("config", "check")[1]
    text = run("config", "show")[1]
    assert "gate.checks\t6\tdefault" in text
    assert "environment DROPLOAD_PATHS__DROPOFF" in text
    assert "geheim" not in text
    values = json.loads(run("config", "show", "--json")[1])
    assert values["load.batch_rows"] == {"value": 990, "from": "default"}


def test_a_named_configuration_file_is_used(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[gate]\nchecks = 9\n")
    assert "gate.checks\t9\town.toml" in run("--config", "own.toml", "config", "show")[1]
    status, _, errors = run("--config", "none.toml", "config", "check")
    assert (status, "none.toml cannot be read" in errors) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "9"],
        ["undo", "9"],
        ["undo", "1"],
        ["undo", "1", "--dry-run"],
        ["cancel", "1"],
        ["retry", "1"],
        ["release", "nothing.csv"],
        ["load", "nothing.csv"],
        ["load", "bad.csv", "--area", "reference", "--load-type", "append"],
        ["plan", "nothing.csv"],
        ["inspect", "nothing.csv"],
        ["history", "--audit", "--load", "0"],
    ],
)
def test_every_failure_has_the_same_keys_as_json(
    run: Run, yard: Yard, tmp_path: Path, arguments: list[str]
) -> None:
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    (tmp_path / "bad.csv").write_text("id,name\n1\n")
    status, text, errors = run(*arguments, "--json")
    assert (status, "dropload: " in errors) == (1, False)
    answer = json.loads(text)
    assert answer["ok"] is False
    assert answer["category"] == ("file" if "bad.csv" in arguments else "refused")
    assert answer["message"]
    assert answer["hint"] != ""


def test_a_wrong_configuration_is_json_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPLOAD_GATE__CHECKS", "many")
    status, text, _ = run("history", "--json")
    assert (status, json.loads(text)["category"]) == (1, "config")
    status, text, errors = run("history")
    assert (status, text) == (1, "")
    assert "gate.checks" in errors


def test_a_success_says_so_as_json(run: Run, yard: Yard) -> None:
    put(yard)
    assert json.loads(run("load", put(yard), "--json")[1])["ok"] is True
    held = str(yard.drop("orders.csv", "id,name,amount\n", load_type="fullload").path)
    released = json.loads(run("release", held, "--json")[1])
    assert (released["ok"], released["load_id"]) == (True, 2)
    assert "no rows" in released["was_held"]
    assert json.loads(run("undo", "1", "--json")[1])["ok"] is True


def test_release_refuses_a_file_that_is_not_held(run: Run, yard: Yard) -> None:
    status, _, errors = run("release", put(yard))
    assert status == 1
    assert "is not held" in errors


def test_a_released_file_loads_past_the_guard_rail(run: Run, yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS, load_type="fullload")
    path = yard.put("orders.csv", "id,name,amount\n", load_type="fullload")
    yard.load(path)
    assert run("release", str(path), "--reason", "closing")[0] == 0
    yard.load(path)
    assert yard.table("dbo.orders") == []


def test_an_unforeseen_error_is_one_line_and_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("postgresql://me:geheim@db went wrong")

    monkeypatch.setattr("dropload.cli.status.StatusReader.read", explode)
    status, _, errors = run("status")
    assert status == 1
    assert "internal error: RuntimeError" in errors
    assert "geheim" not in errors
    assert "Traceback" not in errors


def test_people_on_a_terminal_get_tables(
    run: Run, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    yard.drop("orders.csv", ORDERS)
    path = put(yard, content=ORDERS + "3\n")
    assert "2 of 2" not in run("inspect", path)[1]
    for arguments in (["inspect", path], ["plan", path], ["status"], ["history"], ["show", "1"]):
        text = run(*arguments)[1]
        assert "\t" not in text
    assert "decimal(4,2)" in run("inspect", path)[1]


def test_a_held_row_of_the_journal_survives_odd_markup_in_names(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    yard = open_yard(tmp_path)
    yard.drop("[red]x.csv", ORDERS)
    assert "[red]x.csv" in run("history")[1].replace("\n", "")
    yard.dock.target.close()


def test_a_load_is_told_under_whole_names_on_a_terminal(
    run: Run, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    put(yard)
    yard.drop("customers_of_the_northern_region_and_beyond.csv", "id,name\n1\n")
    said = run("show", "1")[1]
    for whole in ("error category", "requested by", "claimed at", "times in UTC"):
        assert whole in said
    assert f"file path  {yard.inbox(load_type='append').path}/" in said, "whole, on one line"
    listed = run("history")[1]
    assert re.search(r"customers\S*…\S+\.csv", listed), "its beginning and its end"


def test_load_says_where_the_time_went(run: Run, yard: Yard) -> None:
    status, text, _ = run("load", put(yard), "--timings", "--json")
    told = json.loads(text)
    assert (status, told["rows_loaded"]) == (0, 2)
    steps = [timing["step"] for timing in told["timings"]]
    assert steps == [
        *("detecting", "profiling", "checking", "planning", "staging", "publishing"),
        *("filing", "journal"),
    ]
    assert told["seconds"] == pytest.approx(sum(t["seconds"] for t in told["timings"]), abs=1e-4)
    assert sum(t["share"] for t in told["timings"]) == pytest.approx(1, abs=0.01)
    rated = [t["step"] for t in told["timings"] if t["rows_per_second"]]
    assert rated == ["profiling", "checking", "staging", "publishing"]
    lines = run("load", put(yard, "more.csv", ORDERS), "--timings")[1].splitlines()
    assert lines[0] == "2 rows loaded into dbo.more (load 2)."
    table = [line.split("\t") for line in lines if "\t" in line]
    assert [row[0] for row in table] == ["step", *steps, "total"]
    assert table[-1][2] == "100.0%"


def test_load_without_rows_has_timings_all_the_same(run: Run, yard: Yard) -> None:
    status, text, _ = run("load", put(yard, content="id,name\n1,Ada,x\n"), "--timings")
    assert status == 1
    assert "\ntotal\t" in text
    assert "timings" not in json.loads(run("load", put(yard), "--json")[1])


def test_an_error_nobody_foresaw_shows_no_values_of_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A traceback with the values beside it would show passwords from the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DROPLOAD_DATABASE__PASSWORD", "geheim123")
    monkeypatch.setenv("DROPLOAD_LOG__LEVEL", "debug")
    monkeypatch.setattr(sys, "argv", ["dropload", "status"])
    monkeypatch.setattr("dropload.cli.dropload.main", _break)
    structlog.reset_defaults()
    try:
        with pytest.raises(SystemExit):
            main()
    finally:
        configure_logs(LogConfig())
    said = "".join(capfd.readouterr())
    assert "internal error: RuntimeError: unforeseen" in said
    assert "Traceback" in said, "debug shows all of it"
    assert "geheim123" not in said


def _break(**_options: object) -> None:
    environ = dict(os.environ)
    raise RuntimeError("unforeseen" + environ.get("NOTHING", ""))


@pytest.mark.parametrize("area", ["reference", "non-reference"])
@pytest.mark.parametrize("load_type", ["fullload", "append"])
def test_a_file_in_any_inbox_is_inspected(yard: Yard, run: Run, area: str, load_type: str) -> None:
    path = yard.put("orders.csv", ORDERS, area, load_type)
    status, out, errors = run("inspect", str(path), "--json")
    assert (status, errors) == (0, "")
    assert json.loads(out)["column_names"] == ["id", "name", "amount"]
