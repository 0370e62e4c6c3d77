"""Find the lines of a TOML file: which one sets a key, and what is wrong with one."""

import re

_NAME = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_SECTION = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
_PLACE = re.compile(r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_ADVICE = {
    "Cannot overwrite": "The key stands twice: leave one of them out.",
    "Cannot declare": "The section stands twice: put its keys below one of them.",
}
_OTHER_ADVICE = (
    'Text stands in quotes (dropoff = "/srv/dropoff"), lists in brackets (["a", "b"]); true and '
    "false are in small letters."
)


def find_lines(text: str) -> dict[str, int]:
    """Return the line, from 1, of each section and dotted key; the first where one comes twice."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        if found := _SECTION.match(line):
            section = _plain(found[1])
            lines.setdefault(section, number)
        elif found := _KEY.match(line):
            key = _plain(found[1])
            lines.setdefault(f"{section}.{key}" if section else key, number)
    return lines


def _plain(dotted: str) -> str:
    return ".".join(name.strip("\"'") for name in re.findall(_NAME, dotted))


def explain_syntax(text: str, said: str) -> tuple[str, str]:
    """Return where and what is wrong by what the parser says, and what would be right.

    Of the line only the key is quoted: what follows may be a password.
    """
    found = _PLACE.match(said)
    what = found["what"] if found else said
    advice = next((a for start, a in _ADVICE.items() if what.startswith(start)), _OTHER_ADVICE)
    lines = text.splitlines() or [""]
    number = int(found["line"]) if found and found["line"] else len(lines)
    line = lines[min(number, len(lines)) - 1]
    key = _KEY.match(line)
    after = f", after `{key[1]} =`" if key else ""
    return f"line {number} is no valid TOML: {what}{after}", advice


def explain_bytes(content: bytes, wrong_at: int) -> str:
    """Return why bytes are no text that can be read."""
    if content.startswith(_UTF_16):
        return "it is UTF-16, not UTF-8"
    number = content.count(b"\n", 0, wrong_at) + 1
    return f"line {number} is not UTF-8 (byte 0x{content[wrong_at]:02x})"
