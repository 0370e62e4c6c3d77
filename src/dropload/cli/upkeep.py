"""The command that takes away what has been kept for long enough: cleanup."""

from collections.abc import Iterator

import click

from dropload.cleanup import Cleaned, clean_up
from dropload.cli import output
from dropload.cli.session import Session, actor_option, json_option, pass_session
from dropload.identity import person_name
from dropload.reports import count_of

_SHOWN = 20
_WORDS = {
    "backups": "backups of replaced rows",
    "files": "files in processed/ and error/, with reports and rejects",
    "leftovers": "leftovers of moves and reports that were cut off",
    "loads": "loads in the journal",
    "shortened": "loads kept without layout and plan, to know the same bytes again",
    "rejects": "rejected rows in the journal",
    "actions": "actions in the audit log",
    "paths": "paths of files that are gone",
    "logs": "logs of earlier days",
}


@click.command(short_help="Take away what has been kept for long enough.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@actor_option
@json_option
@pass_session
def cleanup(session: Session, dry_run: bool, actor: str, as_json: bool) -> int:
    """Take away what is older than [retention] of the configuration keeps it.

    The daemon does this once a day. Backups, files in processed/ and error/ with their reports and
    rejects, old rows of the journal, logs of earlier days. What an open load, a held file or a
    file that still has to be moved needs stays, and so does every file that dropload did not put
    there. May be cut off at any time. Exit status 1 when something old could not be removed.
    """
    cleaned = clean_up(session.prepared_dock, person_name(actor), dry_run=dry_run)
    if as_json:
        output.print_json(
            {
                "dry_run": dry_run,
                "removed": {
                    kind: {"number": number, "bytes": cleaned.size_bytes[kind]}
                    for kind, number in cleaned.numbers.items()
                },
                "bytes": cleaned.total_bytes,
                "backup_rows": cleaned.backup_rows,
                "names": cleaned.names,
                "left": [{"name": left.name, "reason": left.reason} for left in cleaned.left],
            }
        )
    else:
        _print_cleaned(cleaned, dry_run=dry_run)
    return 1 if cleaned.left else 0


def _print_cleaned(cleaned: Cleaned, *, dry_run: bool) -> None:
    if not cleaned.summary:
        click.echo("Nothing is old enough to go.")
    else:
        output.print_table(
            ["number", "bytes", "what would go" if dry_run else "what went"],
            [
                (number, cleaned.size_bytes[kind] or None, _WORDS[kind])
                for kind, number in cleaned.numbers.items()
                if number
            ],
        )
        for what in _freed(cleaned):
            click.echo(f"{what} {'would be freed' if dry_run else 'freed'}.")
    for name in cleaned.names[:_SHOWN] if dry_run else ():
        click.echo(f"  {name}")
    if dry_run and len(cleaned.names) > _SHOWN:
        click.echo("  ... and more: --json names them.")
    for left in cleaned.left:
        click.echo(f"Left: {left.name}: {left.reason}")


def _freed(cleaned: Cleaned) -> Iterator[str]:
    if number := cleaned.numbers["backups"]:
        yield f"{count_of(number, 'backup')} with {count_of(cleaned.backup_rows, 'row')}"
    if cleaned.total_bytes:
        yield f"{cleaned.total_bytes:,} bytes of files"


COMMANDS: tuple[click.Command, ...] = (cleanup,)
