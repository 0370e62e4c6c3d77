"""The databases that rows can go to, found by entry point."""

from importlib.metadata import entry_points

import sqlalchemy as sa

from dropload.config import DEFAULT_URL, Config
from dropload.errors import ConfigError
from dropload.logs import keep_secret
from dropload.targets.base import Target

GROUP = "dropload.targets"
_EXTRAS = {"mssql": "sqlserver"}


def open_target(config: Config) -> Target:
    """Return the target that the configuration names; raise ConfigError when there is none."""
    kind = _target_name(config)
    known = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in known:
        raise ConfigError(
            f"{'database.type' if config.database.type else 'database.url'}: there is no target "
            f"{kind!r}.",
            hint=f"Known: {', '.join(sorted(known))}.",
            code="database_url",
        )
    try:
        target_class: type[Target] = known[kind].load()
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"database: the driver for {kind} is not installed ({exc.name}).",
            hint=f"Install it: pip install 'dropload[{_EXTRAS.get(kind, kind)}]'.",
            code="driver",
        ) from exc
    except ImportError as exc:  # it is there, and a library of the system that it needs is not
        raise ConfigError(
            f"database: the driver for {kind} cannot be loaded: {exc}.",
            hint="Install the system's package that has this library (libodbc.so.2: libodbc2 of "
            "Debian and Ubuntu, unixODBC of Red Hat).",
            code="driver",
        ) from exc
    return target_class(config.database, config.schemas)


def _target_name(config: Config) -> str:
    if config.database.password is not None:
        keep_secret(config.database.password.get_secret_value())
    if config.database.type:
        return config.database.type
    url = config.database.url
    try:
        parsed = sa.make_url(url.get_secret_value() if url else DEFAULT_URL)
        if parsed.password:
            keep_secret(str(parsed.password))
        return parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        # Not chained: the cause's text repeats parts of the URL, a password among them.
        raise ConfigError(
            "database.url is not a database URL.",
            hint="Write sqlite:////srv/dropload.db (four slashes: absolute path), or "
            "postgresql://user:password@host:5432/name, or mssql://user:password@host:1433/name. "
            "In a user or password, @ is written %40, : is %3A, / is %2F.",
            code="database_url",
        ) from None
