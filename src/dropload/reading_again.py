"""Read a planned file a second time, and make sure that it is the one that was profiled."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dropload.column_types import rewrite_columns
from dropload.config import LoadConfig
from dropload.errors import FileBusyError, FileChangedError
from dropload.model import FileVersion, Kind, Load, Plan
from dropload.parsers.base import Batch, Parser, UnfaithfulError
from dropload.profiling import open_hashed
from dropload.read_ahead import read_ahead
from dropload.row_checks import RowCheck
from dropload.targets.base import Target

Take = Callable[[Batch, int], None]
"""Gets good records, as they are written to the table, and the bytes read so far."""


def check_version(path: Path, expected: FileVersion) -> None:
    """Raise FileChangedError unless the file still is the version that the gate accepted."""
    try:
        found = FileVersion.from_stat(path.stat(follow_symlinks=False))
    except FileNotFoundError as exc:
        raise FileChangedError(f"{path.name} is no longer there.") from exc
    except OSError as exc:
        raise FileBusyError(f"{path.name} cannot be looked at: {exc.strerror or exc}.") from exc
    if found != expected:
        raise FileChangedError(f"{path.name} was changed after it had been found complete.")


def touched_at(path: Path) -> int:
    """Return when anything of a file was changed last; unlike its `mtime` nobody can set that back.

    Rows of a single reading count only while it stays: else the file is read again, and the hashes
    are compared.
    """
    return path.stat(follow_symlinks=False).st_ctime_ns


def read_again(
    target: Target, load: Load, plan: Plan, parser: Parser, settings: LoadConfig, take: Take
) -> None:
    """Hand over the records that the profile has counted; raise FileChangedError if they differ."""
    check_version(load.drop.path, load.drop.version)
    # Without rejects there is nothing to sift: the bytes are those that were profiled.
    checks = plan.checks if plan.profile.rejected_rows else ()
    check = RowCheck(checks, plan.layout, target.refusal)
    notations = notations_to_rewrite(plan)
    count = 0
    with open_hashed(load.drop.path, plan.profile.hash_algorithm) as stream:
        try:
            found = parser.read(
                stream, plan.layout, plan.profile.reader, max_record_bytes=settings.max_record_bytes
            )
            with read_ahead(found) as batches:
                for batch in batches:
                    good = check.sift(batch)
                    count += good.records.num_rows
                    records = rewrite_columns(good.records, notations)
                    take(replace(good, records=records), stream.size_bytes)
        except UnfaithfulError as exc:
            raise FileChangedError("The file reads differently than a moment ago.") from exc
        same_bytes = stream.hexdigest() == plan.profile.file_hash
    if not same_bytes or count != plan.profile.good_rows:
        raise FileChangedError(f"{load.drop.path.name} was changed while it was read.")
    check_version(load.drop.path, load.drop.version)


def notations_to_rewrite(plan: Plan) -> dict[int, str]:
    """Return, by position in the record, how columns are written that the table keeps otherwise."""
    written = {c.position: plan.profile.columns[c.position].type.notation for c in plan.columns}
    typed = [column.position for column in plan.columns if column.type.kind is not Kind.TEXT]
    return {position: written[position] for position in typed if written[position]}
