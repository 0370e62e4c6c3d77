"""Column types without damage: decide them, convert text to them, compare them.

What compares types is at hand at once. What reads and converts columns needs Arrow, and comes when
it is first asked for: a process that reads no file, the daemon above all, never pays for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dropload.column_types.misfits import explain_misfit, significant_digits, units_of_utf16
from dropload.column_types.ordering import (
    INTEGER_DIGITS,
    WITH_FRACTION,
    common_type,
    fits,
    text_width,
)

if TYPE_CHECKING:
    from dropload.column_types.conversion import (
        ConversionError,
        canonical_text,
        cast_decimals,
        convert,
    )
    from dropload.column_types.detector import ColumnTypeDetector, gather_marks
    from dropload.column_types.family import Decision
    from dropload.column_types.notations import (
        Hints,
        has_decimal_comma,
        rewrite,
        rewrite_columns,
        rewrite_text,
    )
    from dropload.column_types.values import MOST_SHORT, texts_of_columns
else:

    def __getattr__(name: str) -> Any:
        """Return what needs Arrow (the module level's `__getattr__`, PEP 562)."""
        module = _WITH_ARROW.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
        return found


_WITH_ARROW = {
    "ColumnTypeDetector": "detector",
    "ConversionError": "conversion",
    "Decision": "family",
    "Hints": "notations",
    "MOST_SHORT": "values",
    "canonical_text": "conversion",
    "cast_decimals": "conversion",
    "convert": "conversion",
    "gather_marks": "detector",
    "has_decimal_comma": "notations",
    "rewrite": "notations",
    "rewrite_columns": "notations",
    "rewrite_text": "notations",
    "texts_of_columns": "values",
}
"""The module of each name that needs Arrow."""

__all__ = [
    "INTEGER_DIGITS",
    "MOST_SHORT",
    "WITH_FRACTION",
    "ColumnTypeDetector",
    "ConversionError",
    "Decision",
    "Hints",
    "canonical_text",
    "cast_decimals",
    "common_type",
    "convert",
    "explain_misfit",
    "fits",
    "gather_marks",
    "has_decimal_comma",
    "rewrite",
    "rewrite_columns",
    "rewrite_text",
    "significant_digits",
    "text_width",
    "texts_of_columns",
    "units_of_utf16",
]
