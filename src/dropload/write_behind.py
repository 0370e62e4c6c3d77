"""Let one thread work on what another has made, while that makes more."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Generic, TypeVar

from dropload.read_ahead import DEPTH

T = TypeVar("T")
_LOOK_SECONDS = 0.1
PAUSE_SECONDS = 1.0
"""How long none has come when that is a pause."""


class WriteBehind(Generic[T]):
    """Works on items, one after the other, in a thread; what that raises is raised by `put`."""

    def __init__(
        self,
        work: Callable[[T], object],
        depth: int = DEPTH,
        on_pause: Callable[[], object] | None = None,
    ) -> None:
        """`depth`: items that may wait; `on_pause`: what the thread does when none has come."""
        self._work = work
        self._on_pause = on_pause
        self._queue: queue.Queue[tuple[T] | None] = queue.Queue(depth)
        self._is_over = threading.Event()
        self._error: BaseException | None = None
        # The log lines of the thread say of which load they are.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="write-behind", daemon=True
        )

    def start(self) -> None:
        """Start the thread; raises RuntimeError where the machine allows no more."""
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over an item; wait while too many are there."""
        self._hand_over((item,))

    def finish(self) -> None:
        """Wait until all items are done."""
        self._hand_over(None)
        self._thread.join()
        self._raise_error()

    def wait_for(self, event: threading.Event) -> None:
        """Wait until the work has set it; raises what the work has raised instead."""
        while not event.wait(_LOOK_SECONDS):
            self._raise_error()

    def stop(self) -> None:
        """Wait for the item under way, if any, and leave the others."""
        self._is_over.set()
        with suppress(queue.Full):  # it looks at `_is_over` then
            self._queue.put_nowait(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _hand_over(self, item: tuple[T] | None) -> None:
        while True:
            self._raise_error()
            with suppress(queue.Full):
                self._queue.put(item, timeout=_LOOK_SECONDS)
                return

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _next(self) -> tuple[T] | None:
        if self._on_pause is not None:
            try:
                return self._queue.get(timeout=PAUSE_SECONDS)
            except queue.Empty:
                self._on_pause()
        return self._queue.get()

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None and not self._is_over.is_set():
                self._work(item[0])
        except BaseException as exc:  # noqa: BLE001 - raised again where the next item comes from
            self._error = exc
