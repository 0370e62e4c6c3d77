"""The gate lets a file through when it has stood still for long enough, and not before."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropload.gate import Gate
from dropload.model import Area, Inbox, LoadType, Observation

INBOX = Inbox(Area.REFERENCE, LoadType.FULLLOAD, Path("/drop/reference_data_table/fullload"))
OTHER = Inbox(Area.REFERENCE, LoadType.APPEND, Path("/drop/reference_data_table/append"))


def seen(name: str = "a.csv", inbox: Inbox = INBOX, **changes: Any) -> Observation:
    values = {"size_bytes": 10, "mtime_ns": 1_000, "inode": 7, **changes}
    return Observation(inbox, name, **values)


def watch(gate: Gate, times: list[float], *observations: Observation) -> list[float]:
    """Return the times at which the gate let something through."""
    return [now for now in times if gate.observe(observations, now)]


def test_six_unchanged_checks_an_interval_apart_let_a_file_through() -> None:
    gate = Gate(6, 15)
    assert watch(gate, [15.0 * i for i in range(12)], seen()) == [90.0]


def test_looking_more_often_does_not_let_a_file_through_earlier() -> None:
    gate = Gate(6, 15)
    assert watch(gate, [float(i) for i in range(200)], seen()) == [90.0]


def test_looking_less_often_counts_each_look_once() -> None:
    gate = Gate(3, 15)
    assert watch(gate, [0.0, 600.0, 1200.0, 1800.0], seen()) == [1800.0]


def test_jitter_of_the_scan_costs_no_round_and_does_not_add_up() -> None:
    gate = Gate(6, 15)
    early = [0.0] + [15.0 * i - 0.3 for i in range(1, 9)]
    assert watch(gate, early, seen()) == [early[6]]


def test_a_check_that_comes_too_early_does_not_count() -> None:
    gate = Gate(1, 1)
    assert watch(gate, [0.0, 0.5, 0.85, 0.95], seen()) == [0.95]


@pytest.mark.parametrize("change", [{"size_bytes": 11}, {"mtime_ns": 1_001}, {"inode": 8}])
def test_any_change_of_the_version_starts_again(change: dict[str, Any]) -> None:
    gate = Gate(2, 10)
    gate.observe([seen()], 0)
    gate.observe([seen()], 10)
    assert watch(gate, [20.0, 30.0, 40.0, 50.0], seen(**change)) == [40.0]


@pytest.mark.parametrize("mtime_ns", [0, -1, 4_102_444_800_000_000_000])
def test_the_files_own_age_does_not_matter(mtime_ns: int) -> None:
    """B1"""
    gate = Gate(2, 10)
    assert watch(gate, [0.0, 10.0, 20.0, 30.0], seen(mtime_ns=mtime_ns)) == [20.0]


def test_a_done_companion_lets_a_file_through_at_first_sight() -> None:
    gate = Gate(6, 15)
    assert gate.observe([seen(done_companion=True)], 0) == [seen(done_companion=True)]
    assert gate.observe([seen(done_companion=True)], 1) == []


def test_a_done_companion_that_comes_later_ends_the_waiting() -> None:
    gate = Gate(6, 15)
    gate.observe([seen()], 0)
    assert gate.observe([seen(done_companion=True)], 1) == [seen(done_companion=True)]
    assert gate.observe([seen()], 100) == []


def test_a_file_is_let_through_once_for_each_version() -> None:
    """A8"""
    gate = Gate(1, 10)
    assert watch(gate, [0.0, 10.0, 20.0, 30.0], seen()) == [10.0]
    assert watch(gate, [40.0, 50.0, 60.0], seen(size_bytes=20)) == [50.0]


def test_a_file_that_vanished_is_forgotten() -> None:
    gate = Gate(1, 10)
    gate.observe([seen()], 0)
    gate.observe([], 10)
    assert list(gate.waiting()) == []
    assert watch(gate, [20.0, 30.0], seen()) == [30.0]


def test_a_file_that_was_filed_and_dropped_again_is_let_through_again() -> None:
    """C4"""
    gate = Gate(1, 10)
    assert watch(gate, [0.0, 10.0], seen()) == [10.0]
    gate.observe([], 20)
    assert watch(gate, [30.0, 40.0], seen()) == [40.0]


def test_files_of_an_inbox_that_could_not_be_listed_are_not_forgotten() -> None:
    """A3"""
    gate = Gate(2, 10)
    gate.observe([seen(), seen(inbox=OTHER)], 0)
    gate.observe([seen(), seen(inbox=OTHER)], 10)
    gate.observe([seen()], 20, unseen_inboxes=[OTHER])
    assert [w.checks_done for w in gate.waiting()] == [1]
    assert gate.observe([seen(inbox=OTHER)], 500) == [seen(inbox=OTHER)]


def test_files_of_the_same_name_in_two_inboxes_are_two_files() -> None:
    gate = Gate(1, 10)
    gate.observe([seen(), seen(inbox=OTHER, size_bytes=99)], 0)
    # The listing may mix the inboxes.
    mixed = [seen(inbox=OTHER, size_bytes=99), seen(), seen("b.csv", OTHER)]
    assert len(gate.observe(mixed, 10)) == 2


def test_files_are_let_through_oldest_first() -> None:
    """A9"""
    gate = Gate(1, 10)
    files = [seen("c", mtime_ns=2), seen("b", mtime_ns=1), seen("a", mtime_ns=2)]
    gate.observe(files, 0)
    assert [o.name for o in gate.observe(files, 10)] == ["b", "a", "c"]


def test_a_reopened_file_goes_through_the_whole_gate_again() -> None:
    """B6"""
    gate = Gate(2, 10)
    assert watch(gate, [0.0, 10.0, 20.0], seen()) == [20.0]
    gate.reopen(seen().path)
    assert watch(gate, [21.0, 31.0, 41.0, 51.0], seen()) == [41.0]


def test_reopening_a_file_that_nobody_knows_does_nothing() -> None:
    gate = Gate(2, 10)
    gate.observe([seen()], 0)
    gate.reopen(Path("/elsewhere/a.csv"))
    assert len(list(gate.waiting())) == 1


def test_a_waiting_file_says_how_many_checks_are_done_and_when_it_is_whole() -> None:
    gate = Gate(6, 15)
    for now in (0, 15, 30, 45):
        gate.observe([seen()], now)
    [waiting] = gate.waiting()
    assert waiting.path == INBOX.path / "a.csv"
    assert waiting.version == seen().version
    assert (waiting.checks_done, waiting.change) == (3, "appeared")
    assert waiting.whole_at == 90


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"size_bytes": 11}, "grew"),
        ({"size_bytes": 9}, "shrank"),
        ({"mtime_ns": 2}, "changed"),
        ({"inode": 8, "size_bytes": 11}, "changed"),
    ],
)
def test_a_waiting_file_says_what_happened_to_it(change: dict[str, Any], word: str) -> None:
    """B3"""
    gate = Gate(6, 15)
    gate.observe([seen()], 0)
    gate.observe([seen(**change)], 15)
    [waiting] = gate.waiting()
    assert (waiting.change, waiting.changed_at, waiting.whole_at) == (word, 15, 105)


def test_a_file_that_never_settles_stays_visible_for_ever() -> None:
    """B3"""
    gate = Gate(2, 1)
    for size in range(1_000):
        assert gate.observe([seen(size_bytes=size)], float(size)) == []
        assert len(list(gate.waiting())) == 1


def test_the_next_due_time_is_the_earliest_of_all_waiting_files() -> None:
    gate = Gate(2, 10)
    assert gate.next_due() is None
    gate.observe([seen("a")], 0)
    gate.observe([seen("a"), seen("b", OTHER)], 4)
    assert gate.next_due() == 10
    gate.observe([seen("b", OTHER)], 5)
    assert gate.next_due() == 14
    gate.observe([seen("b", OTHER, done_companion=True)], 6)
    assert gate.next_due() is None


@given(
    st.lists(st.tuples(st.floats(0.01, 40), st.sampled_from([1, 1, 1, 2])), min_size=1, max_size=60)
)
def test_no_version_is_let_through_before_it_stood_still_for_the_whole_time(
    looks: list[tuple[float, int]],
) -> None:
    gate = Gate(3, 10)
    now, since, last = 0.0, 0.0, 0
    for wait, size in looks:
        now += wait
        if size != last:
            since, last = now, size
        if gate.observe([seen(size_bytes=size)], now):
            assert now - since >= 3 * 10 - 0.5 - 1e-6


def test_a_time_beyond_64_bits_is_one_like_others() -> None:
    gate = Gate(1, 10)
    assert watch(gate, [0.0, 10.0], seen(mtime_ns=2**70, inode=2**64 - 1)) == [10.0]
    [told] = gate.take_fresh(10)
    assert told.version == seen(mtime_ns=2**70, inode=2**64 - 1).version


def test_what_changed_is_told_in_portions_and_each_file_as_it_is_by_then() -> None:
    gate = Gate(6, 15)
    gate.observe([seen("a.csv"), seen("b.csv"), seen("c.csv", OTHER)], 0)
    gate.observe([seen("a.csv", size_bytes=11), seen("b.csv")], 15)
    portions = [gate.take_fresh(3) for _ in range(4)]
    told = [[(f.path.name, f.version.size_bytes, f.change) for f in files] for files in portions]
    assert told == [
        [("a.csv", 11, "grew"), ("b.csv", 10, "appeared")],
        [("c.csv", 10, "appeared")],
        [],
        [],
    ]
    assert gate.take_gone() == [OTHER.path / "c.csv"]


def test_files_that_came_together_share_their_standing() -> None:
    gate = Gate(6, 15)
    for now in (0, 15, 30):
        gate.observe([seen(f"orders_{i}.csv", inode=i) for i in range(100)], now)
    [slots] = gate._slots.values()
    assert len({id(slot.standing) for slot in slots.values()}) == 1


def test_unchanged_files_cost_no_new_memory() -> None:
    """A9; what a look costs is measured in benchmarks/scanning.py"""
    gate = Gate(6, 15)
    gate.observe([seen(f"orders_{i}.csv", inode=i) for i in range(1_000)], 0)
    [before] = [dict(slots) for slots in gate._slots.values()]
    gate.observe([seen(f"orders_{i}.csv", inode=i) for i in range(1_000)], 15)
    [after] = gate._slots.values()
    assert all(after[name] is slot for name, slot in before.items())
    assert len(after) == 1_000


def test_a_reopened_file_that_leaves_is_said_to_be_gone() -> None:
    gate = Gate(1, 10)
    gate.observe([seen("a.csv")], 0)
    gate.observe([seen("a.csv")], 10)
    gate.take_fresh(10)
    gate.reopen(INBOX.path / "a.csv")
    gate.observe([], 20)
    assert gate.take_gone() == [INBOX.path / "a.csv"]


def test_a_file_that_left_and_is_back_before_anybody_asks_did_not_leave() -> None:
    gate = Gate(1, 10)
    gate.observe([seen("a.csv"), seen("b.csv")], 0)
    gate.take_fresh(10)
    gate.observe([], 5)
    gate.observe([seen("a.csv", inode=9)], 10)
    fresh, gone = gate.take_fresh(10), gate.take_gone()
    assert ([file.path.name for file in fresh], gone) == (["a.csv"], [INBOX.path / "b.csv"])


def test_a_filed_file_that_is_back_before_the_next_look_is_a_new_drop() -> None:
    """`retry` puts it there, as the same version."""
    gate = Gate(1, 10)
    assert watch(gate, [0.0, 10.0, 20.0], seen()) == [10.0]
    gate.forget(seen().path)
    assert watch(gate, [30.0, 40.0, 50.0], seen()) == [40.0]
    gate.forget(seen("other.csv").path)
    assert watch(gate, [60.0, 70.0], seen()) == []


@pytest.mark.parametrize(
    ("change", "accepted", "appeared_at"),
    [
        ({"size_bytes": 11}, False, 0.0),  # still being written
        ({"inode": 8}, False, 10.0),  # another file of that name
        ({"size_bytes": 11}, True, 10.0),  # a file that waits for a person gets a new version
    ],
)
def test_the_time_of_a_drop_is_that_of_its_first_bytes(
    change: dict[str, Any], *, accepted: bool, appeared_at: float
) -> None:
    gate = Gate(2, 10)
    gate.observe([seen(done_companion=accepted)], 0)
    assert gate.appeared_at(seen()) == 0
    gate.observe([seen(**change)], 10)
    gate.observe([seen(**change)], 20)
    assert gate.appeared_at(seen(**change)) == appeared_at
