"""What stands behind a table is no row of it, and a row that was cut off is no footer."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropload import profiling
from dropload.column_types import forms, plain
from dropload.column_types.notations import notations_of
from dropload.footers import PATTERN, find_footer
from dropload.model import Layout, Reject, Verdict
from dropload.parsers.base import Batch
from dropload.parsers.delimited import DelimitedParser
from dropload.profiling import profile_file
from tests.conftest import Yard, open_yard


def reject(row: int, *fields: str | None) -> Reject:
    return Reject(row, row + 1, "", "", "too_few_cells", "has fewer cells", fields)


@pytest.mark.parametrize(
    "text",
    ["(3 rows affected)", "3 rows", "Total rows: 4", "# end", "Source: census", "--", "12 Zeilen"],
)
def test_a_line_about_the_table_at_the_end_is_its_footer(text: str) -> None:
    line = reject(5, text)
    assert find_footer([reject(2, "x"), line], 5, 3) == (line,)


@pytest.mark.parametrize(
    "fields", [("1003",), ("Wal",), ("O'Neil & Sons",), ("Total", "5"), (None,), ()]
)
def test_a_row_that_was_cut_off_is_no_footer(fields: tuple[str | None, ...]) -> None:
    assert find_footer([reject(5, *fields)], 5, 3) == ()


def test_only_the_last_lines_are_a_footer_and_all_of_them() -> None:
    lines = [reject(row, f"# note {row}") for row in (3, 4)]
    assert find_footer(lines, 5, 3) == (), "a row follows"
    assert find_footer(lines, 4, 3) == tuple(lines)
    assert find_footer([reject(3, "1003"), *lines[1:]], 4, 3) == (lines[1],)


def test_a_file_with_a_footer_loads_and_says_so(yard: Yard) -> None:
    loaded = yard.drop("orders.csv", "id,name,day\n1,a,x\n2,b,y\n\n(2 rows affected)\n")
    assert (loaded.verdict, loaded.rows_read, loaded.rows_loaded) == (Verdict.LOADED, 2, 2)
    assert yard.table("dbo.orders") == [(1, "a", "x"), (2, "b", "y")]
    [plan] = yard.query('SELECT plan FROM "ref.Load_History"')
    assert "(2 rows affected)" in plan[0]


def test_the_rejects_file_does_not_hold_the_footer(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, load={"max_rejected_rows": 1})
    loaded = yard.drop("orders.csv", "id,name,day\n1,a,x\n2\n3,b,y\nTotal: 3\n")
    assert (loaded.verdict, loaded.rows_read, loaded.rows_rejected) == (Verdict.LOADED, 3, 1)
    [rejects] = tmp_path.rglob("*.rejects.csv")
    assert len(rejects.read_text().splitlines()) == 2
    yard.dock.target.close()


@pytest.mark.parametrize(
    "content",
    [
        "order,qty,city\n#1001,3,Rome\n#1002,4,Paris\n#10",
        "order,qty,city\n#1001,3,Rome\n#1002,4,Paris\n#10\n",
        "company,qty,city\nAcme,3,Rome\nBeta Inc,4,Paris\nTotal Energies",
    ],
)
def test_a_last_record_that_was_cut_off_is_refused(yard: Yard, content: str) -> None:
    """B2"""
    assert yard.drop("orders.csv", content).verdict is Verdict.FAILED


NUMBERED = "".join(f"{number},{'x' * 400}\n" for number in range(4000))
HASHED = "#1001,3\n#1002,4\n"


@pytest.mark.parametrize(
    ("rows", "footers"),
    [
        (NUMBERED + NUMBERED, ["#10"]),
        (HASHED + NUMBERED, []),
        (NUMBERED + HASHED + NUMBERED, []),
        (NUMBERED + HASHED, []),
    ],
)
def test_a_key_like_a_footer_counts_wherever_it_stands(
    tmp_path: Path, rows: str, footers: list[str]
) -> None:
    """B2"""
    path = tmp_path / "orders.csv"
    path.write_text(f"{rows}#10\n")
    batches: dict[str, int] = {}

    def count(batch: Batch, reader: str) -> None:
        batches[reader] = batches.get(reader, 0) + (batch.records.num_rows > 0)

    found = profile_file(
        path,
        Layout("utf-8", ",", '"', "", False, 0, ("order", "qty"), 1.0),
        DelimitedParser(),
        hash_algorithm="sha256",
        max_record_bytes=1 << 20,
        on_batch=count,
    )
    assert batches[found.reader] > 2, "column by column, and not all at once"
    assert [line.fields for line in found.footer] == [(text,) for text in footers]
    assert found.rejected_rows == 1 - len(footers)


def test_keys_that_are_numbers_are_not_searched_for_footers(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{number},Rome\n" for number in range(3000))
    monkeypatch.setattr(profiling, "PATTERN", "(")  # whoever looks for it fails
    assert yard.drop("orders.csv", f"order,city\n{rows}").verdict is Verdict.LOADED
    with pytest.raises(pa.ArrowInvalid):
        yard.drop("cities.csv", "city,order\nRome,1\nParis,2\n")


TYPED = [
    *(plain.NUMBER, plain.DATE, plain.TIMESTAMP, plain.TIMESTAMP_OFFSET, plain.TIME, plain.UUID),
    "true|false",
    *(notation.pattern for form in forms.FORMS for notation in notations_of(form.group)),
]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(TYPED).flatmap(lambda form: st.from_regex(form, fullmatch=True)))
def test_no_typed_value_begins_like_a_footer(value: str) -> None:
    assert not re.match(PATTERN, value)


def test_a_whole_row_that_the_table_refuses_is_no_footer(tmp_path: Path) -> None:
    yard = open_yard(tmp_path)
    yard.execute('CREATE TABLE "dbo.orders" (name TEXT, qty INTEGER NOT NULL, price REAL)')
    refused = yard.drop("orders.csv", "name,qty,price\nB,1,3.5\nC,7,1.5\nTotal SA,,\n")
    assert (refused.verdict, refused.rows_rejected) == (Verdict.FAILED, 1)
    yard.dock.target.close()
