"""Metrics: what is counted into which, who may ask, and that off means off."""

import io
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from dropload.heartbeat import Heartbeat
from dropload.metrics import Metrics, open_metrics
from dropload.metrics.exposition import Exposition
from dropload.metrics.figures import Figures
from dropload.model import Area, Drop, FileVersion, LoadType, Outcome, Verdict
from dropload.recovery import Recovered
from dropload.returned import Finished
from tests.conftest import make_config
from tests.unit.test_daemon import Clock

DROP = Drop(
    Path("/drop/orders.csv"),
    Area.NON_REFERENCE,
    LoadType.APPEND,
    FileVersion(2000, 1, 7),
    appeared_at=100.0,
    whole_at=190.0,
)
OUTCOME = Outcome(Verdict.LOADED, DROP.path, "dbo.orders", rows_read=5, rows_loaded=4)
BEAT = Heartbeat(
    scanned_at=datetime(2026, 11, 20, tzinfo=UTC).isoformat(),
    started_at=datetime(2026, 11, 20, tzinfo=UTC).isoformat(),
    scan_seconds=0.01,
    scan_interval_seconds=5.0,
    gate_checks=6,
    gate_interval_seconds=15,
    waiting=3,
    queued=2,
)


def finished(outcome: Outcome | None, **changes: Any) -> Finished:
    return replace(Finished(DROP, "dbo.orders", outcome, started_at=200.0), **changes)


class Counted:
    """The figures over a registry of their own, with a way to read them."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.registry = CollectorRegistry()
        self.figures = Figures(make_config(root, metrics=settings), self.registry)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"dropload_{name}", labels)

    def above_zero(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the samples of a metric that are not 0, by their labels' values."""
        samples = [s for f in self.registry.collect() for s in f.samples]
        found = [s for s in samples if s.name == f"dropload_{name}" and s.value]
        return {tuple(sample.labels.values()): sample.value for sample in found}


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


# --- what is counted


def test_a_loaded_file_is_counted_with_its_rows_bytes_and_times(counted: Counted) -> None:
    outcome = replace(OUTCOME, rows_rejected=1, step_seconds={"staging": 3.0}, steps_retried=2)
    counted.figures.count_whole(DROP)
    counted.figures.count_finished(finished(outcome), 250.0)
    inbox = {"area": "non-reference", "load_type": "append"}
    assert counted("files_total", **inbox, outcome="loaded") == 1
    assert counted("table_files_total", table="dbo.orders", outcome="loaded") == 1
    assert counted("rows_read_total") == 5
    assert counted("rows_loaded_total") == 4
    assert counted.above_zero("table_rows_loaded_total") == {("dbo.orders",): 4}
    assert counted("rows_rejected_total") == 1
    assert counted("file_bytes_total", outcome="loaded") == 2000
    assert counted("gate_wait_seconds_sum") == 90
    assert counted("queue_wait_seconds_sum") == 10
    assert counted("load_duration_seconds_sum", outcome="loaded") == 50
    assert counted("drop_to_commit_seconds_sum") == 150
    assert counted("drop_to_commit_seconds_bucket", le="120.0") == 0
    assert counted("drop_to_commit_seconds_bucket", le="180.0") == 1
    assert counted("step_duration_seconds_sum", step="staging") == 3
    assert counted("step_retries_total") == 2
    assert counted.above_zero("retries_total") == {}


def test_a_load_that_is_not_as_usual_is_counted(counted: Counted) -> None:
    counted.figures.count_finished(finished(OUTCOME), 250.0)
    assert counted("unusual_loads_total") == 0, "there from the start"
    counted.figures.count_finished(finished(replace(OUTCOME, unusual="3 rows")), 250.0)
    assert counted("unusual_loads_total") == 1


@pytest.mark.parametrize("verdict", [Verdict.DUPLICATE, Verdict.FAILED, Verdict.HELD])
def test_a_file_that_is_not_loaded_has_no_rows_and_no_lag(
    counted: Counted, verdict: Verdict
) -> None:
    counted.figures.count_finished(finished(Outcome(verdict, DROP.path)), 250.0)
    assert counted.above_zero("files_total") == {("non-reference", "append", verdict.value): 1}
    assert counted("rows_loaded_total") == 0
    assert counted("drop_to_commit_seconds_count") == 0
    assert counted("load_duration_seconds_count", outcome=verdict.value) == 1


