"""Recognise text that is a document of another kind: web page, XML, letter, pointer."""

import re

_PAGE_HINT = "A download link often answers with a page: fetch the CSV itself."
_SAVE_HINT = "Save it as CSV and drop it again."
_PAGE = ("a web page", _PAGE_HINT)

_CERTAIN_PAGE = re.compile(r"<(?:!doctype\s+html|html[\s>]|head[\s>]|!--)", re.IGNORECASE)
_PAGE_LINE = re.compile(r"\s*<(?:!doctype\s+html|html[\s>]|body[\s>])", re.IGNORECASE)
_ERROR_ANSWER = re.compile(r"<\?xml[^>]*>\s*<error[\s>]", re.IGNORECASE)
_EXCEL_XML = re.compile(r'progid="Excel\.Sheet"|urn:schemas-microsoft-com:office:spreadsheet')
_TAG = re.compile(r"<([a-z][\w:.-]*)(?:\s[^<>]*)?>", re.IGNORECASE)
# With these a web page may begin that lacks the usual beginning. Not among them are those that
# name columns now and then: <a>, <b>, <i>, <code>, <name>.
_PAGE_TAG = re.compile(
    r"html|head|body|meta|title|link|base|(?:no)?script|style|div|span|table|form|iframe|center"
    r"|main|section|header|nav|article|h[1-3]|p|pre|br|hr|ul|ol|img|font",
    re.IGNORECASE,
)
_DELIMITER_BEHIND_TAG = re.compile(r'>"?[^\S\t]*[,;|\t]')
# A page that follows a line or two of another kind, as "Error 404".
_LINES_BEFORE_PAGE = 4
# A document that ends within the sample shows its end.
_CUT_LINES = 100

_LFS = re.compile(r"version https://git-lfs\.github\.com/spec/v\d+\r?\n(?:.*\n)*?oid sha256:")
_LFS_HINT = "It only points to the file: fetch that with `git lfs pull` and drop it."
_MAIL_LINE = re.compile(r"([A-Za-z][A-Za-z0-9-]*):(?:\s|$)|[ \t]+\S")
_MAIL_HINT = "Save the attachment, or the table in it, as CSV and drop that."
# An e-mail's header has its sender, and at least two of these.
_MAIL_NAMES = frozenset(
    ("to", "subject", "date", "received", "message-id", "mime-version", "return-path")
)
_FEWEST_MAIL_NAMES = 2


def name_document(text: str) -> tuple[str, str] | None:
    """Return what the text is and what to do about it, where it certainly is no table."""
    body = text.lstrip()
    if body[:5].lower() == "<?xml":
        return _name_xml(body)
    if _CERTAIN_PAGE.match(body):
        return _PAGE
    if _LFS.match(body):
        return "a Git LFS pointer", _LFS_HINT
    if _is_mail(body):
        return "an e-mail", _MAIL_HINT
    return _name_marked(body) or (_PAGE if _holds_page_below(body) else None)


def _name_xml(body: str) -> tuple[str, str]:
    """Return name and hint for a document that begins with an XML declaration."""
    if _EXCEL_XML.search(body):
        return "an Excel workbook saved as XML", _SAVE_HINT
    if _ERROR_ANSWER.match(body):
        return "an error answer in XML", _PAGE_HINT
    if re.search(r"<(?:!doctype\s+)?html[\s>]", body, re.IGNORECASE):
        return _PAGE
    return "an XML document", "Convert it to CSV and drop it again."


def _name_marked(body: str) -> tuple[str, str] | None:
    """Return name and hint for text in tags; a table whose cells are tags has delimiters."""
    tag = _TAG.match(body)
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    if tag is None or _DELIMITER_BEHIND_TAG.search(lines[0]):
        return None
    marked = sum("<" in line for line in lines)
    if _PAGE_TAG.fullmatch(tag[1]) and (lines[-1][-1] == ">" or 2 * marked >= len(lines)):
        return _PAGE
    if lines[-1].endswith(f"</{tag[1]}>") or _is_cut_xml(lines, tag[1]):
        return "an XML document", "Convert it to CSV and drop it again."
    return None


def _is_cut_xml(lines: list[str], root: str) -> bool:
    """Return whether the lines may be the beginning of a long document in XML."""
    if len(lines) < _CUT_LINES or f"</{root}>" in "".join(lines):
        return False
    return all(line[0] == "<" for line in lines) and any("</" in line for line in lines)


def _holds_page_below(body: str) -> bool:
    """Return whether a whole web page follows a few words; a column of pages holds several."""
    lines = body.splitlines()[: _LINES_BEFORE_PAGE + 1]
    start = next((place for place, line in enumerate(lines) if _PAGE_LINE.match(line)), 0)
    if not start or re.search("[,;|\t]", "".join(lines[:start])):
        return False
    pages = len(re.findall(r"<html[\s>]", body, re.IGNORECASE))
    return pages <= 1 and body.rstrip().endswith(">")


def _is_mail(body: str) -> bool:
    """Return whether the text begins with the header of an e-mail and a blank line."""
    header = re.split(r"\r?\n\r?\n", body, maxsplit=1)[0].splitlines()
    found = [_MAIL_LINE.match(line) for line in header]
    names = {match[1].lower() for match in found if match and match[1]}
    return all(found) and "from" in names and len(names & _MAIL_NAMES) >= _FEWEST_MAIL_NAMES
