"""Traces: which spans a load has, when nobody takes them, and that off means off."""

import io
import logging
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv.attributes import db_attributes, error_attributes
from opentelemetry.trace import StatusCode
from structlog.testing import capture_logs

from dropload import traces
from dropload.cli import main
from dropload.daemon import Daemon
from dropload.error_codes import code_of
from dropload.errors import ConfigError
from dropload.model import Area, Drop, FileVersion, LoadType, Outcome, StepSpan, Verdict
from dropload.returned import Finished
from dropload.traces import Traces, check_traces, open_traces
from dropload.traces.export import Export
from tests.conftest import Yard, make_config

TRACE_ID = "5f3c7a90d1e24b6889aabbccddeeff01"
NOW = 1000.0
DROP = Drop(
    Path("/drop/orders.csv"),
    Area.NON_REFERENCE,
    LoadType.APPEND,
    FileVersion(2000, 1, 7),
    appeared_at=NOW - 100,
    whole_at=NOW - 10,
)
LOADED = Outcome(
    Verdict.LOADED, DROP.path, "dbo.orders", load_id=57, rows_read=5, rows_loaded=4, rows_rejected=1
)
PATIENCE_SECONDS = 60.0


def finished(outcome: Outcome | None, **changes: Any) -> Finished:
    made = Finished(DROP, "dbo.orders", outcome, started_at=NOW - 4, trace_id=TRACE_ID)
    return replace(made, **changes)


class Told:
    """What a collector was told of some loads, by the names of spans."""

    def __init__(self, yard: Yard) -> None:
        self.exporter = InMemorySpanExporter()
        self._export = Export(yard.dock.target, self.exporter)

    def __call__(self, *all_finished: Finished) -> dict[str, ReadableSpan]:
        for one in all_finished:
            self._export.note_finished(one, NOW)
        self._export.close(PATIENCE_SECONDS)
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def told(yard: Yard) -> Iterator[Told]:
    made = Told(yard)
    yield made
    made()


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return round((span.end_time - span.start_time) / 1e9, 3)


def test_a_load_has_a_span_with_its_steps_in_it(told: Told) -> None:
    began = time.time_ns() - 3_000_000_000
    steps = (
        StepSpan("journal", began, began + 100),
        StepSpan("filing", began + 100, began + 1000),
        StepSpan("journal", began + 500, began + 900, within=1),
    )
    found = told(finished(replace(LOADED, spans=steps)))
    load = found["load"]
    assert f"{load.context.trace_id:032x}" == TRACE_ID
    assert load.parent is None
    assert load.end_time == began + 1000, "when the load ended, not when that was heard of"
    assert (seconds(found["gate"]), seconds(found["queue"])) == (90, 6)
    assert found["gate"].start_time == load.start_time
    assert (found["filing"].start_time, found["filing"].end_time) == (began + 100, began + 1000)
    parents = {
        span.start_time: span.parent.span_id
        for span in told.exporter.get_finished_spans()
        if span.parent is not None
    }
    assert parents[began] == load.context.span_id
    assert parents[began + 500] == found["filing"].context.span_id
    assert {span.context.trace_id for span in found.values()} == {load.context.trace_id}
    assert load.status.status_code is StatusCode.UNSET


def test_a_load_is_described_by_the_names_of_the_conventions(told: Told, yard: Yard) -> None:
    load = told(finished(LOADED))["load"]
    assert dict(load.attributes or {}) == {
        db_attributes.DB_SYSTEM_NAME: "sqlite",
        db_attributes.DB_NAMESPACE: str(yard.dock.target.file),
        db_attributes.DB_COLLECTION_NAME: "dbo.orders",
        "file.path": "/drop/orders.csv",
        "file.directory": "/drop",
        "file.name": "orders.csv",
        "file.size": 2000,
        "dropload.area": "non-reference",
        "dropload.load_type": "append",
        "dropload.load_id": 57,
        "dropload.outcome": "loaded",
        "dropload.rows_read": 5,
        "dropload.rows_loaded": 4,
        "dropload.rows_rejected": 1,
        "dropload.steps_retried": 0,
    }
    assert load.resource.attributes["service.name"] == "dropload"


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.RETRY, Verdict.PAUSED])
def test_a_load_that_went_wrong_is_an_error_with_its_code(told: Told, verdict: Verdict) -> None:
    steps = (StepSpan("profiling", 1, 2), StepSpan("checking", 2, 3, broke_off=True))
    outcome = replace(
        LOADED, verdict=verdict, code="DL-301", message="Server=x;Password=s3cret", spans=steps
    )
    found = told(finished(outcome))
    load = found["load"]
    assert load.status.status_code is StatusCode.ERROR
    assert load.status.description == "Server=x;Password=***"
    assert (load.attributes or {})[error_attributes.ERROR_TYPE] == "DL-301"
    assert found["checking"].status.status_code is StatusCode.ERROR
    assert found["profiling"].status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("verdict", "category"),
    [
        (Verdict.DUPLICATE, "duplicate"),
        (Verdict.HELD, "held"),
        (Verdict.CANCELLED, "cancelled"),
        (Verdict.RETRY, "file_changed"),
    ],
)
def test_what_is_nobodys_mistake_is_no_error(told: Told, verdict: Verdict, category: str) -> None:
    steps = (StepSpan("checking", 2, 3, broke_off=True),)
    found = told(finished(replace(LOADED, verdict=verdict, category=category, spans=steps)))
    assert {span.status.status_code for span in found.values()} == {StatusCode.UNSET}
    assert (found["load"].attributes or {})["dropload.outcome"] == verdict.value


