"""Turn rows of a table into a pandas DataFrame; the only module that needs pandas."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from dropload.model import Kind
from dropload.stored_tables import Rows

_INT64 = range(-(2**63), 2**63)


def to_frame(rows: Rows) -> pd.DataFrame:
    """Return a frame in which no value is damaged and null stays null.

    | column of the table         | dtype                          |
    |-----------------------------|--------------------------------|
    | integer                     | Int64                          |
    | decimal                     | object, of decimal.Decimal     |
    | float                       | Float64                        |
    | boolean                     | boolean                        |
    | date, timestamp             | datetime64[us]                 |
    | timestamp with offset, time | object, of datetime and time   |
    | text, uuid                  | string                         |

    A column with a value of another form, as tables of other owners may have, is of objects.
    """
    made = {
        column.name: _column(column.type.kind, values)
        for column, values in zip(rows.columns, rows.values, strict=True)
    }
    return pd.DataFrame(made, columns=[column.name for column in rows.columns])


def _column(kind: Kind, values: Sequence[Any]) -> pd.Series:
    form = _FORMS.get(kind)
    if form is None or not all(value is None or form[0](value) for value in values):
        return pd.Series(values, dtype=object)
    return pd.Series(form[1](values))


def _floats(values: Sequence[Any]) -> Any:
    # By hand: pandas would take a NaN, which is a value, for null.
    nulls = np.array([value is None for value in values], dtype=bool)
    numbers = np.array([0.0 if value is None else value for value in values], dtype="float64")
    return pd.arrays.FloatingArray(numbers, nulls)


def _moments(values: Sequence[Any]) -> Any:
    # Not nanoseconds: they end in 2262, and begin in 1677.
    return np.array(values, dtype="datetime64[us]")


def _is_integer(value: Any) -> bool:
    return type(value) is int and value in _INT64


def _is_day(value: Any) -> bool:
    return type(value) is date


def _is_moment(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is None


_FORMS: dict[Kind, tuple[Callable[[Any], bool], Callable[[Sequence[Any]], Any]]] = {
    Kind.INTEGER: (_is_integer, lambda values: pd.array(values, dtype="Int64")),
    Kind.FLOAT: (lambda value: isinstance(value, float), _floats),
    Kind.BOOLEAN: (
        lambda value: isinstance(value, bool),
        lambda values: pd.array(values, dtype="boolean"),
    ),
    Kind.DATE: (_is_day, _moments),
    Kind.TIMESTAMP: (_is_moment, _moments),
    Kind.TEXT: (
        lambda value: isinstance(value, str),
        lambda values: pd.array(values, dtype="string"),
    ),
    Kind.UUID: (
        lambda value: isinstance(value, str),
        lambda values: pd.array(values, dtype="string"),
    ),
}
