import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest

from dropload import profiling
from dropload.column_types import ColumnTypeDetector
from dropload.errors import FileError
from dropload.model import ColumnType, Kind, Layout, Profile
from dropload.parsers.base import Batch, UnfaithfulError
from dropload.parsers.delimited import DelimitedParser, blocks
from dropload.parsers.delimited.columnar import BLOCK_BYTES
from dropload.profiling import MAX_KEPT_REJECTS, first_rows, open_hashed, profile_file

KEY = "load.decimal_mark"


def layout(*names: str, header: bool = True) -> Layout:
    return Layout("utf-8", ",", '"', "", header, 0, names, 1.0)


def profile(path: Path, data: bytes, how: Layout, algorithm: str = "sha256") -> Profile:
    path.write_bytes(data)
    return profile_file(
        path, how, DelimitedParser(), hash_algorithm=algorithm, max_record_bytes=1 << 20
    )


def test_a_profile_tells_everything_about_a_file(tmp_path: Path) -> None:
    data = 'Id,Name,Since,Price\n1,Łódź,2024-01-31,9.50\n2,"",,10.00\n03,x,2024-02-01,\n'.encode()
    found = profile(tmp_path / "a.csv", data, layout("Id", "Name", "Since", "Price"))
    assert found.file_hash == hashlib.sha256(data).hexdigest()
    assert (found.hash_algorithm, found.size_bytes) == ("sha256", len(data))
    assert (found.rows, found.rejected_rows, found.rejects) == (3, 0, ())
    assert found.reader == "columnar"
    ids, names, since, price = found.columns
    assert (ids.type, ids.max_length) == (ColumnType(Kind.TEXT, max_length=2), 2)
    assert ids.note.startswith("'03' in record 3 ")
    assert names.type == ColumnType(Kind.TEXT, max_length=4)
    assert (since.type, since.nulls) == (ColumnType(Kind.DATE), 1)
    assert (price.type, price.source_name) == (ColumnType(Kind.DECIMAL, 4, 2), "Price")


def test_columns_get_clean_names_that_differ(tmp_path: Path) -> None:
    found = profile(tmp_path / "a.csv", b"A b,A b,\n1,2,3\n", layout("A b", "A b", ""))
    assert [column.source_name for column in found.columns] == ["A b", "A b", ""]
    assert len({column.name for column in found.columns}) == 3
    assert all(column.name for column in found.columns)


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "blake2b", "md5"])
@pytest.mark.parametrize("data", [b"", b"a,b\n", b"a,b\n1,2\n\n\x1a", b"a,b\n1\n2,3\n"])
def test_the_hash_is_of_every_byte(tmp_path: Path, data: bytes, algorithm: str) -> None:
    for how in (layout("a", "b"), layout()):
        found = profile(tmp_path / "a.csv", data, how, algorithm)
        assert found.file_hash == hashlib.new(algorithm, data).hexdigest()
        assert found.size_bytes == len(data)


def test_a_file_without_columns_has_no_rows(tmp_path: Path) -> None:
    found = profile(tmp_path / "a.csv", b"\n\n", layout())
    assert (found.rows, found.columns) == (0, ())


def test_a_header_alone_has_no_rows_and_columns_of_text(tmp_path: Path) -> None:
    found = profile(tmp_path / "a.csv", b"a,b\n", layout("a", "b"))
    assert found.rows == 0
    assert [column.type for column in found.columns] == [ColumnType(Kind.TEXT)] * 2


def test_bad_rows_are_all_counted_and_the_first_are_kept(tmp_path: Path) -> None:
    data = b"a,b\n" + b"1,2\n3\n" * 250
    found = profile(tmp_path / "a.csv", data, layout("a", "b"))
    assert (found.rows, found.rejected_rows, found.good_rows) == (500, 250, 250)
    assert len(found.rejects) == MAX_KEPT_REJECTS
    assert (found.rejects[99].source_row, found.rejects[99].line) == (200, 201)
    assert [str(column.type) for column in found.columns] == ["integer", "integer"]


def test_the_first_rows_are_as_many_as_were_asked_for_wherever_a_bad_one_stands(
    tmp_path: Path,
) -> None:
    """A bad one near the beginning makes the first batch a small one; there may be none in it."""
    path, how = tmp_path / "a.csv", layout("a", "b")
    data = b"a,b\n" + b"1\n" * 40_000 + b"".join(b"%d,x\n" % n for n in range(200_000))
    found = profile(path, data, how)
    shown = first_rows(path, how, DelimitedParser(), found, 20_000, max_record_bytes=1 << 20)
    assert shown == [(str(n), "x") for n in range(20_000)]


