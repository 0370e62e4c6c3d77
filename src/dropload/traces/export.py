"""Send a trace of each load by OTLP over HTTP: spans of its steps, with their true times.

Workers bring the times back with what became of the load, and the daemon makes spans of them: a
worker that is killed has told of none, and its load has a trace all the same.
Names of attributes: https://opentelemetry.io/docs/specs/semconv/registry/attributes/.
"""

import logging
import threading
import time
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from dropload import __version__
from dropload.durable import path_text
from dropload.error_codes import code_of
from dropload.errors import ConfigError, FileChangedError
from dropload.logs import get_logger, mask_secrets
from dropload.model import Outcome, StepSpan, Verdict
from dropload.returned import Finished
from dropload.targets.base import Target
from dropload.traces.base import Traces

_Attributes = dict[str, str | int]
_LIBRARY = "opentelemetry"


def make_exporter() -> SpanExporter:
    """Return what sends where the OTEL_* variables say; raise ConfigError when one is wrong."""
    try:
        return OTLPSpanExporter()
    except (ValueError, OSError, RuntimeError, ImportError) as exc:
        raise ConfigError(
            f"environment: the traces cannot be sent as the OTEL_* variables say: {exc}.",
            hint="https://opentelemetry.io/docs/specs/otel/protocol/exporter/ says what they mean.",
        ) from exc


class Export(Traces):
    """Makes a trace of each load that a worker had, and has a thread of the SDK send it.

    Neither a load nor the daemon waits for it: what cannot be sent is lost, and said once.
    """

    def __init__(self, target: Target, exporter: SpanExporter) -> None:
        self._database = _describe_database(target)
        self._ids = _GivenTraceId()
        self._provider = TracerProvider(
            resource=_describe_service(), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(_Telling(exporter)))
        self._tracer = self._provider.get_tracer("dropload", __version__)

    def note_finished(self, finished: Finished, now: float) -> None:
        """Hand over the trace of a load; what had no load, as a table that was busy, has none."""
        outcome = finished.outcome
        if not finished.trace_id or (outcome is not None and outcome.load_id is None):
            return
        to_wall = time.time() - now
        spans = outcome.spans if outcome else ()
        waits = _find_waits(finished, to_wall)
        began_ns = waits[0].began_ns if waits else _nanoseconds(finished.started_at + to_wall)
        ended_ns = max((s.ended_ns for s in spans), default=_nanoseconds(now + to_wall))
        self._ids.trace_id = int(finished.trace_id, 16)
        load = self._tracer.start_span(
            "load",
            Context(),  # of its own, whatever else goes on in this thread
            attributes=self._database | _describe_load(finished),
            start_time=began_ns,
        )
        is_error = outcome is None or _is_error(outcome)
        self._add_steps(load, waits, is_error=is_error)
        self._add_steps(load, spans, is_error=is_error)
        if is_error:
            said = outcome.message if outcome else finished.crash or "the worker was replaced"
            load.set_status(Status(StatusCode.ERROR, mask_secrets(said)))
        load.end(ended_ns)

    def _add_steps(self, load: Span, steps: Sequence[StepSpan], *, is_error: bool) -> None:
        made: list[Span] = []
        for step in steps:
            around = load if step.within is None else made[step.within]
            context = set_span_in_context(around, Context())
            made.append(self._tracer.start_span(step.step, context, start_time=step.began_ns))
        for span, step in zip(made, steps, strict=True):
            if is_error and step.broke_off:
                span.set_status(Status(StatusCode.ERROR))
            span.end(step.ended_ns)

    def close(self, patience_seconds: float) -> None:
        """Send what is not sent yet; a collector that hangs is left behind."""
        # The SDK's own limits count only from one try to send to the next.
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(patience_seconds)
        if closing.is_alive() and patience_seconds:
            get_logger().warning("traces_lost", reason="they could not be sent before the stop")


class _GivenTraceId(RandomIdGenerator):
    """Uses the trace id that the load's log lines have already."""

    trace_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id


class _Telling(SpanExporter):
    """Passes spans on; says once that they do not arrive, and once that they do again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._address = mask_secrets(str(getattr(exporter, "_endpoint", "")))
        self._is_failing = False
        self._reason = _LastComplaint()
        # What the library says of every try would fill the log.
        logger = logging.getLogger(_LIBRARY)
        logger.propagate = False
        logger.handlers = [self._reason]

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            reason = mask_secrets(self._reason.text)
            get_logger().warning("traces_not_sent", to=self._address, reason=reason)
        elif self._is_failing and not is_failing:
            get_logger().info("traces_sent_again")
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _LastComplaint(logging.Handler):
    """Keeps what the library complained of last."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.text = record.getMessage()


# --- what is told --------------------------------------------------------------------------------


def _describe_service() -> Resource:
    """Return what tells this service from others; what the environment says has precedence."""
    own = Resource({"service.name": "dropload", "service.version": __version__})
    return Resource.create(dict(own.merge(OTELResourceDetector().detect()).attributes))


def _describe_database(target: Target) -> _Attributes:
    known = {"db.system.name": target.system_name, "db.namespace": target.namespace}
    return {name: value for name, value in known.items() if value}


def _describe_load(finished: Finished) -> _Attributes:
    drop, outcome = finished.drop, finished.outcome
    told: _Attributes = {
        "db.collection.name": finished.table,
        "file.path": path_text(drop.path),
        "file.directory": path_text(drop.path.parent),
        "file.name": path_text(drop.path.name),
        "file.size": drop.version.size_bytes,
        "dropload.area": drop.area.value,
        "dropload.load_type": drop.load_type.value,
    }
    if outcome is None:
        cause = "timeout" if finished.timed_out else code_of("worker_died")
        return told | {"dropload.outcome": "crashed", "error.type": cause}
    told |= {
        "dropload.load_id": outcome.load_id or 0,
        "dropload.outcome": outcome.verdict.value,
        "dropload.rows_read": outcome.rows_read,
        "dropload.rows_loaded": outcome.rows_loaded,
        "dropload.rows_rejected": outcome.rows_rejected,
        "dropload.steps_retried": outcome.steps_retried,
    }
    if outcome.code:
        told["dropload.code"] = outcome.code
    if _is_error(outcome):
        told["error.type"] = outcome.code or code_of(outcome.category)
    return told


def _is_error(outcome: Outcome) -> bool:
    """Return whether a load went wrong; one that waits for a person's word did not."""
    if outcome.category == FileChangedError.category:
        return False
    return outcome.verdict in (Verdict.FAILED, Verdict.RETRY, Verdict.PAUSED)


def _find_waits(finished: Finished, to_wall: float) -> tuple[StepSpan, ...]:
    """Return the times at the gate and in the queue, where the daemon has seen the file come."""
    drop = finished.drop
    if drop.appeared_at is None or drop.whole_at is None:
        return ()
    seen, whole, started = (
        _nanoseconds(at + to_wall) for at in (drop.appeared_at, drop.whole_at, finished.started_at)
    )
    return (StepSpan("gate", seen, whole), StepSpan("queue", whole, started))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
