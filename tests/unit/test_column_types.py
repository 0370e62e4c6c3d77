import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropload.column_types import (
    ColumnTypeDetector,
    ConversionError,
    Decision,
    Hints,
    canonical_text,
    common_type,
    convert,
    explain_misfit,
    fits,
    plain,
    rewrite,
    rewrite_text,
    text_width,
    texts_of_columns,
)
from dropload.column_types.whole_columns import all_unsigned_decimal, all_unsigned_whole
from dropload.model import ColumnType, Kind

Texts = Sequence[str | None]


def column(values: Texts) -> pa.Array:
    return pa.array(values, pa.string())


def decide(*batches: Texts, hints: Hints = Hints()) -> Decision:  # noqa: B008 - it is frozen
    detector = ColumnTypeDetector(hints)
    for batch in batches:
        detector.observe(column(batch))
    return detector.decide()


def detect(*batches: Texts) -> tuple[ColumnType, str]:
    decided = decide(*batches)
    return decided.type, decided.note


def text(max_length: int) -> ColumnType:
    return ColumnType(Kind.TEXT, max_length=max_length)


def decimal(precision: int, scale: int) -> ColumnType:
    return ColumnType(Kind.DECIMAL, precision=precision, scale=scale)


def timestamp(precision: int = 0) -> ColumnType:
    return ColumnType(Kind.TIMESTAMP, precision=precision)


INTEGER, FLOAT, BOOLEAN, DATE = (
    ColumnType(kind) for kind in (Kind.INTEGER, Kind.FLOAT, Kind.BOOLEAN, Kind.DATE)
)

TYPED: list[tuple[Texts, ColumnType]] = [
    (["0", "-5", None, "12"], INTEGER),
    (["9223372036854775807", "-9223372036854775808"], INTEGER),
    (["1.50", "-12345.25", "0.05", "-0.05"], decimal(7, 2)),
    (["0." + "1" * 37], decimal(38, 37)),
    (["1.5", "2.0"], decimal(2, 1)),
    (["1.5", "2", "2.25", "100"], FLOAT),
    (["1.5", "2.0", "2.25", "100.0"], FLOAT),
    (["0.1", "0.12345678901234566", "0.00001"], FLOAT),
    (["true", None, "false"], BOOLEAN),
    (["true"], BOOLEAN),
    (["2024-02-29", "0001-01-01", "9999-12-31"], DATE),
    (["2024-02-29 23:59:59", "0001-01-01 00:00:00"], timestamp()),
    (["2024-02-29T23:59:59.50", "2024-02-29T00:00:00.12"], timestamp(2)),
    (["2024-02-29 23:59:59.123456"], timestamp(6)),
    (["2024-02-29T10:11:12Z", "0001-01-01T00:00:00Z"], ColumnType(Kind.TIMESTAMP_OFFSET)),
    (
        ["2024-02-29 10:11:12.5+01:00", "2024-02-29 10:11:12.0-14:00"],
        ColumnType(Kind.TIMESTAMP_OFFSET, precision=1),
    ),
    (["00:00:00", None, "23:59:59"], ColumnType(Kind.TIME)),
    (["10:20:30.250"], ColumnType(Kind.TIME, precision=3)),
    (["6f9619ff-8b86-d011-b42d-00c04fc964ff", None], ColumnType(Kind.UUID)),
]

