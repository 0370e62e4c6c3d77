"""What must be found in each sample file when all of it is read, as `dropload inspect` reads it."""

import json
from pathlib import Path
from typing import Any

import pytest

from dropload.errors import FileError
from dropload.model import Profile, Reject
from dropload.parsers.delimited import DelimitedParser
from dropload.profiling import profile_file

LAYOUTS = Path(__file__).parent.parent / "files" / "layouts"
EXPECTED = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in LAYOUTS.glob("*.json")
}
READ = sorted(name for name, expected in EXPECTED.items() if "rows" in expected)
UNREADABLE = sorted(name for name, expected in EXPECTED.items() if "read_error" in expected)


@pytest.fixture(params=["small as they are", "in columns"], autouse=True)
def way_of_reading(request: pytest.FixtureRequest) -> None:
    """Read every file in both ways."""
    if request.param == "in columns":
        request.getfixturevalue("small_in_columns")


def read_whole(path: Path) -> Profile:
    """Return what is in the file."""
    parser = DelimitedParser()
    return profile_file(
        path,
        parser.detect(path),
        parser,
        hash_algorithm="sha256",
        max_record_bytes=1 << 20,
    )


def agrees(reject: Reject, expected: list[Any]) -> bool:
    """Return whether a refused row is the expected one: line, column, words of the reason."""
    line, column, words = expected
    return (reject.line, reject.column) == (line, column) and words in reject.message


@pytest.mark.parametrize("name", READ)
def test_rows_types_and_refused_rows_are_those_a_person_would_name(name: str) -> None:
    expected = EXPECTED[name]
    profile = read_whole(LAYOUTS / name)
    assert profile.rows == expected["rows"]
    rejects = expected.get("rejects", [])
    assert profile.rejected_rows == expected.get("rejected_rows", len(rejects))
    assert all(map(agrees, profile.rejects, rejects)), profile.rejects
    assert [line.line for line in profile.footer] == expected.get("footer", [])
    types = [str(column.type) for column in profile.columns]
    assert types == expected.get("types", types)


@pytest.mark.parametrize("name", UNREADABLE)
def test_file_that_cannot_be_read_to_its_end_says_where_it_breaks(name: str) -> None:
    with pytest.raises(FileError) as caught:
        read_whole(LAYOUTS / name)
    assert caught.value.code == EXPECTED[name]["read_error"]
    assert EXPECTED[name]["read_message"] in caught.value.message


def test_corpus_is_large_and_mostly_read_whole() -> None:
    assert len(EXPECTED) >= 160
    assert len(READ) >= 130