@pytest.mark.parametrize(
    ("verdict", "category", "reason"),
    [
        (Verdict.RETRY, "transient", "transient"),
        (Verdict.RETRY, "file_busy", "file_busy"),
        (Verdict.PAUSED, "target", "target"),
        (Verdict.SKIPPED, "table_busy", "table_busy"),
        (Verdict.SKIPPED, "", "other"),
    ],
)
def test_a_file_that_goes_back_is_counted_by_its_reason_and_is_no_end(
    counted: Counted, verdict: Verdict, category: str, reason: str
) -> None:
    outcome = Outcome(verdict, DROP.path, category=category, step_seconds={"profiling": 1.0})
    counted.figures.count_finished(finished(outcome), 250.0)
    assert counted.above_zero("retries_total") == {(reason,): 1}
    assert counted.above_zero("files_total") == {}
    assert counted("step_duration_seconds_count", step="profiling") == 1


@pytest.mark.parametrize(
    ("crash", "timed_out", "causes"),
    [("SIGKILL", False, {("died",): 1}), ("too long", True, {("timeout",): 1}), ("", False, {})],
)
def test_a_worker_that_does_not_come_back_is_counted_unless_we_cut_it_off(
    counted: Counted, crash: str, *, timed_out: bool, causes: dict[tuple[str, ...], float]
) -> None:
    counted.figures.count_finished(finished(None, crash=crash, timed_out=timed_out), 250.0)
    assert counted.above_zero("worker_crashes_total") == causes
    assert counted.above_zero("retries_total") == {("worker",): 1}


def test_a_file_that_its_folder_refuses_is_counted_at_each_try(counted: Counted) -> None:
    counted.figures.count_finished(finished(replace(OUTCOME, moved=False)), 250.0)
    counted.figures.count_recovered(Recovered(moved=1, stuck=2, freed=3))
    assert counted("move_failures_total") == 3
    assert counted.above_zero("recoveries_total") == {("moved",): 1, ("freed",): 3}


def test_tables_beyond_the_limit_are_counted_together(tmp_path: Path) -> None:
    counted = Counted(tmp_path, tables=2)
    for table in ("dbo.a", "dbo.b", "dbo.c", "dbo.d", "dbo.a"):
        counted.figures.count_finished(finished(OUTCOME, table=table), 250.0)
    assert counted.above_zero("table_rows_loaded_total") == {
        ("dbo.a",): 8,
        ("dbo.b",): 4,
        ("other",): 8,
    }
    assert counted("rows_loaded_total") == 20


def test_a_file_whose_name_gives_no_table_is_counted_under_no_table(counted: Counted) -> None:
    counted.figures.count_finished(finished(Outcome(Verdict.FAILED, DROP.path), table="dbo."), 250)
    assert counted.above_zero("table_files_total") == {("other", "failed"): 1}


def test_the_heartbeats_words_become_gauges(counted: Counted) -> None:
    beat = replace(BEAT, running=["a.csv"], put_off_count=4, held=5, strays=6)
    counted.figures.set_from_heartbeat(beat)
    assert counted.above_zero("inbox_files") == {
        ("gate",): 3,
        ("queued",): 2,
        ("loading",): 1,
        ("put_off",): 4,
        ("held",): 5,
    }
    assert (counted("database_up"), counted("workers_up"), counted("stray_files")) == (1, 1, 6)
    assert counted("last_scan_timestamp_seconds") == datetime(2026, 11, 20, tzinfo=UTC).timestamp()
    trouble = replace(
        beat,
        database_problem="away",
        workers_problem="no memory",
        paused_tables={"dbo.a": "full"},
        folder_problems=["gone"],
    )
    counted.figures.set_from_heartbeat(trouble)
    assert (counted("database_up"), counted("workers_up")) == (0, 0)
    assert (counted("paused_tables"), counted("unreadable_inboxes")) == (1, 1)
    counted.figures.set_from_heartbeat(
        replace(BEAT, disk_problem="no room", missing_files=["a", "b"])
    )
    assert (counted("disk_reserve_reached"), counted("missing_files")) == (1, 2)


# --- who may ask


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def exposition(tmp_path: Path, clock: Clock) -> Iterator[Exposition]:
    made = Exposition(make_config(tmp_path, metrics={"listen": "127.0.0.1:0"}), clock)
    yield made
    made.close()


