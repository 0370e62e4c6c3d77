"""The way of each load, told to OpenTelemetry; `base` is what the daemon calls, on or off."""

import os
from importlib.util import find_spec
from urllib.parse import urlsplit

from dropload.config import Config
from dropload.errors import ConfigError
from dropload.targets.base import Target
from dropload.traces.base import Traces

_PROTOCOL = "http/protobuf"


def open_traces(config: Config, target: Target) -> Traces:
    """Return where the traces go, by `[tracing]`; raise ConfigError where that cannot be."""
    if not config.tracing.enabled:
        return Traces()
    check_traces(config)
    # Loading the SDK takes its time, which only a daemon need pay that has tracing on.
    from dropload.traces.export import Export, make_exporter  # noqa: PLC0415

    return Export(target, make_exporter())


def check_traces(config: Config) -> None:
    """Raise ConfigError where tracing is asked for and cannot be."""
    if not config.tracing.enabled:
        return
    if not _is_installed("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        raise ConfigError(
            "tracing.enabled: the packages of OpenTelemetry, which send the traces, are not "
            "installed.",
            hint="Install them: pip install 'dropload[opentelemetry]'.",
            code="extra",
        )
    _check_environment()
    from dropload.traces.export import make_exporter  # noqa: PLC0415

    make_exporter().shutdown()


def _is_installed(*modules: str) -> bool:
    try:
        return all(find_spec(module) for module in modules)
    except ModuleNotFoundError:
        return False


def _check_environment() -> None:
    """Refuse what the SDK would find out with the first trace, or not at all."""
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = os.environ.get(name, "").strip() or _PROTOCOL
        if protocol != _PROTOCOL:
            raise _wrong(name, protocol, f"traces are sent by {_PROTOCOL} only")
    for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        endpoint = os.environ.get(name, "")
        if endpoint and not _is_http(endpoint):
            raise _wrong(name, endpoint, "write a URL, for example http://localhost:4318")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _wrong(name: str, value: str, said: str) -> ConfigError:
    return ConfigError(f"environment: {name} = {value!r} is not possible: {said}.")


__all__ = ["Traces", "check_traces", "open_traces"]
