"""Say to Python programs by methods and parameters what the texts say by commands and options.

There is one text for both, in the words of the command line, which people type; a program reads the
same advice as calls of its API. Commands without a method (`dropload run`) stay commands.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

METHODS = frozenset(
    {"cancel", "health", "history", "init", "inspect", "load", "plan", "release", "retry", "show"}
    | {"status", "undo"}
)
"""Commands that the API has under the same name, with options as parameters."""
_COMMAND = re.compile(r"`dropload (?P<name>[a-z]+)(?P<rest>[^`]*)`")
_OPTION = re.compile(r"(?<![\w-])--(?P<name>[a-z][a-z-]*)(?: (?P<values>[a-z-]+(?:\|[a-z-]+)+))?")
_SWITCHES = frozenset({"force", "dry_run"})


def in_python(text: str) -> str:
    """Return a message or a hint in the words of the API."""
    return _OPTION.sub(_as_parameter, _COMMAND.sub(_as_call, text))


def reworded(record: "Record", *names: str) -> "Record":
    """Return a record whose texts of these names, kept for the command line, are as `in_python`."""
    texts = {name: getattr(record, name) for name in names}
    return replace(record, **{name: in_python(text) for name, text in texts.items() if text})


def _as_call(found: re.Match[str]) -> str:
    if found["name"] not in METHODS:
        return found[0]
    arguments = ", ".join(_arguments(shlex.split(found["rest"])))
    return f"`{found['name']}({arguments})`"


def _arguments(words: list[str]) -> Iterator[str]:
    """Yield the arguments of a call, those by name last."""
    named = [word for word in words if word.startswith("--")]
    for word in words:
        if word.isdigit():
            yield word
        elif word.isupper():
            yield "path" if word == "FILE" else word.lower()
        elif word not in named:
            yield repr(word)
    yield from (_switch(word.removeprefix("--")) for word in named)


def _as_parameter(found: re.Match[str]) -> str:
    if found["values"] is None:
        return _switch(found["name"])
    values = " or ".join(f'"{value}"' for value in found["values"].split("|"))
    return f"{found['name'].replace('-', '_')}={values}"


def _switch(option: str) -> str:
    name = option.replace("-", "_")
    return f"{name}=True" if name in _SWITCHES else name
