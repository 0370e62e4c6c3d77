"""What the benchmarks say can be trusted: wrong rows and missed goals are seen."""

import itertools
from pathlib import Path

import pytest
from benchmarks.checking import (
    NULLS_LOST,
    SAME,
    Row,
    checksum,
    describe_difference,
    expected_rows,
    judge,
)
from benchmarks.data import DataSet, make_narrow
from benchmarks.findings import Comparison, Findings
from benchmarks.goals import judge_goals
from benchmarks.jobs import SQLITE, Measured
from benchmarks.peers import NEW, PEERS
from benchmarks.report import BEGIN, END, write_section
from benchmarks.running import Result


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return make_narrow(tmp_path, 50)


def judged(data: DataSet, rows: list[Row]) -> str:
    return judge(checksum(data, expected_rows(data)), checksum(data, rows))


def test_rows_are_the_same_in_any_order_and_with_any_types(data: DataSet) -> None:
    rows = [(int(row[0]), float(row[1]), *row[2:]) for row in expected_rows(data)]
    assert judged(data, rows[::-1]) == SAME
    assert {row[5] for row in rows} >= {None, ""}


def test_null_and_empty_text_are_told_apart(data: DataSet) -> None:
    rows = [tuple(value or None for value in row) for row in expected_rows(data)]
    assert judged(data, rows) == NULLS_LOST


@pytest.mark.parametrize("fault", ["cell", "missing", "twice", "cells of two rows"])
def test_wrong_rows_are_found(data: DataSet, fault: str) -> None:
    rows = list(expected_rows(data))
    if fault == "cell":
        rows[7] = (*rows[7][:4], "Lodz", rows[7][5])
    elif fault == "missing":
        del rows[7]
    elif fault == "twice":
        rows.append(rows[7])
    else:
        rows[7:9] = [(rows[8][0], *rows[7][1:]), (rows[7][0], *rows[8][1:])]
    assert judged(data, rows) == ""
    count = 2 if fault == "cells of two rows" else 1
    assert describe_difference(data, rows) == f"{count} of 50 differ"


def test_no_two_rows_can_swap_a_cell_unseen(tmp_path: Path) -> None:
    data = make_narrow(tmp_path, 500)
    for first, second in itertools.pairwise(expected_rows(data)):
        swapped = [(second[0], *first[1:]), (first[0], *second[1:])]
        assert checksum(data, swapped) != checksum(data, [first, second])


def test_a_goal_is_met_missed_or_not_measured() -> None:
    seconds = {NEW: 2.0, "pandas.to_sql": 10.0, "dlt": 19.0}
    results = [
        Result(peer, [Measured(seconds[peer.name], 1.0, 50.0, "t")], SAME)
        for peer in PEERS
        if peer.name in seconds and SQLITE in peer.databases
    ]
    narrow = Comparison("narrow", SQLITE, "narrow", "rows", 100, 1.0, results)
    findings = Findings("machine", "2026-01-01", 1, {}, comparisons=[narrow])
    goals = {goal.against: goal for goal in judge_goals(findings) if "SQLite" in goal.what}
    assert (goals["pandas.to_sql"].measured, goals["pandas.to_sql"].is_met) == ("5 x faster", True)
    assert (goals["dlt"].measured, goals["dlt"].is_met) == ("9.5 x faster", False)
    assert (goals["sling"].measured, goals["sling"].is_met) == ("", None)


def test_only_what_stands_between_the_markers_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_section(page, "new\n")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    page.write_text("no markers\n")
    with pytest.raises(SystemExit, match="has no markers"):
        write_section(page, "new\n")
