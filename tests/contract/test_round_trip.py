"""Any table of any text: what is read back is what the file held, in its types' own form."""

import csv
import io
import string
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dropload.column_types import rewrite_text
from dropload.examination import find_layout
from dropload.model import ColumnProfile, Kind, Verdict
from dropload.profiling import profile_file
from tests.contract.test_loading import Site
from tests.contract.test_owned_tables import opened_site

TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=12
)
VALUES = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(-(10**6), 10**6, places=2).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.dates().map(str),
    st.sampled_from(["1.234,50", "0,5", "1,234", "03.04.2024", "31.12.2024", "True", "007", "-0"]),
    st.sampled_from(
        [" x", "x ", "a\nb", 'say "x"', "it's", "a;b", "a,b", "\\", "#x", "NULL", "NaN"]
    ),
    TEXTS,
)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), min_size=2, max_size=6)
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=TABLES, delimiter=st.sampled_from(",;\t|"))
def test_what_is_read_back_is_what_the_file_held(
    database_url: str, tmp_path: Path, rows: list[list[str]], delimiter: str
) -> None:
    """Promise 5"""
    with opened_site(database_url, tmp_path) as site:
        table = site.dock.target.quoted(site.table("held"))
        site.execute(f"DROP TABLE IF EXISTS {table}")
        check(site, rows, delimiter)


def check(site: Site, rows: list[list[str]], delimiter: str) -> None:
    names = [f"column_{letter}" for letter in string.ascii_lowercase[: len(rows[0])]]
    out = io.StringIO()
    # All in quotes: every text is one cell, and none of them null.
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    path = site.dock.tree.inboxes[0].path / "probe.csv"
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    parser, layout = find_layout(path)
    profile = profile_file(path, layout, parser, hash_algorithm="sha256", max_record_bytes=1 << 20)
    path.unlink()
    # How it is written is another matter; hypothesis objects when few examples are left.
    assume((layout.delimiter, layout.header_names) == (delimiter, tuple(names)))
    loaded = site.drop("held.csv", out.getvalue(), force=True)
    assert loaded.verdict is Verdict.LOADED, loaded
    expected = [tuple(map(as_its_type_writes, row, profile.columns)) for row in rows]
    assert site.texts(site.table("held")) == expected


def as_its_type_writes(cell: str, column: ColumnProfile) -> str:
    text = rewrite_text(cell, column.type.notation) if column.type.notation else cell
    # A table of floats does not know whether a file wrote 12 or 12.0.
    return text.removesuffix(".0") if column.type.kind is Kind.FLOAT else text
