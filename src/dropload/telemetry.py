"""Metrics and traces of the daemon's work, as the configuration asks for them."""

from dropload.config import Config
from dropload.logs import get_logger
from dropload.metrics import open_metrics
from dropload.returned import Finished
from dropload.targets.base import Target
from dropload.traces import open_traces

TRACES_PATIENCE_SECONDS = 5.0
"""What a stop waits for traces to be sent."""


class Telemetry:
    """Opens both, and opens them anew where the configuration changes."""

    def __init__(self, config: Config, target: Target) -> None:
        """Raise ConfigError where traces are asked for and cannot be."""
        self._config = config
        self._target = target
        self.metrics = open_metrics(config)
        self.traces = open_traces(config, target)

    def configure(self, config: Config) -> None:
        """Go on as another configuration says."""
        old, self._config = self._config, config
        if config.metrics != old.metrics:
            self.metrics.close()
            self.metrics = open_metrics(config)
        if config.tracing != old.tracing:
            self.traces.close(0.0)  # it goes on by itself
            self.traces = open_traces(config, self._target)

    def note_finished(self, finished: Finished, now: float) -> None:
        """Note what came back from a worker; trouble with its trace is none of the load's."""
        self.metrics.note_finished(finished, now)
        try:
            self.traces.note_finished(finished, now)
        except Exception as exc:  # noqa: BLE001 - see above
            get_logger().exception("trace_not_made", reason=str(exc))

    def close(self) -> None:
        """Stop telling; what is not sent by then is lost."""
        self.metrics.close()
        self.traces.close(TRACES_PATIENCE_SECONDS)
