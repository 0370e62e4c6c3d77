"""Keep a claim alive while its worker is busy, tell how far it is, and notice that it was lost."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dropload.errors import ClaimLostError, DroploadError, TransientError
from dropload.journal import Journal
from dropload.logs import get_logger
from dropload.model import Load
from dropload.progress import ProgressMeter
from dropload.targets.base import Target

BEAT_SECONDS = 1.0
"""How often progress is written, and a cancelled load noticed; a load that is over before costs
nothing, not even a thread."""
_RENEWALS = 3
"""Renewals per lease, so that one that fails costs nothing."""


class Lease:
    """A claim that another thread keeps alive."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lost = threading.Event()

    def check(self) -> None:
        """Raise ClaimLostError once the journal has said that the claim is gone."""
        if self._lost.is_set():
            raise ClaimLostError(f"Load {self._load.load_id} was taken over or cancelled.")

    def give_up(self) -> None:
        """Note that the claim is gone."""
        self._lost.set()


class _LateStarter:
    """Starts the threads of loads that are still under way after a beat; most are over before.

    To start a thread and wait for its end takes a tenth of the time of a small load.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._due: dict[threading.Thread, float] = {}
        """When each of them is to be started."""
        self._starter: threading.Thread | None = None
        self._looks_at = 0.0

    def add(self, thread: threading.Thread) -> None:
        """Have a thread started after a beat; RuntimeError when the machine has no room for one."""
        with self._lock:
            due = self._due[thread] = time.monotonic() + BEAT_SECONDS
            if due < self._looks_at:
                self._lock.notify()
            # After a fork it is there and does not live.
            if self._starter is None or not self._starter.is_alive():
                starter = threading.Thread(target=self._run, name="leases", daemon=True)
                try:
                    starter.start()
                except RuntimeError:
                    del self._due[thread]
                    raise
                self._starter = starter

    def end(self, thread: threading.Thread) -> None:
        """Return when the thread is over, or will never begin."""
        with self._lock:
            never_began = self._due.pop(thread, None) is not None
        if not never_began:
            thread.join()

    def _run(self) -> None:
        with self._lock:
            while self._due:
                self._looks_at = time.monotonic() + BEAT_SECONDS / 2
                self._lock.wait(BEAT_SECONDS / 2)
                self._start_due()
            self._starter = None

    def _start_due(self) -> None:
        now = time.monotonic()
        for thread in [thread for thread, due in self._due.items() if due <= now]:
            try:
                thread.start()
            except RuntimeError as exc:  # tried again at the next look
                get_logger().debug("lease_not_renewed", reason=str(exc))
                return
            del self._due[thread]


_LATE = _LateStarter()


@contextmanager
def done_meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Do something in another thread when the block takes longer than a beat, else not at all."""
    thread = threading.Thread(target=action, name="meanwhile", daemon=True)
    try:
        _LATE.add(thread)
    except RuntimeError:  # limits of the machine
        yield
        return
    try:
        yield
    finally:
        _LATE.end(thread)


@contextmanager
def kept_lease(
    target: Target, journal: Journal, load: Load, lease_seconds: float, meter: ProgressMeter
) -> Iterator[Lease]:
    """Renew the lease of a load, from a thread of its own, until the block ends.

    Reading a large file or waiting for a lock takes longer than a lease, and nobody else may take
    the file for abandoned meanwhile. What the meter has is written once a second; a second in
    which that is not possible is left out.
    """
    over = threading.Event()
    lease = Lease(load)
    began = time.monotonic()

    def keep() -> None:
        renew_at = began + lease_seconds / _RENEWALS
        wait_seconds = 0.0  # it begins a beat after the load
        while not over.wait(wait_seconds):
            wait_seconds = BEAT_SECONDS
            is_due = time.monotonic() >= renew_at
            if not (is_due or meter.has_news()):
                continue
            try:
                # The load's own transaction, or another load's, goes first where it can.
                with target.write() if is_due else target.write_soon() as conn:
                    # Taken under the lock, or what the load wrote meanwhile would go backwards.
                    is_ours = journal.claims.renew(conn, load, meter.take())
            except DroploadError as exc:
                get_logger().debug("lease_not_renewed", load_id=load.load_id, reason=str(exc))
                continue
            renew_at = time.monotonic() + lease_seconds / _RENEWALS
            if not is_ours:
                get_logger().debug("claim_lost", load_id=load.load_id)
                lease.give_up()
                return

    thread = threading.Thread(target=keep, name=f"lease-{load.load_id}", daemon=True)
    try:
        _LATE.add(thread)
    except RuntimeError as exc:  # limits of the machine: not the file's fault
        raise TransientError(f"The worker cannot start a thread: {exc}.") from exc
    try:
        yield lease
    finally:
        over.set()
        _LATE.end(thread)
