"""The configuration as its document tells it: default and possible values of every key."""

import json
import types
from collections.abc import Iterator
from datetime import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

_MOST_VALUES = 7
"""More are listed on a page of their own."""
_UNITS = ("seconds", "days", "minutes", "mb", "bytes", "rows", "share")


def fields_of(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield each key of the configuration; `NAME` stands for tables that people name."""
    for name, field in model.model_fields.items():
        key = f"{above}{name}"
        kind = field.annotation
        if get_origin(kind) is dict:
            yield from fields_of(get_args(kind)[1], f"{key}.NAME.")
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields_of(kind, f"{key}.")
        else:
            yield key, field


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    if field.default_factory is not None:
        return "by the machine"
    value = field.default
    if value is None:
        return "–"
    if isinstance(value, Path | str | Enum):
        return f"`{json.dumps(str(value))}`"
    return f"`{json.dumps(value)}`"


def values_of(key: str, field: FieldInfo) -> str:
    kind, rules = _unwrapped(field.annotation, list(field.metadata))
    words = _words(kind)
    unit = next((unit for unit in _UNITS if key.endswith(f"_{unit}")), "")
    if words in ("whole number", "number") and unit:
        words = {"mb": "MB"}.get(unit, unit)
    limits = [
        f"{sign} {getattr(rule, name):,}"
        for rule in rules
        for limit, name, sign in ((Gt, "gt", ">"), (Ge, "ge", "≥"), (Le, "le", "≤"))
        if isinstance(rule, limit)
    ]
    return ", ".join([words, *limits])


def _unwrapped(kind: Any, rules: list[Any]) -> tuple[Any, list[Any]]:
    """Return a type without `None` and without its rules, and those."""
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [one for one in get_args(kind) if one is not type(None)]
        if len(kinds) == 1:
            return _unwrapped(kinds[0], rules)
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        more = [rule for one in more for rule in getattr(one, "metadata", [one])]
        return _unwrapped(inner, rules + more)
    return kind, rules


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {_words(_unwrapped(get_args(kind)[0], [])[0])}"
    if get_origin(kind) in (Union, types.UnionType):
        return ", ".join(_words(one) for one in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        values = [f"`{json.dumps(one.value)}`" for one in kind]
        return ", ".join(values) if len(values) <= _MOST_VALUES else f"one of {len(values)} names"
    return {
        bool: "`true`, `false`",
        int: "whole number",
        float: "number",
        str: "text",
        Path: "path",
        SecretStr: "text, secret",
        time: '`"HH:MM"`',
    }[kind]
