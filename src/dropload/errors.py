"""Every error dropload raises on purpose, sorted by who must act."""

import re
from collections.abc import Sequence
from typing import ClassVar

from dropload.durable import path_text
from dropload.error_codes import code_of
from dropload.model import HELD_CATEGORY, Reject

_IS_RETRIED = re.compile(r"\b(It|Publishing) is tried again\b", re.IGNORECASE)
"""What hints say for the daemon, which does so."""


class DroploadError(Exception):
    """Base of all errors; the message says what, where and what to do."""

    category: ClassVar[str] = "internal"
    default_code: ClassVar[str] = "internal"
    """Name of the condition where the one who raises it knows nothing more special."""

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        # Messages name files, and must fit into a database and a log whatever the name's bytes.
        self.message = path_text(message)
        self.hint = path_text(hint)
        self.code = code or self.default_code
        """Name of the condition, one of `dropload.error_codes`."""
        super().__init__(self.message)

    @property
    def dl_code(self) -> str:
        """Return the stable code, `DL-xxx`."""
        return code_of(self.code)

    @property
    def advice(self) -> str:
        """Return the hint for who asked by a command or a call."""
        return advice_for_person(self.hint, self.dl_code)

    def __str__(self) -> str:
        """Return the message and, where there is one, the next step."""
        return f"{self.message} {self.hint}".rstrip()


def advice_for_person(hint: str, dl_code: str) -> str:
    """Return a hint for who asked by a command or a call, which nothing tries again by itself."""
    is_away = dl_code == code_of("database_away")
    said = "try again when it is back" if is_away else "try again later"

    def put_in_place(found: re.Match[str]) -> str:
        return said.capitalize() if found[1][0].isupper() else said

    return _IS_RETRIED.sub(put_in_place, hint)


class ConfigError(DroploadError):
    """The administrator must act: refuse to start."""

    category = "config"
    default_code = "config"


class WrongValuesError(ConfigError):
    """Keys or values of the configuration are wrong: a line for each."""

    default_code = "config_value"

    def __init__(self, findings: Sequence[str]) -> None:
        lines = [path_text(finding) for finding in findings]
        if len(lines) > 1:
            lines = [f"{len(lines)} keys of the configuration are wrong:", *lines]
        super().__init__(lines[0])
        self.message = "\n  ".join(lines)


class TransientError(DroploadError):
    """Nobody must act: the file stays where it is and is tried again."""

    category = "transient"
    default_code = "transient"


class LockedError(TransientError):
    """Somebody else holds a lock for longer than was waited: the database itself is well."""

    default_code = "locked"


class FileChangedError(TransientError):
    """The file is no longer the version that was observed: the gate starts again."""

    category = "file_changed"
    default_code = "file_changed"


class FileBusyError(TransientError):
    """The file cannot be read just now (locked, no permission): only it is tried again later."""

    category = "file_busy"
    default_code = "file_busy"


class StalePlanError(TransientError):
    """The table changed since the plan was made: plan again."""

    category = "stale_plan"
    default_code = "stale_plan"


class ClaimLostError(TransientError):
    """Another worker took this load over: stop without touching anything."""

    category = "claim_lost"
    default_code = "claim_lost"


class FileError(DroploadError):
    """The sender must act: the file goes to error/ with a report."""

    category = "file"
    default_code = "unreadable"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str = "",
        rejects: Sequence[Reject] = (),
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.rejects = tuple(rejects)


class ConstraintError(FileError):
    """A rule of the table (key, check, type) refuses rows of the file."""

    default_code = "constraint"


class HeldError(DroploadError):
    """Somebody must decide: the file waits in its inbox until released or replaced."""

    category = HELD_CATEGORY
    default_code = "held"


class DuplicateError(DroploadError):
    """Nobody must act: the same bytes are in the table already; the file goes to processed/."""

    category = "duplicate"
    default_code = "duplicate"

    def __init__(self, message: str, *, hint: str = "", load_id: int) -> None:
        super().__init__(message, hint=hint)
        self.load_id = load_id


class TargetError(DroploadError):
    """The database owner must act: the table's queue pauses, the others go on."""

    category = "target"
    default_code = "target"


class RefusedError(DroploadError):
    """The person who asked must act: the command was understood and is not carried out."""

    category = "refused"
    default_code = "refused"


NOT_THE_FILES_FAULT = (TransientError, TargetError, ConfigError)
"""What leaves a file where it is: its tries are not used up."""
TABLE_BUSY = "table_busy"
"""Category of a file that another one of its table comes before."""
