"""Suggestions for people: the table that is meant, the column that was renamed."""

import pytest

from dropload.model import TableName
from dropload.planning.suggestions import find_better_tables, propose_renames

TABLES = {
    TableName("dbo", "orders"): ["id", "customer", "amount", "day"],
    TableName("dbo", "customers"): ["id", "customer_name", "city"],
    TableName("dbo", "cities"): ["name", "country"],
    TableName("dbo", "nothing"): [],
}


def test_the_tables_that_fit_better_are_named_the_best_first() -> None:
    found = find_better_tables(["ID", "Customer Name", "City", "Amount"], TABLES, 0.25)
    assert found == [(TableName("dbo", "customers"), 1.0), (TableName("dbo", "orders"), 0.5)]


def test_a_table_that_fits_no_better_is_not_named() -> None:
    assert find_better_tables(["id", "customer", "amount"], TABLES, 0.75) == []
    assert find_better_tables(["name", "x", "y"], TABLES, 0.5) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("customer_name", "cust_nm"),
        ("cust_nm", "customer_name"),
        ("CustomerName", "cust nm"),
        ("amount", "amuont"),
        ("quantity", "qty"),
        ("delivery_address", "delivery_adress"),
    ],
)
def test_names_that_look_alike_are_paired(old: str, new: str) -> None:
    assert propose_renames([old, "unlike"], ["other", new]) == [(old, new)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("customer_name", "city"),
        ("id", "i"),
        ("start", "end"),
        ("name", "first_name"),
        ("amount", "count"),
    ],
)
def test_names_that_mean_something_else_are_not(old: str, new: str) -> None:
    assert propose_renames([old], [new]) == []


def test_each_name_is_proposed_once() -> None:
    assert propose_renames(["address", "adress"], ["addr"]) in (
        [("address", "addr")],
        [("adress", "addr")],
    )
