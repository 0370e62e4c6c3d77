"""The metrics themselves: their names, units and labels, and what is counted into which."""

import platform
from collections.abc import Sequence
from datetime import datetime

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
)

from dropload import __version__
from dropload.config import Config
from dropload.errors import (
    TABLE_BUSY,
    ClaimLostError,
    ConfigError,
    FileBusyError,
    FileChangedError,
    StalePlanError,
    TargetError,
    TransientError,
)
from dropload.heartbeat import Heartbeat
from dropload.model import Area, Drop, LoadType, Outcome, Verdict
from dropload.progress import STEPS
from dropload.recovery import Recovered
from dropload.returned import Finished

ENDS = (Verdict.LOADED, Verdict.DUPLICATE, Verdict.FAILED, Verdict.HELD, Verdict.CANCELLED)
"""Outcomes after which the daemon does nothing more with a file by itself."""
_OTHER = "other"
_WORKER = "worker"
REASONS = (
    ConfigError.category,
    FileBusyError.category,
    FileChangedError.category,
    ClaimLostError.category,
    StalePlanError.category,
    TABLE_BUSY,
    TargetError.category,
    TransientError.category,
    _WORKER,
    _OTHER,
)
"""Why a file is tried again: the error's category, or that its worker did not come back."""
STATES = ("gate", "queued", "loading", "put_off", "held")

_WORK_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400)
"""Seconds: from a file of a few rows to the longest load that is allowed by default."""
_WAIT_BUCKETS = (1, 5, 15, 30, 60, 90, 105, 120, 180, 300, 600, 1800, 3600, 14_400, 86_400)
"""Seconds; the gate alone takes 90 by default."""
_SCAN_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)


