"""Find an ODBC driver for SQL Server, and build the connection string for it."""

import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyodbc
import sqlalchemy as sa
from pydantic import ValidationError

from dropload.config import DatabaseConfig
from dropload.errors import ConfigError

PREFERRED = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server", "FreeTDS")
"""Drivers that the system may have registered, best first."""

_OS_RELEASE = Path("/etc/os-release")
_LIBRARIES = {
    "debian": "debian_ubuntu",
    "ubuntu": "debian_ubuntu",
    "rhel": "rhel",
    "fedora": "rhel",
    "centos": "rhel",
    "suse": "suse",
    "alpine": "alpine",
}
_MACHINES = {"aarch64": "arm64", "amd64": "x86_64"}


@dataclass(frozen=True, slots=True)
class Driver:
    """An ODBC driver by the name or path that goes into `DRIVER=`."""

    name: str
    origin: str
    """Where it is from, for people."""

    @property
    def is_freetds(self) -> bool:
        """Return whether it is FreeTDS, which crashes on arrays of parameters."""
        return "freetds" in self.name.lower() or "tdsodbc" in self.name.lower()


def find_driver(wanted: str | None) -> Driver:
    """Return the driver to use; raise ConfigError when there is none.

    In this order: the one that the configuration names, the best that the system has registered,
    Microsoft's from the wheel `mssql-python-odbc`.
    """
    if wanted:
        return Driver(wanted, "database.odbc_driver")
    registered = pyodbc.drivers()
    for name in PREFERRED:
        if name in registered:
            return Driver(name, "registered with the system")
    library = _library_of_wheel()
    if library is not None:
        return Driver(str(library), "the wheel mssql-python-odbc")
    raise ConfigError(
        "There is no ODBC driver for SQL Server.",
        hint="Install it with: pip install 'dropload[sqlserver]', or name one in "
        "database.odbc_driver.",
        code="driver",
    )


def _library_of_wheel() -> Path | None:
    try:
        import mssql_python_odbc  # noqa: PLC0415 - an extra; a registered driver will do as well
    except ImportError:
        return None
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    folder = Path(mssql_python_odbc.get_libs_dir()) / "linux" / _distribution() / machine / "lib"
    return next(iter(sorted(folder.glob("libmsodbcsql*.so*"))), None)


def _distribution() -> str:
    """Return the wheel's folder for this Linux; Debian's when it is unknown."""
    try:
        text = _OS_RELEASE.read_text(encoding="utf-8")
    except OSError:
        return "debian_ubuntu"
    words = " ".join(re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)', text, re.MULTILINE)).split()
    return next((_LIBRARIES[word] for word in words if word in _LIBRARIES), "debian_ubuntu")


def connection_string(settings: DatabaseConfig, driver: Driver, password: str | None) -> str:
    """Return the connection string from the parts in `settings`; it holds the password."""
    server = settings.host or "localhost"
    if settings.instance:
        server += f"\\{settings.instance}"
    elif settings.port:
        server += f",{settings.port}"
    parts = {
        "DRIVER": driver.name,
        "SERVER": server,
        "DATABASE": settings.name or "master",
        "UID": settings.user,
        "PWD": password,
        "Encrypt": settings.encrypt,
        "TrustServerCertificate": "yes" if settings.trust_server_certificate else "no",
        "Trusted_Connection": "yes" if settings.trusted_connection else None,
        "Authentication": settings.authentication,
        "APP": "dropload",
    }
    if driver.is_freetds:
        parts["TDS_Version"] = "7.4"
    return ";".join(f"{key}={braced(value)}" for key, value in parts.items() if value is not None)


def braced(value: str) -> str:
    """Return a value that no `;` or `}` in it can end (SQLDriverConnect's rule)."""
    if re.fullmatch(r"[\w.,:\\/+\- ]*", value):
        return value
    return "{" + value.replace("}", "}}") + "}"


_URL_OPTIONS = frozenset(
    {"driver", "encrypt", "trustservercertificate", "trusted_connection", "authentication", "bulk"}
)
_ENCRYPT_WORDS = {"mandatory": "yes", "optional": "no", "true": "yes", "false": "no"}
"""The driver's other words for the same."""


def settings_of(settings: DatabaseConfig) -> DatabaseConfig:
    """Return the settings with the parts of `database.url` in their places."""
    if settings.url is None:
        return settings
    url = sa.make_url(settings.url.get_secret_value())
    query = {key.lower(): str(value) for key, value in url.query.items()}
    parts: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "name": url.database,
        "user": url.username,
        "password": url.password,
        "odbc_driver": query.get("driver"),
        "encrypt": _ENCRYPT_WORDS.get(query.get("encrypt", "").lower(), query.get("encrypt")),
        "trust_server_certificate": query.get("trustservercertificate"),
        "trusted_connection": query.get("trusted_connection"),
        "authentication": query.get("authentication"),
        "bulk": query.get("bulk"),
    }
    unknown = sorted(set(query) - _URL_OPTIONS)
    if unknown:
        raise ConfigError(
            f"database.url has options that dropload does not know: {', '.join(unknown)}.",
            hint=f"It knows: {', '.join(sorted(_URL_OPTIONS))}.",
            code="database_url",
        )
    named = {key: value for key, value in parts.items() if value is not None}
    kept = settings.model_dump(exclude={"url", *named})
    try:
        return DatabaseConfig.model_validate(kept | named)
    except ValidationError as exc:
        wrong = exc.errors()[0]
        raise ConfigError(
            f"database.url is wrong: {wrong['loc'][-1]}: {wrong['msg']}.",
            hint="docs/sqlserver.md says what each option takes.",
            code="database_url",
        ) from exc
