"""Tell two configurations apart, section by section, without giving away what is in them."""

import hashlib
import json
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from dropload.config import Config, DatabaseConfig

_NOT_THE_DAEMONS = ("health",)
"""Sections that only the health check reads: it may have its own, by its environment."""


@lru_cache(maxsize=2)
def digest_sections(config: Config) -> dict[str, str]:
    """Return a digest of each section that the daemon works by; passwords do not count."""
    sections = (name for name in Config.model_fields if name not in _NOT_THE_DAEMONS)
    return {name: _digest(getattr(config, name)) for name in sections}


def _digest(section: Any) -> str:
    values = section.model_dump(mode="json", exclude={"password"})
    if isinstance(section, DatabaseConfig):
        values["url"] = _without_password(section.url)
    return digest(values)


def digest(values: object) -> str:
    """Return what tells values apart that JSON can hold; enough of it that none pass for others."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _without_password(url: SecretStr | None) -> str:
    try:
        return str(sa.make_url(url.get_secret_value()).set(password=None)) if url else ""
    except (sa.exc.ArgumentError, ValueError):
        return ""  # nobody can say which part of it is the password
