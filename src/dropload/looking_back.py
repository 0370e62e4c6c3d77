"""Look back at what was loaded: lists of loads, and everything about one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dropload.dock import Dock
from dropload.model import LoadRecord, RejectRecord


@dataclass(frozen=True, slots=True)
class LoadDetails:
    """Everything that the journal knows of one load."""

    load: LoadRecord
    layout: Mapping[str, Any] | None
    plan: Mapping[str, Any] | None
    rejects: tuple[RejectRecord, ...]


def list_loads(dock: Dock, table: str | None, limit: int) -> list[LoadRecord]:
    """Return the latest loads, newest first; `table` is `name` or `schema.name`."""
    with dock.target.read() as conn:
        return dock.journal.history.latest(conn, table, limit)


def show_load(dock: Dock, load_id: int) -> LoadDetails:
    """Return everything about one load; raise RefusedError where there is none."""
    with dock.target.read() as conn:
        row = dock.journal.history.existing(conn, load_id)
        rejects = dock.journal.history.rejects(conn, load_id)
    return LoadDetails(
        row, json.loads(row.layout or "null"), json.loads(row.plan or "null"), tuple(rejects)
    )
