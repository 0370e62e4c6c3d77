"""The family of numbers: which type gives back whole numbers and decimals as written."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from dropload.column_types import plain, whole_columns
from dropload.column_types.family import TEXT, Decision
from dropload.column_types.notations import POINTED
from dropload.column_types.ordering import MAX_DECIMAL_DIGITS
from dropload.column_types.values import Values
from dropload.model import ColumnType, Kind

_SURE_WHOLE_CHARS = 15
"""So many characters of a whole number fit into everything."""


@dataclass(slots=True)
class NumberFamily:
    """Integers, decimals of one scale, and floats where scales are mixed."""

    misfit = "is not a number as a database would print it"

    has_whole: bool = False
    has_point: bool = False
    min_scale: int = 0
    max_scale: int = 0
    whole_digits: int = 0
    beyond_64_bits: str = ""
    """Each of these: the first value of the sort and where it stands; empty when there is none."""
    inexact: str = ""
    padded: str = ""
    bare_whole: str = ""
    dot_zero: str = ""
    pointed: str = ""
    """The first value with a point, while each of them can separate thousands: `1.234`."""

    def observe(self, values: Values) -> bool:
        """See `Family.observe`."""
        if values.short is None:
            return self._observe_long(values, values.texts)
        if not values.all_match(plain.NUMBER):
            return False
        self._observe_short(values, values.short)
        return True

    def _observe_long(self, values: Values, texts: pa.Array) -> bool:
        if whole_columns.all_unsigned_whole(texts):
            self._observe_whole(values, None)
            return True
        points = pc.find_substring(texts, ".")
        is_decimal = whole_columns.all_unsigned_decimal(texts, points)
        if not (is_decimal or values.all_match(plain.NUMBER)):
            return False
        least, most = whole_columns.bounds(points)
        if least < 0:
            self._observe_whole(values, pc.less(points, 0))
        if most >= 0:
            self._observe_decimals(values, points)
        return True

    def _observe_short(self, values: Values, texts: list[str]) -> None:
        """Take in what `_observe_long` takes in."""
        points = [text.find(".") for text in texts]
        whole = [index for index, point in enumerate(points) if point < 0]
        if whole:
            self._observe_short_whole(values, texts, whole)
        if len(whole) < len(texts):
            pointed = [index for index, point in enumerate(points) if point >= 0]
            self._observe_short_decimals(values, texts, pointed)

    def _observe_short_whole(self, values: Values, texts: list[str], whole: list[int]) -> None:
        if not self.has_whole:
            self.bare_whole = values.show(whole[0])
        self.has_whole = True
        long = [index for index in whole if len(texts[index]) > _SURE_WHOLE_CHARS]
        if self.beyond_64_bits or not long:
            return
        self.beyond_64_bits = _show_first_beyond(values, long, 2**63 - 1)
        if not self.inexact:
            self.inexact = _show_first_beyond(values, long, plain.MAX_WHOLE_FLOAT)

    def _observe_short_decimals(self, values: Values, texts: list[str], pointed: list[int]) -> None:
        parts = [texts[index].lstrip("-").partition(".") for index in pointed]
        scales = [len(behind) for _, _, behind in parts]
        least, most = min(scales), max(scales)
        self._observe_short_pointed(values, texts, pointed, (least, most))
        self.min_scale = min(self.min_scale, least) if self.has_point else least
        self.max_scale = max(self.max_scale, most)
        self.has_point = True
        self.whole_digits = max(self.whole_digits, *(len(whole) for whole, _, _ in parts))
        self._observe_short_zeros(values, texts, pointed)
        if not self.inexact and max(map(len, texts)) > plain.SURE_CHARS:
            inexact = (index for index in pointed if not plain.is_exact(texts[index]))
            self.inexact = _show_first(values, inexact)

    def _observe_short_pointed(
        self, values: Values, texts: list[str], pointed: list[int], scales: tuple[int, int]
    ) -> None:
        if self.has_point and not self.pointed:
            return
        fits = re.compile(POINTED).fullmatch
        if scales != (3, 3) or not all(fits(texts[index]) for index in pointed):
            self.pointed = ""
        elif not self.has_point:
            self.pointed = values.show(pointed[0])

    def _observe_short_zeros(self, values: Values, texts: list[str], pointed: list[int]) -> None:
        if self.padded and self.dot_zero:
            return
        ends = [index for index in pointed if texts[index][-1] == "0"]
        is_dot_zero = {index: texts[index][-2] == "." for index in ends}
        self.dot_zero = self.dot_zero or _show_first(values, filter(is_dot_zero.get, ends))
        self.padded = self.padded or _show_first(
            values, (index for index in ends if not is_dot_zero[index])
        )

    def without_groups(self) -> Decision:
        """Return what the numbers come to when their points separate thousands."""
        return replace(self, has_point=False).decide()

    def decide(self) -> Decision:
        """See `Family.decide`."""
        if not self.has_point:
            return self._integer()
        if not self.has_whole and self.min_scale == self.max_scale:
            return self._decimal()
        return self._float()

    def _observe_whole(self, values: Values, is_whole: pa.Array | None) -> None:
        """Take in the values that are whole; None: all of them are."""
        if not self.has_whole:
            first = 0 if is_whole is None else whole_columns.first_true(is_whole)
            self.bare_whole = values.show(first)
        self.has_whole = True
        if self.beyond_64_bits:
            return
        long = pc.greater(pc.binary_length(values.texts), _SURE_WHOLE_CHARS)
        if is_whole is not None:
            long = pc.and_(is_whole, long)
        if not pc.any(long).as_py():
            return
        candidates = pc.indices_nonzero(long)
        try:
            least, most = whole_columns.bounds(values.texts.filter(long).cast(pa.int64()))
        except pa.ArrowInvalid:
            self.beyond_64_bits = _show_first_beyond(values, candidates.to_pylist(), 2**63 - 1)
            most, least = 2**63, 0
        if not self.inexact and max(-least, most) > plain.MAX_WHOLE_FLOAT:
            self.inexact = _show_first_beyond(values, candidates.to_pylist(), plain.MAX_WHOLE_FLOAT)

    def _observe_decimals(self, values: Values, points: pa.Array) -> None:
        texts = values.texts
        has_point = pc.greater_equal(points, 0)
        scales = pc.subtract(pc.subtract(pc.binary_length(texts), points), 1)
        least, most = whole_columns.bounds(pc.if_else(has_point, scales, None))
        self._observe_pointed(values, has_point, (least, most))
        self.min_scale = min(self.min_scale, least) if self.has_point else least
        self.max_scale = max(self.max_scale, most)
        self.has_point = True
        signs = pc.cast(pc.starts_with(texts, "-"), pa.int32())
        self.whole_digits = max(
            self.whole_digits, whole_columns.bounds(pc.subtract(points, signs))[1]
        )
        self._observe_zeros(values, has_point, scales)
        if not self.inexact:
            index = whole_columns.first_inexact(pc.if_else(has_point, texts, None))
            self.inexact = values.show(index) if index is not None else ""

    def _observe_pointed(
        self, values: Values, has_point: pa.Array, scales: tuple[int, int]
    ) -> None:
        if self.has_point and not self.pointed:
            return
        if scales != (3, 3) or not whole_columns.all_match(values.texts.filter(has_point), POINTED):
            self.pointed = ""
        elif not self.has_point:
            self.pointed = values.show(whole_columns.first_true(has_point))

    def _observe_zeros(self, values: Values, has_point: pa.Array, scales: pa.Array) -> None:
        if self.padded and self.dot_zero:
            return
        ends = pc.and_(has_point, pc.ends_with(values.texts, "0"))
        if not pc.any(ends).as_py():
            return
        one = pc.equal(scales, 1)
        dot_zero = whole_columns.first_true(pc.and_(ends, one))
        padded = whole_columns.first_true(pc.and_(ends, pc.invert(one)))
        if dot_zero >= 0 and not self.dot_zero:
            self.dot_zero = values.show(dot_zero)
        if padded >= 0 and not self.padded:
            self.padded = values.show(padded)

    def _integer(self) -> Decision:
        if self.beyond_64_bits:
            return Decision(
                TEXT,
                f"{self.beyond_64_bits} has more digits than an integer column holds: kept as text "
                "so that none is lost",
            )
        return Decision(ColumnType(Kind.INTEGER))

    def _decimal(self) -> Decision:
        digits = self.whole_digits + self.max_scale
        if digits > MAX_DECIMAL_DIGITS:
            return Decision(
                TEXT,
                f"the numbers need {digits} digits, more than a decimal column holds: kept as text "
                "so that none is lost",
            )
        return Decision(ColumnType(Kind.DECIMAL, precision=digits, scale=self.max_scale))

    def _float(self) -> Decision:
        if self.padded:
            return Decision(
                TEXT,
                "the numbers have different counts of decimals and some end in zeros "
                f"({self.padded}): kept as text so that they stay as written",
            )
        if self.has_whole and self.dot_zero:
            return Decision(
                TEXT,
                f"whole numbers are written in two ways ({self.bare_whole}, {self.dot_zero}): "
                "kept as text so that they stay as written",
            )
        if self.inexact:
            return Decision(
                TEXT,
                f"{self.inexact} has more digits than a floating-point column keeps: kept as text "
                "so that none is lost",
            )
        return Decision(ColumnType(Kind.FLOAT, spelling=".0" if self.dot_zero else ""))


def _show_first(values: Values, candidates: Iterable[int]) -> str:
    index = next(iter(candidates), None)
    return "" if index is None else values.show(index)


def _show_first_beyond(values: Values, candidates: Iterable[int], limit: int) -> str:
    for index in candidates:
        if not plain.is_within(values.text(index), -limit - 1, limit):
            return values.show(index)
    return ""