KEPT_AS_TEXT: list[tuple[Texts, str]] = [
    (["1", "2", "007"], "'007' in record 3 is kept as text: .* leading zeros"),
    (["0815", "4711"], "'0815' in record 1 .* leading zeros"),
    (["1", "-0"], "'-0' in record 2 .* minus"),
    (["1.5", "-0.0"], "'-0.0' in record 2 .* minus"),
    (["1", "+5"], "plus sign"),
    (["1.5", ".5"], "digits around the point"),
    (["1.1E+11"], "exponent"),
    (["12%", "7,5 %"], "'12%' in record 1 is kept as text: .* percent sign"),
    (["€ 12,00", "-$1.50", "7.00 EUR"], "'€ 12,00' in record 1 .* currency"),
    (["12.50", "(1,234.50)", "1.00"], "'\\(1,234.50\\)' in record 2 .* brackets"),
    (["1.234,56-", "7,50"], "'1.234,56-' in record 1 .* a minus behind"),
    (["1,23,456.00"], "every three digits"),
    (["y", "n", "y"], "'y' in record 1 is kept as text: only true and false"),
    (["Ja", "Nein", "Ja"], "only true and false"),
    (["{6f9619ff-8b86-d011-b42d-00c04fc964ff}"], "braces"),
    ([*"123456789", "NULL", "NA", "-", "#N/A", "16"], "all but 4 of 14 .* 'NULL' in record 10"),
    (["01/15/2024", "01/16/2024", "Total"], "a date in all but 1 of 3 .* 'Total' in record 3"),
    (["1,234", "5,678"], "decimal comma or a thousands separator"),
    ([" 5", "6"], "blanks"),
    (["9223372036854775808"], "'9223372036854775808' in record 1 has more digits"),
    (["1" * 39 + ".5"], "need 40 digits"),
    (["1.5", "0.12345678901234567"], "'0.12345678901234567' in record 2 has more digits"),
    (["1.5", "9007199254740993"], "'9007199254740993' in record 2 has more digits"),
    (["1.5", "2.50"], "different counts of decimals .*'2.50' in record 2"),
    (["1.5", "2", "3.0", "2.25"], "two ways .*'2' in record 2, '3.0' in record 3"),
    (["TRUE", "false"], "'false' in record 2 is written in another way"),
    (["1.5", "1,5"], "'1,5' in record 2 is written in another way"),
    (["13/02/2018", "02/13/2018"], "'02/13/2018' in record 2 is written in another way"),
    (["13/02/2018", "13.02.2018"], "'13.02.2018' in record 2 is written in another way"),
    (["31/02/2018"], "'31/02/2018' in record 1 is kept as text: it is no day of the calendar"),
    (["29.02.2023 10:00"], "no day of the calendar"),
    (["31.12.24"], "'31.12.24' in record 1 is kept as text: its year has two digits"),
    (["12/31/2024 13:30:00 PM"], "no time that a clock shows"),
    (["31.12.2024 24:00"], "no time that a clock shows"),
    (["31.12.2024 12:60"], "no time that a clock shows"),
    (["2024-02-28", "2023-02-29"], "'2023-02-29' in record 2 .* no day of the calendar"),
    (["0000-01-01"], "no day of the calendar"),
    (["03/02/2018"], "'03/02/2018' in record 1 .* day or month first"),
    (["3.2.18", "24.12.2018"], "two digits"),
    (["2024-02-29 10:11:60"], "no day and time"),
    (["2024-02-29T10:11Z"], "time zone"),
    (["2024-02-29 10:11:12+0100"], "time zone"),
    (["2024-02-29 10:11:12-00:00"], "time zone"),
    (["2024-02-29 10:11:12+14:30"], "time zone"),
    (["2024-02-29T10:11:12Z", "2024-02-29T10:11:12+00:00"], "two ways"),
    (["9999-12-31T23:59:59-01:00"], "no day and time"),
    (["10:20"], "HH:MM:SS"),
    (["10:20:30", "24:00:00"], "'24:00:00' in record 2 .* no time of day"),
    (["10:20:30", "10:20:30.5"], "times are written in two ways"),
    (["2024-02-29 10:11:12.1234567"], "YYYY-MM-DD HH:MM:SS"),
    (["2024-02-29 10:11:12", "2024-02-29T10:11:12"], "two ways"),
    (["2024-02-29 10:11:12.5", "2024-02-29 10:11:12"], "two ways"),
    (["1", "2", "", "3", "4"], 'record 3 holds an empty text \\(""\\)'),
    ([None, None], "no record has a value"),
    (["a", "1"], "^$"),
    (["", ""], "^$"),
    ([], "^$"),
]


@pytest.mark.parametrize(("values", "expected"), TYPED)
def test_a_column_whose_values_come_back_gets_its_type(values: Texts, expected: ColumnType) -> None:
    assert detect(values) == (expected, "")


@pytest.mark.parametrize(("values", "note"), KEPT_AS_TEXT)
def test_other_columns_stay_text_and_say_why(values: Texts, note: str) -> None:
    found, reason = detect(values)
    assert found == text(max((len(value or "") for value in values), default=0))
    assert re.search(note, reason), reason


def test_a_surprise_in_a_later_batch_counts_like_one_in_the_first() -> None:
    assert detect(["1"], ["2.5"])[0] == FLOAT
    assert detect(["1.5"], [None], ["2.25", "-3.5"])[0] == FLOAT
    assert detect(["1"] * 500, ["2", "007"])[1].startswith("'007' in record 502 ")
    assert detect(["2024-01-01"], ["2024-01-01 00:00:00"])[0] == text(19)


def test_the_exceptions_among_numbers_are_counted_over_all_batches() -> None:
    _, note = detect(["1"] * 500, ["2"] * 498 + ["n/a", None, "NULL"], ["3"] * 499, ["-"])
    assert note == (
        "looks like a number in all but 3 of 1,500 values, the first of them 'n/a' in record 999: "
        "kept as text"
    )
    assert "in all but 5 of 15 values" in detect(["1"] * 10, ["x"] * 5)[1]
    assert detect(["1"] * 10, ["x"] * 15)[1] == ""


NUMBERS = (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT)


