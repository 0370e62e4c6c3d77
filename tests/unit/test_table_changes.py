"""What a second file does to a table that a first one made, or that somebody else made."""

from pathlib import Path

import pytest

from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.model import Outcome, Verdict
from dropload.pipeline import process_drop
from tests.conftest import Yard, open_yard


def declared(yard: Yard, table: str) -> dict[str, str]:
    return {row[1]: row[2] for row in yard.query(f'PRAGMA table_info("{table}")')}


def test_numbers_stay_numbers_when_a_later_file_writes_them_otherwise(yard: Yard) -> None:
    yard.drop("m.csv", "amount,price,share\n1.50,1.50,1\n2.25,2.25,2.5\n")
    yard.drop("m.csv", "amount,price,share\n100,1.505,3\n12,0.001,4\n")
    types = declared(yard, "dbo.m")
    assert types["amount"] == "DECIMAL(15,2)"
    assert types["price"] == "DECIMAL(15,3)"
    assert types["share"] == "REAL"
    assert yard.query('SELECT amount FROM "dbo.m" WHERE amount > 50') == [(100,)]


def test_whole_numbers_become_decimals_and_not_text(yard: Yard) -> None:
    yard.drop("m.csv", "amount,name\n10,a\n200,b\n")
    yard.drop("m.csv", "amount,name\n10.50,c\n7.25,d\n")
    assert declared(yard, "dbo.m")["amount"] == "DECIMAL(15,2)"
    assert yard.query('SELECT sum(amount) FROM "dbo.m"') == [(227.75,)]


def test_numbers_too_long_for_both_forms_are_kept_exactly_as_text(yard: Yard) -> None:
    yard.drop("m.csv", "n,x\n9223372036854775807,a\n-5,b\n")
    yard.drop("m.csv", "n,x\n0.25,c\n1.50,d\n")
    assert yard.query('SELECT n FROM "dbo.m"') == [
        ("9223372036854775807",),
        ("-5",),
        ("0.25",),
        ("1.50",),
    ]


@pytest.mark.parametrize(
    ("ddl", "content", "stored"),
    [
        ("DECIMAL(20,2)", "12345678901234567.89", None),
        ("STRING", "007", None),
        ("MONEY", "0815", None),
        ("STRING", "815", 815),
        ("VARCHAR(10)", "007", "007"),
        ("INT8", "7", 7),
        ("DECIMAL(20,2)", "1.50", 1.5),
        ("DATETIME2", "2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("", "007", "007"),
    ],
)
def test_a_table_of_somebody_else_gets_only_what_its_affinity_keeps(
    yard: Yard, ddl: str, content: str, stored: object
) -> None:
    yard.execute(f'CREATE TABLE "dbo.t2" (v {ddl}, n INTEGER, t TEXT)')
    outcome = yard.drop("t2.csv", f"v,n,t\n{content},1,a\n{content},2,b\n")
    if stored is None:
        assert outcome.verdict is Verdict.FAILED
        assert '"v"' in outcome.message
    else:
        assert outcome.verdict is Verdict.LOADED, outcome
        assert yard.query('SELECT DISTINCT v FROM "dbo.t2"') == [(stored,)]


def load_with(yard: Yard, path: Path, statement: str, at: str = "staging") -> Outcome:
    """Load a file while somebody else runs a statement during a step."""
    drop = drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="x")

    def interfere(step: str, _rows: int) -> None:
        if step == at:
            yard.execute(statement)

    return process_drop(yard.dock, drop, worker_name(), interfere)


def test_a_table_that_changes_under_a_load_is_planned_for_again(yard: Yard) -> None:
    yard.drop("m.csv", "amount,ok,t\n1.50,true,a\n2.25,false,b\n")
    path = yard.put("m.csv", "amount,ok,t\n7.50,true,c\n8.00,false,d\n")
    outcome = load_with(yard, path, 'ALTER TABLE "dbo.m" ADD COLUMN extra TEXT')
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "stale_plan")
    assert len(yard.table("dbo.m")) == 2
    assert yard.load(path).verdict is Verdict.LOADED
    assert yard.table("dbo.m")[-1] == (8, 0, "d", None)


