"""A large file's layout is found in its beginning; what comes late counts all the same."""

import gzip
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropload.detection import encoding, lay_out
from dropload.errors import FileError
from dropload.examination import Examined, examine_in
from dropload.intake import drop_of_path
from dropload.model import Area, LoadType, Verdict
from dropload.parsers import compressed, find_parser
from dropload.parsers.base import MisjudgedError
from dropload.profiling import open_hashed, profile_file
from tests.conftest import Yard

SEEN = 80_000
EARLY = "id;name;note\n" + "".join(f"{n};name {n};x\n" for n in range(6_000))
TAIL = "".join(f"{n};name {n};x\n" for n in range(10_000, 24_000))
"""So long that no piece of the file that is looked at further on shows what is late."""
LATE = {
    "more of the same": b"6000;name;y\n",
    "letters in UTF-8": "6000;näme;Łódź\n".encode(),
    "a letter of a code page": "6000;näme;y\n".encode("cp1252"),
    "a character that is cut off": "6000;name;ä".encode()[:-1],
    "quotes that enclose": b'6000;"a; b";y\n' * 40,
    "quotes that enclose nothing": b'6000;5" pipe;y\n' * 40,
    "quotes around half of a cell": b'6000;"big" pipe;y\n' * 40,
    "a quote that never closes": b'6000;"name;y\n',
    "letters behind escapes": "6000;日本;y\n".encode("iso2022_jp"),
    "colours of a terminal": b"6000;\x1b[31mred;y\n",
    "rows of another width": b"6000;name\n" * 2_000,
    "a NUL": b"6000;na\0me;y\n",
}


@pytest.fixture(autouse=True)
def even_of_a_small_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "SEEN_BYTES", SEEN)
    monkeypatch.setattr(compressed, "_SAMPLE_BYTES", SEEN)


class Counting(io.BytesIO):
    """A file in memory that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def examine(yard: Yard, path: Path, *, whole: bool) -> tuple[int, Any, Any]:
    """Return how much the layout rests on, and what is known of the file when it was read."""
    place = (Area.NON_REFERENCE, LoadType.APPEND)
    drop = drop_of_path(path, yard.dock.tree, *place, force=False, requested_by="")
    parser = find_parser(path)
    layout = parser.detect(path, whole=whole)
    found: Examined | FileError
    try:
        found = examine_in(yard.dock, drop, parser, layout)
    except FileError as exc:
        return layout.seen_bytes, exc.code, exc.message
    assert found.layout.seen_bytes == 0, "nothing is taken for granted any more"
    # What a packed file is sampled for is not spread over all of it.
    found_layout = replace(found.layout, evidence=(), confidence=0.0)
    return layout.seen_bytes, found_layout, found.profile


def test_a_large_file_is_not_read_whole_for_its_layout() -> None:
    data = EARLY.encode() * 20
    source = Counting(data)
    layout = lay_out(source)
    assert layout.seen_bytes == SEEN
    assert source.count < 5 * SEEN < len(data) / 4
    assert "the rest is checked while it is read" in layout.evidence[0]
    assert lay_out(source, whole=True).seen_bytes == 0
    assert lay_out(source, thorough=True).seen_bytes == 0
    assert source.count > 2 * len(data)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_that_ends_with_the_beginning_was_seen_whole(mark: str) -> None:
    data = (mark + EARLY).encode()[:SEEN]
    assert lay_out(io.BytesIO(data)).seen_bytes == 0
    assert lay_out(io.BytesIO(data + b"\n")).seen_bytes == SEEN


@pytest.mark.parametrize(
    "odd",
    [b"1;\x1b[31mred;y\n" + TAIL.encode(), TAIL.encode() + b'1;"a; b";y\n' * 40_000],
    ids=["an escape in the beginning", "quotes in the pieces looked at further on"],
)
def test_what_may_be_written_otherwise_is_seen_whole(odd: bytes) -> None:
    assert lay_out(io.BytesIO(b"id;name;note\n" + odd)).seen_bytes == 0


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("kind", LATE)
def test_what_comes_late_is_read_as_if_all_had_been_seen_before(
    yard: Yard, kind: str, *, packed: bool
) -> None:
    tail = b"" if kind == "a character that is cut off" else TAIL.encode()
    data = EARLY.encode() + LATE[kind] + tail
    path = yard.root / ("orders.csv.gz" if packed else "orders.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    seen_bytes, *found = examine(yard, path, whole=False)
    assert 0 < seen_bytes <= SEEN
    seen_bytes, *expected = examine(yard, path, whole=True)
    assert seen_bytes == 0
    assert found == expected


@pytest.mark.parametrize("name", ["orders.csv", "orders.csv.gz"])
def test_a_letter_of_a_code_page_that_comes_late_is_read_as_that(yard: Yard, name: str) -> None:
    data = EARLY.encode() + "6000;näme;y\n".encode("cp1252") * 30
    loaded = yard.drop(name, gzip.compress(data) if name.endswith("gz") else data)
    assert (loaded.verdict, loaded.rows_loaded) == (Verdict.LOADED, 6_030), loaded
    assert yard.table("dbo.orders")[6000] == (6000, "näme", "y")


def test_what_is_not_utf8_ends_the_reading_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(EARLY.encode() + b"1;\xe4;y\n" + b"2;name;y\n" * 1_000_000)
    parser = find_parser(path)
    layout = parser.detect(path)
    with pytest.raises(MisjudgedError):
        profile_file(path, layout, parser, hash_algorithm="sha256", max_record_bytes=1 << 20)
    for reader in parser.readers:
        with open_hashed(path, "sha256") as stream:
            with pytest.raises(MisjudgedError):
                list(parser.read(stream, layout, reader, max_record_bytes=1 << 20))
            assert stream.size_bytes < 4 << 20


@pytest.mark.parametrize("place", [1_000, SEEN - 1, SEEN, 90_000])
def test_only_what_comes_behind_the_beginning_for_the_first_time_is_late(
    tmp_path: Path, place: int
) -> None:
    path = tmp_path / "orders.csv"
    data = bytearray(EARLY.encode())
    data[place] = ord('"')
    path.write_bytes(data + EARLY.replace(";x", ';"x"').encode())
    parser = find_parser(path)
    with path.open("rb") as stream:
        layout = replace(parser.detect(path, whole=True), seen_bytes=SEEN)
        batches = list(parser.read(stream, layout, "tolerant", max_record_bytes=1 << 20))
    assert batches[-1].is_late is (place >= SEEN)