@pytest.mark.parametrize(
    ("values", "nearly"),
    [
        (["1"] * 18 + ["n/a", "-"], NUMBERS),
        (["1"] * 17 + ["n/a", "-", "?"], ()),
        (["1", "2", "n/a"], NUMBERS),
        (["1", "n/a"], ()),
        (["1"] * 9 + ["007"], NUMBERS),
        (["0815", "0816", "0817"], ()),
        (["2024-01-01"] * 5 + ["2024-02-30"], (Kind.DATE, Kind.TIMESTAMP)),
        (["1.5", "2", "3.0", "2.25"], NUMBERS),
        (["1", "2", "", "3"], NUMBERS),
        (["a", "b"], ()),
    ],
)
def test_a_text_column_knows_what_nearly_all_of_its_values_are(
    values: Texts, nearly: tuple[Kind, ...]
) -> None:
    assert decide(values).nearly == nearly
    assert decide(values[:2], values[2:]).nearly == nearly


def test_notes_name_the_record_of_the_file_where_rows_were_refused_before() -> None:
    detector = ColumnTypeDetector()
    detector.observe(column(["1", None, "x"]), pa.array([2, 5, 9]))
    assert "'x'" not in detector.decide().note
    detector = ColumnTypeDetector()
    detector.observe(column([*"123456789", None, "007"]), pa.array([*range(2, 12), 20]))
    assert detector.decide().note.startswith("'007' in record 20 ")


def test_lengths_and_nulls_are_counted_in_characters_to_the_end() -> None:
    detector = ColumnTypeDetector()
    for batch in (["1", None], ["ü", None], ["äöüß😀", "x"]):
        detector.observe(column(batch))
    assert (detector.nulls, detector.max_length) == (2, 5)
    assert detector.decide().type == text(6), "two units of UTF-16 for the last character"


def test_long_values_are_shortened_in_notes() -> None:
    _, note = detect(["1"] * 20, ["x" * 5000])
    assert len(note) < 200


PLAIN = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(-1000, 1000).map(str),
    st.decimals(-1000, 1000, places=2).map(str),
    st.decimals(-10, 10, places=1).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(0, 1000).map(lambda number: format(Decimal(repr(number)), "f")),
    st.dates().map(str),
    st.datetimes().map(str),
    st.datetimes().map(datetime.isoformat),
    st.booleans().map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.text(max_size=6),
    st.text("0123456789.-+eE", max_size=6),
    st.text("0123456789-: T.", max_size=22),
)
OF_ONE_KIND = st.sampled_from(
    [
        st.integers(-(2**63), 2**63 - 1).map(str),
        st.decimals(-(10**9), 10**9, places=3).map(str),
        st.floats(-1e6, 1e6).map(lambda number: format(Decimal(repr(number)), "f")),
        st.integers(-99999, 99999).map(lambda number: repr(number / 100)),
        st.integers(-99999, 99999).map(lambda number: repr(number / 100).removesuffix(".0")),
        st.dates().map(str),
        st.datetimes().map(lambda moment: moment.isoformat(" ", "seconds")),
        st.datetimes().map(lambda moment: moment.isoformat("T", "milliseconds")),
        st.sampled_from(["true", "false"]),
        st.uuids().map(str),
        st.times().map(lambda moment: moment.isoformat("milliseconds")),
        st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat(" ", "seconds")),
    ]
).flatmap(lambda values: st.lists(st.none() | values, max_size=20))


@settings(max_examples=600, deadline=None)
@given(OF_ONE_KIND | st.lists(st.none() | PLAIN, max_size=6), st.integers(0, 6))
def test_no_value_is_damaged(values: Texts, cut: int) -> None:
    found, _ = detect(values[:cut], values[cut:])
    printed = column(values)
    if found.notation:
        printed = rewrite(printed, found.notation)
    stored = convert(printed, found).to_pylist()
    written = [None if value is None else canonical_text(value, found) for value in stored]
    assert written == printed.to_pylist()


def test_columns_of_one_kind_are_not_left_as_text() -> None:
    assert detect([repr(number / 100) for number in range(300)])[0] == FLOAT
    assert detect([f"{number / 100:.2f}" for number in range(-300, 300) if number])[0].scale == 2


def test_zeros_behind_the_digits_of_a_second_that_a_column_keeps_change_nothing() -> None:
    moment = "2000-01-01 00:00:00.001000"
    assert convert(column([moment]), timestamp(3)).to_pylist()[0].microsecond == 1000
    assert explain_misfit(moment, timestamp(3)) == ""
    for precision in (0, 2):
        with pytest.raises(ConversionError):
            convert(column([moment]), timestamp(precision))


def test_decimals_beyond_what_arrow_counts_are_not_cut_off() -> None:
    """Promise 5: its cast from text drops digits from the 39th decimal on without a word."""
    for value in ("0." + "0" * 38 + "1", "1." + "0" * 50 + "7"):
        with pytest.raises(ConversionError):
            convert(column([value]), decimal(38, 0))
    whole = convert(column(["1." + "0" * 30]), decimal(38, 0))
    assert whole.to_pylist() == [Decimal(1)]


