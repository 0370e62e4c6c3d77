"""A thread that works behind who makes the items: every one, in order, and its errors come back."""

import threading

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from dropload.write_behind import WriteBehind


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "write-behind"]


def test_every_item_is_worked_on_in_its_order_before_it_is_finished() -> None:
    done: list[int] = []
    behind = WriteBehind(done.append)
    behind.start()
    for number in range(100):
        behind.put(number)
    behind.finish()
    assert done == list(range(100))
    assert threads() == []


def test_who_makes_the_items_waits_when_too_many_are_there() -> None:
    go_on, made = threading.Event(), []
    behind = WriteBehind[int](lambda _item: bool(go_on.wait(60)), depth=2)
    behind.start()

    def make() -> None:
        for number in range(10):
            behind.put(number)
            made.append(number)

    maker = threading.Thread(target=make)
    maker.start()
    maker.join(0.3)
    assert len(made) <= 3, "one is worked on, two wait"
    go_on.set()
    maker.join(60)
    behind.finish()
    assert made == list(range(10))


@pytest.mark.parametrize("good", [0, 3])
def test_an_error_comes_back_to_who_makes_the_items(good: int) -> None:
    def work(item: int) -> None:
        if item == good:
            raise KeyError(item)

    behind = WriteBehind(work, depth=1)
    behind.start()
    with pytest.raises(KeyError):
        for number in range(1000):
            behind.put(number)
    with pytest.raises(KeyError):
        behind.finish()
    behind.stop()
    assert threads() == []


def test_what_waits_when_it_is_stopped_is_left() -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        begun.set()
        go_on.wait(60)
        done.append(item)

    behind = WriteBehind(work)
    behind.start()
    for number in range(3):
        behind.put(number)
    assert begun.wait(60)
    stopper = threading.Thread(target=behind.stop)
    stopper.start()
    stopper.join(0.2)
    assert stopper.is_alive(), "the item under way is waited for"
    go_on.set()
    stopper.join(60)
    assert done == [0]
    assert threads() == []


def test_what_the_work_sets_is_waited_for_or_its_error_is_raised() -> None:
    event = threading.Event()
    behind = WriteBehind[threading.Event](lambda item: item.set())
    behind.start()
    behind.put(event)
    behind.wait_for(event)
    behind.finish()

    def fail(_item: threading.Event) -> None:
        raise OSError("no")

    behind = WriteBehind(fail)
    behind.start()
    behind.put(event)
    with pytest.raises(OSError, match="no"):
        behind.wait_for(threading.Event())
    behind.stop()
    assert threads() == []


def test_one_that_was_never_started_is_stopped_as_well() -> None:
    WriteBehind(print).stop()
    assert threads() == []


def test_the_thread_logs_of_the_same_load() -> None:
    found: list[object] = []
    with bound_contextvars(load_id=8):
        behind = WriteBehind[str](lambda _item: found.append(get_contextvars()["load_id"]))
        behind.start()
        behind.put("x")
        behind.finish()
    assert found == [8]
