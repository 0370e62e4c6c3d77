"""Tell how common the Chinese, Japanese or Korean characters are that a code page would spell."""

import re
from functools import cache

from dropload.detection.alphabets import HANGUL, JAPANESE, SIMPLIFIED, TRADITIONAL


def score_east_asian(text: str, name: str) -> float:
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
    return (points - _price_alone(text, name)) / count if count else 0.0


_FOREIGN_RUN = re.compile(r"[^\x00-\x7f]+")
# Where a letter of another code page is taken for one half of a character, words go on around it.
_GLUED_PRICE = 0.7
# A character alone whose second byte would be a plain letter may be a symbol before that letter.
_SWALLOWED_PRICE = 1.5


def _price_alone(text: str, name: str) -> float:
    """Return what a single character costs, however often it comes, with a plain letter in it."""
    runs = _FOREIGN_RUN.findall(text)
    if len(set(runs)) != 1 or not _swallows_letter(runs[0], name):
        return 0.0
    return _SWALLOWED_PRICE * len(runs)


def _ends_word(text: str, place: int) -> bool:
    """Return whether a small ASCII letter stands right before the place."""
    return place > 0 and "a" <= text[place - 1] <= "z"


def _starts_word(text: str, place: int) -> bool:
    """Return whether a small ASCII letter stands at the place."""
    return place < len(text) and "a" <= text[place] <= "z"


@cache
def _swallows_letter(run: str, name: str) -> bool:
    """Return whether it is one character whose second byte would be a plain letter by itself."""
    return len(run) == 1 and run.encode(name, errors="replace")[-1:].isalnum()


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
