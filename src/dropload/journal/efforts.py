"""What loads have cost: their times by step, rows, bytes, and how many ran at the same time."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dropload.journal.history import is_of_table
from dropload.journal.queries import of_table
from dropload.journal.tables import JournalTables, in_states
from dropload.model import State

_LOADED = (State.COMMITTED, State.FILED, State.UNDONE)
_NEIGHBOURS = 1_000
"""Loads that ran at the same time were claimed at about the same time, and have near numbers."""


@dataclass(frozen=True, slots=True)
class LoadEffort:
    """What one load has cost whose rows went into its table."""

    load_id: int
    commit_no: int
    """Its place among the commits of its table; its number says only when it was claimed first."""
    file_name: str
    schema_name: str
    table_name: str
    load_type: str
    rows: int
    size_bytes: int
    claimed_at: datetime
    committed_at: datetime
    step_seconds: Mapping[str, float]
    """By step, in their order; empty where nobody has measured."""
    steps_retried: int
    seconds: float | None
    """How long the load took: the sum of its steps, else from claim to commit; None where it was
    tried more than once and nobody has measured."""

    @property
    def table(self) -> str:
        """Return `schema.name`."""
        return f"{self.schema_name}.{self.table_name}"


class Efforts:
    """Reads what loads have cost, always in the caller's transaction."""

    def __init__(self, tables: JournalTables) -> None:
        self._loads = tables.loads
        own = self._loads.c
        # Asked after each load: built once, as those of `queries`.
        self._some = (
            self._query()
            .where(own.load_id.in_(sa.bindparam("of_load_ids", expanding=True)))
            .order_by(own.commit_no)
        )
        alike = self._query().where(
            own.schema_name == sa.bindparam("of_schema"),
            own.table_name == sa.bindparam("of_table"),
            own.load_type == sa.bindparam("of_load_type"),
        )
        self._before = (
            alike.where(own.commit_no < sa.bindparam("of_commit_no"))
            .order_by(own.commit_no.desc())
            .limit(sa.bindparam("most", type_=sa.Integer))
        )
        self._between = alike.where(
            own.commit_no.between(sa.bindparam("of_first_no"), sa.bindparam("of_last_no"))
        ).order_by(own.commit_no)

    def since(
        self, conn: sa.Connection, table: str | None, start: datetime | None, limit: int
    ) -> list[LoadEffort]:
        """Return the latest loads that brought rows, oldest first."""
        own = self._loads.c
        query = self._query().where(*is_of_table(self._loads, table))
        if start is not None:
            query = query.where(own.committed_at >= start)
        found = conn.execute(query.order_by(own.load_id.desc()).limit(limit)).mappings()
        return [_effort(row) for row in found][::-1]

    def before(self, conn: sa.Connection, load: LoadEffort, limit: int) -> list[LoadEffort]:
        """Return the loads of the same table and type that were committed before one."""
        values = {**_alike(load), "of_commit_no": load.commit_no, "most": limit}
        found = conn.execute(self._before, values).mappings()
        return [_effort(row) for row in found][::-1]

    def between(self, conn: sa.Connection, first: LoadEffort, last: LoadEffort) -> list[LoadEffort]:
        """Return the loads of the same table and type from one commit to another, both included."""
        values = {**_alike(first), "of_first_no": first.commit_no, "of_last_no": last.commit_no}
        return [_effort(row) for row in conn.execute(self._between, values).mappings()]

    def of(self, conn: sa.Connection, load_ids: Collection[int]) -> list[LoadEffort]:
        """Return what some loads have cost that brought rows, in the order of their commits."""
        found = conn.execute(self._some, {"of_load_ids": list(load_ids)}).mappings()
        return [_effort(row) for row in found]

    def count_company(self, conn: sa.Connection, load_ids: Collection[int]) -> dict[int, int]:
        """Return how many other loads were under way at some time of each of these."""
        own, other = self._loads.c, self._loads.alias("other")
        over = (other.c.committed_at, other.c.finished_at)
        # Of one under way, when it was last heard of.
        ended = sa.func.coalesce(*over, other.c.progress_at, other.c.claimed_at)
        number = (
            sa.select(sa.func.count())
            .select_from(other)
            .where(
                other.c.load_id.between(own.load_id - _NEIGHBOURS, own.load_id + _NEIGHBOURS),
                other.c.load_id != own.load_id,
                other.c.claimed_at < own.committed_at,
                ended > own.claimed_at,
            )
            .scalar_subquery()
        )
        query = sa.select(own.load_id, number.label("number")).where(own.load_id.in_(load_ids))
        return {int(row.load_id): int(row.number) for row in conn.execute(query)}

    def _query(self) -> "sa.Select[Any]":
        own = self._loads.c
        wanted = (
            *(own.load_id, own.commit_no, own.file_name),
            *(own.schema_name, own.table_name, own.load_type),
            *(own.rows_loaded, own.file_size, own.claimed_at, own.committed_at, own.attempts),
            *(own.step_seconds, own.steps_retried),
        )
        return sa.select(*wanted).where(
            in_states(own.state, _LOADED), own.committed_at.is_not(None)
        )


def _alike(load: LoadEffort) -> dict[str, Any]:
    return {**of_table(load.schema_name, load.table_name), "of_load_type": load.load_type}


def _effort(row: "sa.RowMapping") -> LoadEffort:
    steps: dict[str, float] = json.loads(row["step_seconds"] or "{}")
    claimed_at, committed_at = row["claimed_at"], row["committed_at"]
    seconds: float | None = sum(steps.values())
    if not steps:
        is_one_try = row["attempts"] == 1
        seconds = max(0.0, (committed_at - claimed_at).total_seconds()) if is_one_try else None
    return LoadEffort(
        row["load_id"],
        row["commit_no"] or 0,
        row["file_name"],
        row["schema_name"],
        row["table_name"],
        row["load_type"],
        row["rows_loaded"] or 0,
        row["file_size"] or 0,
        claimed_at,
        committed_at,
        steps,
        row["steps_retried"] or 0,
        seconds,
    )
