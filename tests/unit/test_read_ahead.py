"""A thread that reads ahead hands on what comes, and ends with who asked for it."""

import threading
from collections.abc import Iterator

import pytest

from dropload.read_ahead import read_ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_every_item_comes_in_its_order(count: int) -> None:
    with read_ahead(iter(range(count))) as items:
        assert list(items) == list(range(count))
    assert threads() == []


def test_few_items_need_no_thread() -> None:
    with read_ahead(iter("a")) as items:
        assert threads() == []
        assert list(items) == ["a"]


def test_it_is_only_so_far_ahead() -> None:
    read: list[int] = []
    asked = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            if number == 7:
                asked.set()
            yield number

    with read_ahead(source(), depth=4) as items:
        next(items), next(items), next(items)
        assert asked.wait(60), "four wait, and one is in its hand"
        assert len(read) <= 8
    assert threads() == []


def test_an_error_is_raised_where_its_item_would_have_come() -> None:
    def source() -> Iterator[int]:
        yield from range(5)
        raise ValueError("broken")

    found = []
    with pytest.raises(ValueError, match="broken"), read_ahead(source()) as items:
        for item in items:
            found.append(item)  # noqa: PERF402 - what came before the error counts
    assert found == [0, 1, 2, 3, 4]
    assert threads() == []


def test_who_stops_early_leaves_no_reader_behind() -> None:
    with pytest.raises(KeyError), read_ahead(iter(range(1_000_000))) as items:
        assert next(items) == 0
        raise KeyError
    assert threads() == []


def test_it_reads_without_a_thread_where_none_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with read_ahead(iter(range(10))) as items:
        assert list(items) == list(range(10))
