"""Damaged files: whatever happens to a file on its way, every record is counted or it is refused.

Each example takes a sample file and damages it as programs, transfers and people do.
"""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropload.errors import FileError
from dropload.model import Layout, Profile
from dropload.parsers.base import UnfaithfulError
from dropload.parsers.delimited import DelimitedParser
from dropload.profiling import profile_file
from dropload.wrapping import Unwrapper, Wrapping

pytestmark = pytest.mark.usefixtures("small_in_columns")
FILES = Path(__file__).parent.parent / "files"
# The beginning of a file is damaged as well as all of it, and faster.
LONGEST_BYTES = 6000
MAX_RECORD_BYTES = 1 << 20
SOURCES = [
    path.read_bytes()[:LONGEST_BYTES]
    for folder in ("layouts", "real")
    for path in sorted((FILES / folder).iterdir())
    if path.suffix != ".json"
]

Damage = Callable[[bytes], bytes]


def at(data: bytes, place: float) -> int:
    """Return the offset at that share of the file."""
    return int(place * len(data))


def cut(start: float, share: float) -> Damage:
    return lambda data: data[: at(data, start)] + data[at(data, start) + at(data, share) :]


def end_early(place: float) -> Damage:
    return lambda data: data[: at(data, place)]


def insert(place: float, piece: bytes) -> Damage:
    return lambda data: data[: at(data, place)] + piece + data[at(data, place) :]


