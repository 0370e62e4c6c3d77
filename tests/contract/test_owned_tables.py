"""Tables that a database owner made: every value fits unchanged, or its row is refused by name."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path

import pytest

from dropload.dock import open_dock
from dropload.journal import apply_scripts
from dropload.model import Outcome, Verdict
from dropload.targets import restoring
from tests.conftest import make_config
from tests.contract.test_loading import Site


@contextmanager
def opened_site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    dock = open_dock(make_config(tmp_path, database={"url": database_url}))
    try:
        dock.tree.create()
        apply_scripts(dock.target)
        yield Site(dock)
    finally:
        dock.target.close()


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    with opened_site(database_url, tmp_path) as opened:
        yield opened


def make_table(site: Site, definition: str) -> None:
    site.execute(f"CREATE TABLE {site.dock.target.quoted(site.table('orders'))} ({definition})")


def rejects(site: Site, outcome: Outcome) -> list[tuple[int, int, str | None, str]]:
    assert outcome.load_id is not None
    with site.dock.target.read() as conn:
        found = site.dock.journal.history.rejects(conn, outcome.load_id)
    return [(r.line, r.source_row, r.column_name, r.message) for r in found]


def canonical(text: str | None, digits: int = 40) -> object:
    """Return what a text means, however it is spelled: a number, a truth value, a moment."""
    if text is None or text in ("true", "false"):
        return None if text is None else Decimal(text == "true")
    with suppress(InvalidOperation):
        return Context(prec=digits).create_decimal(text)
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    with suppress(ValueError):
        return time.fromisoformat(text)
    return text.lower()


EVERYWHERE = ("sqlite", "postgresql", "mssql")
VALUES = [
    # declared type, on which targets, values that fit, values that do not and why
    ("bigint", EVERYWHERE, ["-9223372036854775808", "5"], {"9223372036854775808": "too large"}),
    ("bigint", EVERYWHERE, ["0"], {"007": "leading zeros", "1.5": "whole number", "x": "whole"}),
    ("int", ("postgresql", "mssql"), ["2147483647", "-2147483648"], {"2147483648": "outside"}),
    ("smallint", ("postgresql", "mssql"), ["32767", "-32768"], {"32768": "outside"}),
    ("tinyint", ("mssql",), ["0", "255"], {"256": "outside of tinyint", "-1": "outside"}),
    (
        "decimal(6,2)",
        EVERYWHERE,
        ["9999.99", "-0.01", "12.5", "7", "1.500"],
        {"10000": "4 digits before the point", "0.005": "2 decimals", "1,5": "decimal comma"},
    ),
    (
        "real",
        ("postgresql", "mssql"),
        ["0.1", "123456", "0.25"],
        {
            "0.12345678": "real keeps",
            f"0.{'0' * 43}12": "real keeps",
            f"0.{'0' * 50}5": "real keeps",
            f"1{'0' * 39}.5": "keeps",
        },
    ),
    ("float", ("mssql",), ["0.1", "0.30000000000000004"], {"0.12345678901234567": "digits"}),
    ("money", ("mssql",), ["922337203685477.5807", "-1.5"], {"922337203685477.5808": "too large"}),
    ("smallmoney", ("mssql",), ["214748.3647"], {"214748.3648": "too large"}),
    ("bit", ("mssql",), ["1", "0", "true"], {"2": "true or false", "yes": "true or false"}),
    ("boolean", ("sqlite", "postgresql"), ["1", "0", "true"], {"yes": "true or false"}),
    (
        "date",
        EVERYWHERE,
        ["2024-02-29"],
        {"2023-02-29": "calendar", "29.2.2024": "its year does not come first"},
    ),
    (
        "time(0)",
        ("postgresql", "mssql"),
        ["23:59:59"],
        {"23:59:59.5": "0 decimals", "9 am": "time"},
    ),
    (
        "datetime",
        ("mssql",),
        ["2024-02-01 10:20:30", "2024-02-01 10:20:30.123", "2024-02-01"],
        {"1600-01-01 00:00:00": "before 1753", "2024-02-01 10:20:30.125": "1/300 s"},
    ),
    ("smalldatetime", ("mssql",), ["2024-02-01 10:20:00"], {"2024-02-01 10:20:30": "has seconds"}),
    (
        "datetime2(3)",
        ("mssql",),
        ["2024-02-01T10:20:30.125"],
        {"2024-02-01 10:20:30.1255": "3"},
    ),
    (
        "datetimeoffset(0)",
        ("mssql",),
        ["2024-02-01T10:20:30Z", "2024-02-01 10:20:30+05:30"],
        {"2024-02-01 10:20:30.5+05:30": "0 decimals", "2024-02-01 10:20:30": "offset"},
    ),
    (
        "uniqueidentifier",
        ("mssql",),
        ["6F9619FF-8B86-D011-B42D-00C04FC964FF"],
        {"6F9619FF": "not a UUID"},
    ),
    ("uuid", ("postgresql",), ["6F9619FF-8B86-D011-B42D-00C04FC964FF"], {"6F9619FF": "a UUID"}),
    (
        "timestamptz",
        ("postgresql",),
        ["2024-02-01 10:20:30", "2024-02-01T10:20:30+05:30"],
        {"2024-02-01 10:20:30.1234567+05:30": "6 decimals"},
    ),
    (
        "timestamptz(0)",
        ("postgresql",),
        ["2024-02-01 10:20:30.000+05:30"],
        {"2024-02-01 10:20:30.7+05:30": "0 decimals", "20240201T102030.7Z": "0 decimals"},
    ),
    ("timetz(1)", ("postgresql",), ["10:00:00.7+00"], {"10:00:00.75+00": "more than 1 decimal"}),
    ("interval(0)", ("postgresql",), [], {"00:00:01.7": "0 decimals"}),
    ("money", ("postgresql",), [], {"1.239": "2 decimals"}),
    ("name", ("postgresql",), ["abc", "x" * 63], {"x" * 64: "64 bytes", "é" * 32: "64 bytes"}),
    ('"char"', ("postgresql",), ["a"], {"abc": "3 bytes", "é": "2 bytes"}),
    ("nvarchar(5)", ("mssql",), ["abcde", "🎉🎉a"], {"abcdef": "6 characters", "🎉🎉🎉": "6 char"}),
    ("varchar(5)", ("postgresql",), ["abcde", "🎉🎉🎉🎉🎉"], {"abcdef": "6 characters"}),
    ("varchar(5)", ("mssql",), ["Zürch"], {"Zürich": "6 bytes", "Łódź": "'Ł' is not among"}),
    ("varbinary(5)", ("mssql",), [], {"abc": "does not write"}),
]


@pytest.mark.parametrize(("declared", "targets", "good", "bad"), VALUES)
def test_what_fits_is_loaded_and_the_rest_is_refused_by_row(
    site: Site,
    declared: str,
    targets: tuple[str, ...],
    good: list[str],
    bad: dict[str, str],
) -> None:
    """Promise 5, G5"""
    if site.dock.target.name not in targets:
        pytest.skip(f"this target has no {declared}")
    make_table(site, f"measure {declared} NULL, number bigint")
    if good:
        lines = "".join(f'"{value}",{n}\n' for n, value in enumerate(good))
        loaded = site.drop("orders.csv", f"measure,number\n{lines},99\n")
        assert loaded.verdict is Verdict.LOADED, loaded
        rows = sorted(site.texts(site.table("orders")), key=lambda row: int(row[1] or 0))
        digits = 7 if declared == "real" else 40  # what is read back is the double next to it
        kept = [canonical(value, digits) for value, _ in rows]
        assert kept == [*(canonical(value, digits) for value in good), None]
    lines = "".join(f'"{value}",{n}\n' for n, value in enumerate([*bad, *good]))
    if not bad:
        return
    refused = site.drop("orders.csv", f"measure,number\n{lines}")
    assert refused.verdict is Verdict.FAILED, refused
    found = rejects(site, refused)
    assert [row[:3] for row in found] == [(n + 2, n + 1, "measure") for n in range(len(bad))]
    for (_, _, _, message), (value, reason) in zip(found, bad.items(), strict=True):
        assert reason in message, (value, message)


def test_an_empty_cell_of_a_column_that_needs_a_value_is_refused_by_row(site: Site) -> None:
    make_table(site, "id bigint NOT NULL, name varchar(20) NOT NULL")
    refused = site.drop("orders.csv", 'id,name\n1,a\n2,\n3,""\n')
    assert refused.verdict is Verdict.FAILED
    assert rejects(site, refused) == [
        (3, 2, "name", "is empty, and the table needs a value here"),
    ]


def test_when_one_column_refuses_rows_the_answer_names_its_type(site: Site) -> None:
    make_table(site, "id bigint, amount decimal(6,2)")
    refused = site.drop("orders.csv", "id,amount\n1,n/a\n2,none\n")
    assert refused.verdict is Verdict.FAILED
    assert 'Column "amount" of the table holds ' in refused.message
    assert refused.message.endswith(("decimal(6,2).", "numeric(6,2)."))


def test_good_rows_load_when_some_may_be_refused(database_url: str, tmp_path: Path) -> None:
    settings = {"max_rejected_rows": 5}
    dock = open_dock(make_config(tmp_path, database={"url": database_url}, load=settings))
    dock.tree.create()
    apply_scripts(dock.target)
    site = Site(dock)
    make_table(site, "id bigint NOT NULL, amount decimal(6,2)")
    content = 'id,amount\n1,1.50\n2,"1,5"\n3,\n,4.00\n5,\n6,10000\n'
    loaded = site.drop("orders.csv", content)
    rows = site.texts(site.table("orders"))
    dock.target.close()
    assert (loaded.verdict, loaded.rows_loaded, loaded.rows_rejected) == (Verdict.LOADED, 3, 3)
    assert sorted(rows, key=str) == [("1", "1.50"), ("3", None), ("5", None)]
    assert loaded.filed_path is not None
    [written] = loaded.filed_path.parent.glob("*.rejects.csv")
    lines = written.read_text().splitlines()
    assert lines[1].startswith('2,"1,5",3,amount,')
    assert lines[2].startswith(",4.00,5,id,")
    assert lines[3].startswith("6,10000,7,amount,")


def wide_file(columns: int) -> str:
    header = ",".join(f"column {n}" for n in range(columns))
    return f"{header}\n{','.join(f'{n}.25' for n in range(columns))}\n"


def test_a_table_has_as_many_columns_as_the_database_can_have_and_no_more(site: Site) -> None:
    # The pages of servers hold fewer columns of nine bytes than their catalogues allow.
    most = {"postgresql": 800, "mssql": 600}.get(site.dock.target.name, 1990)
    loaded = site.drop("wide.csv", wide_file(most))
    assert loaded.verdict is Verdict.LOADED, loaded
    [row] = site.texts(site.table("wide"))
    assert (len(row), row[-1]) == (most, f"{most - 1}.25")
    refused = site.drop("wider.csv", wide_file(site.dock.target.limits.columns + 1))
    assert refused.verdict is Verdict.FAILED
    assert "columns; a table can have" in refused.message


def test_a_row_that_is_too_wide_for_the_database_is_the_files_fault(site: Site) -> None:
    if site.dock.target.name != "postgresql":
        pytest.skip("only its pages refuse such a row here")
    refused = site.drop("wide.csv", wide_file(1500).replace(".25", " a long text"))
    assert refused.verdict is Verdict.FAILED
    assert "wider than PostgreSQL can keep" in refused.message


@dataclass
class Owned:
    """A table with all that an owner hangs on it, in the words of its database."""

    site: Site

    def create(self) -> None:
        site, orders, log = self.site, self.table("orders"), self.table("seen")
        number, trigger = {
            "sqlite": ("id integer PRIMARY KEY", [_SQLITE_TRIGGER]),
            "postgresql": (
                "id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
                [_PG_FUNCTION, _PG_TRIGGER],
            ),
            "mssql": ("id bigint IDENTITY(100,1) PRIMARY KEY", [_MSSQL_TRIGGER]),
        }[site.dock.target.name]
        site.execute(
            f"CREATE TABLE {log} (n bigint)",
            f"CREATE TABLE {orders} ({number}, name varchar(20) NOT NULL UNIQUE,"
            " amount bigint, note varchar(20), CONSTRAINT positive CHECK (amount > 0))",
            *(text.format(orders=orders, log=log) for text in trigger),
            f"INSERT INTO {orders} (name, amount) VALUES ('old', 1)",
        )

    def table(self, name: str) -> str:
        return self.site.dock.target.quoted(self.site.table(name))

    def identity(self) -> object:
        """Return what changes when a table is dropped and made anew."""
        query = {
            "sqlite": "SELECT rootpage FROM sqlite_master WHERE name = 'dbo.orders'",
            "postgresql": "SELECT 'public.orders'::regclass::oid",
            "mssql": "SELECT OBJECT_ID('dbo.orders')",
        }[self.site.dock.target.name]
        return self.query(query)

    def query(self, text: str) -> object:
        with self.site.dock.target.read() as conn:
            return conn.exec_driver_sql(text).scalar_one()


_SQLITE_TRIGGER = (
    "CREATE TRIGGER noting AFTER INSERT ON {orders} BEGIN INSERT INTO {log} VALUES (new.id); END"
)
_PG_FUNCTION = (
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN INSERT INTO {log} VALUES (new.id); RETURN new; END'"
)
_PG_TRIGGER = "CREATE TRIGGER noting AFTER INSERT ON {orders} FOR EACH ROW EXECUTE FUNCTION note()"
_MSSQL_TRIGGER = (
    "CREATE TRIGGER dbo.noting ON {orders} AFTER INSERT AS"
    " INSERT INTO {log} SELECT id FROM inserted"
)


def test_what_hangs_on_a_table_stays_and_takes_part_in_a_fullload(site: Site) -> None:
    """G3"""
    owned = Owned(site)
    owned.create()
    before = owned.identity()
    loaded = site.drop("orders.csv", "name,amount,note\na,1,n\nb,2,n\n", "fullload", force=True)
    assert loaded.verdict is Verdict.LOADED, loaded
    assert owned.identity() == before, "the table itself is the same"
    assert owned.query(f"SELECT count(*) FROM {owned.table('seen')}") == 3, "the trigger fired"
    refused = site.drop("orders.csv", "name,amount,note\nc,-1,n\nd,2,n\n", "fullload", force=True)
    assert refused.verdict is Verdict.FAILED, "the check holds"
    assert "refuses the rows" in refused.message
    again = site.drop("orders.csv", "name,amount,note\na,3,n\nd,2,n\n")
    assert again.verdict is Verdict.FAILED, "the unique index holds"
    assert [row[1:] for row in site.texts(site.table("orders"))] == [
        ("a", "1", "n"),
        ("b", "2", "n"),
    ]
    numbered = site.drop("orders.csv", "id,name,amount,note\n7,x,1,n\n8,y,2,n\n", "fullload")
    assert numbered.verdict is Verdict.LOADED, numbered
    assert [row[0] for row in site.texts(site.table("orders"))] == ["7", "8"]
    more = site.drop("orders.csv", "name,amount,note\nz,1,n\n", force=True)
    assert more.verdict is Verdict.LOADED, "and the database goes on numbering"


def test_the_plan_says_which_triggers_constraints_and_numbers_take_part(site: Site) -> None:
    owned = Owned(site)
    owned.create()
    loaded = site.drop("orders.csv", "name,amount,note\na,1,n\n")
    assert loaded.load_id is not None
    with site.dock.target.read() as conn:
        record = site.dock.journal.history.row(conn, loaded.load_id)
    assert record is not None
    notes = " ".join(json.loads(record.plan or "{}")["notes"])
    assert 'Triggers fire for the rows that are inserted: "noting".' in notes
    assert "Constraints are checked for all rows, or none is loaded: " in notes
    if site.dock.target.name != "sqlite":
        assert '"positive"' in notes
        assert 'The numbers of column "id" are given by the database.' in notes


def test_a_fullload_that_would_take_other_tables_rows_along_is_held(site: Site) -> None:
    """G3"""
    if site.dock.target.name == "sqlite":
        pytest.skip("foreign keys are not in force in dropload's connections")
    orders, lines = (site.dock.target.quoted(site.table(name)) for name in ("orders", "lines"))
    site.execute(
        f"CREATE TABLE {orders} (id bigint PRIMARY KEY, name varchar(20))",
        f"CREATE TABLE {lines} (id bigint, CONSTRAINT of_order FOREIGN KEY (id)"
        f" REFERENCES {orders} (id) ON DELETE CASCADE)",
        f"INSERT INTO {orders} VALUES (1, 'a'), (2, 'b')",
        f"INSERT INTO {lines} VALUES (1), (2)",
    )
    held = site.drop("orders.csv", "id,name\n1,a\n2,c\n", "fullload")
    assert held.verdict is Verdict.HELD, held
    assert "of_order, ON DELETE CASCADE" in held.message
    assert site.texts(site.table("lines")) == [("1",), ("2",)]
    more = site.drop("orders.csv", "id,name\n3,c\n")
    assert more.verdict is Verdict.LOADED, "an append touches no other table"


def test_rows_that_others_refer_to_are_the_owners_matter_not_the_files(site: Site) -> None:
    """G3"""
    if site.dock.target.name == "sqlite":
        pytest.skip("foreign keys are not in force in dropload's connections")
    orders, lines = (site.dock.target.quoted(site.table(name)) for name in ("orders", "lines"))
    site.execute(
        f"CREATE TABLE {orders} (id bigint PRIMARY KEY, name varchar(20))",
        f"CREATE TABLE {lines} (id bigint, CONSTRAINT of_order FOREIGN KEY (id)"
        f" REFERENCES {orders} (id))",
        f"INSERT INTO {orders} VALUES (1, 'a'), (2, 'b')",
        f"INSERT INTO {lines} VALUES (1)",
    )
    paused = site.drop("orders.csv", "id,name\n1,a\n2,c\n", "fullload")
    assert paused.verdict is Verdict.PAUSED, paused
    assert "cannot be replaced" in paused.message
    assert [row[1] for row in site.texts(site.table("orders"))] == ["a", "b"]


def test_numbers_come_back_with_the_rows_of_a_backup(site: Site) -> None:
    target, orders = site.dock.target, site.table("orders")
    quoted = target.quoted(orders)
    number = {
        "sqlite": "id integer PRIMARY KEY",
        "postgresql": "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "mssql": "id bigint IDENTITY(100,1) PRIMARY KEY",
    }[target.name]
    site.execute(
        f"CREATE TABLE {quoted} ({number}, name varchar(20), a int, b int)",
        f"INSERT INTO {quoted} (name, a, b) VALUES ('x', 1, 2)",
        f"INSERT INTO {quoted} (name, a, b) VALUES ('y', 3, 4)",
    )
    before = site.texts(orders)
    loaded = site.drop("orders.csv", "name,a,b\np,1,1\nq,2,2\n", "fullload", force=True)
    assert loaded.verdict is Verdict.LOADED, loaded
    assert loaded.load_id is not None
    with target.write() as conn:
        assert (
            restoring.restore(target, conn, orders, target.backup_name(orders, loaded.load_id)) == 2
        )
    assert site.texts(orders) == before


def test_a_load_with_numbers_that_fails_leaves_the_connection_as_it_was(site: Site) -> None:
    Owned(site).create()
    doubled = site.drop("orders.csv", "id,name,amount,note\n7,x,1,n\n7,y,2,n\n")
    assert doubled.verdict is Verdict.FAILED, doubled
    loaded = site.drop("orders.csv", "name,amount,note\nz,1,n\n")
    assert loaded.verdict is Verdict.LOADED, loaded


def test_what_a_trigger_says_of_a_row_is_the_files_matter(site: Site) -> None:
    """H4"""
    target = site.dock.target
    orders = target.quoted(site.table("orders"))
    trigger = {
        "sqlite": [
            (
                f"CREATE TRIGGER no_zero BEFORE INSERT ON {orders} WHEN new.n = 0"
                " BEGIN SELECT RAISE(ABORT, 'zero is no number'); END"
            )
        ],
        "postgresql": [
            (
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF new.n = 0"
                " THEN RAISE EXCEPTION ''zero is no number''; END IF; RETURN new; END'"
            ),
            (
                f"CREATE TRIGGER no_zero BEFORE INSERT ON {orders}"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            ),
        ],
        "mssql": [
            (
                f"CREATE TRIGGER dbo.no_zero ON {orders} AFTER INSERT AS IF EXISTS"
                " (SELECT 1 FROM inserted WHERE n = 0) THROW 51000, 'zero is no number', 1"
            )
        ],
    }[target.name]
    site.execute(f"CREATE TABLE {orders} (n bigint, name varchar(20))", *trigger)
    refused = site.drop("orders.csv", "n,name\n1,a\n0,b\n")
    assert refused.verdict is Verdict.FAILED, refused
    assert "zero is no number" in refused.message
    assert site.drop("orders.csv", "n,name\n2,c\n").verdict is Verdict.LOADED


def test_a_trigger_that_drops_rows_unseen_is_not_taken_for_success(site: Site) -> None:
    """H4: the statement itself counts the row that is taken away after it"""
    target = site.dock.target
    orders = target.quoted(site.table("orders"))
    remove = f"DELETE FROM {orders} WHERE n = 0"
    trigger = {
        "sqlite": [f"CREATE TRIGGER sweep AFTER INSERT ON {orders} BEGIN {remove}; END"],
        "postgresql": [
            (
                f"CREATE FUNCTION sweep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {remove};"
                " RETURN NULL; END'"
            ),
            f"CREATE TRIGGER sweep AFTER INSERT ON {orders} EXECUTE FUNCTION sweep()",
        ],
        "mssql": [f"CREATE TRIGGER dbo.sweep ON {orders} AFTER INSERT AS {remove}"],
    }[target.name]
    site.execute(f"CREATE TABLE {orders} (n bigint, name varchar(20))", *trigger)
    paused = site.drop("orders.csv", "n,name\n1,a\n0,b\n")
    assert paused.verdict is Verdict.PAUSED, paused
    assert "has taken 1 row where 2 are right" in paused.message
    with target.read() as conn:
        assert target.count_rows(conn, site.table("orders")) == 0


def test_a_key_that_replaces_rows_is_not_taken_for_success(site: Site) -> None:
    """H4"""
    target = site.dock.target
    if target.name != "sqlite":
        pytest.skip("only its keys can be declared so")
    orders = target.quoted(site.table("orders"))
    site.execute(
        f"CREATE TABLE {orders} (n integer PRIMARY KEY ON CONFLICT REPLACE, name)",
        f"INSERT INTO {orders} VALUES (1, 'old')",
    )
    paused = site.drop("orders.csv", "n,name\n1,a\n2,b\n")
    assert paused.verdict is Verdict.PAUSED, paused
    assert "has taken 1 row where 2 are right" in paused.message
    with target.read() as conn:
        rows = conn.exec_driver_sql(f"SELECT n, name FROM {orders}").all()
    assert [tuple(row) for row in rows] == [(1, "old")]


def test_types_without_a_word_of_ours_take_what_they_can_read(site: Site) -> None:
    if site.dock.target.name != "postgresql":
        pytest.skip("these types are PostgreSQL's")
    orders = site.dock.target.quoted(site.table("orders"))
    site.execute(
        "CREATE TYPE mood AS ENUM ('glad', 'sad')",
        f"CREATE TABLE {orders} (id int, feels mood, tags int[], flags bit(3), exact numeric,"
        " price money, took interval(0))",
    )
    exact = "1234567890123456789012345678901234567890.50"
    text = (
        "id,feels,tags,flags,exact,price,took\n"
        f'1,glad,"{{1,2}}",101,{exact},7.500,00:00:01.00\n2,sad,{{}},000,1.50,-5,1.5 days\n'
    )
    loaded = site.drop("orders.csv", text)
    assert loaded.verdict is Verdict.LOADED, loaded
    with site.dock.target.read() as conn:
        query = (
            "SELECT feels::text, tags::text, flags::text, exact::text, price::numeric::text,"
            f" took::text FROM {orders} ORDER BY id"
        )
        rows = [tuple(row) for row in conn.exec_driver_sql(query)]
    assert rows == [
        ("glad", "{1,2}", "101", exact, "7.50", "00:00:01"),
        ("sad", "{}", "000", "1.50", "-5.00", "1 day 12:00:00"),
    ]
    wrong = site.drop("orders.csv", "id,feels,tags,flags,exact\n1,bored,{},101,1\n")
    assert wrong.verdict is Verdict.FAILED, wrong


def test_days_are_year_first_whatever_the_database_has_set(
    database_url: str, tmp_path: Path
) -> None:
    """G5"""
    with opened_site(database_url, tmp_path) as site:
        if site.dock.target.name != "postgresql":
            pytest.skip("the setting is PostgreSQL's")
        name = site.dock.target.engine.url.database
        site.execute(f"ALTER DATABASE \"{name}\" SET datestyle = 'German, DMY'")
        site.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    with opened_site(database_url, tmp_path) as site:
        site.drop("orders.csv", "id,day\n1,2024-02-01\n")
        site.drop("orders.csv", "id,day\n2,someday\n")
        assert site.texts(site.table("orders")) == [("1", "2024-02-01"), ("2", "someday")]
        with site.dock.target.write() as conn:
            assert conn.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
