"""Metrics as Prometheus fetches them from a real daemon."""

import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.daemon import Daemon

ORDERS = "id,name\n1,Ada\n2,Bob\n"
SYSTEM_CHOOSES = "127.0.0.1:0"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    config = tmp_path / "dropload.toml"
    config.write_text("")
    made = Daemon(tmp_path, DROPLOAD_CONFIG=str(config))
    yield made
    made.end()


def served_at(daemon: Daemon) -> str:
    return str(daemon.events("metrics_served")[-1]["url"])


def fetch(daemon: Daemon) -> dict[str, float]:
    """Return what is told now, by name and the values of its labels; {} while nobody answers."""
    if not daemon.events("metrics_served"):
        return {}
    with urllib.request.urlopen(served_at(daemon), timeout=60) as answer:  # noqa: S310
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        " ".join([sample.name, *sorted(sample.labels.values())]): sample.value
        for family in families
        for sample in family.samples
    }


def wait_for(daemon: Daemon, **expected: float) -> dict[str, float]:
    wanted = {
        name.replace("__", " ").replace("non_ref", "non-ref"): value
        for name, value in expected.items()
    }
    daemon.wait_for(lambda: wanted.items() <= fetch(daemon).items(), f"for {wanted}")
    return fetch(daemon)


def test_prometheus_reads_what_became_of_files(daemon: Daemon) -> None:
    daemon.environ["DROPLOAD_METRICS__LISTEN"] = SYSTEM_CHOOSES
    daemon.start()
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    (daemon.inbox() / "broken.csv").write_text("id,name\n1,Ada,too many\n")
    daemon.wait_until_filed(2)
    wait_for(daemon, dropload_file_bytes_total__loaded=len(ORDERS))
    told = wait_for(daemon, dropload_file_bytes_total__failed=23)
    assert told["dropload_files_total append loaded non-reference"] == 1
    assert told["dropload_files_total append failed non-reference"] == 1
    assert told["dropload_table_rows_loaded_total dbo.orders"] == 2
    assert told["dropload_table_files_total dbo.broken failed"] == 1
    assert told["dropload_rows_rejected_total"] == 1
    assert told["dropload_database_up"] == told["dropload_workers_up"] == 1
    assert told["dropload_workers"] == 2
    counts = {name: value for name, value in told.items() if "_seconds_count" in name}
    assert counts.pop("dropload_scan_duration_seconds_count") > 2
    assert {name: value for name, value in counts.items() if value} == {
        "dropload_gate_wait_seconds_count": 2,
        "dropload_queue_wait_seconds_count": 2,
        "dropload_drop_to_commit_seconds_count": 1,
        "dropload_load_duration_seconds_count loaded": 1,
        "dropload_load_duration_seconds_count failed": 1,
        "dropload_step_duration_seconds_count detecting": 2,
        "dropload_step_duration_seconds_count profiling": 2,
        "dropload_step_duration_seconds_count checking": 2,
        "dropload_step_duration_seconds_count planning": 2,
        "dropload_step_duration_seconds_count staging": 1,
        "dropload_step_duration_seconds_count publishing": 1,
        "dropload_step_duration_seconds_count filing": 2,
        "dropload_step_duration_seconds_count journal": 2,
    }
    # The gate took two checks of 0.2 s, and all else comes on top of it.
    assert told["dropload_gate_wait_seconds_sum"] > 0.5
    assert told["dropload_drop_to_commit_seconds_sum"] > told["dropload_gate_wait_seconds_sum"] / 2
    assert daemon.process is not None
    assert told["process_resident_memory_bytes"] > 10_000_000
    fullload = daemon.inbox(kind="fullload")
    (fullload / "orders.csv").write_text("id,name\n")
    wait_for(daemon, dropload_inbox_files__held=1)
    assert daemon.stop() == 0
    with pytest.raises(urllib.error.URLError):
        fetch(daemon)


def test_a_worker_that_dies_is_counted_and_its_file_is_loaded_all_the_same(daemon: Daemon) -> None:
    daemon.environ["DROPLOAD_METRICS__LISTEN"] = SYSTEM_CHOOSES
    daemon.start()
    rows = "n,text\n" + "".join(f"{n},{'x' * 50}{n}\n" for n in range(200_000))
    (daemon.inbox() / "big.csv").write_text(rows)
    daemon.wait_for(lambda: bool({"claimed", "staging"} & set(daemon.states())))
    worker = daemon.loads()[0].worker
    assert worker is not None
    os.kill(int(worker.split("#")[1]), signal.SIGKILL)
    daemon.wait_until_filed(1)
    told = wait_for(daemon, dropload_files_total__append__loaded__non_reference=1)
    assert told["dropload_worker_crashes_total died"] == 1
    assert told["dropload_retries_total worker"] == 1
    assert told["dropload_table_rows_loaded_total dbo.big"] == 200_000


def test_a_reload_switches_metrics_on_and_off(daemon: Daemon, tmp_path: Path) -> None:
    config = tmp_path / "dropload.toml"
    daemon.start()
    daemon.wait_for(lambda: daemon.command("health").returncode == 0, "for its first look")
    assert not daemon.events("metrics_served"), "off by default"
    assert daemon.process is not None
    config.write_text(f'[metrics]\nlisten = "{SYSTEM_CHOOSES}"\n')
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(daemon, dropload_config_last_reload_successful=1)
    config.write_text('[metrics]\nlisten = "127.0.0.1"\n')
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(daemon, dropload_config_last_reload_successful=0)
    [refused] = daemon.events("configuration_refused")
    assert "metrics.listen = '127.0.0.1' is not possible: write HOST:PORT" in refused["reason"]
    config.write_text("")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: len(daemon.events("configuration_reloaded")) == 2)
    with pytest.raises(urllib.error.URLError):
        fetch(daemon)
    assert daemon.stop() == 0


def test_a_port_that_is_taken_is_one_sentence_and_keeps_no_file_from_loading(
    daemon: Daemon,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        daemon.environ["DROPLOAD_METRICS__LISTEN"] = listen
        daemon.start()
        (daemon.inbox() / "orders.csv").write_text(ORDERS)
        daemon.wait_until_filed(1)
        [said] = daemon.events("metrics_not_served")
        assert said["reason"].startswith(f"The address {listen} for metrics cannot be had: ")
        assert daemon.states() == ["filed"]
        daemon.wait_for(lambda: listen in daemon.command("health").stdout, "for health to say so")
        assert daemon.stop() == 0
