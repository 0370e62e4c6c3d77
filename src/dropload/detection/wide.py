"""Recognise UTF-16 and UTF-32 that no byte-order mark announces."""

import re

_LOOKED_AT_BYTES = 8192
# One zero byte may be an accident of any file.
_FEWEST_ZEROS = 2
# What people write: Latin, Greek, Cyrillic, Hebrew, Arabic, Hindi, Thai, punctuation, Chinese,
# Japanese, Korean, full width, pictures. ASCII read in pairs of bytes falls between these blocks
# wherever a pair begins with a line end, a delimiter or a digit.
_ORDINARY = re.compile(
    "[\t\n\r\x1a -\x7e\xa0-\u04ff\u0590-\u06ff\u0900-\u097f\u0e00-\u0e7f\u1e00-\u206f\u20a0-\u20bf"
    "\u2100-\u214f\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\ufeff\uff00-\uffef\U0001f000-\U0001faff]"
)
_ORDINARY_SHARE = 0.97
_ASCII_SHARE = 0.03


def find_wide(head: bytes) -> str:
    """Return the UTF-16 or UTF-32 variant that the beginning of a file is written in, or nothing.

    Zero bytes make it likely, and the characters that it would spell make it sure.
    """
    data = head[: min(len(head), _LOOKED_AT_BYTES) // 4 * 4] or head[:2]
    if data.count(0) < _FEWEST_ZEROS:
        return ""
    names = (_find_wide32(data), "utf-16-le", "utf-16-be")
    readings = {name: _measure_ordinary(data, name) for name in names if name}
    best = max(readings, key=lambda name: readings[name])
    return best if readings[best] else ""


def _find_wide32(data: bytes) -> str:
    """Return the variant of UTF-32 that the places of zero bytes allow, or nothing."""
    zeros = [data[place::4].count(0) / max(len(data[place::4]), 1) for place in range(4)]
    if min(zeros[2:]) > 0.95:
        return "utf-32-le"
    return "utf-32-be" if min(zeros[:2]) > 0.95 else ""


def _measure_ordinary(data: bytes, name: str) -> float:
    """Return the share of ASCII in the text that the bytes would be; 0 for what is no text."""
    text = data.decode(name, errors="replace").removesuffix("\ufffd")
    ordinary = len(_ORDINARY.findall(text))
    plain = sum(map(str.isascii, text))
    if "\x00" in text or ordinary < _ORDINARY_SHARE * len(text):
        return 0.0
    share = plain / max(len(text), 1)
    return share if share >= _ASCII_SHARE else 0.0
