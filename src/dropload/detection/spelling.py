"""Tell how well text suits a language written in letters, by its characters beyond ASCII."""

import re
import unicodedata
from collections import Counter
from functools import cache
from math import log

from dropload.detection.alphabets import ALONE, LATIN, SCRIPTS, VOWELS

Neighbours = Counter[tuple[str, str, str]]
"""How often each non-ASCII character stands between which two others."""

_FOREIGN = re.compile(r"[^\x00-\x7f]")


def count_neighbours(text: str) -> Neighbours:
    """Return the non-ASCII characters of the text, each with the ones before and behind it."""
    return Counter(
        (text[max(place - 1, 0) : place], text[place], text[place + 1 : place + 2])
        for place in (match.start() for match in _FOREIGN.finditer(text))
    )


def score_spelling(neighbours: Neighbours, language: str) -> float:
    """Return about 0..1 for how well the characters suit a language; below 0 for nonsense."""
    total = sum(_points(*key, language) * count for key, count in neighbours.items())
    total += sum(_pair_points(neighbours, *pair) for pair in _PAIRS)
    score = total / (100 * (neighbours.total() or 1))
    if score > 0 and language in SCRIPTS and not _holds_script(neighbours, language):
        # Quotation marks alone speak for no script.
        return 0.0
    return score


def _holds_script(neighbours: Neighbours, language: str) -> bool:
    """Return whether two letters of the script follow each other: one alone spells nothing."""
    ranks = _ranks(language)
    return any(
        char.lower() in ranks and (before.lower() in ranks or after.lower() in ranks)
        for before, char, after in neighbours
    )


@cache
def _points(before: str, char: str, after: str, language: str) -> int:
    """Return -500..130 for one non-ASCII character between its neighbours."""
    if char == "\ufffd" or "\x80" <= char <= "\x9f" or "\ue000" <= char <= "\uf8ff":
        return -500
    if char in _SYMBOL_LETTERS or not (char.isalpha() or _is_mark(char)):
        return _symbol_points(before, char, after)
    points = 0
    if (char.isupper() and before.islower()) or (char.islower() and after.isupper()):
        points -= 170
    if _mixes_scripts(before, char) or _mixes_scripts(char, after):
        points -= 80
    if language in LATIN:
        return points + _latin_points(before, char, after, language)
    return points + _script_points(before, char, after, language)


def _is_mark(char: str) -> bool:
    """Return whether the character is a vowel sign that belongs to its letter."""
    return (
        "\u0e30" <= char <= "\u0e4e" or "\u0591" <= char <= "\u05c7" or "\u064b" <= char <= "\u0652"
    )


def _is_letter(char: str) -> bool:
    """Return whether there is a character and it is a letter or vowel sign."""
    return char.isalpha() or (char != "" and _is_mark(char))


def _is_foreign_letter(char: str) -> bool:
    """Return whether there is a character and it is a letter or vowel sign beyond ASCII."""
    return char >= "\x80" and _is_letter(char)


def _mixes_scripts(left: str, right: str) -> bool:
    """Return whether two neighbouring letters come from different scripts."""
    if not (left.isalpha() and right.isalpha()):
        return False
    return (left < "\u0250") != (right < "\u0250")


# --- symbols ----------------------------------------------------------------------------------

_OPENING = frozenset("„«¿¡‹")
_FREE = frozenset("’‘“”„–—…«»‹›•·\u00a0©®™§¿¡´°€£№ºª‰†‡")
# Between a letter and the end of a word or cell these stand for a letter of another code page.
_NOT_BEHIND_LETTERS = frozenset("„“«¿¡£—°\u00a0†‡")
# Where symbols stand as in "10 ± 1", "€1.50", "5 m²": before, itself, behind; a blank is an end.
_AT_HOME = tuple(
    (frozenset(symbols), re.compile(pattern))
    for symbols, pattern in (
        ("€£¥¢", r"[\d\W].[\d\W]"),
        ("±×÷", r"[\d\W].[\d\W]"),
        ("½¼¾", r"[\d\W].\W"),
        ("§©", r"\W.[\d\W]"),
        ("®™", r"[^\W\d].\W"),
        ("°", r"[\d\W].[CFNSWEO\W]"),
        # Units have raised digits, "m²" and "ft³"; in "Pawe³" a letter is misread.
        ("²³", r"[\dmtRx].\W"),
        ("ºª", r"[\dnN].\W"),
        ("µ", r"[\d\W].[a-zA-Z\W]"),
        ("«‹", r"\W.\w"),
        ("»›", r"\w.\W"),
        ("‰\u00a0", r"\d.."),
    )
)
_SYMBOL_LETTERS = frozenset("µºª")
"""Symbols that Unicode counts among the letters."""


