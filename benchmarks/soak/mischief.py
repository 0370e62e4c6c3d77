"""Kill, stop and lock what loads, at random moments, and start it again."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from tests.acceptance.daemon import Daemon

from benchmarks.processes import children_of
from benchmarks.soak.places import Place

MOST_SECONDS = 1.2
"""Between two pieces of mischief; between nothing and this."""


class Mischief(threading.Thread):
    """Does one thing after the other until it is told to stop; then all daemons run."""

    def __init__(self, daemons: Sequence[Daemon], place: Place, seed: int) -> None:
        super().__init__(name="mischief", daemon=True)
        self.over = threading.Event()
        self.done: Counter[str] = Counter()
        self._daemons = daemons
        self._place = place
        self._random = random.Random(f"{seed}/mischief")
        self._ways: list[Callable[[Daemon], None]] = [
            *[self._kill_daemon] * 4,
            *[self._kill_worker] * 4,
            self._end_daemon,
            *[self._stop_worker] * 2,
            *[self._disturb_database] * 2,
        ]

    @property
    def kills(self) -> int:
        """Return how many processes were ended by SIGKILL."""
        return self.done["daemon killed"] + self.done["worker killed"] + self._place.kills

    def run(self) -> None:
        while not self.over.wait(self._random.random() * MOST_SECONDS):
            self._random.choice(self._ways)(self._random.choice(self._daemons))
            self._start_all()
        self._start_all()

    def _start_all(self) -> None:
        for daemon in self._daemons:
            if daemon.process is None or daemon.process.poll() is not None:
                daemon.start()

    def _kill_daemon(self, daemon: Daemon) -> None:
        daemon.stop(signal.SIGKILL)
        self.done["daemon killed"] += 1

    def _end_daemon(self, daemon: Daemon) -> None:
        # One that has only just been started has not said yet what it does about signals.
        if daemon.stop(signal.SIGTERM) not in (0, -signal.SIGTERM):
            self.done["SIGTERM ended badly"] += 1
        self.done["daemon ended by SIGTERM"] += 1

    def _kill_worker(self, daemon: Daemon) -> None:
        worker = self._choose_worker(daemon)
        if worker is not None:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                self.done["worker killed"] += 1

    def _stop_worker(self, daemon: Daemon) -> None:
        """Stop a worker for longer than its lease: another takes its load, then it goes on."""
        worker = self._choose_worker(daemon)
        if worker is None:
            return
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGSTOP)
            self.over.wait(self._random.random() * 6)
            os.kill(worker, signal.SIGCONT)
            self.done["worker stopped for a while"] += 1

    def _disturb_database(self, _daemon: Daemon) -> None:
        what = self._place.disturb(self._random)
        if what:
            self.done[what] += 1

    def _choose_worker(self, daemon: Daemon) -> int | None:
        workers = children_of(daemon.process.pid) if daemon.process else []
        return self._random.choice(workers) if workers else None
