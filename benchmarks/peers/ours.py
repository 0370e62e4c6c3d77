"""dropload itself: one whole load in a worker's process, with every promise kept."""

import shutil
from pathlib import Path

from benchmarks.jobs import Job, Load, Loaded, Prepare
from benchmarks.peers import APPEND, FULLLOAD, NEW
from dropload.arrow_settings import spare_memory
from dropload.config import Config, LogConfig
from dropload.dock import Dock, open_dock, prepare
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.logs import configure_logs
from dropload.model import Area, LoadType, TableName, Verdict
from dropload.pipeline import process_drop
from dropload.targets.base import LOAD_ID

WARMS_UP_ITSELF = True
"""A worker has its connections, and the process that writes, from the loads before."""


def prepare_new(job: Job) -> Load:
    """The table is made by the load, as the peers make theirs."""
    dock = _open(job)
    if job.warm_up:
        _load(dock, _drop(dock, job.of_warm_up(), LoadType.APPEND))
    path = _drop(dock, job, LoadType.APPEND)
    return lambda: _load(dock, path)


def prepare_append(job: Job) -> Load:
    """The table has as many rows already: those of a file that lacks a record."""
    return _prepare_second(job, LoadType.APPEND)


def prepare_fullload(job: Job) -> Load:
    """A new version: the table has the rows of the one before, which lacks a record."""
    return _prepare_second(job, LoadType.FULLLOAD)


def _prepare_second(job: Job, load_type: LoadType) -> Load:
    dock = _open(job)
    path = _drop(dock, job, load_type)
    _cut_last_line(path)
    _load(dock, path)
    path = _drop(dock, job, load_type)
    return lambda: _load(dock, path)


def _open(job: Job) -> Dock:
    spare_memory()  # as a worker does
    configure_logs(LogConfig(level="error"))
    tree = {"dropoff": str(job.folder / "dropoff")}
    dock = open_dock(Config.model_validate({"paths": tree, "database": {"url": job.url}}))
    prepare(dock, "benchmark", anew=True)
    return dock


def _drop(dock: Dock, job: Job, load_type: LoadType) -> Path:
    inboxes = [inbox for inbox in dock.tree.inboxes if inbox.load_type is load_type]
    [inbox] = [inbox for inbox in inboxes if inbox.area is Area.NON_REFERENCE]
    path = inbox.path / f"{job.table}.csv"
    shutil.copy(job.source, path)
    return path


def _cut_last_line(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(-2, 2)
        while file.read(1) != b"\n":
            file.seek(-2, 1)
        file.truncate()


def _load(dock: Dock, path: Path) -> Loaded:
    drop = drop_of_path(path, dock.tree, None, None, force=False, requested_by="benchmark")
    outcome = process_drop(dock, drop, worker_name())
    if outcome.verdict is not Verdict.LOADED:
        raise RuntimeError(f"{outcome.verdict}: {outcome.message}")
    table = TableName(dock.target.schema_of(Area.NON_REFERENCE), path.stem)
    own = f"{dock.target.quoted_column(LOAD_ID)} = {outcome.load_id}"
    rows = f"(SELECT * FROM {dock.target.quoted(table)} WHERE {own}) AS loaded"
    return Loaded(rows, outcome.step_seconds)


PEERS: dict[str, Prepare] = {
    NEW: prepare_new,
    APPEND: prepare_append,
    FULLLOAD: prepare_fullload,
}
