"""Files that nobody here wrote, and any table of any text: what is loaded is what was written."""

import csv
import io
import tempfile
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropload.column_types import ColumnTypeDetector, rewrite_text
from dropload.model import TableInfo, TableName, Verdict
from tests.conftest import Yard, open_yard

SAMPLES = Path(__file__).parents[1] / "files" / "real"


def texts_of(yard: Yard, table: TableName) -> list[tuple[str | None, ...]]:
    """Return the table as its file wrote it, null as None."""
    target = yard.dock.target
    with target.read() as conn:
        info = target.reflect(conn, table)
        assert isinstance(info, TableInfo)
        names = ", ".join(target.quoted_column(column.name) for column in info.columns)
        query = f"SELECT {names} FROM {target.quoted(table)} ORDER BY _load_id, _source_row"
        found = list(conn.exec_driver_sql(query))
    kinds = [column.type for column in info.columns]
    return [
        tuple(target.text_of(value, kind) for value, kind in zip(row, kinds, strict=True))
        for row in found
    ]


def test_the_airports_of_the_world_load_cell_by_cell(yard: Yard) -> None:
    """28,000 rows with Unicode, from the package airportsdata (MIT); compared with pandas."""
    source = files("airportsdata") / "airports.csv"
    content = source.read_bytes()
    outcome = yard.drop("airports.csv", content, "reference", "fullload")
    assert outcome.verdict is Verdict.LOADED
    expected = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    assert outcome.rows_loaded == len(expected) > 28_000
    found = texts_of(yard, TableName("ref", "airports"))
    differing = [
        (a, b)
        for mine, theirs in zip(found, expected.itertuples(index=False), strict=True)
        for a, b in zip(mine, theirs, strict=True)
        # The file's whole numbers among decimals ("0") come back as that: the value is the same.
        if (a or "") != b and not (a and b and float(a) == float(b))
    ]
    assert differing == []


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.*")), ids=lambda path: path.name)
def test_a_real_file_loads_every_record_it_has(yard: Yard, sample: Path) -> None:
    outcome = yard.drop(sample.name, sample.read_bytes())
    assert outcome.verdict is Verdict.LOADED, outcome
    delimiter = {".txt": ";", ".tsv": "\t"}.get(sample.suffix, ",")
    with sample.open(encoding="utf-8", newline="") as file:
        records = [row for row in csv.reader(file, delimiter=delimiter) if row]
    found = texts_of(yard, TableName("dbo", outcome.table.removeprefix("dbo.")))
    headers = len(records) - len(found)
    assert headers in (0, 1)
    assert [[cell or "" for cell in row] for row in found] == records[headers:]


CELLS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,6})?", fullmatch=True),
    st.dates().map(str),
    st.datetimes().map(str),
    st.sampled_from(["", "NULL", "true", "false", "007", "+1", "1e5", "1,5", "03/02/2018", "-0"]),
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(2, 5).flatmap(
        lambda width: st.lists(
            st.lists(CELLS, min_size=width, max_size=width), min_size=3, max_size=12
        )
    )
)
def test_any_table_of_any_text_comes_back_as_it_was_written(rows: list[list[str]]) -> None:
    """Promise 5: no value is damaged."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    header = [f"column {n}" for n in range(len(rows[0]))]
    # A first record that no detector takes for anything but a record below a header.
    known = [str(n) for n in range(1, len(header) + 1)]
    writer.writerows([header, known, *rows])
    with tempfile.TemporaryDirectory() as folder:
        yard = open_yard(Path(folder))
        outcome = yard.drop("texts.csv", out.getvalue().encode())
        assert outcome.verdict is Verdict.LOADED, outcome
        found = texts_of(yard, TableName("dbo", "texts"))
        yard.dock.target.close()
    columns = [list(column) for column in zip(known, *rows, strict=True)]
    expected = [list(row) for row in zip(*map(as_a_database_prints, columns), strict=True)]
    assert [list(row) for row in found] == expected


def as_a_database_prints(column: list[str]) -> list[str]:
    """Return the values rewritten where all of them are in one other notation."""
    detector = ColumnTypeDetector()
    detector.observe(pa.array(column))
    notation = detector.decide().type.notation
    return [rewrite_text(value, notation) for value in column] if notation else column
