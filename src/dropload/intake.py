"""Turn a file into a drop with a table: area, load type and name, before anything is read."""

from dataclasses import dataclass
from pathlib import Path

from dropload.durable import path_text
from dropload.errors import FileError, RefusedError
from dropload.folders import DropTree
from dropload.journal import FILE_PATH_LENGTH
from dropload.model import Area, Drop, FileVersion, LoadType, Observation, TableName
from dropload.naming import table_name
from dropload.parsers import known_suffixes
from dropload.targets.base import Target


@dataclass(frozen=True, slots=True)
class NamedDrop:
    """A drop and the table that its name leads to."""

    drop: Drop
    table: TableName
    """With an empty name when the file's name gives none."""
    note: str = ""
    error: FileError | None = None
    """Why the name gives no table; the load is recorded as failed with it."""


def drop_of_observation(
    observation: Observation, appeared_at: float | None = None, whole_at: float | None = None
) -> Drop:
    """Return the drop for a file that the gate let through; the times are those of the drop."""
    inbox = observation.inbox
    return Drop(
        observation.path,
        inbox.area,
        inbox.load_type,
        observation.version,
        appeared_at=appeared_at,
        whole_at=whole_at,
    )


def drop_of_path(
    path: Path,
    tree: DropTree,
    area: Area | None,
    load_type: LoadType | None,
    *,
    force: bool,
    requested_by: str,
    reason: str = "",
) -> Drop:
    """Return the drop for a file that a person names.

    A file in an inbox has its area and load type from there. Any other stays where it is; one in
    processed/ or error/ has them from its inbox unless they are said, others need both said.
    Raises RefusedError when something is missing or contradicts.
    """
    full = path.absolute()
    try:
        version = FileVersion.from_stat(full.stat(follow_symlinks=False))
    except OSError as exc:
        raise RefusedError(f"{path} cannot be read: {exc.strerror}.", code="no_file") from exc
    if not full.is_file() or full.is_symlink():
        raise RefusedError(f"{path} is not a regular file.", code="no_file")
    inbox = tree.inbox_of(full)
    if inbox is None:
        filed_from = tree.inbox_filed_from(full)
        if filed_from is not None:
            area, load_type = area or filed_from.area, load_type or filed_from.load_type
        if area is None or load_type is None:
            raise RefusedError(
                f"{path} is in no inbox, so it must be said where it belongs.",
                hint="Add --area reference|non-reference and --load-type fullload|append.",
                code="no_file",
            )
        return Drop(full, area, load_type, version, False, force, requested_by, reason)
    if area not in (None, inbox.area) or load_type not in (None, inbox.load_type):
        raise RefusedError(
            f"{path} is in the inbox for {inbox.area} {inbox.load_type}.",
            hint="Leave out --area and --load-type, or move the file.",
            code="no_file",
        )
    return Drop(full, inbox.area, inbox.load_type, version, True, force, requested_by, reason)


def name_drop(drop: Drop, target: Target) -> NamedDrop:
    """Return the drop with its table; a name that gives none is an error to be recorded."""
    schema = target.schema_of(drop.area)
    try:
        _check_path_length(drop.path)
        named = table_name(
            drop.path.name,
            max_length=target.limits.identifier_bytes,
            known_suffixes=known_suffixes(),
        )
    except FileError as exc:
        return NamedDrop(drop, TableName(schema, ""), error=exc)
    return NamedDrop(drop, TableName(schema, named.name), note=named.note)


def _check_path_length(path: Path) -> None:
    length = len(path_text(path))
    if length > FILE_PATH_LENGTH:
        raise FileError(
            f"The path of the file has {length} characters; the journal holds {FILE_PATH_LENGTH}.",
            hint="Give the file a shorter name.",
            code="path_too_long",
        )