@pytest.mark.parametrize("change", ["DROP TABLE", "ALTER TABLE ADD COLUMN extra TEXT"])
def test_a_table_that_changes_while_values_are_looked_at_is_planned_for_again(
    yard: Yard, change: str
) -> None:
    """Reading the file once more may take minutes."""
    yard.execute('CREATE TABLE "dbo.own" (v INTEGER, n INTEGER)')
    path = yard.put("own.csv", "v,n\n1.0,1\n2.0,2\n", load_type="fullload")
    statement = change.replace("TABLE", 'TABLE "dbo.own"')
    outcome = load_with(yard, path, statement, at="checking")
    assert (outcome.verdict, outcome.category) == (Verdict.RETRY, "stale_plan"), outcome


def test_names_that_differ_only_in_punctuation_find_their_own_columns_again(yard: Yard) -> None:
    header = "Symbol,Change,Change %"
    yard.drop("stocks.csv", f"{header}\nA,1.5,2.5\n")
    again = yard.drop("stocks.csv", f"{header}\nB,3.5,4.5\n")
    assert again.verdict is Verdict.LOADED, again
    assert yard.table("dbo.stocks")[-1] == ("B", 3.5, 4.5)


def test_two_columns_that_mean_the_same_are_refused_by_name(yard: Yard) -> None:
    yard.drop("m.csv", "user id,n\na,1\n")
    outcome = yard.drop("m.csv", "User-ID,USER_ID,n\na,b,2\n")
    assert outcome.verdict is Verdict.FAILED
    assert '"User-ID", "USER_ID"' in outcome.message


def test_a_required_column_with_a_default_may_be_left_out(yard: Yard) -> None:
    yard.execute(
        "CREATE TABLE \"dbo.t3\" (id INTEGER, name TEXT, a TEXT, kind TEXT NOT NULL DEFAULT 'x')"
    )
    assert yard.drop("t3.csv", "id,name,a\n1,b,c\n").verdict is Verdict.LOADED
    assert yard.table("dbo.t3") == [(1, "b", "c", "x")]
    yard.execute('CREATE TABLE "dbo.t4" (id INTEGER, name TEXT, a TEXT, kind TEXT NOT NULL)')
    refused = yard.drop("t4.csv", "id,name,a\n1,b,c\n")
    assert "needs a value" in refused.message


# --- duplicates


def test_an_append_may_come_again_after_a_fullload_has_replaced_it(yard: Yard) -> None:
    yard.drop("x.csv", "n\n1\n2\n")
    yard.drop("x.csv", "n\n3\n4\n", load_type="fullload")
    assert yard.drop("x.csv", "n\n1\n2\n").verdict is Verdict.LOADED
    assert [row[0] for row in yard.table("dbo.x")] == [3, 4, 1, 2]
    assert yard.drop("x.csv", "n\n1\n2\n").verdict is Verdict.DUPLICATE


def test_a_table_that_was_dropped_is_loaded_anew(yard: Yard) -> None:
    for load_type in ("fullload", "append"):
        yard.drop("x.csv", "n\n1\n2\n", load_type=load_type)
        yard.execute('DROP TABLE "dbo.x"')
        again = yard.drop("x.csv", "n\n1\n2\n", load_type=load_type)
        assert again.verdict is Verdict.LOADED, again
        yard.execute('DROP TABLE "dbo.x"')


def test_bytes_whose_first_load_was_forced_are_still_a_duplicate_afterwards(yard: Yard) -> None:
    yard.drop("x.csv", "n\n1\n2\n", force=True)
    assert yard.drop("x.csv", "n\n1\n2\n").verdict is Verdict.DUPLICATE


# --- rejects


