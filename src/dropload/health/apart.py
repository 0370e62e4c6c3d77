"""Do something that may hang for ever in a process of its own, so that this one can end.

A thread would not do: a process cannot end while a thread of it waits, uninterruptibly, for a dead
share.
"""

import contextlib
import os
import pickle
import select
import signal
import threading
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

_TIDY_SECONDS = 30.0
"""So long threads that hang may take to come back and to remove what they have made."""
_CHUNK_BYTES = 1 << 16

Answer = TypeVar("Answer")


def run_apart(work: Callable[[], Answer], limit_seconds: float) -> Answer | None:
    """Return what `work` answers in a copy of this process, None when it takes too long.

    The copy is not waited for once it has answered.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # The copy uses none of the threads that there may be here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _answer(work, writer)
    os.close(writer)
    try:
        received = _receive(reader, time.monotonic() + limit_seconds)
    finally:
        os.close(reader)
    if received is None:
        os.kill(pid, signal.SIGKILL)
        return None
    answer: Answer = pickle.loads(received)  # noqa: S301 - from our own copy
    return answer


def _answer(work: Callable[[], object], writer: int) -> None:
    """Work, send the answer, and end; never returns."""
    try:
        # Whoever reads what this process prints must not wait for the copy to end.
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(work(), pipe)
        _let_threads_end(time.monotonic() + _TIDY_SECONDS)
    finally:
        os._exit(0)


def _let_threads_end(deadline: float) -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))


def _receive(reader: int, deadline: float) -> bytes | None:
    """Return all that is sent until the other end closes; None when that comes too late."""
    received = b""
    with contextlib.suppress(OSError):
        while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = os.read(reader, _CHUNK_BYTES)
            if not chunk:
                return received or None
            received += chunk
    return None
