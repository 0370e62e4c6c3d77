"""What goes to PostgreSQL in the binary format of COPY is what goes there as text."""

import io
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropload.column_types import ConversionError, plain
from dropload.model import ColumnType, Kind, Plan, TableName, Verdict
from dropload.targets.postgresql import binary_fields, binary_rows, copying
from tests.conftest import drop_database, make_database
from tests.contract.test_loading import Site
from tests.contract.test_owned_tables import opened_site
from tests.contract.test_postgresql import ask
from tests.contract.test_targets import make_plan, records


@pytest.fixture(scope="module")
def database(postgresql_server: str) -> Iterator[str]:
    url = make_database(postgresql_server)
    yield url
    drop_database(postgresql_server, url)


@pytest.fixture(scope="module")
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.replace("+psycopg", "")) as conn:
        yield conn


@pytest.fixture
def site(database: str, tmp_path: Any) -> Iterator[Site]:
    with opened_site(database, tmp_path) as opened:
        opened.execute("DROP TABLE IF EXISTS orders")
        yield opened


CLOCKS = st.times().map(lambda time: time.replace(tzinfo=None).isoformat())
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
LONG = st.sampled_from(["", '"', "\\N", "x" * 100_000, "\r\n", "東京"])
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(lambda f: format(Decimal(f), "f"))
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1])


def decimals(precision: int, scale: int) -> st.SearchStrategy[str]:
    most = 10**precision - 1
    unscaled = st.integers(-most, most) | st.integers(-9, 9) | st.sampled_from([most, -most, 0])
    zeros = st.sampled_from([0, 0, 0, 1, 3, 30, 39, 47, 80])

    def write(number: int, more: int, *, is_short: bool) -> str:
        digits = str(abs(number)).rjust(scale + 1, "0")
        whole, behind = digits[: len(digits) - scale], digits[len(digits) - scale :]
        behind = behind.rstrip("0") if is_short else behind + "0" * more
        return f"{'-' * (number < 0)}{whole}{'.' * bool(behind)}{behind}"

    return st.builds(write, unscaled, zeros, is_short=st.booleans())


def decimal_column(precision: int, scale: int) -> "Column":
    kind = ColumnType(Kind.DECIMAL, precision=precision, scale=scale)
    return kind, f"numeric({precision},{scale})", decimals(precision, scale)


Column = tuple[ColumnType, str, st.SearchStrategy[str]]
COLUMNS: list[Column] = [
    (ColumnType(Kind.TEXT), "text", TEXTS | LONG),
    (ColumnType(Kind.BOOLEAN), "boolean", st.sampled_from(["true", "false", "1", "0"])),
    (ColumnType(Kind.INTEGER), "bigint", WHOLE.map(str)),
    (ColumnType(Kind.FLOAT), "double precision", FLOATS),
    (ColumnType(Kind.DATE), "date", st.dates().map(str)),
    (ColumnType(Kind.TIMESTAMP, precision=6), "timestamp(6)", st.datetimes().map(str)),
    (
        ColumnType(Kind.TIMESTAMP, precision=6),
        "timestamp(6)",
        st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds")),
    ),
    (ColumnType(Kind.TIME, precision=6), "time(6)", CLOCKS),
    (ColumnType(Kind.UUID), "uuid", st.uuids().map(str)),
    (ColumnType(Kind.UUID), "uuid", st.uuids().map(lambda found: str(found).upper())),
]
ANY_COLUMN = st.sampled_from(COLUMNS) | st.integers(1, 38).flatmap(
    lambda precision: st.integers(0, precision).map(lambda s: decimal_column(precision, s))
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], list[list[str | None]], int]:
    columns = draw(st.lists(ANY_COLUMN, min_size=1, max_size=7))
    rows = draw(st.integers(1, 12))
    cut = draw(st.sampled_from([0, 0, 1, 9]))
    values = []
    for _, _, texts in columns:
        cells = draw(st.sampled_from([texts, texts, texts | st.none(), st.none()]))
        values.append(draw(st.lists(cells, min_size=rows + cut, max_size=rows + cut)))
    return columns, values, cut


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(table=tables())
def test_both_formats_give_the_same_rows(
    connection: psycopg.Connection, table: tuple[list[Column], list[list[str | None]], int]
) -> None:
    columns, values, cut = table
    arrays = [pa.array(cells, pa.string()).slice(cut) for cells in values]
    numbers = pa.array(range(1, len(values[0]) + 1), pa.int64()).slice(cut)
    ddl = ", ".join(
        [*(f"c{n} {ddl}" for n, (_, ddl, _) in enumerate(columns)), "l bigint, r bigint"]
    )
    out = io.BytesIO()
    lineage = pa.repeat(pa.scalar(7, pa.int64()), len(numbers))
    names = [f"c{n}" for n in range(len(arrays) + 2)]
    batch = pa.RecordBatch.from_arrays([*arrays, lineage, numbers], names)
    pacsv.write_csv(batch, out, pacsv.WriteOptions(include_header=False))
    types = [column_type for column_type, _, _ in columns]
    encoded = bytes(binary_rows.encode_rows(arrays, types, 7, numbers))
    with connection.transaction(force_rollback=True):
        by_text = taken(connection, ddl, "csv", out.getvalue())
    encoded = copying.SIGNATURE + encoded + copying.TRAILER
    with connection.transaction(force_rollback=True):
        assert taken(connection, ddl, "binary", encoded) == by_text
    assert len(by_text) == len(numbers)