# What opens words and what closes them, where both are symbols; alone the latter is misplaced.
_PAIRS = (("„", "“"), ("‚", "‘"))
# Together they stand where people write them, see `_symbol_points`.
_PAIR_POINTS = 160


def _pair_points(neighbours: Neighbours, opening: str, closing: str) -> int:
    """Return what marks of quotation gain by standing around words, as in „Haus“."""
    opened = [key for key in neighbours if _opens_word(*key, opening)]
    closed = [key for key in neighbours if _closes_word(*key, closing)]
    pairs = min(sum(neighbours[key] for key in keys) for keys in (opened, closed))
    alone = sum(_symbol_points(*keys[0]) for keys in (opened, closed) if keys)
    return pairs * (_PAIR_POINTS - alone)


def _opens_word(before: str, char: str, after: str, mark: str) -> bool:
    """Return whether the mark stands right before a word."""
    return char == mark and after.isalnum() and not before.isalnum()


def _closes_word(before: str, char: str, after: str, mark: str) -> bool:
    """Return whether the mark stands right behind a word or its last sign."""
    return char == mark and not (before.isspace() or before == "" or after.isalnum())


def _is_at_home(before: str, char: str, after: str) -> bool:
    """Return whether a symbol stands where people write it."""
    place = f"{before or ' '}{char}{after or ' '}"
    return any(char in symbols and pattern.match(place) for symbols, pattern in _AT_HOME)


def _symbol_points(before: str, char: str, after: str) -> int:
    """Return the points of a character that is no letter."""
    if char == "’":
        return 90 if before.isalpha() else 20
    if _is_at_home(before, char, after):
        return 80
    if char in "®©™¶¬±÷×¤…£" and after.isalpha():
        return -60
    if before.isalpha() and after.isalpha():
        return 0 if char in "·–—\u00ad\u00a0" else -130
    points = _free_points(before, char, after)
    # Among digits and blanks nothing is misspelled, however rare the symbol; but nobody writes the
    # sign that later became the euro.
    alone = char != "¤" and _is_plain(before) and _is_plain(after)
    return max(points, 0) if alone else points


def _is_plain(char: str) -> bool:
    """Return whether there is no character, or one of ASCII that is no letter."""
    return char < "\x80" and not char.isalpha()


def _free_points(before: str, char: str, after: str) -> int:
    """Return the points of a symbol that may stand nearly everywhere."""
    if char not in _FREE:
        return -60
    opens_nothing = char in _OPENING and not after.isalnum()
    return -20 if opens_nothing or (before.isalpha() and char in _NOT_BEHIND_LETTERS) else 45


# --- Latin letters ----------------------------------------------------------------------------


def _latin_points(before: str, char: str, after: str, language: str) -> int:
    """Return the points of a letter in a language that is written in Latin letters."""
    points = _alphabet_points(char, language) + _sound_points(before, char, after)
    if _is_foreign_letter(before):
        # Letters beyond ASCII seldom follow each other in languages with Latin letters.
        points -= 70
    for letters, unless, misplaced, price in _MISPLACED:
        if (
            char in letters
            and language != unless
            and misplaced.match(f"{before or ' '}{char}{after}")
        ):
            points -= price
    return points


# Where letters do not stand, but in one language: before, itself, behind.
_MISPLACED = tuple(
    (frozenset(letters), unless, re.compile(pattern), price)
    for letters, unless, pattern, price in (
        ("ìòù", "", r"..[^\W\d]", 60),
        ("ç", "", r"..[^\W\daouãõáéóâıiüe]", 60),
        ("ã", "", r"..[^\W\doesn]", 60),
        ("õ", "estonian", r"..(?!e)", 80),
        ("þ", "", r"[^\W\d]", 60),
        ("ð", "", r"[\W\d]", 80),
        ("Ý", "", r"", 60),
        # Before vowels Polish writes "si", "ni", "zi".
        ("śńź", "", r"..[aeiouyąęó]", 80),
        ("ąęĄĘ", "lithuanian", r"\W.[^\W\d]", 80),
    )
)


