"""Recognise the encodings that hide in ASCII: escape sequences switch between alphabets."""

import re
from typing import BinaryIO

# Python's codecs, the usual one first: each further one knows more alphabets.
_JAPANESE = ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2", "iso2022_jp_2004")
_KOREAN = ("iso2022_kr",)
_SWITCH = re.compile(rb"\x1b\$(?:[@AB]|\([CDOPQ]|(\)C))|\x1b\([IJ]")
_LOOKED_AT_BYTES = 64 * 1024


def find_switched(stream: BinaryIO, escape_offset: int) -> tuple[str, ...]:
    """Return the encodings that the escape sequences behind the offset may belong to, or none.

    Colours of a terminal have escapes, too, and stay what they are.
    """
    if escape_offset < 0:
        return ()
    stream.seek(escape_offset)
    found = _SWITCH.search(stream.read(_LOOKED_AT_BYTES))
    if found is None:
        return ()
    return _KOREAN if found[1] else _JAPANESE
