"""A large file's layout is found in its beginning; what comes late counts all the same."""

import gzip
import io
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from dropload import examination
from dropload.detection import lay_out
from dropload.detection import layout as layout_module
from dropload.errors import FileChangedError, FileError
from dropload.examination import Examined, examine_in
from dropload.intake import drop_of_path
from dropload.model import Area, Drop, Layout, LoadType, Verdict
from dropload.parsers import compressed, find_parser
from dropload.parsers.base import MisjudgedError
from dropload.parsers.delimited import DelimitedParser
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
    "a letter at the very end": "6000;name;ä".encode(),
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
AT_THE_END = ("a letter at the very end", "a character that is cut off")
UNSUSPICIOUS = ("more of the same", "letters in UTF-8", "a letter at the very end")


@pytest.fixture(autouse=True)
def even_of_a_small_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_module, "SEEN_BYTES", SEEN)
    monkeypatch.setattr(compressed, "_SAMPLE_BYTES", SEEN)


class Counting(io.BytesIO):
    """A file in memory that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def drop_of(yard: Yard, path: Path) -> Drop:
    place = (Area.NON_REFERENCE, LoadType.APPEND)
    return drop_of_path(path, yard.dock.tree, *place, force=False, requested_by="")


def examine(yard: Yard, path: Path, *, whole: bool) -> tuple[int, Any, Any]:
    """Return how much the layout rests on, and what is known of the file when it was read."""
    drop = drop_of(yard, path)
    parser = find_parser(path)
    layout = parser.detect(path, whole=whole)
    found: Examined | FileError
    try:
        found = examine_in(yard.dock, drop, parser, layout)
    except FileError as exc:
        return layout.seen_bytes, exc.code, exc.message
    assert found.layout.seen_bytes == 0, "nothing is taken for granted any more"
    return layout.seen_bytes, found.layout, found.profile


def test_a_large_file_is_not_read_whole_for_its_layout() -> None:
    data = EARLY.encode() * 20
    source = Counting(data)
    layout = lay_out(source)
    assert layout.seen_bytes == SEEN
    assert source.count < 5 * SEEN < len(data) / 4
    assert "the rest is checked as it is read" in layout.evidence[0]
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
    tail = b"" if kind in AT_THE_END else TAIL.encode()
    data = EARLY.encode() + LATE[kind] + tail
    path = yard.root / ("orders.csv.gz" if packed else "orders.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    seen_bytes, *found = examine(yard, path, whole=False)
    assert 0 < seen_bytes <= SEEN
    seen_bytes, *expected = examine(yard, path, whole=True)
    assert seen_bytes == 0
    if kind in UNSUSPICIOUS:
        # It is read as it began, whose evidence says so.
        expected[0] = replace(expected[0], evidence=found[0].evidence)
    assert found == expected


@pytest.mark.parametrize("name", ["orders.csv", "orders.csv.gz"])
def test_a_letter_of_a_code_page_that_comes_late_is_read_as_that(yard: Yard, name: str) -> None:
    data = EARLY.encode() + "6000;näme;y\n".encode("cp1252") * 30
    loaded = yard.drop(name, gzip.compress(data) if name.endswith("gz") else data)
    assert (loaded.verdict, loaded.rows_loaded) == (Verdict.LOADED, 6_030), loaded
    assert yard.table("dbo.orders")[6000] == (6000, "näme", "y")


@pytest.mark.parametrize("kind", LATE)
def test_the_whole_file_is_looked_at_only_where_something_speaks_for_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    asked, detect = list[bool](), DelimitedParser.detect

    def note(parser: DelimitedParser, path: Path, **how: bool) -> Layout:
        asked.append(how.get("whole", False))
        return detect(parser, path, **how)

    monkeypatch.setattr(DelimitedParser, "detect", note)
    path = yard.root / "orders.csv"
    path.write_bytes(EARLY.encode() + LATE[kind] + (b"" if kind in AT_THE_END else TAIL.encode()))
    examine(yard, path, whole=False)
    assert asked[:2] == ([False] if kind in UNSUSPICIOUS else [False, True])


def read_alike(yard: Yard, data: bytes) -> Layout:
    """Return how a file is read, packed or not, and no row refused."""
    paths = [yard.root / "orders.csv", yard.root / "orders.csv.gz"]
    for path, content in zip(paths, (data, gzip.compress(data)), strict=True):
        path.write_bytes(content)
    plain, packed = (examine(yard, path, whole=False)[1:] for path in paths)
    assert isinstance(plain[0], Layout), plain
    assert isinstance(packed[0], Layout), packed
    assert plain[0].reads_like(packed[0])
    assert packed[1] == replace(
        plain[1], file_hash=packed[1].file_hash, size_bytes=packed[1].size_bytes
    )
    assert not plain[1].rejected_rows
    return plain[0]


POLISH = "".join(f"{n};Łódź;wąż śłęń\n" for n in range(6_000)).encode("cp1250")


def test_a_packed_file_in_a_code_page_is_read_in_that_of_all_of_it(yard: Yard) -> None:
    """Code pages decode each other's letters without an error."""
    early = EARLY.replace("name 7;", "Müller;").encode("cp1250")
    assert read_alike(yard, early + POLISH).encoding == "cp1250"
    assert yard.drop("orders.csv.gz", gzip.compress(early + POLISH)).rows_loaded == 12_000
    assert yard.table("dbo.orders")[-1] == (5999, "Łódź", "wąż śłęń")


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32"])
def test_a_packed_file_is_not_cut_within_a_character(yard: Yard, shift: int, encoding: str) -> None:
    text = EARLY.replace("\n", "\r").replace("x", "😀ж")
    data = ("x" * shift + text * (1 if encoding == "utf-32" else 2)).encode(encoding)
    assert read_alike(yard, data).encoding.startswith(encoding)


