"""Read, merge and check the configuration: defaults, one TOML file, `.env`, environment."""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ValidationError

from dropload.config import ENTRIES, Config
from dropload.config_findings import explain, keys_named
from dropload.config_lines import explain_bytes, explain_syntax, find_lines
from dropload.errors import ConfigError, WrongValuesError

ENV_PREFIX = "DROPLOAD_"
CONFIG_VARIABLE = "DROPLOAD_CONFIG"
DEFAULT_FILES = (Path("config/dropload.toml"), Path("/etc/dropload/dropload.toml"))
_NOT_KEYS = (CONFIG_VARIABLE, "DROPLOAD_TEST_")
"""Variables with our prefix that are not configuration keys."""
_KEY = re.compile(r"\w+(\.\w+)+")


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

    def locate(self, error: ConfigError) -> ConfigError:
        """Return an error with the origin of the key that it begins with, where there is one."""
        found = _KEY.match(error.message)
        origin = self.sources.get(found[0]) if found else None
        if origin is None:
            return error
        return ConfigError(f"{origin}: {error.message}", hint=error.hint, code=error.code)


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
        _merge_file(values, sources, file)
    variables_of = ((_read_dotenv(env_file), str(env_file)), (environ, "environment"))
    for variables, origin in variables_of:
        for name, value in variables.items():
            _merge_variable(values, sources, name, value, origin)
    return LoadedConfig(_validate(values, sources), sources)


def _config_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        return named
    return next((file for file in DEFAULT_FILES if _is_file(file)), None)


def _is_file(file: Path) -> bool:
    """Return whether a file is there; none is in a folder that this user may not enter."""
    try:
        return file.is_file()
    except PermissionError:
        return False


def _merge_file(values: dict[str, dict[str, Any]], sources: dict[str, str], file: Path) -> None:
    text = _read_text(file)
    try:
        sections = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        said, advice = explain_syntax(text, str(exc))
        raise ConfigError(f"{file}: {said}.", hint=advice, code="config_file") from None
    lines = find_lines(text)

    def origin_of(key: str) -> str:
        while key and key not in lines:  # a table in one line
            key = key.rpartition(".")[0]
        return f"{file}, line {lines[key]}" if key else str(file)

    _merge(values, sources, sections, origin_of)


def _read_text(file: Path) -> str:
    try:
        content = file.read_bytes()
        # Editors of Windows put a mark before the first line.
        return content.decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(
            f"The configuration file {file} cannot be read: {exc.strerror}.",
            hint="Let dropload's user read it, or name another with --config or DROPLOAD_CONFIG.",
            code="config_file",
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(
            f"{file}: {explain_bytes(content, exc.start)}.",
            hint="Save the file as UTF-8.",
            code="config_file",
        ) from None


def _read_dotenv(file: Path) -> dict[str, str]:
    """Return the variables of `.env`; those without a value say nothing."""
    if not _is_file(file):
        return {}
    text = _read_text(file)
    for line in parse_stream(StringIO(text)):
        if line.error and ENV_PREFIX in line.original.string:
            raise ConfigError(
                f"{file}, line {line.original.line} cannot be read as NAME=value.",
                hint="A quote that is opened is closed in the same line.",
                code="config_file",
            )
    found = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in found.items() if value is not None}


def _merge(
    values: dict[str, dict[str, Any]],
    sources: dict[str, str],
    sections: Mapping[str, Any],
    origin_of: Callable[[str], str],
) -> None:
    for section, entries in sections.items():
        if not isinstance(entries, Mapping):
            raise _outside(section, origin_of(section))
        sources[section] = origin_of(section)
        _put(values.setdefault(section, {}), sources, section, entries, origin_of)


def _outside(name: str, origin: str) -> ConfigError:
    if name in Config.model_fields:
        said, hint = "is a section", f"Write [{name}] in a line of its own, and its keys below."
    else:
        known = keys_named(name)
        section = known[0].partition(".")[0] if known else "paths"
        said = "stands outside a section"
        hint = f"It belongs below [{section}]." if known else "Keys belong below one, as [paths]."
    return ConfigError(f"{origin}: {name!r} {said}.", hint=hint, code="config_value")


def _put(
    into: dict[str, Any],
    sources: dict[str, str],
    key: str,
    entries: Mapping[str, Any],
    origin_of: Callable[[str], str],
) -> None:
    """Add entries to those that are there; tables of one name are put together."""
    for name, value in entries.items():
        inner = f"{key}.{name}"
        if isinstance(value, Mapping):
            there = into.get(name)
            into[name] = there if isinstance(there, dict) else {}
            _put(into[name], sources, inner, value, origin_of)
        else:
            into[name] = value
            sources[inner] = origin_of(inner)


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
    _merge(values, sources, parsed, lambda _key: f"{origin} {name}")


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
        findings = [explain(error, sources) for error in exc.errors(include_url=False)]
        raise WrongValuesError(findings) from exc
