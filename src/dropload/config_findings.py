"""Say what is wrong with a configuration: key, value, where it was set, what would be right."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from dropload.config import ENTRIES, Config

_WHOLE, _NUMBER, _TEXT = "write a whole number", "write a number", "write text in quotes"
_TRUTH = "write true or false"
_RIGHT = {
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "string_type": _TEXT,
    "path_type": _TEXT,
    "string_too_short": "it must not be empty",
    "tuple_type": 'write a list, for example ["a", "b"]',
    "dict_type": "it is a table: write the keys below it",
    "model_type": "it is a table: write the keys below it",
    "greater_than": "it must be more than {gt:,g}",
    "greater_than_equal": "it must be at least {ge:,}",
    "less_than_equal": "it must be at most {le:,}",
}
"""What would be right, by pydantic's name of what is wrong."""
_SHARES = "it must be at most 1, which is all of it: 0.5 is half"


def explain(error: Any, sources: Mapping[str, str]) -> str:
    """Return one sentence for one finding of pydantic: key, value, origin, what would be right."""
    key = _key_of(error["loc"])
    origin = _origin_of(key, sources)
    if error["type"] == "extra_forbidden":
        return f"{origin}: there is no key {key!r}.{_nearest(key)}"
    if error["type"] == "missing":
        return f"{origin}: {key} is missing."
    if error["loc"][-1] == "[key]":
        return f"{origin}: {key} is no possible name: write a-z, 0-9 and _, a letter first."
    # Not the text of a table: what it says of others may be a secret.
    is_table = isinstance(error["input"], (Mapping, BaseModel))
    shown = "***" if _is_secret(key) else repr(error["input"])
    what = key if is_table else f"{key} = {shown}"
    return f"{origin}: {what} is not possible: {_say_right(key, error)}.{_suggest(error)}"


def _say_right(key: str, error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("literal_error", "enum"):
        return f"write {context['expected']}"
    if kind == "less_than_equal" and context["le"] == 1:
        return _SHARES
    said = _RIGHT.get(kind)
    if said is None:
        return str(error["msg"]).removeprefix("Value error, ")
    unit = " of seconds, without a unit" if said == _NUMBER and key.endswith("_seconds") else ""
    return said.format(**context) + unit


def _suggest(error: Any) -> str:
    """Return which of the words that are possible was probably meant."""
    known = re.findall(r"'([^']+)'", error.get("ctx", {}).get("expected", ""))
    found = difflib.get_close_matches(str(error["input"]).lower(), known, n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


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
    """Return the key that was probably meant: of the same section, or of that name elsewhere."""
    parent, _, name = key.rpartition(".")
    siblings = _keys_below(parent)
    if found := difflib.get_close_matches(name, siblings, n=1, cutoff=0.5):
        near = f"{parent}.{found[0]}" if parent else found[0]
        return f" Did you mean {near!r}?"
    if elsewhere := keys_named(name):
        return f" Did you mean {elsewhere[0]!r}?"
    place = f"[{parent}] has" if parent else "The sections are"
    return f" {place}: {', '.join(siblings)}."


def _keys_below(parent: str) -> list[str]:
    entry = ENTRIES.get(parent.rpartition(".")[0])
    if entry is not None:
        return list(entry.model_fields)
    if not parent:
        return list(Config.model_fields)
    section = Config.model_fields.get(parent)
    return list(type(section.default).model_fields) if section else []


def keys_named(name: str) -> list[str]:
    """Return the keys of that name in whatever section."""
    return [key for key in known_keys() if key.rpartition(".")[2] == name]


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
