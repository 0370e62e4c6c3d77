"""What the plans of earlier loads say of how a table's numbers were written."""

import json
from collections.abc import Iterable, Iterator

from dropload.column_types import has_decimal_comma
from dropload.model import Kind

_WITH_DECIMALS = (Kind.DECIMAL, Kind.FLOAT)


def find_comma_columns(plans: Iterable[str]) -> frozenset[str]:
    """Return the table's columns that were last filled from decimal commas.

    `plans` are JSON texts, the newest first. Numbers without decimals say nothing.
    """
    found: dict[str, bool] = {}
    for plan in plans:
        for name, has_comma in _marks_of(plan):
            found.setdefault(name, has_comma)
    return frozenset(name for name, has_comma in found.items() if has_comma)


def _marks_of(plan: str) -> Iterator[tuple[str, bool]]:
    """Yield the columns that a load filled with decimals, and whether by a comma."""
    said = json.loads(plan)
    for column in said["columns"]:
        written = said["profile"]["columns"][column["position"]]["type"]
        if has_decimal_comma(written.get("notation", "")):
            yield column["name"], True
        elif written["kind"] in _WITH_DECIMALS:
            yield column["name"], False
