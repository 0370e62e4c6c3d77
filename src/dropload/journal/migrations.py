"""Bring the journal's tables up to date with the scripts of `sql/`."""

import contextlib
import re
from pathlib import Path

import sqlalchemy as sa

from dropload.errors import ConfigError
from dropload.journal.audit import Audit, AuditAction
from dropload.journal.tables import journal_tables
from dropload.model import DAEMON, Area, TableName
from dropload.resources import resource_folder
from dropload.targets.base import Target

_SCRIPTS = TableName("journal", "scripts")
"""Whoever prepares the database takes this queue first."""
_SCRIPT_NAME = re.compile(r"^(\d{4})_\w+\.sql$")


def scripts_of(target: Target) -> list[tuple[int, Path]]:
    """Return version and path of every script for this target, in order."""
    folder = resource_folder("sql") / target.name
    found = [(_SCRIPT_NAME.match(path.name), path) for path in sorted(folder.glob("*.sql"))]
    scripts = [(int(match[1]), path) for match, path in found if match]
    if not scripts:
        raise ConfigError(
            f"The scripts of the journal are missing: {folder} holds none.", code="journal_scripts"
        )
    return scripts


def pending_scripts(target: Target) -> list[Path]:
    """Return the scripts that this database has not seen yet."""
    with target.read() as conn:
        done = _applied_versions(target, conn)
    return [path for version, path in scripts_of(target) if version not in done]


def journal_versions(target: Target) -> tuple[int, int]:
    """Return the version of the journal in the database, 0 for none, and the one we know."""
    with target.read() as conn:
        done = _applied_versions(target, conn)
    return max(done, default=0), max(version for version, _ in scripts_of(target))


def apply_scripts(target: Target, actor: str = DAEMON) -> list[str]:
    """Run every script not yet run, each in one transaction; return their names.

    The audit log names who had them run. The schema of the non-reference area is made, too, where
    it is missing.
    """
    applied = []
    for version, path in scripts_of(target):
        if _apply(target, version, path, actor):
            applied.append(path.name)
    _ensure_schema(target, target.schema_of(Area.NON_REFERENCE))
    return applied


def prove_writable(target: Target) -> None:
    """Write into the journal and take it back; raise the error that keeps dropload from it.

    LockedError when somebody else is writing for longer than the target waits for a lock.
    """
    versions = journal_tables(target).versions
    with contextlib.suppress(_TakenBackError), target.write() as conn:
        conn.execute(sa.update(versions).values(script=versions.c.script))
        raise _TakenBackError


class _TakenBackError(Exception):
    """Rolls a transaction back on purpose."""


def _apply(target: Target, version: int, path: Path, actor: str) -> bool:
    with target.write() as conn:
        # Looked up again under the lock: another daemon may have been faster.
        target.lock_queue(conn, _SCRIPTS)
        if version in _applied_versions(target, conn):
            return False
        target.run_script(conn, path.read_text(encoding="utf-8"))
        if version not in _applied_versions(target, conn):
            raise ConfigError(
                f"{path.name} does not record itself as version {version}; it was not applied.",
                hint="Every script ends with an INSERT of its own version.",
                code="journal_scripts",
            )
        Audit(target, journal_tables(target)).add(conn, actor, AuditAction.INIT, None, path.name)
    return True


def _ensure_schema(target: Target, schema: str) -> None:
    with target.read() as conn:
        if target.has_schema(conn, schema):
            return
    with target.write() as conn:
        target.lock_queue(conn, _SCRIPTS)
        if not target.has_schema(conn, schema):
            target.create_schema(conn, schema)


def _applied_versions(target: Target, conn: sa.Connection) -> set[int]:
    if not target.has_table(conn, TableName(target.schemas.reference, "Schema_Version")):
        return set()
    return set(conn.execute(sa.select(journal_tables(target).versions.c.version)).scalars())
