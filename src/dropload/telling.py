"""Tell what the daemon knows while it works: who waits for what, until when, and what is wrong."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice

from dropload.alarms import Alarms
from dropload.bookkeeping import Bookkeeper
from dropload.config_digest import digest_sections
from dropload.dispatch import Dispatcher
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.expected import ExpectedFiles
from dropload.gate import Gate, WaitingFile
from dropload.heartbeat import AtGate, Heartbeat, PutOff, write_heartbeat
from dropload.logs import get_logger
from dropload.metrics import Metrics
from dropload.outage import Outage
from dropload.reserve import DiskReserve
from dropload.rivals import Neighbours
from dropload.scanning import Scanner
from dropload.settling import PutOffDrop, Settler
from dropload.times import iso_time
from dropload.watcher import Scan

MOST_NAMED = 500
"""Files of each kind that a heartbeat names; beyond that, status works the reason out."""
MIN_BEAT_GAP_SECONDS = 1.0
"""The heartbeat follows every scan; in between, it tells of loads that began or ended."""


class Teller:
    """Asks the daemon's parts how things stand, and says it; used from its thread only."""

    def __init__(
        self,
        dock: Dock,
        *,
        gate: Gate,
        scanner: Scanner,
        dispatcher: Dispatcher,
        settler: Settler,
        books: Bookkeeper,
        outage: Outage,
        reserve: DiskReserve,
        expected: ExpectedFiles,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dock = dock
        self._gate = gate
        self._scanner = scanner
        self._dispatcher = dispatcher
        self._settler = settler
        self._books = books
        self._outage = outage
        self._reserve = reserve
        self._expected = expected
        self._clock = clock
        self._neighbours = Neighbours(clock)
        self._started_at = datetime.now(UTC)
        self.turn_problem = ""
        """What nobody foresaw in the last turn; empty when it ended well."""
        self._has_news = False
        """Something happened that the heartbeat does not tell yet."""
        self._last_beat = float("-inf")
        self._log = get_logger()

    def configure(self, dock: Dock) -> None:
        """Tell of another configuration from now on."""
        self._dock = dock
        self._neighbours.note_change()

    def note_news(self) -> None:
        """Take note that something happened that others want to know soon."""
        self._has_news = True

    def state(self) -> str:
        """Return in one line what there is to do, or what is wrong."""
        if not self._outage.is_over:
            return f"database away: {self._outage.problem}"
        if self._reserve.problem:
            return self._reserve.problem
        return (
            f"{self._gate.waiting_count:,} at the gate, {self._dispatcher.queued:,} queued, "
            f"{len(self._dispatcher.running):,} loading"
        )

    def say_left_undone(self) -> None:
        """Log what waits still, when the daemon ends because nothing else is left to do."""
        for table, reason in self._dispatcher.paused():
            self._log.warning("left_undone", table=table, reason=reason)
        for late in self._settler.put_off:
            name = path_text(late.drop.path.name)
            self._log.warning("left_undone", file=name, reason=late.reason)

    def beat_when_due(self, metrics: Metrics, alarms: Alarms) -> None:
        """Give a sign of life: after a scan always, else soon after something happened."""
        scan = self._scanner.scan
        if scan is None or not self._is_beat_due():
            return
        self._has_news, self._last_beat = False, self._clock()
        self._neighbours.meet_when_due(self._dock.tree, self._dock.config)
        alarms.company = self._neighbours.company
        heartbeat = self._make_heartbeat(scan, metrics.problem, alarms.problem)
        metrics.tell(heartbeat)
        alarms.tell(heartbeat)
        try:
            write_heartbeat(self._dock.config.state_folder, heartbeat)
        except OSError as exc:
            self._log.debug("heartbeat_not_written", reason=str(exc))

    def _is_beat_due(self) -> bool:
        is_scan_told = self._scanner.last_scan <= self._last_beat
        gap = self._clock() - self._last_beat
        return not is_scan_told or (self._has_news and gap >= MIN_BEAT_GAP_SECONDS)

    def _make_heartbeat(self, scan: Scan, metrics_problem: str, notify_problem: str) -> Heartbeat:
        # Other processes know nothing of this one's monotonic clock.
        to_wall = time.time() - self._last_beat
        scanner, gate, dispatcher = self._scanner, self._gate, self._dispatcher
        scan_age = timedelta(seconds=self._last_beat - scanner.last_scan)
        failures, put_off = self._settler.failures, self._settler.put_off
        next_try = self._outage.next_try_at
        return Heartbeat(
            scanned_at=iso_time(datetime.now(UTC) - scan_age),
            started_at=iso_time(self._started_at),
            scan_seconds=round(scanner.scan_seconds, 4),
            scan_interval_seconds=max(
                scanner.seconds_between_scans(), scanner.least_seconds_between_scans()
            ),
            gate_checks=gate.checks,
            gate_interval_seconds=gate.interval_seconds,
            waiting=gate.waiting_count,
            at_gate=[_at_gate(file, to_wall) for file in islice(gate.waiting(), MOST_NAMED)],
            workers_problem=dispatcher.problem,
            turn_problem=self.turn_problem,
            metrics_problem=metrics_problem,
            disk_problem=self._reserve.problem,
            missing_files=[missing.describe() for missing in self._expected.missing],
            notify_problem=notify_problem,
            rivals=list(self._neighbours.rivals),
            failures={path_text(path): n for path, n in islice(failures.items(), MOST_NAMED)},
            config_digests=digest_sections(self._dock.config),
            queued=dispatcher.queued,
            queues=list(dispatcher.queues(MOST_NAMED)),
            put_off=[_put_off(late, to_wall) for late in put_off[:MOST_NAMED]],
            put_off_count=len(put_off),
            held=self._books.held_count,
            running=dispatcher.running,
            database_problem=self._outage.problem,
            database_next_try=iso_time(next_try) if next_try else "",
            paused_tables=dict(dispatcher.paused()),
            folder_problems=list(scan.failed.values()),
            strays=scan.stray_count,
        )


def _at_gate(file: WaitingFile, to_wall: float) -> AtGate:
    return AtGate(
        path=path_text(file.path),
        checks_done=file.checks_done,
        change=file.change,
        changed_at=file.changed_at + to_wall,
        whole_at=file.whole_at + to_wall,
    )


def _put_off(late: PutOffDrop, to_wall: float) -> PutOff:
    return PutOff(path_text(late.drop.path), late.reason, late.at + to_wall)