@cache
def _alphabet(language: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the frequent and the other letters of a language that is written in Latin letters."""
    frequent, others = LATIN[language]
    return _both_cases(frequent), _both_cases(others)


def _both_cases(letters: str) -> frozenset[str]:
    """Return the letters and their capitals."""
    return frozenset(letters + letters.replace("ß", "").upper())


def _alphabet_points(char: str, language: str) -> int:
    """Return the points of a letter for belonging to a language or not."""
    frequent, others = _alphabet(language)
    discount = 12 if language == "western" else 0
    if char in frequent:
        return 100 - discount
    if char in others:
        return 76 - discount
    return -40 if char < "\u0250" else -150


# A letter that stands alone is no proof of the language it belongs to.
_ALONE_POINTS = -50


def _sound_points(before: str, char: str, after: str) -> int:
    """Return the points, none or negative, for odd rows of vowels or consonants."""
    if not (before.isalpha() or after.isalpha()):
        if before.isdigit() or after.isdigit():
            # What stands at a number is a symbol.
            return -100
        # Vowels are words by themselves, and capitals initials: that is rare.
        return _ALONE_POINTS if char.isupper() or _is_vowel(char) else -80
    if not (before.isalpha() and after.isalpha()) or char.lower() in "ïëŕĺ":
        return 0
    vowels = sum(map(_is_vowel, (before, char, after)))
    return -60 if vowels in (0, 3) else 0


@cache
def _is_vowel(letter: str) -> bool:
    """Return whether a letter, but for what is above and below it, is a vowel."""
    base = unicodedata.normalize("NFD", letter.lower())[0]
    return base in "aeiouyæœøı" or base in VOWELS


# --- other scripts ----------------------------------------------------------------------------

# A letter of average frequency, weighed by frequency; the points for e times as frequent.
_USUAL_POINTS = 90
_POINTS_PER_E = 16
_RAREST, _MOST = 20, 125


@cache
def _ranks(language: str) -> dict[str, int]:
    """Return the points of each letter: they grow with the logarithm of its frequency."""
    letters = SCRIPTS[language]
    # Frequencies follow from ranks: Gusein-Zade's law, which letters of many languages obey.
    parts = [log((len(letters) + 1) / rank) for rank in range(1, len(letters) + 1)]
    usual = sum(part * log(part) for part in parts) / sum(parts)
    points = (_USUAL_POINTS + _POINTS_PER_E * (log(part) - usual) for part in parts)
    return {
        letter: round(min(max(point, _RAREST), _MOST))
        for letter, point in zip(letters, points, strict=True)
    }


def _script_points(before: str, char: str, after: str, language: str) -> int:
    """Return the points of a letter in a script other than Latin."""
    points = _ranks(language).get(char.lower(), -60)
    points += _place_points(before, char, after, language)
    if language in ("cyrillic", "greek"):
        points += _turn_points(before, char, after)
    if _is_foreign_letter(before) or _is_foreign_letter(after) or char in ALONE:
        return points
    # Initials stand alone in Cyrillic and Greek; the other scripts have no letters that do.
    return points - (60 if language in ("cyrillic", "greek") else 120)


def _turn_points(before: str, char: str, after: str) -> int:
    """Return the points for vowels and consonants that take turns, or do not."""
    if not (before.isalpha() and after.isalpha()) or char in "ьъЬЪ":
        return 0
    itself = _is_vowel(char)
    alike = (_is_vowel(before) == itself) + (_is_vowel(after) == itself)
    return (10, -12, -70)[alike]


def _place_points(before: str, char: str, after: str, language: str) -> int:
    """Return the points, none or negative, for where a letter stands in its word."""
    starts, ends = not _is_letter(before), not _is_letter(after)
    never_first, never_last, only_last = _PLACES[language]
    if starts and char in never_first:
        return -120
    if ends and not starts and char in never_last:
        return -120
    return -120 if not ends and char in only_last else 0


_THAI_SIGNS = "ะัาำิีึืฺุู็่้๊๋์ๆ"
_THAI_LEADING = "เแโใไ"
# Letters that begin no word, that end none, and that stand at its end only.
_PLACES: dict[str, tuple[str, str, str]] = {
    "cyrillic": ("ыьЫЬ", "", ""),
    "greek": ("ς", "σ", "ς"),
    "hebrew": ("ךםןףץ", "כמנצ", "ךםןףץ"),
    "arabic": ("ةىءًٌٍَُِّْ", "", "ةى"),
    "thai": (_THAI_SIGNS, _THAI_LEADING, "ๆ"),
}
