"""Keep a claim alive while its worker is busy, tell how far it is, and notice that it was lost."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dropload.errors import ClaimLostError, DroploadError, TransientError
from dropload.journal import Journal
from dropload.late_threads import LATE
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
        LATE.add(thread, BEAT_SECONDS)
    except RuntimeError as exc:  # limits of the machine: not the file's fault
        raise TransientError(f"The worker cannot start a thread: {exc}.") from exc
    try:
        yield lease
    finally:
        over.set()
        LATE.end(thread)
