"""What only loading needs is not in processes that load nothing, and in workers from the start."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dropload import cli
from dropload.cli.app import MODULES

HEAVY = frozenset(
    {
        "adbc_driver_manager",
        "adbc_driver_sqlite",
        "apprise",
        "charset_normalizer",
        "duckdb",
        "numpy",
        "opentelemetry",
        "pandas",
        "pyarrow",
    }
)
"""Top-level modules that only loading needs, or an extra that is not asked for."""

# Runs a command in this process, and says which of those it has imported.
_COMMAND = """
import json, sys
from dropload.cli import main
told = sys.argv.pop(1)
try:
    main()
except SystemExit:
    pass
with open(told, "w") as out:
    json.dump(sorted({name.partition(".")[0] for name in sys.modules}), out)
"""

# Does in one process what the pool does in a worker: starts, loads files.
_WORKER = """
import json, sys
from pathlib import Path
from dropload import worker_calls
from dropload.config_reading import load_config
from dropload.dock import open_dock, prepare
from dropload.intake import drop_of_path

dock = open_dock(load_config(None).config)
prepare(dock, "test")
worker_calls.start_worker(dock.config)
started = set(sys.modules)
outcomes = []
files = {"a.csv": b"a;b\\n1;\\xe9t\\xe9\\n2;y\\n", "b.csv": b"day,n\\n2024-02-01,007\\n"}
for name, text in files.items():
    path = dock.tree.inboxes[0].path / name
    path.write_bytes(text)
    drop = drop_of_path(path, dock.tree, None, None, force=False, requested_by="test")
    [ended] = worker_calls.work([drop])
    outcomes.append(ended.outcome.verdict)
with open(sys.argv[1], "w") as out:
    json.dump([outcomes, sorted(started), sorted(set(sys.modules) - started)], out)
"""


def environment(folder: Path) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("DROPLOAD_")}
    return mine | {
        "DROPLOAD_PATHS__DROPOFF": str(folder / "dropoff"),
        "DROPLOAD_DATABASE__URL": f"sqlite:///{folder}/dropload.db",
        "DROPLOAD_GATE__INTERVAL_SECONDS": "0.05",
        "DROPLOAD_LOG__LEVEL": "error",
    }


def run_python(program: str, folder: Path, *arguments: str) -> str:
    told = folder / "told.json"
    command = [sys.executable, "-c", program, str(told), *arguments]
    done = subprocess.run(
        command, env=environment(folder), cwd=folder, capture_output=True, text=True, check=False
    )
    assert told.exists(), done.stderr
    return told.read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drop tree and a journal."""
    folder = tmp_path_factory.mktemp("lean")
    run_python(_COMMAND, folder, "init")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "status",
        "health",
        "history",
        "config show",
        "reference list",
        "cleanup --dry-run",
    ],
)
def test_what_only_loading_needs_is_not_imported(place: Path, command: str) -> None:
    imported = set(json.loads(run_python(_COMMAND, place, *command.split())))
    assert "click" in imported
    assert imported & HEAVY == set()


def test_a_daemon_that_has_its_workers_load_a_file_does_not_import_it_either(place: Path) -> None:
    inbox = place / "dropoff" / "reference_data_table" / "append"
    (inbox / "airports.csv").write_text("id,name\n1,Ada\n")
    imported = set(json.loads(run_python(_COMMAND, place, "run", "--until-idle")))
    assert [path.name.partition("_")[2] for path in (inbox / "processed").iterdir()] == [
        "airports.csv"
    ]
    assert imported & HEAVY == set()


@pytest.mark.parametrize("command", ["inspect", "plan", "load"])
def test_a_command_that_reads_a_file_brings_no_pandas(place: Path, command: str) -> None:
    """Arrow imports it with its first array, where it is found."""
    path = place / "dropoff" / "reference_data_table" / "append" / f"{command}ed.csv"
    path.write_text("id,name\n1,Ada\n")
    imported = set(json.loads(run_python(_COMMAND, place, command, str(path))))
    assert "pyarrow" in imported
    assert "pandas" not in imported


def test_a_worker_has_all_it_needs_before_its_first_file(tmp_path: Path) -> None:
    outcomes, started, later = json.loads(run_python(_WORKER, tmp_path))
    assert outcomes == ["loaded", "loaded"]
    assert "pyarrow" in started
    # Codecs are looked up by the file's encoding.
    assert [name for name in later if not name.startswith("encodings.")] == []
    # Arrow asks for it, and nothing needs it.
    assert "pandas" not in started


def test_every_command_is_found_in_the_module_that_has_it() -> None:
    folder = Path(cli.__file__).parent
    modules = {
        path.stem: importlib.import_module(f"dropload.cli.{path.stem}")
        for path in folder.glob("[a-z]*.py")
    }
    there = {
        name: tuple(command.name for command in module.COMMANDS)
        for name, module in modules.items()
        if hasattr(module, "COMMANDS")
    }
    assert there == MODULES
