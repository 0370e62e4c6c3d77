"""`python setup_directories.py` makes the drop tree, from a bare checkout too."""

import os
import stat
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "setup_directories.py"


def run(
    *arguments: str, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script as a system's own Python would: without our packages or variables."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("DROPLOAD_", "PYTHON"))}
    return subprocess.run(
        [sys.executable, "-S", str(SCRIPT), *arguments],
        cwd=cwd,
        env={**clean, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def folders(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_it_makes_the_tree_of_the_design_and_says_what_it_made(tmp_path: Path) -> None:
    done = run(str(tmp_path / "drop"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    expected = {
        f"{area}/{load_type}{below}"
        for area in ("reference_data_table", "none_reference_data_table")
        for load_type in ("fullload", "append")
        for below in ("", "/processed", "/error")
    }
    assert folders(tmp_path / "drop") == expected | {path.split("/")[0] for path in expected}
    assert done.stdout.count("made    ") == 15
    assert "15 folders made" in done.stdout
    for path in (tmp_path / "drop").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o2770


def test_running_it_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    run("drop", cwd=tmp_path)
    (tmp_path / "drop" / "reference_data_table" / "append" / "a.csv").write_text("kept")
    before = folders(tmp_path)
    done = run("drop", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.count("exists  ") == 15
    assert "0 folders made" in done.stdout
    assert folders(tmp_path) == before


def test_without_a_root_it_makes_dropoff_here_or_where_the_variable_says(tmp_path: Path) -> None:
    run(cwd=tmp_path)
    assert (tmp_path / "dropoff" / "reference_data_table" / "append").is_dir()
    elsewhere = tmp_path / "srv" / "elsewhere"
    run(cwd=tmp_path, environment={"DROPLOAD_PATHS__DROPOFF": str(elsewhere)})
    assert (elsewhere / "reference_data_table" / "append").is_dir()


def test_a_tree_that_cannot_be_made_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "drop").write_text("")
    done = run("drop", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "drop exists and is not a folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_open_to_all_is_left_alone_and_warned_of(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop").chmod(0o777)
    done = run("drop", cwd=tmp_path)
    assert done.returncode == 0
    assert f"warning: anybody can write to {tmp_path / 'drop'}" in done.stdout
    assert stat.S_IMODE((tmp_path / "drop").stat().st_mode) == 0o777


def test_help_explains_the_tree_and_wrong_usage_is_status_2(tmp_path: Path) -> None:
    helped = run("--help", cwd=tmp_path)
    assert helped.returncode == 0
    assert "none_reference_data_table" in helped.stdout
    assert "DROPLOAD_PATHS__DROPOFF" in helped.stdout
    assert run("one", "two", cwd=tmp_path).returncode == 2
    assert folders(tmp_path) == set()
