"""Say what is wrong with a configuration: key, value, where it was set, what would be right."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from dropload.config import ENTRIES, Config


def explain(error: Any, sources: Mapping[str, str]) -> str:
    """Return one sentence for one finding of pydantic: key, value, origin, what would be right."""
    key = _key_of(error["loc"])
    origin = _origin_of(key, sources)
    if error["type"] == "extra_forbidden":
        return f"{origin}: there is no key {key!r}.{_nearest(key)}"
    said = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{origin}: {key} is missing."
    if error["loc"][-1] == "[key]":
        return f"{origin}: {key} is no possible name: write a-z, 0-9 and _, a letter first."
    if isinstance(error["input"], (Mapping, BaseModel)):
        # Not its text: what it says of others may be a secret.
        return f"{origin}: {key} is not possible: {said}."
    shown = "***" if _is_secret(key) else repr(error["input"])
    return f"{origin}: {key} = {shown} is not possible: {said}."


def _key_of(where: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in where]
    depth = 4 if ".".join(parts[:2]) in ENTRIES else 2
    return ".".join(part for part in parts[:depth] if part != "[key]")


def _origin_of(key: str, sources: Mapping[str, str]) -> str:
    """Return what set a key, or the first of those below it, or of those beside it."""
    while key:
        below = (where for name, where in sources.items() if name.startswith(f"{key}."))
        if origin := sources.get(key) or next(below, None):
            return origin
        key = key.rpartition(".")[0]
    return "configuration"


def _nearest(key: str) -> str:
    known = list(Config.model_fields) if "." not in key else list(known_keys())
    parent = key.rpartition(".")[0]
    entry = ENTRIES.get(parent.rpartition(".")[0])
    if entry is not None:
        known = [f"{parent}.{inner}" for inner in entry.model_fields]
    matches = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def known_keys() -> Iterator[str]:
    """Yield every dotted key there is, but those below names that people give."""
    for section, field in Config.model_fields.items():
        for name in type(field.default).model_fields:
            if f"{section}.{name}" not in ENTRIES:
                yield f"{section}.{name}"


def _is_secret(key: str) -> bool:
    if key in ("database.url", "database.password"):
        return True
    parts = key.split(".")
    # Also what was written in the place of a receiver's table: it may be the URL.
    is_receiver = parts[:2] == ["notify", "receivers"]
    return is_receiver and (len(parts) < 4 or parts[3] == "url")