def test_a_rejects_file_in_a_fullload_inbox_is_held_and_replaces_nothing(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, load={"max_rejected_rows": 1})
    yard.drop("x.csv", "a,b\n1,2\n3,4\n5\n6,7\n", load_type="fullload")
    [rejects] = (yard.inbox(load_type="fullload").path / "processed").glob("*.rejects.csv")
    outcome = yard.drop(rejects.name, rejects.read_bytes(), load_type="fullload")
    assert outcome.verdict is Verdict.HELD
    assert "append inbox" in outcome.hint
    assert len(yard.table("dbo.x")) == 3
    yard.dock.target.close()


def test_a_column_of_the_sender_that_is_called_like_ours_is_loaded(yard: Yard) -> None:
    yard.drop("x.csv", "id,_error_line,text\n1,7,a\n")
    assert yard.table("dbo.x") == [(1, 7, "a")]


def test_a_rejected_row_keeps_null_and_empty_text_apart(tmp_path: Path) -> None:
    """F7"""
    yard = open_yard(tmp_path, load={"max_rejected_rows": 5})
    yard.drop("x.csv", 'n;t;u\n1;"";a\n2;"";\n3;;;too;many\n')
    yard.drop("x.csv", 'n;t;u\n4;"";x;y\n5;a;b\n')
    for path in sorted((yard.inbox().path / "processed").glob("*.rejects.csv")):
        text = path.read_text()
        if "\n4;" in text:
            assert '4;"";x;' in text
        else:
            assert "3;;;" in text
    yard.dock.target.close()


def test_a_held_file_outside_the_tree_says_force_and_is_not_waited_for(yard: Yard) -> None:
    from dropload.model import Area, LoadType

    yard.drop("x.csv", "id,name,amount\n1,a,2.50\n2,b,3.50\n", load_type="fullload")
    path = yard.root / "x.csv"
    path.write_text("id,name,amount\n")
    drop = drop_of_path(
        path,
        yard.dock.tree,
        Area.NON_REFERENCE,
        LoadType.FULLLOAD,
        force=False,
        requested_by="x",
    )
    outcome = process_drop(yard.dock, drop, worker_name())
    assert (outcome.verdict, "--force" in outcome.hint) == (Verdict.HELD, True)
    held = "SELECT count(*) FROM \"ref.File_Monitor_Tracking\" WHERE status='held'"
    assert yard.query(held) == [(0,)]


def test_rules_that_an_owner_gave_to_our_table_are_not_lost(yard: Yard) -> None:
    """G3"""
    rows = "id,name,amount\n1,a,2.50\n2,b,3.50\n"
    yard.drop("x.csv", rows, load_type="fullload")
    yard.execute("ALTER TABLE \"dbo.x\" ADD COLUMN kind TEXT DEFAULT 'new'")
    more = "id,name,amount,kind\n3,c,2.50,k\n4,d,3.50,k\n"
    assert yard.drop("x.csv", more, load_type="fullload").verdict is Verdict.LOADED
    [(sql,)] = yard.query("SELECT sql FROM sqlite_master WHERE name='dbo.x'")
    assert "DEFAULT 'new'" in sql
    assert len(yard.table("bkp.x__2")) == 2
    wider = yard.drop("x.csv", "id,name,amount,kind\nx5,e,n/a,k\n")
    assert wider.verdict is Verdict.PAUSED
    assert 'Column "id" becomes text' in wider.hint


def test_a_long_decimal_goes_into_a_float_column_by_its_value(yard: Yard) -> None:
    yard.drop("m.csv", "x,n\n12.5,1\n3.25,2\n7,3\n")
    assert declared(yard, "dbo.m")["x"] == "REAL"
    assert yard.drop("m.csv", "x,n\n-1234567890123.50,4\n").verdict is Verdict.LOADED
    assert yard.query('SELECT x FROM "dbo.m" WHERE n=4') == [(-1234567890123.5,)]


def test_a_column_that_the_table_computes_is_left_to_it(yard: Yard) -> None:
    yard.execute(
        'CREATE TABLE "dbo.t5" (id INTEGER, price REAL, twice REAL GENERATED ALWAYS AS (price * 2))'
    )
    outcome = yard.drop("t5.csv", "id,price,twice\n1,2.5,99.5\n2,3.25,7\n")
    assert outcome.verdict is Verdict.LOADED, outcome
    assert yard.query('SELECT id, price, twice FROM "dbo.t5"') == [(1, 2.5, 5.0), (2, 3.25, 6.5)]


