"""Tell what the daemon knows: who waits for what, and until when."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from dropload.config import Config
from dropload.config_digest import digest_sections
from dropload.dispatch import Dispatcher
from dropload.durable import path_text
from dropload.gate import Gate, WaitingFile
from dropload.heartbeat import AtGate, Heartbeat, PutOff
from dropload.outage import Outage
from dropload.settling import PutOffDrop
from dropload.times import iso_time
from dropload.watcher import Scan

MOST_NAMED = 500
"""Files of each kind that a heartbeat names; beyond that, status works the reason out."""


class Problems(NamedTuple):
    """What is wrong with the daemon itself, in sentences; empty where nothing is."""

    turn: str
    metrics: str
    disk: str
    notify: str
    rivals: Sequence[str]
    """What is said of other daemons that work on the tree under other rules."""


def make_heartbeat(
    *,
    config: Config,
    scan: Scan,
    scanned_at: datetime,
    started_at: datetime,
    scan_seconds: float,
    scan_interval_seconds: float,
    gate: Gate,
    dispatcher: Dispatcher,
    outage: Outage,
    later: Sequence[PutOffDrop],
    failures: Mapping[Path, int],
    held: int,
    problems: Problems,
    missing_files: list[str],
    now: float,
) -> Heartbeat:
    """Return the daemon's sign of life; `now` is the time by the clock of gate and drops."""
    # Other processes know nothing of this one's monotonic clock.
    to_wall = time.time() - now
    next_try = outage.next_try_at
    return Heartbeat(
        scanned_at=iso_time(scanned_at),
        started_at=iso_time(started_at),
        scan_seconds=round(scan_seconds, 4),
        scan_interval_seconds=scan_interval_seconds,
        gate_checks=gate.checks,
        gate_interval_seconds=gate.interval_seconds,
        waiting=gate.waiting_count,
        at_gate=[_at_gate(file, to_wall) for file in islice(gate.waiting(), MOST_NAMED)],
        workers_problem=dispatcher.problem,
        turn_problem=problems.turn,
        metrics_problem=problems.metrics,
        disk_problem=problems.disk,
        missing_files=missing_files,
        notify_problem=problems.notify,
        rivals=list(problems.rivals),
        failures={path_text(path): times for path, times in islice(failures.items(), MOST_NAMED)},
        config_digests=digest_sections(config),
        queued=dispatcher.queued,
        queues=list(dispatcher.queues(MOST_NAMED)),
        put_off=[
            PutOff(path_text(drop.path), reason, at + to_wall)
            for at, drop, reason in later[:MOST_NAMED]
        ],
        put_off_count=len(later),
        held=held,
        running=dispatcher.running,
        database_problem=outage.problem,
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
