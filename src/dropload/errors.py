"""Every error dropload raises on purpose, sorted by who must act."""

from collections.abc import Sequence
from typing import ClassVar

from dropload.durable import path_text
from dropload.model import HELD_CATEGORY, Reject


class DroploadError(Exception):
    """Base of all errors; the message says what, where and what to do."""

    category: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        # Messages name files, and must fit into a database and a log whatever the name's bytes.
        self.message = path_text(message)
        self.hint = path_text(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        """Return the message and, where there is one, the next step."""
        return f"{self.message} {self.hint}".rstrip()


class ConfigError(DroploadError):
    """The administrator must act: refuse to start."""

    category = "config"


class TransientError(DroploadError):
    """Nobody must act: the file stays where it is and is tried again."""

    category = "transient"


class LockedError(TransientError):
    """Somebody else holds a lock for longer than was waited: the database itself is well."""


class FileChangedError(TransientError):
    """The file is no longer the version that was observed: the gate starts again."""

    category = "file_changed"


class FileBusyError(TransientError):
    """The file cannot be read just now (locked, no permission): only it is tried again later."""

    category = "file_busy"


class StalePlanError(TransientError):
    """The table changed since the plan was made: plan again."""

    category = "stale_plan"


class ClaimLostError(TransientError):
    """Another worker took this load over: stop without touching anything."""

    category = "claim_lost"


class FileError(DroploadError):
    """The sender must act: the file goes to error/ with a report."""

    category = "file"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str = "unreadable",
        rejects: Sequence[Reject] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.rejects = tuple(rejects)


class ConstraintError(FileError):
    """A rule of the table (key, check, type) refuses rows of the file."""


class HeldError(DroploadError):
    """Somebody must decide: the file waits in its inbox until released or replaced."""

    category = HELD_CATEGORY


class DuplicateError(DroploadError):
    """Nobody must act: the same bytes are in the table already; the file goes to processed/."""

    category = "duplicate"

    def __init__(self, message: str, *, hint: str = "", load_id: int) -> None:
        super().__init__(message, hint=hint)
        self.load_id = load_id


class TargetError(DroploadError):
    """The database owner must act: the table's queue pauses, the others go on."""

    category = "target"


class RefusedError(DroploadError):
    """The person who asked must act: the command was understood and is not carried out."""

    category = "refused"
