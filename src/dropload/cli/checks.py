"""The commands that check the service: health, config."""

from typing import Any

import click

from dropload.cli import output
from dropload.cli.session import Session, json_option, pass_session
from dropload.config import LogConfig
from dropload.errors import ConfigError
from dropload.health import Check, Health, Level, check_health
from dropload.health.apart import run_apart
from dropload.logs import configure_logs, mask_secrets
from dropload.notify import open_services
from dropload.traces import check_traces

_SLACK_SECONDS = 0.5
"""Beyond the checks' own limit: they end by themselves, unless the whole process is stuck."""


class _WrongCallError(click.UsageError):
    """The command was called wrongly."""

    exit_code = int(Level.UNKNOWN)


class _PluginCommand(click.Command):
    """A plugin says UNKNOWN when it was called wrongly: 2 would be CRITICAL."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        try:
            return super().parse_args(context, arguments)
        except click.UsageError as exc:
            raise _WrongCallError(exc.format_message(), exc.ctx) from exc


@click.command(
    cls=_PluginCommand, short_help="Check folders, daemon, database and disks, for monitoring."
)
@click.option("-v", "--verbose", is_flag=True, help="Also print a line for each check.")
@json_option
@pass_session
def health(session: Session, verbose: bool, as_json: bool) -> int:
    """Check folders, daemon, database and disks, as a plugin for monitoring systems.

    Prints one line with performance data. Exit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    Changes nothing, and takes no longer than `health.check_timeout_seconds` for what hangs. Ask as
    the user of the service, with its environment: rights and configuration are what it checks.
    """
    answer = _look_apart(session)
    if as_json:
        output.print_json(_health_as_json(answer))
        return int(answer.level)
    click.echo(mask_secrets(answer.summary()))
    for line in answer.details() if verbose else ():
        click.echo(mask_secrets(line))
    return int(answer.level)


def _look_apart(session: Session) -> Health:
    # Not into the daemon's log, nor as somebody else into a file of that name.
    configure_logs(LogConfig(level="error"))
    try:
        config = session.read_config()
    except ConfigError as exc:
        said = " ".join(str(exc).split())  # in one line
        return Health((Check(exc.category, Level.CRITICAL, f"{said} [{exc.dl_code}]"),))
    limit = config.health.check_timeout_seconds + _SLACK_SECONDS
    said = f"the check itself gave no answer within {limit:g} s: something blocks its process"
    return run_apart(lambda: check_health(config), limit) or Health(
        (Check("health", Level.CRITICAL, said),)
    )


def _health_as_json(answer: Health) -> dict[str, Any]:
    return {
        "status": answer.level.name.lower(),
        "checks": [
            {
                "name": check.name,
                "status": check.level.name.lower(),
                "message": mask_secrets(check.message),
            }
            for check in answer.by_weight()
        ],
        "figures": {figure.name: figure.value for figure in answer.figures},
    }


@click.group(short_help="Check or show the configuration.")
def config() -> None:
    """Check or show the configuration."""


@config.command("check", short_help="Say whether the configuration is right.")
@pass_session
def config_check(session: Session) -> None:
    """Say whether the configuration is right; every wrong key with what would be right."""
    session.loaded  # noqa: B018 - reading it is the check
    open_services(session.loaded.config.notify)
    check_traces(session.loaded.config)
    click.echo("The configuration is right.")
    click.echo(f"database   {mask_secrets(session.dock.target.describe())}")


@config.command("show", short_help="List every key, its value and where it is from.")
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
