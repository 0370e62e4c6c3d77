"""The way of each load, told to OpenTelemetry; `base` is what the daemon calls, on or off."""

import os
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from dropload.config import Config
from dropload.errors import ConfigError
from dropload.logs import keep_secret
from dropload.targets.base import Target
from dropload.traces.base import Traces

_PROTOCOL = "http/protobuf"
_SCHEMES = ("bearer", "basic", "token")
"""Words before a token that are no secret."""


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
    _hide_headers()
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
    name, protocol = _find_variable("PROTOCOL")
    if protocol not in ("", _PROTOCOL):
        raise _wrong(f"{name} = {protocol!r}", f"traces are sent by {_PROTOCOL} only")
    name, endpoint = _find_variable("ENDPOINT")
    if endpoint and not _is_http(endpoint):
        # Not its value, which may hold a password.
        raise _wrong(name, "write a URL, for example http://localhost:4318")


def _find_variable(kind: str) -> tuple[str, str]:
    """Return name and value of a variable; that for traces alone comes before that for all."""
    names = (f"OTEL_EXPORTER_OTLP_TRACES_{kind}", f"OTEL_EXPORTER_OTLP_{kind}")
    found = ((name, os.environ.get(name, "").strip()) for name in names)
    return next((one for one in found if one[1]), (names[-1], ""))


def _hide_headers() -> None:
    """Have tokens masked that are sent along; the SDK quotes what it cannot read."""
    for kind in ("TRACES_HEADERS", "HEADERS"):
        text = unquote(os.environ.get(f"OTEL_EXPORTER_OTLP_{kind}", ""))
        values = [part.partition("=")[2] or part for part in text.split(",")]
        words = [word for value in values for word in value.split()]
        for secret in (text, *values, *(word for word in words if word.lower() not in _SCHEMES)):
            keep_secret(secret.strip())


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _wrong(what: str, said: str) -> ConfigError:
    return ConfigError(f"environment: {what} is not possible: {said}.")


__all__ = ["Traces", "check_traces", "open_traces"]