def test_notes_count_records_that_were_refused(tmp_path: Path) -> None:
    found = profile(tmp_path / "a.csv", b"a,b\n1,2\n3\n4,05\n", layout("a", "b"))
    assert found.columns[1].note.startswith("'05' in record 3 ")


@pytest.fixture
def no_doubts(monkeypatch: pytest.MonkeyPatch, small_in_columns: None) -> None:
    """Have the first reader leave files with any doubtful quote to the next."""
    monkeypatch.setattr(blocks, "_FREE_DOUBTS_BYTES", 0)
    monkeypatch.setattr(blocks, "_MOST_DOUBTFUL", 0)


@pytest.mark.usefixtures("no_doubts")
def test_a_fault_at_the_end_of_a_long_file_changes_the_reader_and_nothing_else(
    tmp_path: Path,
) -> None:
    good = b"a,b\n" + b"1,some text\n" * 300_000
    smooth = profile(tmp_path / "a.csv", good, layout("a", "b"))
    fault = b'2,5" pipe\n'
    rough = profile(tmp_path / "b.csv", good + fault, layout("a", "b"))
    assert (smooth.reader, smooth.rows) == ("columnar", 300_000)
    assert (rough.reader, rough.rows) == ("tolerant", 300_001)
    assert rough.file_hash == hashlib.sha256(good + fault).hexdigest()
    assert rough.columns == smooth.columns


def test_progress_is_told_in_records_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 500_000 + b"3\n")
    seen: list[tuple[int, int]] = []
    profile_file(
        path,
        layout("a", "b"),
        DelimitedParser(),
        hash_algorithm="sha256",
        max_record_bytes=1 << 20,
        on_progress=lambda rows, size: seen.append((rows, size)),
    )
    assert len(seen) > 2
    assert seen[-1] == (500_001, path.stat().st_size)


def test_what_no_reader_can_read_is_the_files_fault(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"^Line 2: a quote") as caught:
        profile(tmp_path / "a.csv", b'a,b\n1,"2\n', layout("a", "b"))
    assert caught.value.code == "unbalanced_quote"


class FastOnly(DelimitedParser):
    readers: tuple[str, ...] = ("columnar",)


@pytest.mark.usefixtures("no_doubts")
def test_a_parser_without_a_tolerant_reader_ends_in_a_file_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,5" pipe\n')
    with pytest.raises(FileError, match=r"a\.csv cannot be read as delimited"):
        profile_file(
            path, layout("a", "b"), FastOnly(), hash_algorithm="md5", max_record_bytes=1 << 20
        )


class LateDoubt:
    """A parser whose first reader gives up after it has already delivered."""

    name = "doubt"
    suffixes: tuple[str, ...] = (".doubt",)
    readers: tuple[str, ...] = ("rash", "slow")

    def detect(self, path: Path, *, thorough: bool = False, whole: bool = False) -> Layout:  # noqa: ARG002 - the protocol has it
        return layout("a")

    def read(
        self,
        source: BinaryIO,
        layout: Layout,  # noqa: ARG002 - the protocol has it
        reader: str,
        *,
        max_record_bytes: int,  # noqa: ARG002 - the protocol has it
    ) -> Iterator[Batch]:
        text = source.read().decode()
        records = pa.RecordBatch.from_arrays([pa.array([text])], names=["c0"])
        yield Batch(records, pa.array([1], pa.int64()))
        if reader == "rash":
            raise UnfaithfulError("second thoughts")


def test_nothing_of_an_unfaithful_reading_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.doubt"
    path.write_bytes(b"12")
    found = profile_file(
        path, layout("a"), LateDoubt(), hash_algorithm="sha256", max_record_bytes=1 << 20
    )
    assert (found.rows, found.reader, found.size_bytes) == (1, "slow", 2)
    assert found.file_hash == hashlib.sha256(b"12").hexdigest()


def test_the_second_reading_hashes_like_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    found = profile(path, b"a,b\n1,2\n", layout("a", "b"))
    with open_hashed(path, found.hash_algorithm) as stream:
        rows = DelimitedParser().read(
            stream, layout("a", "b"), found.reader, max_record_bytes=1 << 20
        )
        assert sum(batch.records.num_rows for batch in rows) == found.rows
        assert stream.hexdigest() == found.file_hash