def test_refused_rows_still_say_how_a_column_is_written(tmp_path: Path) -> None:
    """Promise 5: the values that were judged are the values that are stored."""
    yard = open_yard(tmp_path, load={"max_rejected_rows": 5})
    yard.execute('CREATE TABLE "dbo.f" (id INTEGER, menge DECIMAL(15,3), n INTEGER)')
    loaded = yard.drop("f.csv", "id;menge;n\n1;1.234;5\n2;2.568;6\n3;1.234,5;x\n")
    assert (loaded.verdict, loaded.rows_rejected) == (Verdict.LOADED, 1)
    assert yard.query('SELECT menge FROM "dbo.f" ORDER BY id') == [(1234,), (2568,)]
    yard.dock.target.close()


def test_refused_rows_do_not_change_the_type_of_an_owners_column(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, load={"max_rejected_rows": 5})
    yard.execute('CREATE TABLE "dbo.f" (id INTEGER, d DATE, n INTEGER)')
    content = "id;d;n\n1;03.04.2024;5\n2;05.06.2024;6\n3;25.12.2024;x\n"
    assert yard.drop("f.csv", content).verdict is Verdict.LOADED
    assert declared(yard, "dbo.f")["d"] == "DATE"
    assert yard.query('SELECT d FROM "dbo.f"') == [("2024-04-03",), ("2024-06-05",)]
    yard.dock.target.close()


def test_a_day_that_could_be_two_is_held_before_it_spoils_a_column_of_days(yard: Yard) -> None:
    yard.drop("d.csv", "day,n\n31.12.2024,1\n")
    held = yard.drop("d.csv", "day,n\n03.01.2025,2\n")
    assert held.verdict is Verdict.HELD
    assert "load.day_first" in held.message
    assert declared(yard, "dbo.d")["day"] == "DATE"
    assert yard.load(held.path, force=True).verdict is Verdict.LOADED
    assert declared(yard, "dbo.d")["day"] == "TEXT"


@pytest.mark.parametrize("points", ["1;1.234\n2;2.345\n", "1;1.500\n2;2.000\n", "1;1.234\n2;17\n"])
def test_points_that_may_be_thousands_are_held_for_a_column_of_decimal_commas(
    yard: Yard, points: str
) -> None:
    """Promise 5: a sender who wrote 1,5 means 1,234 by 1.234."""
    yard.drop("p.csv", "id;p\n1;1,5\n2;2,5\n")
    yard.drop("p.csv", "id;p\n3;4\n4;5\n")
    held = yard.drop("p.csv", f"id;p\n{points}")
    assert held.verdict is Verdict.HELD
    assert '"p"' in held.message
    assert "load.decimal_mark" in held.hint
    assert yard.query('SELECT count(*) FROM "dbo.p"') == [(4,)]


def test_released_points_are_decimals_and_the_next_ones_are_no_question(yard: Yard) -> None:
    yard.drop("p.csv", "id;p\n1;1,5\n2;2,5\n")
    held = yard.drop("p.csv", "id;p\n3;1.234\n4;2.345\n")
    assert yard.load(held.path, force=True).verdict is Verdict.LOADED
    assert yard.query('SELECT p FROM "dbo.p" WHERE id = 3') == [(1.234,)]
    assert yard.drop("p.csv", "id;p\n5;3.456\n").verdict is Verdict.LOADED


@pytest.mark.parametrize("sure", ["3;1.23\n", "3;1.234\n4;0.345\n", "3;1234\n", "3;1.234,5\n"])
def test_numbers_that_can_be_read_in_one_way_follow_decimal_commas(yard: Yard, sure: str) -> None:
    yard.drop("p.csv", "id;p\n1;1,5\n2;2,5\n")
    assert yard.drop("p.csv", f"id;p\n{sure}").verdict is Verdict.LOADED


