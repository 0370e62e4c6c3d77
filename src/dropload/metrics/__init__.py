"""Figures of the daemon's work for Prometheus; `base` is what the daemon calls, on or off."""

from dropload.config import Config
from dropload.metrics.base import Metrics


def open_metrics(config: Config) -> Metrics:
    """Return where the daemon's notes go, by `[metrics]`."""
    if not config.metrics.listen:
        return Metrics()
    # Loading prometheus_client takes its time, which no command need pay that is not the daemon.
    from dropload.metrics.exposition import Exposition  # noqa: PLC0415

    return Exposition(config)


__all__ = ["Metrics", "open_metrics"]
