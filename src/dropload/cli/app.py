"""The command group: every command under one name."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from dropload import __version__
from dropload.cli import output
from dropload.cli.session import Session
from dropload.errors import DroploadError

MODULES = {
    "operate": ("run", "init", "load", "release"),
    "files": ("inspect", "plan"),
    "status": ("status",),
    "history": ("history", "show"),
    "stats": ("stats",),
    "corrections": ("undo", "cancel", "retry"),
    "upkeep": ("cleanup",),
    "references": ("reference",),
    "notifications": ("notify",),
    "checks": ("health", "config"),
    "explain": ("help", "completion"),
}
"""Modules of this package and their commands. One is imported for its commands alone: the daemon
carries no other, and each command starts sooner."""
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}


class _Commands(click.Group):
    """Commands whose refusals are JSON, too, where JSON was asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return sorted(_MODULE_OF)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _MODULE_OF:
            return None
        commands: tuple[click.Command, ...] = import_module(
            f"dropload.cli.{_MODULE_OF[name]}"
        ).COMMANDS
        return next(command for command in commands if command.name == name)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except DroploadError as error:
            session = context.obj
            if not isinstance(session, Session):
                raise
            exc = session.locate(error)
            if not session.as_json:
                raise exc from error
            failure = output.failure_as_json(exc.category, exc.message, exc.advice, exc.dl_code)
            output.print_json(failure)
            return 1


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done; 1 refused or failed, and said why; 2 wrong usage.",
)
@click.version_option(__version__, message="dropload %(version)s")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, readable=False),
    help="Configuration file (TOML). Default: $DROPLOAD_CONFIG, else config/dropload.toml here, "
    "else /etc/dropload/dropload.toml, else built-in defaults.",
)
@click.pass_context
def dropload(context: click.Context, config_path: Path | None) -> None:
    """Drop a CSV into a folder, find its rows in a database table.

    \b
    A first try, with nothing to configure:
      dropload run                                    in one terminal
      cp airports.csv dropoff/reference_data_table/fullload/
      dropload status --watch                         in another

    Every key of the configuration can also be given by environment, for example
    DROPLOAD_PATHS__DROPOFF=/srv/dropoff. `dropload config show` lists them all.
    """  # noqa: D301 - click knows a paragraph that keeps its lines by this character
    context.obj = Session(config_path)
    context.call_on_close(context.obj.close)
