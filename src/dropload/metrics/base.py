"""What the daemon tells of its work for others to count; nothing listens unless it is asked for."""

from dropload.heartbeat import Heartbeat
from dropload.model import Drop
from dropload.recovery import Recovered
from dropload.returned import Finished


class Metrics:
    """Takes notes of what happens; this one, for when metrics are off, forgets them."""

    problem = ""
    """Why nobody can fetch them; empty while that is not known, and where they are off."""

    def note_scan(self, seconds: float) -> None:
        """Note that the inboxes were looked at, and how long that took."""

    def note_whole(self, drop: Drop) -> None:
        """Note that the gate let a drop through."""

    def note_finished(self, finished: Finished, now: float) -> None:
        """Note what came back from a worker; `now` is by the daemon's clock."""

    def note_recovered(self, done: Recovered) -> None:
        """Note what recovery did in one pass."""

    def note_reload(self, *, accepted: bool) -> None:
        """Note that the configuration was read anew, and whether it was right."""

    def note_turn_failed(self) -> None:
        """Note that a turn of the daemon ended with what nobody foresaw."""

    def tell(self, heartbeat: Heartbeat) -> None:
        """Tell how things stand from now on."""

    def close(self) -> None:
        """Stop telling."""