def test_a_packed_file_of_wide_characters_is_no_ascii(yard: Yard) -> None:
    assert read_alike(yard, EARLY.encode("utf-16-le")).encoding == "utf-16-le"


def test_a_packed_file_of_bare_carriage_returns_is_judged_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress(EARLY.replace("\n", "\r").encode()))
    assert SEEN - 100 < find_parser(path).detect(path).seen_bytes < SEEN


def test_a_packed_file_of_one_long_line_is_looked_at_whole(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv.gz"
    data = b"x" * 3 * SEEN + b";y\n1;2\n"
    path.write_bytes(gzip.compress(data))
    layout = find_parser(path).detect(path)
    assert (layout, layout.seen_bytes) == (lay_out(io.BytesIO(data), whole=True), 0)


def test_alphabets_that_are_switched_behind_the_beginning_are_read(yard: Yard) -> None:
    """The first escape is none that switches, and stands in the beginning."""
    cut = EARLY.rfind("\n", 0, SEEN - 300) + 1
    text = EARLY[:cut] + "1;\x1b[31mred\x1b[0m;y\n" + EARLY[cut:]
    data = text.encode() + ("7;日本;y\n" * 200).encode("iso2022_jp") + TAIL.encode()
    assert read_alike(yard, data).encoding == "iso2022_jp"


@pytest.mark.parametrize(
    ("early", "late"), [('"q"', '"a \\"q\\"; b"'), ("x", "'a; b'"), ('"q"', '"big" pipe')]
)
def test_quotes_of_another_kind_that_have_rows_refused_are_looked_at(
    yard: Yard, early: str, late: str
) -> None:
    odd = "".join(f"{n};name;{late}\n" for n in range(4_000))
    read_alike(yard, (EARLY.replace("x\n", f"{early}\n", 200) + odd).encode())


def test_a_file_that_was_changed_meanwhile_is_not_looked_at_again(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = yard.root / "orders.csv"
    path.write_bytes(EARLY.encode() * 20 + LATE["a letter of a code page"])
    drop, parser = drop_of(yard, path), find_parser(path)
    layout = parser.detect(path)

    def change(path: Path, *args: Any, **settings: Any) -> None:
        try:
            profile_file(path, *args, **settings)
        finally:
            path.write_bytes(EARLY.encode())

    detected = Mock()
    monkeypatch.setattr(DelimitedParser, "detect", detected)
    monkeypatch.setattr(examination, "profile_file", change)
    with pytest.raises(FileChangedError):
        examine_in(yard.dock, drop, parser, layout)
    detected.assert_not_called()


def test_bytes_of_an_archive_are_found_from_every_side(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress(EARLY.encode()))
    with path.open("rb") as packed, compressed._unpacked(packed) as stream:
        for offset, whence, expected in [
            (-22, io.SEEK_END, len(EARLY) - 22),
            (5, io.SEEK_SET, 5),
            (10, io.SEEK_CUR, 35),
            (0, io.SEEK_END, len(EARLY)),
            (len(EARLY) // 2, io.SEEK_SET, len(EARLY) // 2),
        ]:
            assert stream.seek(offset, whence) == expected
            assert stream.read(20) == EARLY.encode()[expected : expected + 20]


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
