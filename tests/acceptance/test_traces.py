"""Traces of a real daemon's loads, as a collector of OpenTelemetry gets them over HTTP."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon
from tests.http_receiver import Site, TraceReceiver

ORDERS = "id,name\n1,Ada\n2,Bob\n"
STATUS_ERROR = 2


@pytest.fixture
def collector() -> Iterator[Site]:
    made = Site(TraceReceiver)
    yield made
    made.close()


@pytest.fixture
def daemon(tmp_path: Path, collector: Site) -> Iterator[Daemon]:
    made = Daemon(
        tmp_path,
        DROPLOAD_TRACING__ENABLED="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        OTEL_BSP_SCHEDULE_DELAY="50",
    )
    yield made
    made.end()


def values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def spans(collector: Site) -> list[Any]:
    return [
        span
        for request in collector.got
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_a_collector_gets_each_load_with_its_steps_and_hinders_none_when_it_hangs(
    daemon: Daemon, collector: Site
) -> None:
    daemon.start()
    (daemon.inbox() / "orders.csv").write_text(ORDERS)
    (daemon.inbox() / "broken.csv").write_text("id,name\n1,Ada,too many\n")
    daemon.wait_for(
        lambda: [span.name for span in spans(collector)].count("load") == 2, "for both traces"
    )
    [resource, *_] = [one.resource for request in collector.got for one in request.resource_spans]
    told = values(resource.attributes)
    assert (told["service.name"], told["deployment.environment.name"]) == ("dropload", "test")

    loads = {values(s.attributes)["file.name"]: s for s in spans(collector) if s.name == "load"}
    good, bad = loads["orders.csv"], loads["broken.csv"]
    assert values(good.attributes)["dropload.rows_loaded"] == 2
    assert bad.status.code == STATUS_ERROR
    of_good = {s.name: s for s in spans(collector) if s.trace_id == good.trace_id}
    steps = ["gate", "queue", "detecting", "profiling", "checking", "planning", "staging"]
    assert of_good.keys() == {"load", *steps, "publishing", "filing", "journal"}
    ends = [of_good[step].end_time_unix_nano for step in (*steps, "publishing", "filing")]
    assert ends == sorted(ends), "one after the other"
    assert good.end_time_unix_nano >= ends[-1]
    [said] = [line for line in daemon.events("load_failed") if line["file"] == "broken.csv"]
    assert said["trace_id"] == bad.trace_id.hex()

    collector.server.blocked = threading.Event()
    (daemon.inbox() / "orders_2.csv").write_text(ORDERS)
    daemon.wait_until_filed(3)
    collector.wait_for_one()
    assert daemon.stop() == 0, "although the collector does not answer"
    [lost] = daemon.events("traces_lost")
    assert lost["reason"] == "they could not be sent before the stop"
