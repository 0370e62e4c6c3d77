"""What the daemon has its workers do: the names that it hands to its pool.

Each call imports `workers` where it is made, in the worker. The daemon has to import what it hands
over, and would carry Arrow and all else that only loading needs: most of its memory and of the time
that commands take to start.
"""

from collections.abc import Sequence

from dropload.config import Config
from dropload.model import Drop, WorkerResult
from dropload.recovery import Recovered


def start_worker(config: Config) -> None:
    """See `workers.start_worker`; imports all that loading needs, before the first file comes."""
    from dropload import workers  # noqa: PLC0415 - see above

    workers.start_worker(config)


def work(drops: Sequence[Drop], trace_ids: Sequence[str] = ()) -> list[WorkerResult]:
    """See `workers.work`."""
    from dropload import workers  # noqa: PLC0415 - see above

    return workers.work(drops, trace_ids)


def file_late_here(*, in_short: bool) -> Recovered:
    """See `workers.file_late_here`."""
    from dropload import workers  # noqa: PLC0415 - see above

    return workers.file_late_here(in_short=in_short)