@st.composite
def short_decimals(draw: st.DrawFn) -> tuple[ColumnType, list[str]]:
    precision = draw(st.integers(1, 15))
    kind, _, texts = decimal_column(precision, draw(st.integers(0, precision)))
    short = texts.filter(lambda text: len(text) <= plain.SURE_CHARS)
    return kind, draw(st.lists(short, min_size=1, max_size=20))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(column=short_decimals())
def test_short_decimals_are_read_as_long_ones_are(column: tuple[ColumnType, list[str]]) -> None:
    """By floats, in half the time."""
    kind, texts = column
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(binary_fields, "_digits_by_decimals")
        by_floats = binary_fields.encode(pa.array(texts), kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binary_fields, "_FLOAT_DIGITS", 0)
        by_decimals = binary_fields.encode(pa.array(texts), kind)
    assert by_floats.tobytes() == by_decimals.tobytes()


@pytest.mark.parametrize(
    "text",
    ["1.239", "10000.00", "-10000", "n/a", "nan", "inf", "9999.999", "1.23000000000001", ""],
)
def test_a_number_that_its_column_cannot_hold_is_named(text: str) -> None:
    kind = ColumnType(Kind.DECIMAL, precision=6, scale=2)
    with pytest.raises(ConversionError) as raised:
        binary_fields.encode(pa.array(["1.23", None, text, "9999.99"]), kind)
    assert (raised.value.position, raised.value.value) == (2, text)


def taken(connection: psycopg.Connection, ddl: str, form: str, data: bytes) -> list[Any]:
    """Return rows that a COPY has brought, as text, and the bytes that each takes."""
    connection.execute(f"CREATE TEMPORARY TABLE taken ({ddl})")
    send(connection, f"COPY taken FROM STDIN (FORMAT {form})", data)
    query = "SELECT t::text, pg_column_size(t.*) FROM taken t ORDER BY r"
    return connection.execute(query).fetchall()


