"""What every call of the API answers: a success with its value, or a failure with its error."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from dropload.api.wording import in_python
from dropload.error_codes import code_of
from dropload.errors import DroploadError, FileBusyError, FileError
from dropload.logs import mask_secrets

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Error:
    """Why something was not done, sorted by who must act."""

    category: str
    """`refused` (who asked), `config` (administrator), `file` (sender), `held` (somebody must
    decide), `target` (database owner), `transient`, `file_busy`, `file_changed`, `stale_plan` and
    `claim_lost` (nobody: try again later)."""
    message: str
    """What is wrong, and where."""
    hint: str = ""
    """What to do; empty when there is nothing to say."""
    code: str = ""
    """Of `file`: which flaw the file has, for example `unbalanced_quote`; else empty."""
    dl_code: str = ""
    """Stable code of the condition, `DL-xxx`: docs/errors.md."""

    def __str__(self) -> str:
        """Return message and hint."""
        return f"{self.message} {self.hint}".rstrip()


@dataclass(frozen=True, slots=True)
class Success(Generic[T]):
    """What was asked for was done."""

    value: T
    error: None = None
    ok: Literal[True] = True

    def __bool__(self) -> Literal[True]:
        """Return that it was done."""
        return True


@dataclass(frozen=True, slots=True)
class Failure(Generic[T]):
    """What was asked for was refused or has failed; nothing is half done."""

    error: Error
    value: T | None = None
    """What is known all the same, for example the layout of a file that cannot be read to its end,
    or the loads that are in the way of an undo; None when there is nothing."""
    ok: Literal[False] = False

    def __bool__(self) -> Literal[False]:
        """Return that it was not done."""
        return False


Result: TypeAlias = Success[T] | Failure[T]
"""Every answer has `ok`, `value` and `error`; `if result.ok:` tells type checkers which it is."""


def make_error(
    category: str, message: str, hint: str = "", code: str = "", dl_code: str = ""
) -> Error:
    """Return an error in the words of the API; passwords in it are masked."""
    said, advice = in_python(mask_secrets(message)), in_python(mask_secrets(hint))
    return Error(category, said, advice, code, dl_code)


def error_of(exc: DroploadError | OSError) -> Error:
    """Return an expected exception as a value."""
    if isinstance(exc, OSError):
        message = f"{exc.filename or ''}: {exc.strerror}"
        return make_error(FileBusyError.category, message, dl_code=code_of("file_busy"))
    code = exc.code if isinstance(exc, FileError) else ""
    return make_error(exc.category, exc.message, exc.advice, code, exc.dl_code)
