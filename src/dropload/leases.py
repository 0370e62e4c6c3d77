"""Keep a claim alive while its worker is busy with something that writes nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dropload.errors import DroploadError, TransientError
from dropload.journal import Journal
from dropload.logs import get_logger
from dropload.model import Load
from dropload.targets.base import Target

_RENEWALS = 3
"""Renewals per lease, so that one that fails costs nothing."""


@contextmanager
def kept_lease(
    target: Target, journal: Journal, load: Load, lease_seconds: float
) -> Iterator[None]:
    """Renew the lease of a load from a thread of its own until the block ends.

    Reading a large file or waiting for a lock takes longer than a lease, and nobody else may take
    the file for abandoned meanwhile.
    """
    over = threading.Event()

    def renew() -> None:
        while not over.wait(lease_seconds / _RENEWALS):
            try:
                with target.write() as conn:
                    journal.claims.renew(conn, load)
            except DroploadError as exc:
                get_logger().debug("lease_not_renewed", load_id=load.load_id, reason=str(exc))

    thread = threading.Thread(target=renew, name=f"lease-{load.load_id}", daemon=True)
    try:
        thread.start()
    except RuntimeError as exc:  # limits of the machine: not the file's fault
        raise TransientError(f"The worker cannot start a thread: {exc}.") from exc
    try:
        yield
    finally:
        over.set()
        thread.join()