def send(connection: psycopg.Connection, statement: str, data: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(data)


def test_the_bytes_are_those_that_the_server_itself_writes(connection: psycopg.Connection) -> None:
    """But for zeros at the ends of a numeric, which it leaves out"""
    text, day, whole, real = (COLUMNS[n][0] for n in (0, 4, 2, 3))
    arrays = [
        pa.array(cells, pa.string())
        for cells in (["a", None], ["2024-02-29", "1999-12-31"], ["-5", "7"], ["0.5", None])
    ]
    encoded = binary_rows.encode_rows(
        arrays, [text, day, whole, real], 3, pa.array([1, 2], pa.int64())
    )
    query = (
        "COPY (VALUES"
        " ('a'::text, DATE '2024-02-29', -5::bigint, 0.5::float8, 3::bigint, 1::bigint),"
        " (NULL, DATE '1999-12-31', 7, NULL, 3, 2)) TO STDOUT (FORMAT binary)"
    )
    with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        written = b"".join(bytes(part) for part in copy)
    assert written == copying.SIGNATURE + bytes(encoded) + copying.TRAILER


@pytest.mark.parametrize(
    ("column_type", "good", "bad"),
    [
        (ColumnType(Kind.INTEGER), "1", "one"),
        (ColumnType(Kind.INTEGER), "1", str(2**63)),
        (ColumnType(Kind.DECIMAL, precision=5, scale=2), "1.50", "1.505"),
        (ColumnType(Kind.DECIMAL, precision=5, scale=2), "1.50", "1000.00"),
        (ColumnType(Kind.DATE), "2024-02-29", "2023-02-29"),
        (ColumnType(Kind.TIMESTAMP, precision=6), "2024-02-29 10:00:00", "2024-02-29 25:00:00"),
        (ColumnType(Kind.TIME, precision=6), "10:00:00", "24:00:00"),
        (ColumnType(Kind.UUID), str(UUID(int=1)).upper(), "0000"),
        (ColumnType(Kind.DECIMAL, precision=38, scale=2), "1.50", "1." + "0" * 45 + "1"),
        (ColumnType(Kind.BOOLEAN), "true", "maybe"),
    ],
)
def test_a_value_that_is_none_of_its_type_is_named(
    column_type: ColumnType, good: str, bad: str
) -> None:
    column = pa.array([good, None, bad, good], pa.string())
    with pytest.raises(ConversionError) as caught:
        binary_rows.encode_rows([column], [column_type], 1, pa.array([1, 2, 3, 4], pa.int64()))
    assert (caught.value.value, caught.value.position) == (bad, 2)


def written_by(site: Site, plan: Plan, batches: list[tuple[pa.RecordBatch, pa.Array]]) -> list[str]:
    """Stage rows; return the formats of the COPYs that this took."""
    said, copy = list[str](), psycopg.Cursor.copy

    def note(cursor: Any, statement: bytes) -> Any:
        said.append(statement.decode().rpartition("FORMAT ")[2].rstrip(")"))
        return copy(cursor, statement)

    target = site.dock.target
    stage = target.stage_name(plan.table, 1)
    with pytest.MonkeyPatch.context() as patch, target.write() as conn:
        patch.setattr(psycopg.Cursor, "copy", note)
        target.drop_table(conn, stage)
        target.create_stage(conn, plan, stage)
        target.write_batches(conn, plan, stage, batches, 1, 990)
    return said


def staged(site: Site, plan: Plan) -> list[tuple[Any, ...]]:
    stage: TableName = site.dock.target.stage_name(plan.table, 1)
    return ask(site, f"SELECT * FROM {site.dock.target.quoted(stage)} ORDER BY _source_row")


def test_the_server_is_left_nothing_to_parse_where_a_type_has_a_binary_form(site: Site) -> None:
    rows = [(records(["1", None], ["0.50", "7.25"]), pa.array([1, 3], pa.int64()))]
    short = ColumnType(Kind.DECIMAL, precision=38, scale=2)
    plan = make_plan(columns={"id": ColumnType(Kind.INTEGER), "price": short})
    assert written_by(site, plan, rows) == ["binary"]
    expected = [(1, Decimal("0.50"), 1, 1), (None, Decimal("7.25"), 1, 3)]
    assert staged(site, plan) == expected
    long = ColumnType(Kind.DECIMAL, precision=39, scale=2)
    plan = make_plan(columns={"id": ColumnType(Kind.INTEGER), "price": long})
    assert written_by(site, plan, rows) == ["csv"], "Arrow has no type for so many digits"
    assert staged(site, plan) == expected


@pytest.mark.parametrize(("rows", "form"), [(4000, "binary"), (3999, "csv")])
def test_small_batches_go_as_text_which_costs_both_sides_less(
    site: Site, monkeypatch: pytest.MonkeyPatch, rows: int, form: str
) -> None:
    monkeypatch.undo()
    batch = records(["7"] * rows, ["x"] * rows)
    sent = [(batch, pa.array(range(rows), pa.int64()))]
    plan = make_plan(rows=rows)
    assert written_by(site, plan, sent) == [form]
    assert len(staged(site, plan)) == rows


def test_without_numpy_rows_go_as_text(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_HAS_NUMPY", False)
    plan = make_plan(rows=1)
    rows = [(records(["1"], ["a"]), pa.array([1], pa.int64()))]
    assert written_by(site, plan, rows) == ["csv"]
    assert staged(site, plan) == [(1, "a", 1, 1)]


def test_numbers_with_more_zeros_than_a_decimal_has_digits_are_loaded(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.small_files.SMALL_BYTES", 0)
    site.execute("CREATE TABLE orders (id bigint, price numeric(38,10))")
    text = f"id,price\n1,1.5\n2,123.45{'0' * 47}\n3,-0.5{'0' * 30}\n"
    outcome = site.drop("orders.csv", text)
    assert outcome.verdict is Verdict.LOADED, outcome
    prices = [price for (price,) in ask(site, "SELECT price FROM orders ORDER BY id")]
    assert prices == [Decimal("1.5"), Decimal("123.45"), Decimal("-0.5")]


def test_a_table_whose_types_are_its_owners_gets_text(site: Site) -> None:
    """A small file goes there without a side table"""
    assert site.drop("orders_20260101.csv", "id,name\n1,a\n").verdict is Verdict.LOADED
    site.execute("ALTER TABLE orders ALTER COLUMN id TYPE integer")
    assert site.drop("orders_20260102.csv", "id,name\n2,b\n").verdict is Verdict.LOADED
    assert ask(site, "SELECT id, name FROM orders ORDER BY 1") == [(1, "a"), (2, "b")]


def test_a_batch_is_encoded_while_the_server_takes_the_one_before(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    encode = binary_rows.encode_rows

    def note(*args: Any) -> memoryview:
        threads.append(threading.current_thread().name)
        return encode(*args)

    monkeypatch.setattr(binary_rows, "encode_rows", note)
    batches = [(records([str(n)], ["x"]), pa.array([n], pa.int64())) for n in range(1, 6)]
    plan = make_plan(rows=5)
    written_by(site, plan, batches)
    assert [row[0] for row in staged(site, plan)] == [1, 2, 3, 4, 5]
    own = threading.current_thread().name
    assert threads == [own, *["read-ahead"] * 4]
