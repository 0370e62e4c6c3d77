"""Recognise what is no delimited text at all, and say what it is."""

import json
import re
import zipfile
from typing import BinaryIO

from dropload.detection.markup import name_document
from dropload.errors import FileError

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF document", "Export the table as CSV and drop it again."),
    (b"%!PS-", "a PostScript document", "Export the table as CSV and drop it again."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office document", "Save it as CSV."),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", "Drop the table itself, as CSV."),
    (b"\xff\xd8\xff", "a JPEG image", "Drop the table itself, as CSV."),
    (b"GIF87a", "a GIF image", "Drop the table itself, as CSV."),
    (b"GIF89a", "a GIF image", "Drop the table itself, as CSV."),
    (b"\x1f\x8b", "a gzip archive", "Name it .csv.gz, or unpack it and drop the CSV inside."),
    (b"BZh", "a bzip2 archive", "Unpack it and drop the CSV inside."),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it and drop the CSV inside."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "Unpack it and drop the CSV inside."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it and drop the CSV inside."),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it and drop the CSV inside."),
    (b"PAR1", "a Parquet file", "Export it as CSV and drop it again."),
    (b"ARROW1", "an Arrow file", "Export it as CSV and drop it again."),
    (b"Obj\x01", "an Avro file", "Export it as CSV and drop it again."),
    (b"SQLite format 3\x00", "an SQLite database", "Export the table as CSV."),
    (b"{\\rtf", "a rich text document", "Save it as plain CSV and drop it again."),
    (b"\x7fELF", "a program", "Drop the table itself, as CSV."),
)

# Signatures that a column may be named by: what stands behind them in the format itself.
_BEHIND: dict[bytes, re.Pattern[bytes]] = {
    signature: re.compile(pattern, re.DOTALL)
    for signature, pattern in (
        (b"%PDF-", rb"\d\.\d\s"),
        (b"%!PS-", rb"Adobe"),
        (b"GIF87a", rb".{0,8}\x00"),
        (b"GIF89a", rb".{0,8}\x00"),
        (b"BZh", rb"[1-9](?:1AY&SY|\x17rE8P\x90)"),
        (b"PAR1", rb".{0,8}[\x00\x15]"),
        (b"ARROW1", rb"\x00"),
        (b"{\\rtf", rb"\d?\s?[\\{]"),
    )
}
_JSON_START = re.compile(r'\s*(?:\{\s*(?:"[^"\n]*"\s*:|\})|\[\s*(?:\{|\[|\]))')

_OFFICE_PARTS = (
    ("xl/", "an Excel workbook", "Save it as CSV and drop it again."),
    ("word/", "a Word document", "Export the table as CSV and drop it again."),
    ("ppt/", "a PowerPoint presentation", "Export the table as CSV and drop it again."),
    ("content.xml", "an OpenDocument file", "Save it as CSV and drop it again."),
)

# Characters that text never holds. Not among them: tab, line ends, form feed, Ctrl-Z, escape, and
# the four separators and Ctrl-A that some exports use between cells.
_UNTEXTUAL = bytes([*range(9), *range(14, 26), 0x7F]).replace(b"\x01", b"")
# One strange character in fifty; fewer than four may be an accident in a small file.
_BINARY_SHARE = 0.02
_BINARY_COUNT = 4


def refuse_foreign_bytes(head: bytes, stream: BinaryIO) -> None:
    """Raise FileError when the first bytes are those of a format that holds no delimited text."""
    # Some programs write a line end before their own signature.
    begin = head.lstrip(b"\r\n\t ")
    for signature, name, hint in _SIGNATURES:
        if begin.startswith(signature) and _continues(begin, signature):
            raise _not_delimited(name, hint)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        raise _not_delimited(*_name_zip(stream))


def _continues(begin: bytes, signature: bytes) -> bool:
    """Return whether the format goes on behind its signature; a column may be named like one."""
    behind = _BEHIND.get(signature)
    return behind is None or behind.match(begin, len(signature)) is not None


def refuse_binary(head: bytes) -> None:
    """Raise FileError when the first bytes hold more control characters than text does."""
    odd = len(head) - len(head.translate(None, _UNTEXTUAL))
    if odd >= _BINARY_COUNT and odd > _BINARY_SHARE * len(head):
        raise FileError(
            "This file holds binary data, not text.",
            hint="Export the table as CSV and drop it again.",
            code="binary",
        )


def refuse_documents(text: str) -> None:
    """Raise FileError when the text is a web page, XML, JSON or another document."""
    if document := name_document(text):
        raise _not_delimited(*document)
    if _is_json(text):
        raise _not_delimited("JSON", "Convert it to CSV and drop it again.")


def _not_delimited(name: str, hint: str) -> FileError:
    """Return the error that names what the file is."""
    return FileError(f"This is {name}, not delimited text.", hint=hint, code="not_delimited")


def _name_zip(stream: BinaryIO) -> tuple[str, str]:
    """Return name and hint for what the archive holds."""
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return "a damaged ZIP archive", "Pack it again, or drop the CSV itself."
    for part, name, hint in _OFFICE_PARTS:
        if any(member.startswith(part) for member in names):
            return name, hint
    return "a ZIP archive", "Unpack it and drop the CSV inside."


def _is_json(text: str) -> bool:
    """Return whether the text begins with a JSON object or a list of them."""
    if not _JSON_START.match(text):
        return False
    stripped = text.lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(stripped)
    except (json.JSONDecodeError, RecursionError):
        # The sample may end within a long document; a first cell of JSON would be quoted.
        return _is_cut_json(stripped)
    return stripped[end : end + 1] in ("", "\r", "\n", " ")


def _is_cut_json(text: str) -> bool:
    """Return whether the text looks like the beginning of a document of many lines."""
    return re.match(r'[\[{]\s*\n\s*(?:"[^"\n]*"\s*:|[\[{])', text) is not None
