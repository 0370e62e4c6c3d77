"""Where a file was dropped, and which bytes it is."""

import os
import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

DAEMON = "daemon"
"""Who asks for what no person has asked for."""


class Area(StrEnum):
    """Which half of the drop tree a file was dropped into."""

    REFERENCE = "reference"
    NON_REFERENCE = "non-reference"


class LoadType(StrEnum):
    """What a load does to the rows that the table already has."""

    FULLLOAD = "fullload"
    APPEND = "append"


@dataclass(frozen=True, slots=True)
class Inbox:
    """One of the four folders that are scanned."""

    area: Area
    load_type: LoadType
    path: Path


_PACKED = struct.Struct("<qqQ")
_INODE_BITS = 2**63 - 1
"""Some file systems use all 64 bits; databases have signed integers."""


def storable_ns(nanoseconds: int) -> int:
    """Return a time that databases can hold: file systems know years before 1678 and after 2262."""
    return max(-(2**63), min(nanoseconds, 2**63 - 1))


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What the gate compares: two equal versions are taken for the same bytes."""

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> "FileVersion":
        """Return the version that a stat result describes."""
        return cls(stat.st_size, storable_ns(stat.st_mtime_ns), stat.st_ino & _INODE_BITS)

    @classmethod
    def unpack(cls, packed: bytes) -> "FileVersion":
        """Return the version that `Observation.pack_version` has packed."""
        size_bytes, mtime_ns, inode = _PACKED.unpack(packed)
        return cls(size_bytes, mtime_ns, inode & _INODE_BITS)


class Observation(NamedTuple):
    """One look at one file of an inbox during a scan.

    A flat tuple, because every scan makes one for each waiting file: a dataclass with a path and a
    version inside would double the time of a scan of 100,000 files.
    """

    inbox: Inbox
    name: str
    size_bytes: int
    mtime_ns: int
    inode: int
    done_companion: bool = False
    """A file of the same name plus `.done` stands beside it: accept at once."""

    @property
    def path(self) -> Path:
        """Return the full path of the file."""
        return self.inbox.path / self.name

    @property
    def version(self) -> FileVersion:
        """Return the version of the file that was seen."""
        return FileVersion(self.size_bytes, storable_ns(self.mtime_ns), self.inode & _INODE_BITS)

    def pack_version(self) -> bytes:
        """Return the version as few bytes, equal for equal versions: a quarter of the numbers'."""
        try:
            return _PACKED.pack(self.size_bytes, self.mtime_ns, self.inode)
        except struct.error:  # a time that takes more than 64 bits
            return _PACKED.pack(self.size_bytes, storable_ns(self.mtime_ns), self.inode)


@dataclass(frozen=True, slots=True)
class Drop:
    """One version of one file that is ready to be loaded."""

    path: Path
    area: Area
    load_type: LoadType
    version: FileVersion
    in_tree: bool = True
    """False for a file named on the command line outside the drop tree: it is never moved."""
    force: bool = False
    """Load even if the same bytes were loaded before or a guard rail would hold the file."""
    requested_by: str = DAEMON
    reason: str = ""
    """Why a person asks for it, in that person's words."""
    appeared_at: float | None = None
    """When the daemon saw it first, by the daemon's clock; None where no daemon has seen it."""
    whole_at: float | None = None
    """When the gate let it through, by the same clock."""


@dataclass(frozen=True, slots=True)
class TableName:
    """A table of the target; on a target without schemas both parts form the name."""

    schema: str
    name: str

    def __str__(self) -> str:
        """Return `schema.name`, the form that people read."""
        return f"{self.schema}.{self.name}"
