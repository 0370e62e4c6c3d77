"""The house itself: what may stand where."""

import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "dropload"
DATABASES = re.compile(r"mssql|postgres|sqlite|sql ?server", re.IGNORECASE)


def test_only_targets_and_configuration_name_a_database() -> None:
    naming = [
        f"{path.relative_to(SOURCE)}:{number} {line.strip()}"
        for path in SOURCE.rglob("*.py")
        if "targets" not in path.parts and path.name != "config.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if DATABASES.search(line)
    ]
    # What a file is, is no matter of where its rows go.
    assert [line for line in naming if "detection/" not in line] == []


def test_every_module_says_its_duty_in_one_sentence() -> None:
    for path in SOURCE.rglob("*.py"):
        first = path.read_text(encoding="utf-8").lstrip().splitlines()[0]
        assert first.startswith(('"""', 'r"""')), path