NOTATIONS = [
    # as the file has it, the type, as a database prints it
    (["1,5", "-2,2"], ColumnType(Kind.DECIMAL, precision=2, scale=1), ["1.5", "-2.2"]),
    (["1.234.567,89", None, "0,50"], ColumnType(Kind.DECIMAL, precision=9, scale=2), None),
    (["1'000", "7"], INTEGER, ["1000", "7"]),
    (["1 234", "12\u00a0345\u202f678"], INTEGER, ["1234", "12345678"]),
    (["1,234.50", "2.25"], ColumnType(Kind.DECIMAL, precision=6, scale=2), ["1234.50", "2.25"]),
    (["5", "1,234,567"], INTEGER, ["5", "1234567"]),
    (["True", "False"], BOOLEAN, ["true", "false"]),
    (["FALSE"], BOOLEAN, ["false"]),
    (["2024/02/28", "2024/1/5"], DATE, ["2024-02-28", "2024-01-05"]),
    (["2024-2-8"], DATE, ["2024-02-08"]),
    (["3.4.2024", "31.12.2023"], DATE, ["2024-04-03", "2023-12-31"]),
    (["04/03/2024", "12/31/2023"], DATE, ["2024-04-03", "2023-12-31"]),
    (["2024-02-29 10:11"], timestamp(), ["2024-02-29 10:11:00"]),
    (["29.2.2024 9:05:01.25"], timestamp(2), ["2024-02-29 09:05:01.25"]),
    (["12/24/2018 10:11 PM", "12/24/2018 12:00 AM"], timestamp(), None),
    (
        ["6F9619FF-8B86-D011-B42D-00C04FC964FF"],
        ColumnType(Kind.UUID),
        ["6f9619ff-8b86-d011-b42d-00c04fc964ff"],
    ),
]


@pytest.mark.parametrize(("values", "expected", "printed"), NOTATIONS)
def test_another_notation_on_which_all_values_agree_is_rewritten(
    values: list[str | None], expected: ColumnType, printed: list[str | None] | None
) -> None:
    decided, note = detect(values)
    assert replace(decided, notation="") == expected
    assert note == f"written as {decided.notation}"
    rewritten = rewrite(column(values), decided.notation)
    assert printed is None or rewritten.to_pylist() == printed
    assert len(convert(rewritten, decided)) == len(values)
    one_by_one = [None if v is None else rewrite_text(v, decided.notation) for v in values]
    assert rewritten.to_pylist() == one_by_one


def test_noon_and_midnight_are_where_clocks_have_them() -> None:
    values = ["12:00 AM", "12:30 PM", "1:05 pm", "11:59 pm", "9:00 AM"]
    written = [f"12/31/2023 {value}" for value in values]
    decided, _ = detect(written)
    rewritten = rewrite(column(written), decided.notation).to_pylist()
    found = [text.partition(" ")[2] for text in rewritten]
    assert found == ["00:00:00", "12:30:00", "13:05:00", "23:59:00", "09:00:00"]


@pytest.mark.parametrize(
    ("values", "hints", "expected"),
    [
        (["1,234", "5,678"], Hints(decimal_mark=","), ["1.234", "5.678"]),
        (["1,234", "5,678"], Hints(decimal_mark="."), ["1234", "5678"]),
        (["03.04.2024"], Hints(day_first=True), ["2024-04-03"]),
        (["03/04/2024"], Hints(day_first=False), ["2024-03-04"]),
    ],
)
def test_what_can_be_read_in_two_ways_is_settled_by_one_line_of_configuration(
    values: list[str], hints: Hints, expected: list[str]
) -> None:
    detector = ColumnTypeDetector(hints)
    detector.observe(pa.array(values))
    decided = detector.decide().type
    assert rewrite(pa.array(values), decided.notation).to_pylist() == expected
    unsettled = decide(values)
    assert unsettled.type.kind is Kind.TEXT
    assert "settles it" in unsettled.note
    assert unsettled.doubt == ("load.decimal_mark" if hints.decimal_mark else "load.day_first")


@pytest.mark.parametrize(
    ("values", "hints", "note"),
    [
        (
            ["5", "1.1", "1.2"],
            Hints(decimal_mark=","),
            "'1.1' in record 2 contradicts load.decimal_mark = \",\": kept as text",
        ),
        (
            ["1,234", "7,5"],
            Hints(decimal_mark="."),
            "'7,5' in record 2 contradicts load.decimal_mark = \".\": kept as text",
        ),
        (
            ["01/02/2024", "12/31/2024"],
            Hints(day_first=True),
            "'12/31/2024' in record 2 contradicts load.day_first = true: kept as text",
        ),
        (
            ["31.12.2024 10:00"],
            Hints(day_first=False),
            "'31.12.2024 10:00' in record 1 contradicts load.day_first = false: kept as text",
        ),
    ],
)
def test_a_column_that_contradicts_the_configuration_stays_text(
    values: list[str], hints: Hints, note: str
) -> None:
    for batches in ([values], [values[:1], values[1:]]):
        found = decide(*batches, hints=hints)
        assert (found.type.kind, found.note) == (Kind.TEXT, note)
        assert found.doubt == ("load.decimal_mark" if hints.decimal_mark else "load.day_first")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["192.168.178.101", "192.168.178.102"], "can be a code as well as a number"),
        (["732 829 320", "552 100 554"], "can be a code as well as a number"),
        (["5", "1.234", "1,234", "2.568", "7,125"], "settles it"),
    ],
)
def test_what_another_reading_would_change_stays_text(values: list[str], reason: str) -> None:
    """Promise 5"""
    decided, note = detect(values)
    assert decided.kind is Kind.TEXT
    assert reason in note


