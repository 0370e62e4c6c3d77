"""What counts as usual, and what as far outside."""

import pytest

from dropload.usual import ROWS, SECONDS, find_usual, percentile

TIMES = [2.0, 2.1, 1.9, 2.3, 2.2, 1.8, 2.0, 2.4]


def test_too_few_values_say_nothing() -> None:
    assert find_usual(TIMES[:-1], SECONDS) is None
    assert find_usual(TIMES, SECONDS) is not None


@pytest.mark.parametrize(
    ("seconds", "is_far"), [(2.0, False), (3.9, False), (4.5, True), (0.5, True), (41.0, True)]
)
def test_a_time_is_far_at_twice_or_half_of_what_is_usual(seconds: float, is_far: bool) -> None:
    usual = find_usual(TIMES, SECONDS)
    assert usual is not None
    assert usual.is_far(seconds) is is_far
    assert usual.is_far_above(seconds) is (is_far and seconds > 2)


def test_times_that_are_spread_widely_make_little_unusual() -> None:
    usual = find_usual([1, 30, 2, 60, 4, 15, 8, 20], SECONDS)
    assert usual is not None
    assert not usual.is_far(200)


def test_one_odd_load_does_not_move_what_is_usual() -> None:
    usual = find_usual([*TIMES, 4000.0], SECONDS)
    assert usual is not None
    assert usual.median in {2.0, 2.1}
    assert usual.is_far(41)


def test_values_that_are_all_alike_have_a_usual_too() -> None:
    usual = find_usual([500] * 8, ROWS)
    assert usual is not None
    assert not usual.is_far(501)
    assert not usual.is_far(900)
    assert usual.is_far(1100)
    assert usual.is_far(0)


def test_small_differences_between_small_values_are_not_worth_a_word() -> None:
    times, rows = find_usual([0.02] * 8, SECONDS), find_usual([1] * 8, ROWS)
    assert times is not None
    assert rows is not None
    assert not times.is_far(0.9)
    assert not rows.is_far(10)
    assert rows.is_far(50)


def test_percentiles_lie_between_the_values() -> None:
    assert percentile([1.0], 0.95) == 1
    assert percentile([1.0, 2.0], 0.5) == 1.5
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], 0.95) == pytest.approx(4.8)
    assert percentile([1.0, 2.0, 3.0], 1) == 3
