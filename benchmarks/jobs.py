"""What a peer is asked and what came of it; peers run in an environment without dropload."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

SQLITE, POSTGRESQL, SQLSERVER = "sqlite", "postgresql", "sqlserver"


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    """number, date, timestamp or text."""


@dataclass(frozen=True)
class Job:
    """One file that goes into one new database."""

    peer: str
    database: str
    url: str
    """As dropload takes it."""
    source: Path
    columns: tuple[Column, ...]
    folder: Path
    """Empty, for whatever the peer has to put somewhere."""
    table: str = "bench"
    warm_up: Path | None = None
    """The first lines of the file: a peer in a process of ours loads them before it is timed."""
    odbc_driver: str = ""

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def address(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def path(self) -> str:
        """The file of an SQLite database."""
        return self.url.removeprefix("sqlite:///")

    @property
    def login(self) -> tuple[str, str]:
        return unquote(self.address.username or ""), unquote(self.address.password or "")

    @property
    def database_name(self) -> str:
        return self.address.path.removeprefix("/")

    def of_warm_up(self) -> "Job":
        assert self.warm_up is not None
        return replace(self, source=self.warm_up, table="warm_up", warm_up=None)

    def as_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Job":
        values = json.loads(text)
        for name in ("source", "folder", "warm_up"):
            values[name] = Path(values[name]) if values[name] else None
        values["columns"] = tuple(Column(**column) for column in values["columns"])
        return cls(**values)


@dataclass(frozen=True)
class Loaded:
    """Where the rows are now."""

    table: str
    """As SQL names it, or a query of its rows in parentheses."""
    step_seconds: Mapping[str, float] = field(default_factory=dict)


Load = Callable[[], Loaded]
Prepare = Callable[[Job], Load]
"""Does what a process that runs already has done (imports, connections, tables that the peer does
not make itself) and returns what is measured."""


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    """Of the client, its own and those of its child processes."""
    memory_mb: float
    """Peak of the largest of its processes."""
    table: str
    step_seconds: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Measured":
        values: dict[str, Any] = json.loads(text)
        return cls(**values)