@pytest.mark.parametrize(
    ("timed_out", "kind"), [(False, code_of("worker_died")), (True, "timeout")]
)
def test_a_load_whose_worker_died_has_its_trace(told: Told, timed_out: bool, kind: str) -> None:
    found = told(finished(None, crash="it died", timed_out=timed_out))
    assert found.keys() == {"load", "gate", "queue"}
    assert found["load"].status.description == "it died"
    assert (found["load"].attributes or {})[error_attributes.ERROR_TYPE] == kind
    assert seconds(found["load"]) == 100


def test_a_file_that_nobody_saw_come_has_no_waits(told: Told) -> None:
    drop = replace(DROP, appeared_at=None, whole_at=None)
    assert told(finished(LOADED, drop=drop)).keys() == {"load"}


def test_a_file_that_got_no_load_has_no_trace(told: Told) -> None:
    busy = Outcome(Verdict.SKIPPED, DROP.path, category="table_busy")
    assert told(finished(busy), finished(LOADED, trace_id="")) == {}


def test_the_environment_names_the_service(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "loads-of-sales")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    [load] = [span for name, span in Told(yard)(finished(LOADED)).items() if name == "load"]
    assert load.resource.attributes["service.name"] == "loads-of-sales"


class Moody(SpanExporter):
    """Takes spans or not, and complains as the library does."""

    def __init__(self, *results: SpanExportResult) -> None:
        self.results = list(results)

    def export(self, _spans: Sequence[ReadableSpan], /) -> SpanExportResult:
        result = self.results.pop(0)
        if result is SpanExportResult.FAILURE:
            said = "Failed to export: http://u:s3cret@here refuses"
            logging.getLogger("opentelemetry.exporter").error(said)
        return result


def test_that_traces_do_not_arrive_is_said_once(yard: Yard) -> None:
    failed, success = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    telling = traces.export._Telling(Moody(failed, failed, success, success))
    with capture_logs() as lines:
        for _ in range(4):
            telling.export([])
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("traces_not_sent", "Failed to export: http://u:***@here refuses"),
        ("traces_sent_again", None),
    ]


class Hanging(SpanExporter):
    def export(self, _spans: Sequence[ReadableSpan], /) -> SpanExportResult:
        time.sleep(PATIENCE_SECONDS)
        return SpanExportResult.SUCCESS


def test_a_collector_that_hangs_is_left_behind(yard: Yard) -> None:
    export = Export(yard.dock.target, Hanging())
    export.note_finished(finished(LOADED), NOW)
    with capture_logs() as lines:
        export.close(0.01)
    assert [line["event"] for line in lines] == ["traces_lost"]


# --- switching it on


def test_off_means_that_nothing_is_loaded_or_sent(yard: Yard, tmp_path: Path) -> None:
    made = open_traces(yard.dock.config, yard.dock.target)
    made.note_finished(finished(LOADED), NOW)
    made.close(0)
    assert type(made) is Traces
    code = "import sys, dropload.daemon; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_on_is_an_exporter(yard: Yard, tmp_path: Path) -> None:
    made = open_traces(make_config(tmp_path, tracing={"enabled": True}), yard.dock.target)
    assert isinstance(made, Export)
    made.close(PATIENCE_SECONDS)


def test_without_the_extra_its_name_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(traces, "find_spec", lambda _name: None)
    monkeypatch.setenv("DROPLOAD_TRACING__ENABLED", "yes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dropload", "config", "check"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "tracing.enabled: the packages of OpenTelemetry" in said
    assert "pip install 'dropload[opentelemetry]'" in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "'grpc' is not possible: traces are sent by http"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "write a URL, for example http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1", "write a URL, for example http://"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "mine", "'mine' not found"),
    ],
)
def test_a_variable_that_is_wrong_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        check_traces(make_config(tmp_path, tracing={"enabled": True}))
    assert said in str(refused.value)
    assert name in str(refused.value) or "OTEL_*" in str(refused.value)


def test_a_reload_switches_traces_on_and_off_and_refuses_what_is_wrong(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = yard.dock.config
    on = off.model_copy(update={"tracing": off.tracing.model_copy(update={"enabled": True})})
    wanted = [on, on, off]
    daemon = Daemon(yard.dock, read_config=lambda: wanted.pop(0))
    kinds = []
    for protocol in ("grpc", "http/protobuf", "http/protobuf"):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        daemon._take_configuration()
        kinds.append(type(daemon._telemetry.traces))
    daemon._shut_down()
    assert kinds == [Traces, Export, Traces], "refused, on, off"


def test_the_variable_for_traces_comes_before_that_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    check_traces(make_config(tmp_path, tracing={"enabled": True}))


def test_neither_tokens_nor_passwords_of_the_variables_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    config = make_config(tmp_path, tracing={"enabled": True})
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Bearer tok3n-of-mine")
    check_traces(config)
    assert "tok3n-of-mine" not in logs.getvalue()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "user:s3cret@host:4318")
    with pytest.raises(ConfigError) as refused:
        check_traces(config)
    assert "s3cret" not in str(refused.value)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in refused.value.message
