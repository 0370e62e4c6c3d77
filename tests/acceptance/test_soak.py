"""A short soak; long ones are run by hand with `python -m benchmarks.soak`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import unmeasured

ROOT = Path(__file__).parents[2]
MINUTES = os.environ.get("DROPLOAD_TEST_SOAK_MINUTES", "0.1")


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_every_row_and_file_is_right_after_a_short_soak(tmp_path: Path, target: str) -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", MINUTES, "--target", target]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)],
        cwd=ROOT,
        env={**unmeasured(), "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every row and file is right" in done.stdout