def test_the_configured_decimal_mark_counts_for_whole_thousands_too() -> None:
    detector = ColumnTypeDetector(Hints(decimal_mark=","))
    detector.observe(pa.array(["1.234", "2.500", "12.000"]))
    decided = detector.decide().type
    assert decided == ColumnType(Kind.INTEGER)
    assert rewrite(pa.array(["1.234"]), decided.notation).to_pylist() == ["1234"]


def test_a_notation_shows_itself_later_and_the_whole_column_must_agree() -> None:
    batches = [["1", "2"], ["1,234", "5"], ["1,5"], ["2.000,5"]]
    detector = ColumnTypeDetector()
    for batch in batches:
        detector.observe(pa.array(batch))
    decided = detector.decide().type
    assert (decided.kind, decided.notation) == (Kind.FLOAT, "1.234,5")
    detector.observe(pa.array(["7.5"]))
    decided = detector.decide().type
    assert decided.kind is Kind.TEXT
    expected = "'7.5' in record 7 is written in another way than the values before it"
    assert expected in detector.decide().note


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        (INTEGER, ["1", None, "-7"], [1, None, -7]),
        (decimal(6, 2), ["1", "-3.25"], [Decimal("1.00"), Decimal("-3.25")]),
        (FLOAT, ["1", "2.5", None], [1.0, 2.5, None]),
        (BOOLEAN, ["true", "false", None], [True, False, None]),
        (BOOLEAN, ["1", "0", None], [True, False, None]),
        (DATE, ["2024-02-29"], [date(2024, 2, 29)]),
        (timestamp(), ["2024-02-29T10:00:00"], [datetime(2024, 2, 29, 10)]),
        (timestamp(), ["2024-02-29"], [datetime(2024, 2, 29)]),
        (timestamp(3), ["2024-02-29 10:00:00.25"], [datetime(2024, 2, 29, 10, 0, 0, 250000)]),
        (text(3), ["abcd", "", None], ["abcd", "", None]),
        (INTEGER, [None, None], [None, None]),
        (DATE, [], []),
    ],
)
def test_text_becomes_typed_values(
    type_: ColumnType, values: Texts, expected: list[object]
) -> None:
    assert convert(column(values), type_).to_pylist() == expected


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (INTEGER, "007"),
        (INTEGER, "+1"),
        (INTEGER, " 1"),
        (INTEGER, "0x1F"),
        (INTEGER, "9223372036854775808"),
        (INTEGER, ""),
        (decimal(4, 2), "1.005"),
        (decimal(4, 2), "123.4"),
        (decimal(4, 2), "1e1"),
        (decimal(4, 2), "-0.00"),
        (FLOAT, "9007199254740993"),
        (FLOAT, "0.12345678901234567"),
        (FLOAT, "nan"),
        (FLOAT, "1e5"),
        (BOOLEAN, "True"),
        (BOOLEAN, "2"),
        (ColumnType(Kind.TIME), "24:00:00"),
        (ColumnType(Kind.TIME), "10:20:30.5"),
        (ColumnType(Kind.UUID), "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
        (ColumnType(Kind.TIMESTAMP_OFFSET), "2024-02-30T10:11:12Z"),
        (DATE, "2023-02-29"),
        (DATE, "0000-12-31"),
        (timestamp(), "2024-01-01 10:00:00.5"),
        (timestamp(6), "2024-01-01 10:00:00Z"),
        (timestamp(6), "0000-01-01 10:00:00"),
    ],
)
def test_a_value_that_would_change_is_refused_with_its_position(
    type_: ColumnType, value: str
) -> None:
    values = [None] * 3 + [value] * 2
    with pytest.raises(ConversionError) as caught:
        convert(column(values), type_)
    assert (caught.value.position, caught.value.value) == (3, value)
    assert isinstance(caught.value, ValueError)


EVERY_TYPE = [
    *(INTEGER, FLOAT, BOOLEAN, DATE, text(0), text(4), text(400)),
    *(timestamp(), timestamp(3), timestamp(6)),
    *(decimal(4, 2), decimal(2, 2), decimal(15, 3), decimal(21, 2)),
    *(decimal(38, 30), decimal(38, 0)),
]


