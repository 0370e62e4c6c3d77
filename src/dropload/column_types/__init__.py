"""Column types without damage: decide them, convert text to them, compare them."""

from dropload.column_types.conversion import ConversionError, canonical_text, convert
from dropload.column_types.detector import ColumnTypeDetector, gather_marks
from dropload.column_types.family import Decision
from dropload.column_types.misfits import explain_misfit, significant_digits, units_of_utf16
from dropload.column_types.notations import (
    Hints,
    has_decimal_comma,
    rewrite,
    rewrite_columns,
    rewrite_text,
)
from dropload.column_types.ordering import (
    INTEGER_DIGITS,
    WITH_FRACTION,
    common_type,
    fits,
    text_width,
)
from dropload.column_types.values import MOST_SHORT, texts_of_columns

__all__ = [
    "INTEGER_DIGITS",
    "MOST_SHORT",
    "WITH_FRACTION",
    "ColumnTypeDetector",
    "ConversionError",
    "Decision",
    "Hints",
    "canonical_text",
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
