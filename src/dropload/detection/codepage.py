"""Guess the code page of bytes that are not UTF-8, by what they would spell in each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from charset_normalizer import from_bytes

from dropload.detection.east_asian import score_east_asian
from dropload.detection.fit import pick_evenly
from dropload.detection.spelling import count_neighbours, score_spelling


@dataclass(frozen=True, slots=True)
class Guess:
    """A code page and how sure it is."""

    name: str
    confidence: float


_WESTERN = ("western", "german", "french", "spanish", "portuguese", "italian", "nordic")
_CENTRAL = ("polish", "czech", "slovak", "hungarian", "romanian", "croatian")
# Languages that are written in the code page, and how strange it is to meet it: 0 is everyday.
# The strangeness is in points for one character, see `score_spelling`.
_SINGLE_BYTE: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("cp1252", _WESTERN, 0.0),
    ("cp1250", _CENTRAL, 0.08),
    ("iso-8859-2", _CENTRAL, 0.095),
    ("cp1251", ("cyrillic",), 0.05),
    ("koi8-r", ("cyrillic",), 0.12),
    ("koi8-u", ("cyrillic",), 0.14),
    ("iso-8859-5", ("cyrillic",), 0.14),
    ("cp866", ("cyrillic",), 0.12),
    ("mac-cyrillic", ("cyrillic",), 0.2),
    ("cp1253", ("greek",), 0.05),
    ("iso-8859-7", ("greek",), 0.055),
    ("cp1254", ("turkish",), 0.1),
    ("cp1255", ("hebrew",), 0.05),
    ("cp1256", ("arabic",), 0.1),
    ("iso-8859-6", ("arabic",), 0.14),
    ("cp1257", ("lithuanian", "latvian", "estonian"), 0.1),
    ("cp874", ("thai",), 0.1),
    ("cp850", _WESTERN, 0.2),
    ("cp437", ("german", "french", "spanish", "italian"), 0.3),
    ("cp852", _CENTRAL, 0.25),
    ("mac-roman", _WESTERN, 0.2),
    ("iso-8859-15", ("french",), 0.18),
    ("cp1252", ("icelandic", "estonian"), 0.09),
)
_MULTI_BYTE: tuple[tuple[str, float], ...] = (
    ("gb18030", 0.0),
    ("big5", 0.02),
    ("cp932", 0.0),
    ("euc-jp", 0.02),
    ("cp949", 0.0),
)
_USUAL = "cp1252"
# In one or two places a code page shows itself only by the words that its letters spell.
_FEW_PLACES = 2
_WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]*[\x80-\xff][0-9A-Za-z\x80-\xff]*")
# A symbol of cp1252 beside a letter at most. Not among them: 0xA4, the euro of iso-8859-15, and
# what may be the end of "zł".
_SYMBOL = re.compile(
    rb"(?![Zz][\x88\xb3])[A-Za-z]?"
    rb"[\x80\x82\x84-\x89\x8b\x91-\x99\x9b\xa0-\xa3\xa5-\xbf\xd7\xf7][A-Za-z]?"
)
_HIGH_BYTES = bytes(range(0x80, 0x100))
# Non-ASCII bytes to judge by: twice as many changed no answer, only the time.
_FOREIGN_BYTES = 2000
# With foreign bytes in few different places a strange code page may fit by accident, however often
# they come: it must pay this, divided by the number of places.
_STRANGE_PRICE = 4.0
# The statistical detector's word, in points for one character.
_DETECTOR_POINTS = 0.06
# Below this lead the detector is asked.
_CLEAR_LEAD = 0.25


def guess_codepage(lines: Sequence[bytes]) -> list[Guess]:
    """Return code pages for lines with non-ASCII bytes, the most plausible first."""
    sample = _pick_lines(lines)
    points = _score_all(sample)
    if _holds_only_symbols(sample):
        points[_USUAL] = max(points.values()) + _CLEAR_LEAD
    ranked = sorted(points, key=lambda name: -points[name])
    if points[ranked[0]] - points[ranked[1]] < _CLEAR_LEAD:
        _ask_detector(sample, points)
        ranked = sorted(points, key=lambda name: -points[name])
    foreign = _count_foreign(sample)
    best = points[ranked[0]]
    lead = best - points[ranked[1]]
    sure = min(0.95, max(0.2, 0.4 + 0.3 * best + min(lead, 0.5)) * (foreign + 1) / (foreign + 3))
    return [Guess(name, round(sure / (1 + place), 3)) for place, name in enumerate(ranked)]


def _holds_only_symbols(sample: bytes) -> bool:
    """Return whether one or two bytes beyond ASCII are symbols of cp1252 that spell no word."""
    spelled = _WORD.findall(sample)
    return _count_places(sample) <= _FEW_PLACES and all(map(_SYMBOL.fullmatch, spelled))


def _pick_lines(lines: Sequence[bytes]) -> bytes:
    """Return lines from all over the given ones, as many as it takes to be sure."""
    total = sum(map(_count_foreign, lines))
    return b"\n".join(pick_evenly(lines, max(len(lines) * _FOREIGN_BYTES // max(total, 1), 1)))


def _count_foreign(data: bytes) -> int:
    """Return the number of bytes beyond ASCII."""
    return len(data) - len(data.translate(None, _HIGH_BYTES))


def _count_places(sample: bytes) -> int:
    """Return how many different letters the bytes beyond ASCII stand between.

    All digits count as one, and all that is neither letter nor digit: 300 prices say no more than
    one about what stands behind them.
    """
    places = count_neighbours(sample.decode("latin-1"))
    return len({(_blur(before), char, _blur(after)) for before, char, after in places})


def _blur(char: str) -> str:
    """Return a letter as it is, and one character for all others of its kind."""
    if char.isalpha() or char >= "\x80":
        return char
    return "0" if char.isdigit() else " "


def _score_all(sample: bytes) -> dict[str, float]:
    """Return the points of every code page, per non-ASCII byte, in the order of the tables."""
    places = max(_count_places(sample), 1)
    points: dict[str, float] = {}
    for name, languages, strangeness in _SINGLE_BYTE:
        neighbours = count_neighbours(sample.decode(name, errors="replace"))
        price = strangeness * (1 + _STRANGE_PRICE / places)
        best = max(score_spelling(neighbours, language) for language in languages) - price
        points[name] = max(best, points.get(name, best))
    for name, strangeness in _MULTI_BYTE:
        text = sample.decode(name, errors="replace")
        price = (0.05 + strangeness) * (1 + _STRANGE_PRICE / places)
        points[name] = score_east_asian(text, name) - price
    return points


def _ask_detector(sample: bytes, points: dict[str, float]) -> None:
    """Add the statistical detector's word to the points of code pages that are in question."""
    match = from_bytes(sample[:8192], steps=3).best()
    if match is None:
        return
    name = _OUR_NAMES.get(match.encoding, match.encoding.replace("_", "-"))
    if name in points:
        points[name] += _DETECTOR_POINTS


_OUR_NAMES = {"cp936": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "shift_jis": "cp932",
              "euc_kr": "cp949", "latin_1": "cp1252", "iso8859_15": "iso-8859-15"}  # fmt: skip
