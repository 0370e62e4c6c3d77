"""The commands that check the service: health, config."""

from typing import Any

import click

from dropload.cli import output
from dropload.cli.session import Session, json_option, pass_session
from dropload.errors import DroploadError
from dropload.health import check_health
from dropload.logs import mask_secrets


@click.command()
@json_option
@pass_session
def health(session: Session, as_json: bool) -> int:
    """Check folders, daemon, database and disk, as a plugin for monitoring systems.

    Prints one line with performance data. Exit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    """
    try:
        answer = check_health(session.dock)
    except DroploadError as exc:
        text = mask_secrets(str(exc))
        if as_json:
            check = {"name": exc.category, "status": "critical", "message": text}
            output.print_json({"status": "critical", "checks": [check]})
        else:
            click.echo(f"DROPLOAD CRITICAL - {exc.category}: {text}")
        return 2
    if as_json:
        output.print_json(
            {
                "status": answer.level.name.lower(),
                "checks": [
                    {"name": c.name, "status": c.level.name.lower(), "message": c.message}
                    for c in answer.checks
                ],
                "figures": dict(answer.figures),
            }
        )
    else:
        click.echo(answer.summary())
    return int(answer.level)


@click.group()
def config() -> None:
    """Check or show the configuration."""


@config.command("check")
@pass_session
def config_check(session: Session) -> None:
    """Say whether the configuration is right; every wrong key with what would be right."""
    session.loaded  # noqa: B018 - reading it is the check
    click.echo("The configuration is right.")
    click.echo(f"database   {mask_secrets(session.dock.target.describe())}")


@config.command("show")
@json_option
@pass_session
def config_show(session: Session, as_json: bool) -> None:
    """List every key with its value in force and where it comes from; secrets are masked."""
    settings = list(session.loaded.settings())
    if as_json:
        output.print_json({s.key: {"value": _setting(s.value), "from": s.source} for s in settings})
        return
    output.print_table(
        ["key", "value", "from"], [(s.key, _setting(s.value), s.source) for s in settings]
    )


def _setting(value: Any) -> Any:
    if isinstance(value, tuple):
        return ", ".join(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


COMMANDS: tuple[click.Command, ...] = (health, config)