MEASURE = """
import sys
from pathlib import Path
from dropload.model import Layout
from dropload.parsers.delimited import DelimitedParser
from dropload.profiling import profile_file
class Parser(DelimitedParser):
    readers = (sys.argv[2],)
how = Layout("utf-8", ",", '"', "", True, 0, tuple("abcd"), 1.0)
profile_file(Path(sys.argv[1]), how, Parser(), hash_algorithm="sha256", max_record_bytes=1 << 26)
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


@pytest.mark.parametrize("reader", DelimitedParser.readers)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, reader: str) -> None:
    peaks_mb = []
    for repeats in (100_000, 600_000):
        path = tmp_path / f"{repeats}.csv"
        path.write_bytes(b"a,b,c,d\n" + b'12345,2024-01-31,"some text, quoted",19.99\n' * repeats)
        command = [sys.executable, "-c", MEASURE, str(path), reader]
        peaks_mb.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
    small, large = peaks_mb
    assert large < 250
    assert large - small < 60


@pytest.mark.parametrize(
    ("cells", "type_", "note", "doubt"),
    [
        (["1.234;12,5", "22.345;7,25"], "text", "and other columns have decimal commas", KEY),
        (
            ["500;12,5", "1.234;7,25", "12.345;k.A.", "7;1,5", "8;9,5"],
            "text",
            "'1.234' in record 2 can have",
            KEY,
        ),
        (["1,234;1,500", "5,678;7,25"], "text", "can have a decimal comma", KEY),
        (["1.234;1.500,50", "500;7,25"], "integer", "written as 1.234,5, as in other columns", ""),
        (["1,234;1.500,50", "2,500;7,25"], "decimal(4,3)", "written as 1.234,5", ""),
        (["1,234;1,500.50", "2,500;7.25"], "integer", "written as 1,234.5", ""),
        (["1.234;1.500,50;2,500.25", "2.5;7,25;1.5"], "float", "", ""),
        (["1.234;1.500,50;2,500.25", "2.500;7,25;1.5"], "text", "settles it", KEY),
        (["1.234;12.5", "22.345;7.25"], "decimal(5,3)", "", ""),
        (["0.123;12,5", "2.345;7,25"], "decimal(4,3)", "", ""),
    ],
)
def test_a_file_with_decimal_commas_says_what_the_points_of_another_column_are(
    tmp_path: Path, cells: list[str], type_: str, note: str, doubt: str
) -> None:
    """Promise 5: a thousand is never taken for one."""
    names = tuple("nabc"[: cells[0].count(";") + 1])
    data = "\n".join([";".join(names), *cells, ""]).encode()
    how = replace(layout(*names), delimiter=";")
    found = profile(tmp_path / "a.csv", data, how).columns[0]
    assert (str(found.type), found.doubt) == (type_, doubt)
    assert note in found.note


def test_rows_that_are_refused_are_not_kept_until_there_are_as_many_good_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    add = profiling._Tally.add

    def note(tally: profiling._Tally, batch: Batch) -> None:
        add(tally, batch)
        held.append(len(tally._gathered))

    monkeypatch.setattr(profiling, "_GATHERED_ROWS", 1000)
    monkeypatch.setattr(profiling._Tally, "add", note)
    data = b"a,b\n" + b"1,2,3\n" * 200_000
    assert profile(tmp_path / "a.csv", data, layout("a", "b")).rejected_rows == 200_000
    assert len(held) > 2
    assert max(held) <= 1


@pytest.mark.parametrize(("columns", "rows"), [(3000, 60), (60, 3500)])
def test_each_column_of_a_wide_file_is_looked_at_once_however_many_blocks_it_comes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int, rows: int
) -> None:
    """What it costs is measured in benchmarks/detection.py"""
    looks: list[int] = []
    observe = ColumnTypeDetector.observe

    def count(self: ColumnTypeDetector, column: pa.Array, *others: Any) -> None:
        looks.append(len(column))
        observe(self, column, *others)

    monkeypatch.setattr(ColumnTypeDetector, "observe", count)
    names = tuple(f"c{n}" for n in range(columns))
    line = ",".join(str(n / 7) for n in range(columns))
    data = "\n".join([",".join(names), *[line] * rows, ""]).encode()
    assert len(data) > 2 * BLOCK_BYTES
    assert profile(tmp_path / "a.csv", data, layout(*names)).rows == rows
    assert looks == [rows] * columns