def fetch(exposition: Exposition) -> dict[str, float]:
    """Return what Prometheus would read, by name and labels."""
    assert exposition.url is not None
    with urllib.request.urlopen(exposition.url, timeout=60) as answer:  # noqa: S310
        text = answer.read().decode()
    return {
        f"{sample.name}{''.join(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_nobody_is_answered_before_there_is_an_answer(exposition: Exposition) -> None:
    exposition.note_scan(0.5)
    assert exposition.url is None
    exposition.tell(BEAT)
    exposition.note_turn_failed()
    exposition.note_reload(accepted=False)
    read = fetch(exposition)
    assert read["dropload_database_up"] == 1
    assert read["dropload_scan_duration_seconds_sum"] == 0.5
    assert read["dropload_turn_failures_total"] == 1
    assert read["dropload_config_last_reload_successful"] == 0
    assert read["dropload_config_last_reload_success_timestamp_seconds"] > 0


def test_what_is_noted_later_is_read_with_the_next_fetch(exposition: Exposition) -> None:
    exposition.tell(BEAT)
    exposition.note_whole(DROP)
    exposition.note_finished(finished(OUTCOME), 250.0)
    exposition.note_recovered(Recovered(moved=2))
    read = fetch(exposition)
    assert read["dropload_rows_loaded_total"] == 4
    assert read["dropload_gate_wait_seconds_count"] == 1
    assert read["dropload_recoveries_totalmoved"] == 2


def test_one_who_connects_and_says_nothing_keeps_nobody_waiting(exposition: Exposition) -> None:
    exposition.tell(BEAT)
    assert exposition.url is not None
    port = int(exposition.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)):
        assert fetch(exposition)["dropload_database_up"] == 1


def test_an_address_that_is_taken_is_said_once_and_had_when_it_is_free(
    tmp_path: Path, clock: Clock, logs: io.StringIO
) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    listen = f"127.0.0.1:{port}"
    exposition = Exposition(make_config(tmp_path, metrics={"listen": listen}), clock)
    try:
        for _ in range(3):
            exposition.tell(BEAT)
            clock.now += 30
        assert exposition.url is None
        [said] = [line for line in logs.getvalue().splitlines() if "metrics_not_served" in line]
        assert f"The address {listen} for metrics cannot be had: Address already in use" in said
        taken.close()
        exposition.tell(BEAT)
        assert fetch(exposition)["dropload_database_up"] == 1
    finally:
        taken.close()
        exposition.close()
    with socket.create_server(("127.0.0.1", port)):
        pass  # given back


def test_an_address_that_this_machine_does_not_have_is_said(
    tmp_path: Path, clock: Clock, logs: io.StringIO
) -> None:
    config = make_config(tmp_path, metrics={"listen": "192.0.2.1:10187"})
    exposition = Exposition(config, clock)
    exposition.tell(BEAT)
    assert exposition.url is None
    assert "The address 192.0.2.1:10187 for metrics cannot be had" in logs.getvalue()


def test_an_ipv6_address_is_served_and_named_in_brackets(tmp_path: Path, clock: Clock) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as exc:
        pytest.skip(f"no IPv6 here: {exc}")
    exposition = Exposition(make_config(tmp_path, metrics={"listen": "[::1]:0"}), clock)
    try:
        exposition.tell(BEAT)
        assert fetch(exposition)["dropload_database_up"] == 1
        assert exposition.url is not None
        assert exposition.url.startswith("http://[::1]:")
    finally:
        exposition.close()


# --- off


def test_without_an_address_nothing_is_kept_and_nobody_listens(tmp_path: Path) -> None:
    metrics = open_metrics(make_config(tmp_path))
    assert type(metrics) is Metrics
    metrics.note_scan(0.1)
    metrics.note_whole(DROP)
    metrics.note_finished(finished(OUTCOME), 250.0)
    metrics.note_recovered(Recovered())
    metrics.note_reload(accepted=True)
    metrics.note_turn_failed()
    metrics.tell(BEAT)
    metrics.close()


def test_commands_do_not_load_what_only_a_daemon_with_metrics_needs() -> None:
    code = "import sys, dropload.cli, dropload.daemon; print('prometheus_client' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
