"""What the API does around its questions: opening, closing, importing, and its document."""

import contextlib
import doctest
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dropload.api import AsyncReferenceDataAPI, Failure, ReferenceDataAPI
from dropload.api.results import error_of
from dropload.frames import to_frame
from dropload.identity import is_dead_worker, worker_name
from dropload.model import ColumnType, Kind, TableColumn
from dropload.stored_tables import Rows
from tests.conftest import Yard, make_config

ROOT = Path(__file__).parents[2]
ORDERS = "id,name,amount\n1,Ada,10.50\n2,Bob,7.25\n"


def run_python(code: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_import_brings_neither_pandas_nor_the_command_line(tmp_path: Path) -> None:
    code = (
        "import sys, dropload.api\n"
        "print([name for name in ('pandas', 'click', 'psycopg') if name in sys.modules])"
    )
    assert run_python(code, tmp_path).stdout.strip() == "[]"


def test_without_pandas_only_data_frames_are_refused(tmp_path: Path, yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    code = (
        "import sys\n"
        "class NotThere:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pandas': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NotThere())\n"
        "from dropload.api import ReferenceDataAPI\n"
        "with ReferenceDataAPI() as api:\n"
        "    print(api.table_info('orders').value.rows)\n"
        "    print(api.read_table('orders').error)\n"
    )
    url = f"sqlite:///{tmp_path / 'dropload.db'}"
    done = run_python(code, tmp_path, DROPLOAD_DATABASE__URL=url)
    rows, error = done.stdout.splitlines()
    assert rows == "2"
    assert error == (
        "pandas is not installed, which data frames need. "
        "Install it: pip install 'dropload[pandas]'."
    )


def test_a_program_finds_log_lines_in_its_own_logging_and_nothing_printed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ORDERS)
    code = (
        "import logging, sys\n"
        "from dropload.api import ReferenceDataAPI\n"
        "if len(sys.argv) > 1: logging.basicConfig(level='INFO', stream=sys.stderr)\n"
        "with ReferenceDataAPI() as api: api.load('a.csv', 'reference', 'append')\n"
    )
    done = run_python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    shutil.rmtree(tmp_path / "data")
    told = run_python(f"import sys; sys.argv.append('x')\n{code}", tmp_path)
    assert told.stdout == ""
    assert re.search(r"INFO:dropload:event='load_committed'.*rows=2", told.stderr)


def test_a_wrong_configuration_is_a_failure_of_every_call(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[gate]\nchecks = 0\n")
    api = ReferenceDataAPI(tmp_path / "own.toml")
    for result in (api.status(), api.tables(), api.inspect("x.csv")):
        assert isinstance(result, Failure)
        assert result.error.category == "config"
        assert "gate.checks" in result.error.message
    api.close()


def test_a_database_that_is_not_prepared_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with ReferenceDataAPI(make_config(tmp_path)) as api:
        refused = api.history()
        assert isinstance(refused, Failure)
        assert "`init()`" in refused.error.hint
        made = api.init()
        assert made.ok
        assert made.value.scripts[0] == "0001_journal.sql"
        assert api.history().value == []


def test_a_closed_api_answers_no_more_and_keeps_no_connection(tmp_path: Path) -> None:
    with ReferenceDataAPI(make_config(tmp_path)) as api:
        assert api.init().ok
        assert database_files_open(tmp_path)
    assert not database_files_open(tmp_path)
    with pytest.raises(RuntimeError, match="closed"):
        api.status()
    api.close()


def database_files_open(folder: Path) -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists the others is gone already
            found.append(str(link.readlink()))
    return [target for target in found if target.startswith(str(folder))]


def test_both_apis_have_the_same_methods() -> None:
    def methods(api: type) -> set[str]:
        return {name for name in vars(api) if not name.startswith("_")}

    assert methods(AsyncReferenceDataAPI) == methods(ReferenceDataAPI)
    asked = (
        "inspect plan load status history show undo cancel release retry table_info tables health"
    )
    assert methods(ReferenceDataAPI) >= set(asked.split())
    for name in methods(ReferenceDataAPI):
        assert getattr(ReferenceDataAPI, name).__doc__
        assert getattr(AsyncReferenceDataAPI, name).__doc__


def test_errors_of_the_machine_are_said_with_their_file_and_without_secrets() -> None:
    error = error_of(PermissionError(13, "Permission denied", "/srv/x.csv"))
    assert (error.category, error.message) == ("file_busy", "/srv/x.csv: Permission denied")


def test_two_workers_of_one_process_are_two_and_live_as_long_as_it() -> None:
    names = {worker_name("1"), worker_name("2"), worker_name()}
    assert len(names) == 3
    assert not any(is_dead_worker(name) for name in names)
    host, pid, started, _ = worker_name("1").split("#")
    assert is_dead_worker(f"{host}#{pid}#{int(started) - 1}#1")


@pytest.mark.parametrize(
    ("kind", "values", "dtype"),
    [
        (Kind.INTEGER, [1, None, 2**63 - 1], "Int64"),
        (Kind.INTEGER, [1, None, 2**63], "object"),
        (Kind.INTEGER, [1, "007"], "object"),
        (Kind.BOOLEAN, [True, None, 7], "object"),
        (Kind.TEXT, ["a", b"\x00"], "object"),
        (Kind.DATE, ["soon"], "object"),
        (Kind.FLOAT, ["1.5"], "object"),
    ],
)
def test_a_column_with_a_value_of_another_form_keeps_every_value(
    kind: Kind, values: list[object], dtype: str
) -> None:
    frame = to_frame(Rows((TableColumn("c", ColumnType(kind)),), (values,)))
    assert str(frame["c"].dtype) == dtype
    kept = [None if value is None or value is pd.NA else value for value in frame["c"]]
    assert kept == values


def test_not_a_number_is_a_value_and_null_is_none() -> None:
    rows = Rows((TableColumn("c", ColumnType(Kind.FLOAT)),), ([float("nan"), None, 1.5],))
    column = to_frame(rows)["c"]
    assert column.isna().to_list()[1] is True
    assert np.isnan(column.array._data[0])
    assert not column.array._mask[0]


def test_values_that_somebody_put_into_a_loose_database_come_back_as_they_are(yard: Yard) -> None:
    yard.execute(
        'CREATE TABLE "dbo.loose" (n INTEGER, d DECIMAL(5,2), at TIMESTAMP, f REAL, b BOOLEAN);'
        "INSERT INTO \"dbo.loose\" VALUES (1, 2, '2024-01-01 00:00:00.1234567', 'x', 7),"
        " ('x', 'y', NULL, 1.5, 1)"
    )
    with ReferenceDataAPI(yard.dock.config) as api:
        result = api.read_table("loose")
        assert result.ok
        assert result.value.astype(object).to_dict("list") == {
            "n": [1, "x"],
            "d": [2, "y"],
            "at": ["2024-01-01 00:00:00.1234567", None],
            "f": ["x", 1.5],
            "b": [7, True],
        }


def test_the_examples_of_the_document_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    # The end of a block is no part of what was printed.
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, "python-api.md", None, 0)
    assert len(test.examples) > 20
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


def test_the_document_names_every_method() -> None:
    text = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    names = [name for name in vars(ReferenceDataAPI) if not name.startswith("_")]
    assert [name for name in names if f"`{name}(" not in text and f"`{name}`" not in text] == []


def test_since_takes_a_period(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    with ReferenceDataAPI(yard.dock.config) as api:
        listed = api.history(since=timedelta(days=1))
        assert listed.ok
        assert len(listed.value) == 1


def test_periods_may_be_said_in_words_and_wrong_ones_are_the_programmers_fault(
    tmp_path: Path,
) -> None:
    with ReferenceDataAPI(make_config(tmp_path)) as api:
        api.init()
        assert api.history(since="7d").value == []
        assert api.errors(since="2026-11-20").value == []
        with pytest.raises(ValueError, match="say 30m, 12h, 7d"):
            api.history(since="long ago")
        with pytest.raises(ValueError, match="limit must be 1 or more: -1"):
            api.history(limit=-1)