class Figures:
    """All metrics of one daemon, in one registry; those that can be are there from the start.

    A counter that appears with its first event has no increase that Prometheus could see.
    """

    def __init__(self, config: Config, registry: CollectorRegistry) -> None:
        # Prometheus does not need them, and they double what is sent.
        prometheus_client.disable_created_metrics()
        self._registry = registry
        self._known_tables: set[str] = set()
        self._most_tables = config.metrics.tables
        self._make_files()
        self._make_loads()
        self._make_daemon()
        self._prepare()
        self._workers.set(config.workers.count)
        ProcessCollector(registry=registry)
        build = Info("dropload_build", "Version of dropload and of Python.", registry=registry)
        build.info({"version": __version__, "python_version": platform.python_version()})

    # --- names, units, labels

    def _make_files(self) -> None:
        self._inbox_files = self._gauge(
            "dropload_inbox_files", "Files in the inboxes, by what they wait for.", "state"
        )
        self._files = self._counter(
            "dropload_files", "Files that came to an end.", "area", "load_type", "outcome"
        )
        self._table_files = self._counter(
            "dropload_table_files", "Files that came to an end, by table.", "table", "outcome"
        )
        self._table_rows = self._counter(
            "dropload_table_rows_loaded", "Rows that are in a table now, by table.", "table"
        )
        self._rows_read = self._counter("dropload_rows_read", "Rows of files that came to an end.")
        self._rows_loaded = self._counter("dropload_rows_loaded", "Rows that went to tables.")
        self._rows_rejected = self._counter("dropload_rows_rejected", "Rows that were refused.")
        self._bytes = self._counter(
            "dropload_file_bytes", "Size of files that came to an end.", "outcome"
        )
        self._stray_files = self._gauge(
            "dropload_stray_files", "Files in the drop tree outside the inboxes."
        )

    def _make_loads(self) -> None:
        self._gate_wait = self._histogram(
            "dropload_gate_wait_seconds",
            "Time from the first look at a file until it was found to be whole.",
            _WAIT_BUCKETS,
        )
        self._queue_wait = self._histogram(
            "dropload_queue_wait_seconds",
            "Time from then until the load began that came to an end.",
            _WAIT_BUCKETS,
        )
        self._lag = self._histogram(
            "dropload_drop_to_commit_seconds",
            "Time from the first look at a file until its rows were in the table.",
            _WAIT_BUCKETS,
        )
        self._loads = self._histogram(
            "dropload_load_duration_seconds",
            "Time that a worker took for a file.",
            _WORK_BUCKETS,
            "outcome",
        )
        self._steps = self._histogram(
            "dropload_step_duration_seconds",
            "Time that a step of a load took.",
            _WORK_BUCKETS,
            "step",
        )
        self._step_retries = self._counter(
            "dropload_step_retries", "Steps done again within a load."
        )
        self._retries = self._counter(
            "dropload_retries", "Files that go back to be tried again.", "reason"
        )
        self._crashes = self._counter(
            "dropload_worker_crashes", "Workers that did not come back from a load.", "cause"
        )
        self._unusual = self._counter(
            "dropload_unusual_loads",
            "Loads that took far longer than usual, or brought far more or fewer rows.",
        )
        self._unmoved = self._counter(
            "dropload_move_failures", "Tries to file a file that its folder refused."
        )
        self._recovered = self._counter(
            "dropload_recoveries", "What was left over by somebody else, and finished.", "action"
        )

    def _make_daemon(self) -> None:
        self._database_up = self._gauge("dropload_database_up", "Whether the database answers.")
        self._workers = self._gauge("dropload_workers", "Workers that may load at once.")
        self._workers_up = self._gauge("dropload_workers_up", "Whether workers can be started.")
        self._paused_tables = self._gauge(
            "dropload_paused_tables", "Tables whose files wait after trouble."
        )
        self._inbox_problems = self._gauge(
            "dropload_unreadable_inboxes", "Inboxes that the last look could not list."
        )
        self.scans = self._histogram(
            "dropload_scan_duration_seconds", "Time that a look at all inboxes took.", _SCAN_BUCKETS
        )
        self._no_room = self._gauge(
            "dropload_disk_reserve_reached", "Whether no load starts for want of free disk."
        )
        self._missing_files = self._gauge(
            "dropload_missing_files", "Files that were expected by now and are not here."
        )
        self._last_scan = self._gauge(
            "dropload_last_scan_timestamp_seconds", "When the inboxes were last looked at."
        )
        self._scan_interval = self._gauge(
            "dropload_scan_interval_seconds", "The longest time between two looks."
        )
        self.turn_failures = self._counter(
            "dropload_turn_failures", "Turns of the daemon that ended with an unforeseen error."
        )
        self._reload_accepted = self._gauge(
            "dropload_config_last_reload_successful", "Whether the last reload was accepted."
        )
        self._reload_at = self._gauge(
            "dropload_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read.",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)

    def _prepare(self) -> None:
        for outcome in ENDS:
            self._bytes.labels(outcome)
            self._loads.labels(outcome)
            for area in Area:
                for load_type in LoadType:
                    self._files.labels(area, load_type, outcome)
        for step in STEPS:
            self._steps.labels(step)
        for reason in REASONS:
            self._retries.labels(reason)
        for cause in ("died", "timeout"):
            self._crashes.labels(cause)
        for action in ("moved", "freed", "cancelled", "stages_dropped"):
            self._recovered.labels(action)
        for state in STATES:
            self._inbox_files.labels(state)

    # --- events

    def count_whole(self, drop: Drop) -> None:
        """Count the time that a drop spent at the gate."""
        if drop.appeared_at is not None and drop.whole_at is not None:
            self._gate_wait.observe(drop.whole_at - drop.appeared_at)

    def count_finished(self, finished: Finished, now: float) -> None:
        """Count what came back from a worker, or that it did not come back."""
        outcome = finished.outcome
        if outcome is None:
            self._count_lost(finished)
            return
        for step, seconds in outcome.step_seconds.items():
            self._steps.labels(step).observe(seconds)
        self._step_retries.inc(outcome.steps_retried)
        if outcome.verdict in ENDS:
            self._count_end(finished, outcome, now)
        else:
            reason = outcome.category if outcome.category in REASONS else _OTHER
            self._retries.labels(reason).inc()

    def _count_lost(self, finished: Finished) -> None:
        if finished.crash:
            self._crashes.labels("timeout" if finished.timed_out else "died").inc()
        self._retries.labels(_WORKER).inc()

    def _count_end(self, finished: Finished, outcome: Outcome, now: float) -> None:
        drop, verdict = finished.drop, outcome.verdict
        self._files.labels(drop.area, drop.load_type, verdict).inc()
        table = self._label_of(finished.table)
        self._table_files.labels(table, verdict).inc()
        self._bytes.labels(verdict).inc(drop.version.size_bytes)
        ended_at = now if finished.ended_at is None else finished.ended_at
        self._loads.labels(verdict).observe(ended_at - finished.started_at)
        self._rows_read.inc(outcome.rows_read)
        if drop.whole_at is not None:
            self._queue_wait.observe(finished.started_at - drop.whole_at)
        if verdict not in (Verdict.HELD, Verdict.CANCELLED):
            # These files are read again when they are released.
            self._rows_rejected.inc(outcome.rows_rejected)
            self._unmoved.inc(not outcome.moved)
        if verdict is Verdict.LOADED:
            self._rows_loaded.inc(outcome.rows_loaded)
            self._table_rows.labels(table).inc(outcome.rows_loaded)
            self._unusual.inc(bool(outcome.unusual))
            if drop.appeared_at is not None:
                self._lag.observe(now - drop.appeared_at)

    def _label_of(self, table: str) -> str:
        """Return the table, or `other` for those beyond the limit: senders choose the names."""
        if table.endswith("."):
            return _OTHER  # only the schema: the file's name gave no table
        if table not in self._known_tables and len(self._known_tables) >= self._most_tables:
            return _OTHER
        if table not in self._known_tables:
            self._known_tables.add(table)
            self._table_rows.labels(table)
            for outcome in ENDS:
                self._table_files.labels(table, outcome)
        return table

    def count_recovered(self, done: Recovered) -> None:
        """Count what one pass of recovery did."""
        self._recovered.labels("moved").inc(done.moved)
        self._recovered.labels("freed").inc(done.freed)
        self._recovered.labels("cancelled").inc(done.cancelled)
        self._recovered.labels("stages_dropped").inc(done.stages_dropped)
        self._unmoved.inc(done.stuck)

    # --- how things stand

    def set_reload(self, *, accepted: bool, at: float) -> None:
        """Keep how the last reload of the configuration ended; `at`: seconds since 1970."""
        self._reload_accepted.set(accepted)
        if accepted:
            self._reload_at.set(at)

    def set_from_heartbeat(self, beat: Heartbeat) -> None:
        """Show what the heartbeat says."""
        counts = (beat.waiting, beat.queued, len(beat.running), beat.put_off_count, beat.held)
        for state, count in zip(STATES, counts, strict=True):
            self._inbox_files.labels(state).set(count)
        self._stray_files.set(beat.strays)
        self._database_up.set(not beat.database_problem)
        self._workers_up.set(not beat.workers_problem)
        self._paused_tables.set(len(beat.paused_tables))
        self._inbox_problems.set(len(beat.folder_problems))
        self._no_room.set(bool(beat.disk_problem))
        self._missing_files.set(len(beat.missing_files))
        self._scan_interval.set(beat.scan_interval_seconds)
        self._last_scan.set(datetime.fromisoformat(beat.scanned_at).timestamp())
