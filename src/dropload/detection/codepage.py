"""Guess the code page of bytes that are not UTF-8, by what they would spell in each."""

import re
from dataclasses import dataclass
from functools import cache

from charset_normalizer import from_bytes

from dropload.detection.alphabets import (
    ALONE,
    HANGUL,
    JAPANESE,
    LATIN,
    SCRIPTS,
    SIMPLIFIED,
    TRADITIONAL,
)


@dataclass(frozen=True, slots=True)
class Guess:
    """A code page and how sure it is."""

    name: str
    confidence: float


# Languages that are written in the code page, and how strange it is to meet it: 0 is everyday.
# The strangeness is in points for one character, see `_points`.
_SINGLE_BYTE: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("cp1252", ("western", "german", "french", "spanish", "portuguese", "italian", "nordic"), 0.0),
    ("cp1250", ("polish", "czech", "hungarian", "romanian", "croatian"), 0.08),
    ("iso-8859-2", ("polish", "czech", "hungarian", "romanian", "croatian"), 0.12),
    ("cp1251", ("cyrillic",), 0.05),
    ("koi8-r", ("cyrillic",), 0.12),
    ("koi8-u", ("cyrillic",), 0.14),
    ("iso-8859-5", ("cyrillic",), 0.14),
    ("cp866", ("cyrillic",), 0.12),
    ("mac-cyrillic", ("cyrillic",), 0.2),
    ("cp1253", ("greek",), 0.05),
    ("iso-8859-7", ("greek",), 0.07),
    ("cp1254", ("turkish",), 0.1),
    ("cp1255", ("hebrew",), 0.08),
    ("cp1256", ("arabic",), 0.1),
    ("iso-8859-6", ("arabic",), 0.14),
    ("cp1257", ("lithuanian", "latvian", "estonian"), 0.1),
    ("cp874", ("thai",), 0.1),
    ("cp850", ("western", "german", "french", "spanish", "portuguese", "italian", "nordic"), 0.2),
    ("cp437", ("german", "french", "spanish", "italian"), 0.3),
    ("cp852", ("polish", "czech", "hungarian", "croatian"), 0.25),
    ("mac-roman", ("western", "german", "french", "spanish", "portuguese", "italian"), 0.2),
    ("iso-8859-15", ("french",), 0.18),
    ("cp1252", ("icelandic",), 0.15),
)
_MULTI_BYTE: tuple[tuple[str, float], ...] = (
    ("gb18030", 0.0),
    ("big5", 0.02),
    ("cp932", 0.0),
    ("euc-jp", 0.02),
    ("cp949", 0.0),
)
# With few foreign characters a strange code page may fit by accident: it must pay this, divided by
# their number.
_STRANGE_PRICE = 6.0
# The statistical detector's word, in points for one character.
_DETECTOR_POINTS = 0.06
# Below this lead the detector is asked.
_CLEAR_LEAD = 0.25

_AFTER_DIGIT = frozenset("°€£¥%²³½¼¾ªº\u00a0")
_PUNCTUATION = frozenset("’‘“”„–—…«»•·\u00a0©®™§¿¡´°€£№º")


def guess_codepage(sample: bytes) -> list[Guess]:
    """Return code pages for lines with non-ASCII bytes, the most plausible first."""
    points = _score_all(sample)
    ranked = sorted(points, key=lambda name: -points[name])
    if points[ranked[0]] - points[ranked[1]] < _CLEAR_LEAD:
        _ask_detector(sample, points)
        ranked = sorted(points, key=lambda name: -points[name])
    foreign = sum(byte >= 0x80 for byte in sample)
    best = points[ranked[0]]
    lead = best - points[ranked[1]]
    sure = min(0.95, max(0.2, 0.4 + 0.3 * best + min(lead, 0.5)) * (foreign + 1) / (foreign + 3))
    return [Guess(name, round(sure / (1 + place), 3)) for place, name in enumerate(ranked)]


