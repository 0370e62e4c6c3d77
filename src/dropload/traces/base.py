"""What the daemon tells of each load's way; nobody is told unless that is asked for."""

from dropload.returned import Finished


class Traces:
    """Takes note of loads that ended; this one, for when tracing is off, forgets them."""

    def note_finished(self, finished: Finished, now: float) -> None:
        """Note what came back from a worker; `now` is by the daemon's clock."""

    def close(self, patience_seconds: float) -> None:
        """Send what is not sent yet, in so much time; what is left is lost."""