def repeat_line(place: float, times: int) -> Damage:
    def damage(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        number = at(bytes(len(lines)), place)
        return b"".join(lines[:number] + lines[number : number + 1] * times + lines[number + 1 :])

    return damage


def change_line_ends(old: bytes, new: bytes) -> Damage:
    return lambda data: data.replace(old, new)


def apply(data: bytes, damages: list[Damage]) -> bytes:
    for damage in damages:
        data = damage(data)
    return data


PLACES = st.floats(0, 1, exclude_max=True)
PIECES = st.one_of(
    st.sampled_from(
        [b'"', b'""', b"'", b"\\", b",", b";", b"\t", b"|", b"\r", b"\n", b"\r\n", b"\0", b"\x1a",
         b"\xff", b"\xc3", b"\xe2\x82", b"\xef\xbb\xbf", b'"\n"', b'","', b'";"', b"\n\n\n", b" "]
    ),
    st.binary(min_size=1, max_size=8),
)  # fmt: skip
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\r\n", b"", b" \n"])
DAMAGES = st.one_of(
    st.builds(insert, PLACES, PIECES),
    st.builds(insert, PLACES, PIECES),
    st.builds(cut, PLACES, st.floats(0, 0.3)),
    st.builds(end_early, PLACES),
    # None: the line is gone.
    st.builds(repeat_line, PLACES, st.sampled_from([0, 2, 40])),
    st.builds(change_line_ends, st.sampled_from([b"\n", b"\r\n"]), LINE_ENDS),
)
FILES_AFTER_DAMAGE = st.builds(
    apply,
    st.sampled_from(SOURCES),
    st.lists(DAMAGES, min_size=1, max_size=4),
)


def read_numbers(path: Path, layout: Layout, reader: str) -> tuple[list[int], list[int]]:
    """Return the numbers of the good and of the refused records, in order."""
    good: list[int] = []
    refused: list[int] = []
    with path.open("rb") as source:
        batches = DelimitedParser().read(source, layout, reader, max_record_bytes=MAX_RECORD_BYTES)
        for batch in batches:
            assert batch.records.num_columns == layout.width
            assert len(batch.source_rows) == batch.records.num_rows
            good += batch.source_rows.to_pylist()
            refused += [reject.source_row for reject in batch.rejects]
    return good, refused


def count_lines(data: bytes, layout: Layout) -> int | None:
    """Return how many data records there must be, None where records may span lines."""
    text = data.decode(layout.encoding).removeprefix("\ufeff").rstrip("\x1a")
    if layout.wrapping is Wrapping.QUOTES:
        return None
    if layout.escapechar or (layout.quotechar and layout.quotechar in text):
        return None
    lines = re.split(r"\r\n|\r|\n", text)[layout.skip_lines :]
    if layout.wrapping:
        unwrap = Unwrapper(layout.wrapping, layout.delimiter).unwrap_line
        lines = [unwrap(line) for line in lines]
    # In a file of one column a line of blanks is a value.
    blanks = " \t".replace(layout.delimiter, "") if layout.width > 1 else ""
    if layout.skip_initial_space:
        blanks += " "
    heading = layout.header_lines if layout.header else 0
    return sum(bool(line.strip(blanks) if blanks else line) for line in lines) - heading


@settings(deadline=None, max_examples=500)
@given(FILES_AFTER_DAMAGE)
def test_every_record_of_a_damaged_file_is_counted_once_or_the_file_is_refused(
    data: bytes,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.csv"
        path.write_bytes(data)
        try:
            layout = DelimitedParser().detect(path)
            profile = profile_damaged(path, layout)
        except FileError:
            return
        check_counts(path, data, layout, profile)


def profile_damaged(path: Path, layout: Layout) -> Profile:
    return profile_file(
        path,
        layout,
        DelimitedParser(),
        hash_algorithm="sha256",
        max_record_bytes=MAX_RECORD_BYTES,
    )


def check_counts(path: Path, data: bytes, layout: Layout, profile: Profile) -> None:
    assert profile.size_bytes == len(data)
    assert profile.rows == profile.good_rows + profile.rejected_rows
    records = profile.rows + len(profile.footer)
    good, refused = read_numbers(path, layout, "tolerant")
    assert sorted(good + refused) == list(range(1, records + 1))
    assert len(refused) == profile.rejected_rows + len(profile.footer)
    try:
        assert read_numbers(path, layout, "columnar") == (good, refused)
    except UnfaithfulError:
        assert profile.reader == "tolerant"
    if layout.width:
        assert count_lines(data, layout) in (None, records)


WORDS = st.sampled_from(["Anna", "Bob", "Köln", "blue", "a b", "x-1", "Ünal"])
NUMBERS = st.integers(0, 999).map(str)
"""None that could be a year: above the same value again and again, it would name a column."""
DECIMALS = st.decimals(0, 999, places=2, allow_nan=False).map(str)
DAYS = st.dates().map(str)


@st.composite
def ragged_tables(draw: st.DrawFn) -> tuple[bytes, bool, int]:
    """Return a file, whether it has a header, and its rows: some lack cells, or have too many."""
    # Without a column of numbers or days nobody could tell rows from remarks.
    kinds = [draw(st.sampled_from([NUMBERS, DAYS]))]
    kinds += draw(
        st.lists(st.sampled_from([WORDS, NUMBERS, DECIMALS, DAYS]), min_size=2, max_size=5)
    )
    rows = [[draw(kind) for kind in kinds] for _ in range(draw(st.integers(8, 20)))]
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.one_of(st.integers(0, 1), st.integers(0, len(rows) - 1)))
        row = rows[place]
        rows[place] = row[: draw(st.integers(2, len(row)))] if draw(st.booleans()) else [*row, "z"]
    header = draw(st.booleans())
    names = [f"field_{chr(97 + n)}" for n in range(len(kinds))]
    lines = [";".join(row) for row in ([names] if header else []) + rows]
    return "\n".join(lines).encode() + b"\n", header, len(rows)


@settings(deadline=None, max_examples=150)
@given(ragged_tables())
def test_rows_that_lack_cells_or_have_more_are_refused_and_never_skipped(
    table: tuple[bytes, bool, int],
) -> None:
    data, header, rows = table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ragged.csv"
        path.write_bytes(data)
        layout = DelimitedParser().detect(path)
        profile = profile_damaged(path, layout)
    assert (layout.skip_lines, layout.header) == (0, header), layout.evidence
    assert profile.rows + len(profile.footer) == rows