@pytest.mark.parametrize(
    ("values", "column_type", "expected"),
    [
        (INTEGER, decimal(21, 2), True),
        (INTEGER, decimal(20, 2), False),
        (INTEGER, FLOAT, False),
        (INTEGER, text(20), True),
        (INTEGER, text(19), False),
        (decimal(4, 2), decimal(5, 3), True),
        (decimal(4, 2), decimal(4, 3), False),
        (decimal(15, 3), FLOAT, True),
        (decimal(16, 3), FLOAT, False),
        (decimal(4, 2), INTEGER, False),
        (DATE, timestamp(), True),
        (timestamp(), DATE, False),
        (timestamp(3), timestamp(), False),
        (BOOLEAN, INTEGER, False),
        (text(5), text(4), False),
        (text(5), text(0), True),
        (text(0), text(4), True),
        (text(0), INTEGER, False),
        (FLOAT, decimal(38, 10), False),
    ],
)
def test_a_type_fits_only_where_every_value_does(
    values: ColumnType, column_type: ColumnType, expected: bool
) -> None:
    assert fits(values, column_type) is expected


@pytest.mark.parametrize("one", EVERY_TYPE, ids=str)
@pytest.mark.parametrize("other", EVERY_TYPE, ids=str)
def test_the_common_type_holds_both(one: ColumnType, other: ColumnType) -> None:
    common = common_type(one, other)
    assert fits(one, common)
    assert fits(other, common)
    assert common.spelling == ""


def test_the_common_type_is_no_wider_than_needed() -> None:
    assert common_type(decimal(4, 2), INTEGER) == decimal(21, 2)
    assert common_type(decimal(4, 2), decimal(5, 4)) == decimal(6, 4)
    assert common_type(decimal(38, 30), INTEGER) == text(40)
    assert common_type(INTEGER, text(3)) == text(20)
    assert common_type(INTEGER, text(0)) == text(20)
    assert common_type(DATE, timestamp(3)) == timestamp(3)
    assert common_type(FLOAT, decimal(9, 2)) == FLOAT
    assert common_type(INTEGER, BOOLEAN) == text(20)
    assert common_type(text(0), text(9)) == text(0)


def test_how_a_file_spells_its_values_is_no_part_of_the_type() -> None:
    spelled = ColumnType(Kind.FLOAT, spelling=".0")
    assert spelled == FLOAT
    assert common_type(INTEGER, DATE) == text(20)
    assert common_type(decimal(4, 2), spelled).spelling == ""


@pytest.mark.parametrize(
    ("type_", "written"),
    [(INTEGER, str(-(2**63))), (BOOLEAN, "false"), (DATE, "2024-12-31"), (decimal(2, 2), "-0.05")],
)
def test_the_text_width_is_enough_for_the_longest_value(type_: ColumnType, written: str) -> None:
    assert text_width(type_) == len(written)
    assert canonical_text(convert(column([written]), type_)[0].as_py(), type_) == written


KNOWN_TYPES = st.sampled_from(
    [
        *(INTEGER, FLOAT, BOOLEAN, DATE, timestamp(), timestamp(3), decimal(6, 2), decimal(38, 0)),
        *(ColumnType(Kind.TIME), ColumnType(Kind.TIME, precision=6), ColumnType(Kind.UUID)),
        ColumnType(Kind.TIMESTAMP_OFFSET, precision=2),
    ]
)


@settings(max_examples=600, deadline=None)
@given(PLAIN | st.uuids().map(str) | st.times().map(str), KNOWN_TYPES)
def test_what_is_not_refused_can_be_stored_and_what_can_be_stored_is_not_refused(
    value: str, known: ColumnType
) -> None:
    misfit = explain_misfit(value, known)
    try:
        convert(column([value]), known)
    except ConversionError:
        assert misfit, (value, known)
    else:
        assert misfit == "", (value, known)


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (text(3), "abcd", "'abcd' is 4 characters long, the column holds 3"),
        (text(3), "a😀", ""),
        (text(0), "x" * 99, ""),
        (INTEGER, "12x", "'12x' is not a whole number"),
        (
            decimal(4, 2),
            "12,5",
            "is not a number (a number column does not keep the decimal comma)",
        ),
        (decimal(4, 2), "1.005", "'1.005' has more than 2 decimals"),
        (decimal(4, 2), "123", "'123' has more than 2 digits before the point"),
        (DATE, "2023-02-29", "'2023-02-29' is not in the calendar"),
        (timestamp(), "2023-02-28 24:00:00", "'2023-02-28 24:00:00' is not in the calendar"),
        (timestamp(), "2023-02-28 10:00:00.5", "has more than 0 decimals of the second"),
        (ColumnType(Kind.UUID), "6F9619FF-8B86-D011-B42D-00C04FC964FF", ""),
        (FLOAT, "9007199254740991", ""),
        (FLOAT, "9007199254740992", "has more digits than the column keeps"),
    ],
)
def test_a_misfit_is_explained(type_: ColumnType, value: str, expected: str) -> None:
    assert explain_misfit(value, type_).endswith(expected)
    assert bool(explain_misfit(value, type_)) == bool(expected)


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("digits", [20, 4_301, 50_000])
def test_a_whole_number_of_any_length_is_text_and_fits_no_number(sign: str, digits: int) -> None:
    """Python reads no more than 4,300 digits of one."""
    long = sign + "1" * digits
    many = [str(number) for number in range(2_000)]
    for detected in (detect(["1", long]), detect(many, [long])):
        assert detected[0].kind is Kind.TEXT
    assert detect_short(["1", long]).type.kind is Kind.TEXT
    assert detect(["1.5", long])[0].kind is Kind.TEXT
    assert explain_misfit(long, INTEGER).endswith("is too large a number")
    assert explain_misfit(long, FLOAT).endswith("has more digits than the column keeps")