def _score_all(sample: bytes) -> dict[str, float]:
    """Return the points of every code page, per non-ASCII byte, in the order of the tables."""
    foreign = max(sum(byte >= 0x80 for byte in sample), 1)
    points: dict[str, float] = {}
    for name, languages, strangeness in _SINGLE_BYTE:
        text = sample.decode(name, errors="replace")
        price = strangeness * (1 + _STRANGE_PRICE / foreign)
        best = max(_score_text(text, language) for language in languages) - price
        points[name] = max(best, points.get(name, best))
    for name, strangeness in _MULTI_BYTE:
        text = sample.decode(name, errors="replace")
        price = (0.05 + strangeness) * (1 + _STRANGE_PRICE / foreign)
        points[name] = _score_east_asian(text, name) - price
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


# --- alphabets --------------------------------------------------------------------------------


def _score_text(text: str, language: str) -> float:
    """Return 0..1 for how well the non-ASCII characters suit a language; below 0 for nonsense."""
    total = count = 0
    for match in _FOREIGN.finditer(text):
        place = match.start()
        before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
        total += _points(before, match[0], after, language)
        count += 100
    return total / count if count else 0.0


_FOREIGN = re.compile(r"[^\x00-\x7f]")


@cache
def _points(before: str, char: str, after: str, language: str) -> int:
    """Return -500..100 for one non-ASCII character between its neighbours."""
    if char == "\ufffd" or "\x80" <= char <= "\x9f" or "\ue000" <= char <= "\uf8ff":
        return -500
    if not char.isalpha() and not _is_mark(char):
        return _symbol_points(before, char, after)
    points = _letter_points(char, language)
    if char.isupper() and before.isalpha() and before.islower():
        points -= 120
    if _mixes_scripts(before, char) or _mixes_scripts(char, after):
        points -= 80
    if language in LATIN:
        return points + _latin_place_points(before, char, after)
    alone = not _is_foreign_letter(before) and not _is_foreign_letter(after)
    if not alone or char in ALONE:
        return points
    # Initials stand alone in Cyrillic and Greek; the other scripts have no letters that do.
    return points - (60 if language in ("cyrillic", "greek") else 120)


def _latin_place_points(before: str, char: str, after: str) -> int:
    """Return the points, none or negative, for where a letter stands in its word."""
    points = 0
    if _is_foreign_letter(before):
        # Letters beyond ASCII seldom follow each other in languages with Latin letters.
        points -= 70
    if char in "ìòù" and after.isalpha():
        points -= 60
    if char == "ç" and after.isalpha() and after not in "aouãõáéóâıiüeö":
        points -= 60
    return points - 60 if char == "Ý" else points


def _is_foreign_letter(char: str) -> bool:
    """Return whether there is a character and it is a letter or vowel sign beyond ASCII."""
    return char >= "\x80" and (char.isalpha() or _is_mark(char))


def _is_mark(char: str) -> bool:
    """Return whether the character is a vowel sign that belongs to its letter."""
    return (
        "\u0e30" <= char <= "\u0e4e" or "\u0591" <= char <= "\u05c7" or "\u064b" <= char <= "\u0652"
    )


def _symbol_points(before: str, char: str, after: str) -> int:
    """Return the points of a character that is no letter."""
    inside_word = before.isalpha() and after.isalpha()
    if char == "’":
        return 90 if before.isalpha() else 20
    if char in _AFTER_DIGIT and before.isdigit():
        return 80
    if char in "®©™¶¬±÷×¤" and after.isalpha():
        return -60
    if inside_word:
        return 0 if char in "·–—\u00ad" else -130
    if char in _PUNCTUATION:
        return 45 if not (before.isalpha() and char in "„“«¿¡") else -20
    return -60


