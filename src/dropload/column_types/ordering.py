"""Which column types can take over the values of which others, judged by the types alone."""

from dropload.model import ColumnType, Kind

MAX_DECIMAL_DIGITS = 38
"""What the targets and Arrow's decimal128 can hold."""
INTEGER_DIGITS = 19
"""Digits of the largest 64-bit integer."""
WITH_FRACTION = (Kind.TIMESTAMP, Kind.TIMESTAMP_OFFSET, Kind.TIME)
"""Types with a fraction of the second, whose digits are their precision."""
FLOAT_DIGITS = 15
"""A decimal with no more digits comes back from a float as it was."""
_FLOAT_CHARS = 327
"""The smallest float with 17 digits, minus sign and all, written without an exponent."""
_WIDTHS = {
    Kind.BOOLEAN: len("false"),
    Kind.INTEGER: len("-") + INTEGER_DIGITS,
    Kind.FLOAT: _FLOAT_CHARS,
    Kind.DATE: len("2024-12-31"),
    Kind.TIMESTAMP: len("2024-12-31 23:59:59"),
    Kind.TIMESTAMP_OFFSET: len("2024-12-31 23:59:59+01:00"),
    Kind.TIME: len("23:59:59"),
    Kind.UUID: 36,
}


def fits(value_type: ColumnType, column_type: ColumnType) -> bool:
    """Return whether every value of the first type can be stored in the second unchanged.

    Unchanged means equal in value: `12` may be stored as `12.00`, a day as its midnight. A text
    column of `max_length` 0 has no limit; text values of `max_length` 0 need no room.
    """
    if column_type.kind is Kind.TEXT:
        return column_type.max_length == 0 or text_width(value_type) <= column_type.max_length
    match (value_type.kind, column_type.kind):
        case (one, other) if one is other and one in WITH_FRACTION:
            holds = value_type.precision <= column_type.precision
        case (Kind.INTEGER | Kind.DECIMAL, Kind.DECIMAL):
            holds = _fits_decimal(value_type, column_type)
        case (Kind.DECIMAL | Kind.INTEGER, Kind.FLOAT):
            holds = 0 < value_type.precision <= FLOAT_DIGITS
        case (Kind.DECIMAL, Kind.INTEGER):
            holds = value_type.scale == 0 and value_type.precision < INTEGER_DIGITS
        case (Kind.DATE, Kind.TIMESTAMP):
            holds = True
        case (one, other):
            holds = one is other
    return holds


def common_type(column_type: ColumnType, value_type: ColumnType) -> ColumnType:
    """Return the smallest type that holds the values of both without damage; text at the extreme.

    The order matters in one case: `max_length` 0 means no limit for the column that is there, no
    characters for the values that come.
    """
    if fits(value_type, column_type):
        return column_type
    if value_type.kind is not Kind.TEXT and fits(column_type, value_type):
        return _limited(value_type)
    if _digits(column_type) is not None and _digits(value_type) is not None:
        return _common_decimal(column_type, value_type)
    return ColumnType(Kind.TEXT, max_length=max(text_width(column_type), text_width(value_type)))


def text_width(type_: ColumnType) -> int:
    """Return how many characters the longest value of the type may need when it is written."""
    width = _WIDTHS.get(type_.kind, type_.max_length)
    if type_.kind is Kind.INTEGER and type_.precision:
        width = len("-") + type_.precision
    if type_.kind in WITH_FRACTION and type_.precision:
        width += len(".") + type_.precision
    if type_.kind is Kind.DECIMAL:
        # "-0.05" is a decimal(2,2): the zero before the point is no digit of it.
        zero = 1 if type_.precision == type_.scale else 0
        width = len("-") + zero + type_.precision + (len(".") if type_.scale else 0)
    return width


def _fits_decimal(value_type: ColumnType, column_type: ColumnType) -> bool:
    digits = _digits(value_type)
    if digits is None:
        return False
    before, behind = digits
    return behind <= column_type.scale and before <= column_type.precision - column_type.scale


def _digits(type_: ColumnType) -> tuple[int, int] | None:
    """Return the digits before and behind the point, None where they are not fixed."""
    if type_.kind is Kind.INTEGER:
        return type_.precision or INTEGER_DIGITS, 0
    if type_.kind is Kind.DECIMAL:
        return type_.precision - type_.scale, type_.scale
    return None


def _common_decimal(one: ColumnType, other: ColumnType) -> ColumnType:
    digits = [found for found in (_digits(one), _digits(other)) if found is not None]
    before = max(found[0] for found in digits)
    behind = max(found[1] for found in digits)
    if before + behind <= MAX_DECIMAL_DIGITS:
        return ColumnType(Kind.DECIMAL, precision=before + behind, scale=behind)
    return ColumnType(Kind.TEXT, max_length=max(text_width(one), text_width(other)))


def _limited(type_: ColumnType) -> ColumnType:
    """Return the type as a column may have it: how a file spells it is no matter of the table."""
    return ColumnType(type_.kind, type_.precision, type_.scale, type_.max_length)
