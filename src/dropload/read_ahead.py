"""Let one thread read what comes next while another works on what was read."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Generic, TypeVar

T = TypeVar("T")
DEPTH = 4
"""Items that wait; with batches of a megabyte that is what memory it costs."""
_ALONE = 2
"""So many items are read without a thread: most files have no more."""
_LOOK_SECONDS = 0.1


@contextmanager
def read_ahead(items: Iterator[T], depth: int = DEPTH) -> Iterator[Iterator[T]]:
    """Yield the same items, read by a thread that is at most `depth` of them ahead.

    What reading raises is raised where the item would have come. At the end of the block nobody
    reads any more.
    """
    first = list(islice(items, _ALONE))
    if len(first) < _ALONE:
        yield iter(first)
        return
    reader = _Reader(items, depth)
    try:
        reader.start()
    except RuntimeError:  # limits of the machine: it goes without, only slower
        yield chain(first, items)
        return
    try:
        yield chain(first, reader.items())
    finally:
        reader.stop()


class _Reader(Generic[T]):
    """The thread, and the queue between the two."""

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._source = items
        self._queue: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="read-ahead", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def items(self) -> Iterator[T]:
        while (found := self._queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found[0]

    def _read(self) -> None:
        try:
            for item in self._source:
                if not self._put((item,)):
                    return
        except BaseException as exc:  # noqa: BLE001 - raised again where the item is wanted
            self._put(exc)
        else:
            self._put(None)

    def _put(self, found: tuple[T] | BaseException | None) -> bool:
        """Hand something over; return False when nobody wants it any more."""
        while not self._is_over.is_set():
            try:
                self._queue.put(found, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False
