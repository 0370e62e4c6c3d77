"""What every command needs: the session behind it, and the options that several share."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dropload.config import Config, LogConfig
from dropload.config_reading import LoadedConfig, load_config
from dropload.dock import Dock, check_prepared, open_dock
from dropload.errors import ConfigError, DroploadError
from dropload.logs import configure_logs
from dropload.model import Area, LoadType

_ONLY_TROUBLE = {"level": "warning"}
actor_option = click.option(
    "--actor", default="", help="Who asks for it, where several people share one system user."
)
reason_option = click.option("--reason", default="", help="Why; goes into the audit log.")


def _note_json(context: click.Context, _option: click.Parameter, as_json: bool) -> bool:
    """Have a refusal be said as JSON, too."""
    session = context.find_object(Session)
    if session is not None:
        session.as_json = as_json
    return as_json


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_note_json, help="Print JSON for scripts."
)


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --area and --load-type, for files that are in no inbox."""
    area = click.option(
        "--area",
        type=click.Choice([area.value for area in Area]),
        help="Which half of the tree the file belongs to.",
    )
    load_type = click.option(
        "--load-type",
        type=click.Choice([kind.value for kind in LoadType]),
        help="fullload replaces the table's rows, append adds to them.",
    )
    return area(load_type(function))


class Session:
    """What a command works with; read and opened when it is first asked for."""

    def __init__(self, config_path: Path | None) -> None:
        self._config_path = config_path
        self._loaded: LoadedConfig | None = None
        self._dock: Dock | None = None
        self.as_json = False
        """Whether the command was asked to answer as JSON."""
        self.is_service = False
        """Whether the log is what people read of the command; others answer by themselves."""

    @property
    def loaded(self) -> LoadedConfig:
        """Return the configuration; raise ConfigError when it is wrong."""
        if self._loaded is None:
            self._loaded = load_config(self._config_path)
            configure_logs(self._log_config(self._loaded))
        return self._loaded

    def _log_config(self, loaded: LoadedConfig) -> LogConfig:
        """Return how to log: what went well would only stand in front of a command's answer."""
        log = loaded.config.log
        is_asked_for = "log.level" in loaded.sources or log.file is not None
        return log if self.is_service or is_asked_for else log.model_copy(update=_ONLY_TROUBLE)

    def locate(self, error: DroploadError) -> DroploadError:
        """Return an error of the configuration with where the key was set that it speaks of."""
        if self._loaded is None or not isinstance(error, ConfigError):
            return error
        return self._loaded.locate(error)

    def read_config(self) -> Config:
        """Return the configuration as it is now; raise ConfigError when it is wrong."""
        return load_config(self._config_path).config

    @property
    def dock(self) -> Dock:
        """Return the dock."""
        if self._dock is None:
            self._dock = open_dock(self.loaded.config)
            if not self.is_service:
                self._dock.target.lock_wait.tell = _say_waiting
        return self._dock

    def close(self) -> None:
        """Close the connections, where any were opened."""
        if self._dock is not None:
            self._dock.target.close()

    @property
    def prepared_dock(self) -> Dock:
        """Return the dock for commands that ask the journal; raise RefusedError without one."""
        check_prepared(self.dock)
        return self.dock


def _say_waiting() -> None:
    click.echo("dropload: waiting for the database: another writer has it", err=True)


def load_or_path(said: str) -> int | Path:
    """Return the number of a load or the path of a file; one that is named by a number: `./57`."""
    return int(said) if re.fullmatch(r"\d+", said) else Path(said)


pass_session = click.make_pass_decorator(Session)
