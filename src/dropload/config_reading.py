"""Read, merge and check the configuration: defaults, one TOML file, `.env`, environment."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from dropload.config import ENTRIES, Config
from dropload.config_findings import explain
from dropload.errors import ConfigError

ENV_PREFIX = "DROPLOAD_"
CONFIG_VARIABLE = "DROPLOAD_CONFIG"
DEFAULT_FILES = (Path("config/dropload.toml"), Path("/etc/dropload/dropload.toml"))
_NOT_KEYS = (CONFIG_VARIABLE, "DROPLOAD_TEST_")
"""Variables with our prefix that are not configuration keys."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key with the value in force and where it came from."""

    key: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration and the origin of every value in it."""

    config: Config
    sources: Mapping[str, str]
    """Dotted key to the file or variable that set it; keys left out hold their default."""

    def settings(self) -> Iterator[Setting]:
        """Yield every key in the order of the configuration file; secrets stay masked."""
        for section_name, section in self.config:
            for name, value in section:
                for key, one in _flatten(f"{section_name}.{name}", value):
                    yield Setting(key, one, self.sources.get(key, "default"))


def _flatten(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys below one that holds tables with names of their own, else itself."""
    if key not in ENTRIES:
        yield key, value
        return
    for name, entry in value.items():
        for inner, one in entry:
            yield f"{key}.{name}.{inner}", one


def load_config(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path = Path(".env"),
) -> LoadedConfig:
    """Return the configuration in force.

    Later sources win: defaults, the TOML file, `.env`, the environment. `path` None means: the file
    that `DROPLOAD_CONFIG` names, else the first of `DEFAULT_FILES` that exists, else no file.
    Raises ConfigError with key, value and origin when anything is unknown or out of range.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    file = _config_file(path, environ)
    if file is not None:
        _merge(values, sources, _read_toml(file), str(file))
    dotenv = {k: v for k, v in dotenv_values(env_file).items() if v is not None}
    for variables, origin in ((dotenv, str(env_file)), (environ, "environment")):
        for name, value in variables.items():
            _merge_variable(values, sources, name, value, origin)
    return LoadedConfig(_validate(values, sources), sources)


def _config_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        return named
    return next((file for file in DEFAULT_FILES if file.is_file()), None)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(
            f"The configuration file {file} cannot be read: {exc.strerror}.",
            hint="Name another with --config or DROPLOAD_CONFIG.",
            code="config_file",
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{file} is not valid TOML: {exc}.", code="config_file") from exc


def _merge(
    values: dict[str, dict[str, Any]],
    sources: dict[str, str],
    sections: Mapping[str, Any],
    origin: str,
) -> None:
    for section, entries in sections.items():
        if not isinstance(entries, Mapping):
            raise ConfigError(
                f"{origin}: {section!r} stands outside a section.",
                hint="Keys belong below a line such as [paths].",
                code="config_value",
            )
        _put(values.setdefault(section, {}), sources, section, entries, origin)


def _put(
    into: dict[str, Any],
    sources: dict[str, str],
    key: str,
    entries: Mapping[str, Any],
    origin: str,
) -> None:
    """Add entries to those that are there; tables of one name are put together."""
    for name, value in entries.items():
        inner = f"{key}.{name}"
        if isinstance(value, Mapping):
            there = into.get(name)
            into[name] = there if isinstance(there, dict) else {}
            _put(into[name], sources, inner, value, origin)
        else:
            into[name] = value
            sources[inner] = origin


def _merge_variable(
    values: dict[str, dict[str, Any]],
    sources: dict[str, str],
    name: str,
    value: str,
    origin: str,
) -> None:
    if not name.startswith(ENV_PREFIX) or name.startswith(_NOT_KEYS):
        return
    section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
    if not key:
        raise ConfigError(
            f"The variable {name} ({origin}) names no key.",
            hint=f"Write {ENV_PREFIX}SECTION__KEY, for example DROPLOAD_PATHS__DROPOFF.",
            code="config_value",
        )
    path = [section, *key.split("__")]
    parsed: Any = value
    if _is_list(path):
        parsed = [item.strip() for item in value.split(",") if item.strip()]
    for part in reversed(path):
        parsed = {part: parsed}
    _merge(values, sources, parsed, f"{origin} {name}")


def _is_list(path: list[str]) -> bool:
    entry = ENTRIES.get(".".join(path[:2]))
    if entry is not None:
        field = entry.model_fields.get(path[-1])
        return field is not None and isinstance(field.default, tuple)
    section = Config.model_fields.get(path[0])
    return section is not None and isinstance(getattr(section.default, path[1], None), tuple)


def _validate(values: dict[str, dict[str, Any]], sources: Mapping[str, str]) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as exc:
        lines = [explain(error, sources) for error in exc.errors(include_url=False)]
        raise ConfigError("\n".join(lines), code="config_value") from exc
