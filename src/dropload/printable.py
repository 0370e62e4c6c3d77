"""Text that names and cells bring, as a terminal may show it."""

import re

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, which steer terminals; marks that turn the direction of text around; and
bytes that are no text."""
_FIRST_BYTE, _LAST_BYTE = "\udc80", "\udcff"
_BYTES_FROM = 0xDC00


def printable(text: str) -> str:
    r"""Return text in which what is not shown, or would steer a terminal, stands as `\x1b`.

    Bytes of a name that are no UTF-8 stand as `\xff`; what a byte cannot say, as `\u202e`.
    """
    return _UNPRINTABLE.sub(_written, text)


def _written(found: "re.Match[str]") -> str:
    number = ord(found[0])
    if _FIRST_BYTE <= found[0] <= _LAST_BYTE:
        number -= _BYTES_FROM
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"