def detect_short(*batches: Texts, hints: Hints = Hints()) -> Decision:  # noqa: B008 - it is frozen
    """Return what is decided when the values are looked at one by one."""
    detector = ColumnTypeDetector(hints)
    for batch in batches:
        records = pa.record_batch([column(batch)], names=["c"])
        detector.observe(column(batch), short=texts_of_columns(records)[0])
    assert detector.nulls == sum(value is None for batch in batches for value in batch)
    return detector.decide()


LOOK_ALIKES = st.one_of(
    st.sampled_from(["1.234", "-12.345", "0.123", "1.50", "2.0", "-0.0", "12", "007", "n/a", ""]),
    st.sampled_from(["1,5", "1.234,5", "1,234", "1'000", "2024-02-30", "31.12.2024", "03.04.2024"]),
    st.sampled_from(["9007199254740993", "-9223372036854775808", "9223372036854775808", "True"]),
    st.sampled_from(["0.12345678901234567", "a\x1fb", "😀", "äöü", "0000-01-01", "2024-01-01"]),
)


@settings(max_examples=600, deadline=None)
@given(
    OF_ONE_KIND | st.lists(st.none() | PLAIN | LOOK_ALIKES, max_size=8),
    st.integers(0, 6),
    st.sampled_from([Hints(), Hints(decimal_mark=","), Hints(day_first=True)]),
)
def test_few_values_are_judged_as_many_are(values: Texts, cut: int, hints: Hints) -> None:
    batches = values[:cut], values[cut:]
    assert detect_short(*batches, hints=hints) == decide(*batches, hints=hints)


@pytest.mark.parametrize("values", [values for values, _ in (*TYPED, *KEPT_AS_TEXT)])
def test_few_values_of_every_sort_are_judged_as_many_are(values: Texts) -> None:
    assert detect_short(values) == decide(values)


def test_texts_of_many_columns_come_without_nulls_and_in_their_places() -> None:
    columns: list[Texts] = [["a", None, "b"], [None] * 3, ["", "c", None], ["x\x1fy", "z", "w"]]
    records = pa.record_batch([column(values) for values in columns], names=list("abcd"))
    assert texts_of_columns(records) == [["a", "b"], [], ["", "c"], None]
    assert texts_of_columns(records.slice(1, 1)) == [[], [], ["c"], ["z"]]


DAY_FORMS = ["2024-01-31", "20240131", "2024/01/31", "2024.01.31", "24-01-31", "+02024-01-31"]
CLOCK_FORMS = ["12:30:59", "12.30.59", "12:30", "12", "123059", "123059.123", "12:30+01"]
TIME_FORMS = [f"{day}{t}{clock}" for day in DAY_FORMS for t in " Tt_" for clock in CLOCK_FORMS]
NEARLY = st.sampled_from([*DAY_FORMS, *TIME_FORMS])


@settings(max_examples=2000, deadline=None)
@given(NEARLY, st.integers(0, 20), st.integers(0, 2), st.text("0159-+:.,TtZz /e\u0661", max_size=3))
def test_arrow_takes_no_other_text_for_a_day_or_for_a_time_to_the_second(
    whole: str, at: int, less: int, more: str
) -> None:
    """So no expression looks for the form before; another release of Arrow might differ."""
    for written in (whole, whole[:at] + more + whole[at + less :]):
        if is_taken_for(written, pa.date32()):
            assert re.fullmatch(plain.DATE, written)
        is_as_long = len(written.encode()) == len("2024-01-31 12:30:59")
        if is_as_long and is_taken_for(written, pa.timestamp("us")):
            assert re.fullmatch(plain.TIMESTAMP, written)


def is_taken_for(written: str, type_: pa.DataType) -> bool:
    try:
        column([written]).cast(type_)
    except pa.ArrowInvalid:
        return False
    return True