def test_points_follow_points_without_a_question(yard: Yard) -> None:
    yard.drop("p.csv", "id;p\n1;1.5\n2;2.5\n")
    assert yard.drop("p.csv", "id;p\n3;1.234\n4;2.345\n").verdict is Verdict.LOADED


@pytest.mark.parametrize(
    ("good", "bad", "named"),
    [
        ("2024-01-31", "n/a", "'n/a' in record 3"),
        ("2024-01-31", "2024-02-30", "'2024-02-30' in record 3"),
        ("17", "abc", "'abc' in record 3"),
        ("17", "007", "'007' in record 3"),
        ("2.50", "abc", "'abc' in record 3"),
        ("true", "maybe", "'maybe' in record 3"),
    ],
)
def test_a_slip_is_held_before_it_turns_a_column_into_text(
    yard: Yard, good: str, bad: str, named: str
) -> None:
    yard.drop("s.csv", f"name,value\na,{good}\n")
    before = declared(yard, "dbo.s")["value"]
    held = yard.drop("s.csv", f"name,value\nb,{good}\nc,{good}\nd,{bad}\n")
    assert held.verdict is Verdict.HELD
    assert named in held.message
    assert '"value"' in held.message
    assert declared(yard, "dbo.s")["value"] == before
    assert yard.load(held.path, force=True).verdict is Verdict.LOADED
    assert declared(yard, "dbo.s")["value"] == "TEXT"
    assert yard.table("dbo.s")[-1] == ("d", bad)


def test_numbers_that_only_text_keeps_as_written_are_held_for_a_column_of_numbers(
    yard: Yard,
) -> None:
    yard.drop("s.csv", "name,value\na,1.25\nb,3.75\n")
    held = yard.drop("s.csv", "name,value\nc,1.5\nd,2.50\n")
    assert (held.verdict, "different counts of decimals" in held.message) == (Verdict.HELD, True)


def test_a_column_that_has_become_text_is_made_text(yard: Yard) -> None:
    yard.drop("s.csv", "name,value\na,17\nb,18\n")
    codes = "name,value\nc,A1\nd,B2\ne,19\nf,C3\n"
    assert yard.drop("s.csv", codes).verdict is Verdict.LOADED
    assert declared(yard, "dbo.s")["value"] == "TEXT"


def test_a_column_that_could_be_either_of_two_is_refused(yard: Yard) -> None:
    yard.drop("m.csv", "id,Change,Change %,a,b,c\n1,2,3,4,5,6\n")
    refused = yard.drop("m.csv", "id,Change $,a,b,c\n1,2,3,4,5\n")
    assert refused.verdict is Verdict.FAILED
    assert '"Change", "Change %"' in refused.message


@pytest.mark.parametrize("escaped", [False, True])
def test_refused_rows_dropped_again_go_under_their_own_columns(
    tmp_path: Path, *, escaped: bool
) -> None:
    yard = open_yard(tmp_path, load={"max_rejected_rows": 5})
    cells = ";".join(f"v{n}" for n in range(3))
    text = '"say \\"x\\""' if escaped else "plain"
    rows = [f"{n};{text};{n * 3};{n + 0.5}" for n in range(20)]
    rows[7] += ";surplus"
    rows[9] = f'9;"C:\\dir; x";{cells}'
    header = "id;word;n;x\n" if escaped else ""
    first = yard.drop("f.csv", header + "\n".join(rows) + "\n")
    assert (first.verdict, first.rows_rejected) == (Verdict.LOADED, 2)
    [rejects] = tmp_path.rglob("*_f.rejects.csv")
    before = list(declared(yard, "dbo.f"))
    again = yard.put("f.csv", rejects.read_bytes())
    assert yard.load(again).verdict is Verdict.LOADED
    assert list(declared(yard, "dbo.f")) == before
    word = before[1]
    found = yard.query(f'SELECT "{word}" FROM "dbo.f" WHERE _load_id = 2 ORDER BY _source_row')
    assert found == [('say "x"' if escaped else "plain",), ("C:\\dir; x",)]
    yard.dock.target.close()
