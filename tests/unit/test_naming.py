"""Names of tables and columns: every odd name has a stated outcome."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.mssql.base import RESERVED_WORDS as MSSQL_WORDS
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS as POSTGRESQL_WORDS

from dropload.errors import FileError
from dropload.naming import (
    LINEAGE_COLUMNS,
    MAX_COLUMN_CHARS,
    OWN_TABLES,
    RESERVED_WORDS,
    NamedTable,
    clean_column_names,
    file_pattern,
    match_key,
    table_name,
)

SUFFIXES = (".csv", ".tsv", ".txt")


def name_of(file_name: str, max_length: int = 63) -> str:
    return table_name(file_name, max_length=max_length, known_suffixes=SUFFIXES).name


@pytest.mark.parametrize(
    ("file_name", "table"),
    [
        ("airports_20241201.csv", "airports"),
        ("customer-data.csv", "customer_data"),
        ("FLIGHT_SCHEDULES.CSV", "flight_schedules"),
        ("test_data_2024-12-01.csv", "test_data"),
        ("airports.csv", "airports"),
        ("airports", "airports"),
        ("orders.csv.gz", "orders"),
        ("orders.CSV.GZ", "orders"),
        ("orders.csv.csv.txt", "orders"),
        ("orders.dat", "orders_dat"),
        ("a  b---c__d.csv", "a_b_c_d"),
        ("_orders_.csv", "orders"),
    ],
)
def test_a_file_name_leads_to_the_table_that_the_design_says(file_name: str, table: str) -> None:
    assert table_name(file_name, max_length=63, known_suffixes=SUFFIXES) == NamedTable(table)


@pytest.mark.parametrize(
    "date",
    [
        "20241201",
        "2024-12-01",
        "2024_12_01",
        "2024.12.01",
        "20241201_101500",
        "20241201-101500",
        "20241201T1015",
        "20241201T101500",
        "20241201T101500Z",
        "20241201t101500z",
        "20241201T101500.123Z",
        "20241201T101500+0100",
        "2024-12-01T10:15:00Z",
        "2024-12-01_10-15-00",
        "2024-12-01 10.15.00",
        "2024_12_01_10_15_00",
        "20241201101500",
        "20240229",
    ],
)
@pytest.mark.parametrize(
    ("pattern", "table"),
    [
        ("airports_{}.csv", "airports"),
        ("{}_airports.csv", "airports"),
        ("{} airports.csv", "airports"),
        ("airports{}.csv", "airports"),
        ("airports_{}_usa.csv", "airports_usa"),
        ("airports.csv.{}", "airports"),
        ("airports.{}.csv.gz", "airports"),
        ("airports.csv_{}.csv", "airports"),
    ],
)
def test_a_date_with_or_without_a_time_is_no_part_of_the_name(
    date: str, pattern: str, table: str
) -> None:
    assert name_of(pattern.format(date)) == table


@pytest.mark.parametrize(
    ("file_name", "table"),
    [
        ("orders_20241301.csv", "orders_20241301"),
        ("orders_20230229.csv", "orders_20230229"),
        ("orders_21000101.csv", "orders_21000101"),
        ("orders_10020304.csv", "orders_10020304"),
        ("orders_120241201.csv", "orders_120241201"),
        ("orders_202412011.csv", "orders_202412011"),
        ("orders_2024-12_01.csv", "orders_2024_12_01"),
        ("orders_2024-12-011.csv", "orders_2024_12_011"),
        ("orders_20241201_996000.csv", "orders_996000"),
        ("orders_20241201_7.csv", "orders_7"),
        ("orders_2024.csv", "orders_2024"),
        ("orders_202412.csv", "orders_202412"),
    ],
)
def test_what_is_no_date_of_the_calendar_stays(file_name: str, table: str) -> None:
    assert name_of(file_name) == table


@pytest.mark.parametrize(
    "file_name",
    [
        "20261120T101500Z_airports.csv",
        "20261120T101500Z-2_airports.csv",
        "20261120T101500Z_20261119T235959Z-13_airports_20241201.csv",
        "20261120T101500Z_airports.rejects.csv",
        "20261120T101500Z-2_airports.REJECTS.csv.gz",
        "20261120T101500Z_airports_20241201.rejects.csv",
    ],
)
def test_a_filed_file_that_is_dropped_again_goes_to_the_same_table(file_name: str) -> None:
    assert name_of(file_name) == "airports"


@pytest.mark.parametrize("base", ["Öfen.csv", "CAFÉ_été.csv", "Ångström.csv", "Şube.csv"])
def test_normal_forms_and_cases_of_one_name_lead_to_one_table(base: str) -> None:
    """E1"""
    variants = {
        unicodedata.normalize(form, text)
        for form in ("NFC", "NFD")
        for text in (base, base.upper().replace(".CSV", ".csv"), base.lower())
    }
    assert len(variants) > 2
    assert len({name_of(variant) for variant in variants}) == 1


@pytest.mark.parametrize(
    ("file_name", "table"),
    [
        ('a "quoted" name.csv', "a_quoted_name"),
        ("o'brien.csv", "o_brien"),
        ("[orders].csv", "orders"),
        ("x]; DROP TABLE y;--.csv", "x_drop_table_y"),
        ("a.b.c.csv", "a_b_c"),
        ("party🎉time.csv", "party_time"),
        ("❤️orders.csv", "orders"),
        ("new\nline.csv", "new_line"),
        ("данные.csv", "данные"),
        ("数据.csv", "数据"),
        ("हिन्दी.csv", "हिन्दी"),
        ("m².csv", "m"),
        ("caf\udce9.csv", "caf"),
        ("caf\udce9s.csv", "caf_s"),
    ],
)
def test_odd_characters_become_underscores(file_name: str, table: str) -> None:
    """E2, A10"""
    assert name_of(file_name) == table


def test_a_leading_digit_gets_a_letter_before_it_and_a_note() -> None:
    """E2"""
    named = table_name("2024_orders.csv", max_length=63, known_suffixes=SUFFIXES)
    assert named.name == "t_2024_orders"
    assert "starts with a digit" in named.note


def test_a_reserved_word_gets_a_letter_before_it_and_a_note() -> None:
    """E2"""
    named = table_name("Order_20241201.csv", max_length=63, known_suffixes=SUFFIXES)
    assert named.name == "t_order"
    assert "reserved word" in named.note


def test_the_reserved_words_are_those_of_both_server_dialects() -> None:
    assert RESERVED_WORDS >= MSSQL_WORDS | POSTGRESQL_WORDS


def test_a_long_name_is_cut_to_bytes_and_stays_the_same_for_every_delivery() -> None:
    """E2: 300 characters"""
    first = table_name("x" * 300 + "_20241201.csv", max_length=63, known_suffixes=SUFFIXES)
    later = table_name("X" * 300 + "_20241202.CSV", max_length=63, known_suffixes=SUFFIXES)
    other = table_name("x" * 301 + ".csv", max_length=63, known_suffixes=SUFFIXES)
    assert first == later
    assert len(first.name) == 63
    assert "longer than the 63 bytes" in first.note
    assert other.name != first.name


@pytest.mark.parametrize("length", range(60, 66))
def test_a_long_name_is_never_cut_inside_a_character(length: int) -> None:
    name = name_of("данные" * 20 + ".csv", max_length=length)
    assert length - 2 <= len(name.encode()) <= length


def test_a_name_of_exactly_the_allowed_length_is_left_alone() -> None:
    assert name_of("é" * 31 + "x.csv") == "é" * 31 + "x"


@pytest.mark.parametrize("file_name", ["20241201.csv", "🙂.csv", "___.csv", ".csv", "\udcff.csv"])
def test_a_name_with_nothing_in_it_is_the_senders_to_mend(file_name: str) -> None:
    """E2: only a date, only emoji"""
    with pytest.raises(FileError) as caught:
        name_of(file_name)
    assert caught.value.code == "no_table_name"
    assert "Rename the file" in caught.value.hint
    caught.value.message.encode()  # fit for a report and a journal even if the name is not UTF-8


@pytest.mark.parametrize("table", sorted(OWN_TABLES))
def test_the_journals_tables_cannot_be_loaded_into(table: str) -> None:
    with pytest.raises(FileError) as caught:
        name_of(f"{table.title()}_20241201.csv")
    assert caught.value.code == "reserved_name"


@given(st.text(max_size=300), st.integers(min_value=20, max_value=128))
def test_any_name_gives_a_plain_name_that_fits_or_a_file_error(text: str, limit: int) -> None:
    try:
        name = name_of(text, max_length=limit)
    except FileError:
        return
    assert 0 < len(name.encode()) <= limit
    assert "__" not in name
    assert not name.startswith("_")
    assert not set(name) & set("\"'`[];. \n\0")


# --- columns ---


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["id", "Name", "e-mail"], ("id", "Name", "e-mail")),
        (["  id ", "first\tname", "a \n  b", "x\0y"], ("id", "first name", "a b", "x y")),
        (["x]; DROP TABLE y;--"], ("x]; DROP TABLE y;--",)),
        (["id", "", "  "], ("id", "column_2", "column_3")),
        (["column_2", ""], ("column_2", "column_2_2")),
        (["", "column_1"], ("column_1_2", "column_1")),
        (["a", "A", "a"], ("a", "A_2", "a_3")),
        (["a", "a", "a_2"], ("a", "a_3", "a_2")),
        (["straße", "STRASSE"], ("straße", "STRASSE_2")),
        (["id", "ｉｄ"], ("id", "ｉｄ_2")),
        (["cafe\u0301", "caf\u00e9"], ("café", "café_2")),
        (["_load_id", "_SOURCE_ROW"], ("_load_id_2", "_SOURCE_ROW_2")),
        (["\ufeffid", "\u200b"], ("id", "column_2")),
        (["caf\udce9"], ("caf_",)),
        ([], ()),
    ],
)
def test_a_header_becomes_column_names_that_its_owner_recognises(
    header: list[str], columns: tuple[str, ...]
) -> None:
    assert clean_column_names(header) == columns


def test_long_headers_that_differ_only_at_the_end_stay_different() -> None:
    names = clean_column_names(["x" * 200 + "a", "x" * 200 + "b", "x" * 120])
    assert len(set(names)) == 3
    assert {len(name) for name in names} == {MAX_COLUMN_CHARS}


def test_five_thousand_equal_headers_are_named_in_no_time() -> None:
    names = clean_column_names(["x"] * 5_000 + [""] * 5_000)
    assert names[4_999] == "x_5000"
    assert len(set(names)) == 10_000


@given(st.lists(st.text(max_size=130) | st.sampled_from(["a", "A", "a_2", "", "_load_id"])))
def test_column_names_are_never_empty_or_long_and_never_collide(header: list[str]) -> None:
    names = clean_column_names(header)
    folded = [unicodedata.normalize("NFKC", name).casefold() for name in names]
    assert len(names) == len(header)
    assert len(set(folded)) == len(names)
    assert not set(folded) & set(LINEAGE_COLUMNS)
    assert all(0 < len(name) <= MAX_COLUMN_CHARS for name in names)
    assert clean_column_names(names) == names


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Élan vital", "elan_vital"),
        ("CustomerID", "customer-id"),
        ("Straße", "STRASSE"),
        ("  Total (EUR) ", "total_eur"),
        ("ＩＤ", "id"),
    ],
)
def test_columns_match_without_case_accents_and_punctuation(left: str, right: str) -> None:
    assert match_key(left) == match_key(right)


@pytest.mark.parametrize(
    ("left", "right"), [("%", "#"), ("a1", "a2"), ("का", "की"), ("amount", "amount_2")]
)
def test_different_columns_do_not_match(left: str, right: str) -> None:
    assert match_key(left) != match_key(right)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("sales_20261120.csv", "sales_########.csv"),
        ("sales_2026-11-20.csv", "sales_####-##-##.csv"),
        ("20261120T101500Z_sales_20261120.csv", "sales_########.csv"),
        ("airports.csv", "airports.csv"),
        ("a_1.csv.gz", "a_#.csv.gz"),
        (
            "x-6ba7b810-9dad-11d1-80b4-00c04fd430c8.csv",
            "x-########-####-####-####-############.csv",
        ),
    ],
)
def test_a_pattern_is_what_names_of_one_sender_have_in_common(name: str, pattern: str) -> None:
    assert file_pattern(name) == pattern