@settings(deadline=None)
@given(
    st.lists(st.integers(0).map(str)),
    st.sampled_from(
        ["0", "7", "10", "", "00", "07", "0070", "-1", "1.5", "/", "1:", ":1", "\u0661"]
    ),
    st.lists(st.integers(0).map(str)),
)
def test_unsigned_whole_numbers_are_known_by_their_bytes(
    before: list[str], value: str, behind: list[str]
) -> None:
    values = [*before, value, *behind]
    expected = bool(re.fullmatch("0|[1-9][0-9]*", value, re.ASCII))
    assert all_unsigned_whole(column(values)) is expected
    among_others = column(["x", "", *values, "", "y"])
    assert all_unsigned_whole(among_others.slice(2, len(values))) is expected


@settings(deadline=None, max_examples=500)
@given(
    st.integers(1, 38).flatmap(lambda p: st.tuples(st.just(p), st.integers(0, p))),
    st.integers(0, 10**40) | st.integers(0, 200),
    st.integers(0, 39),
    st.sampled_from([0, 0, 1, 7, 30, 37, 38, 39, 45, 78]),
    st.sampled_from(["", "-"]),
)
def test_decimals_are_exact_or_refused_however_many_zeros_they_have(
    size: tuple[int, int], unscaled: int, decimals: int, zeros: int, sign: str
) -> None:
    digits = str(unscaled).rjust(decimals + 1, "0")
    whole, behind = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    behind += "0" * zeros
    value = f"{sign * (unscaled > 0)}{whole}{'.' * bool(behind)}{behind}"
    type_ = ColumnType(Kind.DECIMAL, precision=size[0], scale=size[1])
    if explain_misfit(value, type_):
        with pytest.raises(ConversionError):
            convert(column([value, "0"]), type_)
    else:
        assert convert(column([value, "0"]), type_)[0].as_py() == Decimal(value)


DECIMALS = st.tuples(st.integers(0), st.integers(0)).map(lambda parts: "{}.{}".format(*parts))


@settings(deadline=None)
@given(
    st.lists(DECIMALS),
    st.one_of(
        DECIMALS,
        st.text("0123456789./-: ", max_size=5),
        st.sampled_from(["0.0", "00.5", "01.5", "-1.5", "1.", ".5", "1.5.", "1./5", "1.\u0661"]),
    ),
    st.lists(DECIMALS),
)
def test_unsigned_decimals_are_known_by_their_bytes(
    before: list[str], value: str, behind: list[str]
) -> None:
    values = [*before, value, *behind]
    expected = bool(re.fullmatch(r"(?:0|[1-9][0-9]*)\.[0-9]+", value, re.ASCII))
    texts = column(["x", "", *values, "", "y"]).slice(2, len(values))
    assert all_unsigned_decimal(texts, pc.find_substring(texts, ".")) is expected


@settings(deadline=None)
@given(st.lists(st.lists(st.text("aé東𝄞", max_size=6), min_size=1), min_size=1, max_size=4))
def test_the_longest_text_is_known_whatever_came_before(batches: list[list[str]]) -> None:
    detector = ColumnTypeDetector()
    for texts in batches:
        detector.observe(column(texts))
    every = [text for texts in batches for text in texts]
    assert detector.max_length == max(map(len, every))
    assert detector.max_units == max(len(text.encode("utf-16-le")) // 2 for text in every)


def test_no_expression_looks_at_days_times_and_whole_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pc, "match_substring_regex", pytest.fail)
    many = {
        Kind.DATE: ["2024-01-31"] * 2000,
        Kind.TIMESTAMP: ["2024-01-31 12:30:59"] * 2000,
        Kind.INTEGER: [str(number) for number in range(2000)],
    }
    assert {kind: decide(values).type.kind for kind, values in many.items()} == {
        kind: kind for kind in many
    }


_JUDGE = """
from dropload.column_types import ColumnTypeDetector
import pyarrow as pa
texts = ["-0.1234", "-0.50", "0.25"] * 200 + ["n/a"]
detector = ColumnTypeDetector()
detector.observe(pa.array(texts), None, texts)
print(detector.decide().type.kind.value)
"""


def test_a_value_that_is_no_number_does_not_have_those_before_it_matched_again_and_again() -> None:
    """Each of them in four ways would take longer than anybody waits."""
    run = [sys.executable, "-c", _JUDGE]
    done = subprocess.run(run, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "text\n"


@given(st.from_regex(r"-0\.[0-9]{0,6}", fullmatch=True) | st.from_regex(r"-?0?\.?[0-9]{0,4}"))
def test_a_number_is_none_below_zero_that_is_zero(text: str) -> None:
    before = r"(?:0(?:\.[0-9]+)?|-?[1-9][0-9]*(?:\.[0-9]+)?|-0\.[0-9]*[1-9][0-9]*)"
    assert bool(re.fullmatch(plain.NUMBER, text)) == bool(re.fullmatch(before, text))
