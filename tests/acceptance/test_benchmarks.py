"""The comparison with other ways to load a file works; nothing is said about time."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.checking import NULLS_LOST, SAME
from benchmarks.peers import APPEND, FULLLOAD, NEW

import dropload

ROOT = Path(__file__).parents[2]


def test_a_quick_comparison_finds_the_same_rows_and_prints_its_tables(tmp_path: Path) -> None:
    chosen = ["--quick", "--only", "narrow,sqlite,csv", "--folder", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *chosen],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(Path(dropload.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [comparison] = json.loads((tmp_path / "findings.json").read_text())["comparisons"]
    rows = {result["peer"]: result["rows"] for result in comparison["results"]}
    assert rows == {NEW: SAME, APPEND: SAME, FULLLOAD: SAME, "csv + executemany": NULLS_LOST}
    lines = [line.split("|") for line in done.stdout.splitlines() if line.startswith("|")]
    table = {cells[1].strip(): [cell.strip() for cell in cells] for cells in lines}
    assert table[APPEND][8:10] == [SAME, ""]
    assert table["csv + executemany"][8:10] == [NULLS_LOST, "types, hash, rejects"]
    assert "staging" in done.stdout
    assert "not measured" in done.stdout