@cache
def _alphabet(language: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the frequent and the other letters of a language that is written in Latin letters."""
    frequent, others = LATIN[language]
    return _both_cases(frequent), _both_cases(others)


def _both_cases(letters: str) -> frozenset[str]:
    """Return the letters and their capitals."""
    return frozenset(letters + letters.replace("ß", "").upper())


def _letter_points(char: str, language: str) -> int:
    """Return the points of a letter in a language."""
    if language in LATIN:
        frequent, others = _alphabet(language)
        discount = 12 if language == "western" else 0
        if char in frequent:
            return 100 - discount
        if char in others:
            return 76 - discount
        return -40 if char < "\u0250" else -150
    common, usual = SCRIPTS[language]
    if char in common:
        return 100
    return 65 if char in usual else -60


def _mixes_scripts(left: str, right: str) -> bool:
    """Return whether two neighbouring letters come from different scripts."""
    if not (left.isalpha() and right.isalpha()):
        return False
    return (left < "\u0250") != (right < "\u0250")


# --- East Asia --------------------------------------------------------------------------------


def _score_east_asian(text: str, name: str) -> float:
    """Return 0..1 for how common the characters are that the code page would spell."""
    points = count = 0.0
    for match in _FOREIGN_RUN.finditer(text):
        run = match[0]
        points += sum(_east_asian_points(char, name) for char in run)
        points -= _GLUED_PRICE * (_ends_word(text, match.start()) + _starts_word(text, match.end()))
        if "\uff61" <= run <= "\uff9f" and len(run) == 1:
            # Half-width syllables come in words; a single one is an accented letter misread.
            points -= _GLUED_PRICE
        count += len(run)
    return points / count if count else 0.0


_FOREIGN_RUN = re.compile(r"[^\x00-\x7f]+")
# Where a letter of another code page is taken for one half of a character, words go on around it.
_GLUED_PRICE = 0.7


def _ends_word(text: str, place: int) -> bool:
    """Return whether a small ASCII letter stands right before the place."""
    return place > 0 and "a" <= text[place - 1] <= "z"


def _starts_word(text: str, place: int) -> bool:
    """Return whether a small ASCII letter stands at the place."""
    return place < len(text) and "a" <= text[place] <= "z"


@cache
def _east_asian_points(char: str, name: str) -> float:
    """Return -5..1.2 for one character."""
    if char == "\ufffd" or "\ue000" <= char <= "\uf8ff" or "\x80" <= char <= "\x9f":
        return -5.0
    if "\uac00" <= char <= "\ud7a3":
        return _hangul_points(char, name)
    if "\u3040" <= char <= "\u30ff":
        return 1.05 if name in ("cp932", "euc-jp") else -0.3
    if "\uff61" <= char <= "\uff9f":
        return 0.4
    if "\u4e00" <= char <= "\u9fff":
        return _ideograph_points(char, name)
    return 0.3 if "\u3000" <= char <= "\u303f" or "\uff01" <= char <= "\uff5e" else -0.3


def _hangul_points(char: str, name: str) -> float:
    """Return the points of a Korean syllable."""
    if name != "cp949" or not _is_common(char, "euc-kr", 0xB0, 0xC8):
        return -0.5
    return 1.2 if char in HANGUL else 0.65


def _ideograph_points(char: str, name: str) -> float:
    """Return the points of a Chinese character: the first level of each standard is common."""
    if name == "cp949":
        return -0.4
    standard, first, last, frequent = _LEVELS[name]
    if char in frequent:
        return 1.2
    return 0.7 if _is_common(char, standard, first, last) else -0.4


_LEVELS = {
    "gb18030": ("gb2312", 0xB0, 0xD7, SIMPLIFIED),
    "big5": ("big5", 0xA4, 0xC6, TRADITIONAL),
    "cp932": ("euc-jp", 0xB0, 0xCF, JAPANESE),
    "euc-jp": ("euc-jp", 0xB0, 0xCF, JAPANESE),
}


def _is_common(char: str, standard: str, first: int, last: int) -> bool:
    """Return whether the character stands in the rows of a standard that hold common ones."""
    try:
        return first <= char.encode(standard)[0] <= last
    except UnicodeEncodeError:
        return False
