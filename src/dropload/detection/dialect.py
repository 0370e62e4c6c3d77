"""Choose the delimiter, quote and escape characters that explain a sample best."""

import re
from dataclasses import dataclass, replace
from itertools import takewhile

from dropload.detection.cells import TYPED, CellKind, classify_cell, classify_column
from dropload.detection.fit import FIRST_CLASS, Fit, measure_fit, measure_single
from dropload.detection.header import judge_header
from dropload.detection.sample import Sample
from dropload.detection.sequences import find_sequence
from dropload.detection.splitting import Dialect, Splitter
from dropload.quoting import name_delimiter

RARE = "^~\x01\x1f¦:# "
"""Delimiters that are common characters too: they need overwhelming evidence."""
# These hardly occur in text, so an even split in two is evidence enough.
_SELDOM_IN_TEXT = "^~\x01\x1f¦"

# A delimiter stands on most lines; a long preamble or many one-cell rows leave at least this share.
_LEAST_LINES = 0.12
# A first-class delimiter that fits so well leaves nothing to look for.
_GOOD_SCORE = 0.6
_RARE_EVEN = 0.94
_SELDOM_EVEN = 0.8
# Lines that are single values (times, phone numbers) in such a share are not cut any further.
_WHOLE_SHARE = 0.8
_WHOLE_SCORE = 0.86
# For characters of ordinary text: so many lines must agree.
_RARE_ROWS = 3
# Fewer will do where they agree on many cells.
_FEW_ROWS, _WIDE = 2, 6

# A sequence of characters that cuts every line alike is no accident.
_SURE = 0.97
# Unless another delimiter does so with nearly all of them.
_MOSTLY_CUT = 0.9

# Where so many of all cells are enclosed in quotes, what stands between them is the delimiter.
_ALL_QUOTED = 0.9

# A time that stands by itself, or behind a day as servers log it: 10/Oct/2000:13:55:36.
_TIME = re.compile(
    r"(?<![:\d])[0-2]?\d:[0-5]\d(?::[0-5]\d)?(?![:\d])|/\d{4}:[0-2]\d:[0-5]\d:[0-5]\d(?!:)"
)
_MOSTLY_TIMES = 0.8

_SEP_LINE = re.compile(r'"?sep=(\\t|.)([^\w\s"]{0,2})"?[,;|\t]*\s*', re.IGNORECASE)
# Double quotes are so much more usual that single ones must enclose this many times more cells.
_ENCLOSING = 3
# Lines that are joined for looking at quotes; more of them do not change the answer.
_QUOTE_LINES = 600


# Who escapes with a backslash doubles those of a path.
_PATH = re.compile(r"\b[A-Za-z]:\\(?!\\)\w")


@dataclass(frozen=True, slots=True)
class Choice:
    """The dialect that was chosen, its fit and the sentences that explain it."""

    fit: Fit
    confidence: float
    evidence: tuple[str, ...]


def read_sep_line(sample: Sample) -> str:
    """Return the delimiter that a `sep=` line at the top declares, or the empty string."""
    match = _SEP_LINE.fullmatch(sample.head[0]) if sample.head else None
    if match is None:
        return ""
    if match[2] and match[1] + match[2] == find_sequence(sample.head[1:]):
        return match[1] + match[2]
    return "\t" if match[1] == "\\t" else match[1]


def choose_dialect(sample: Sample, declared: str, declared_by: str = "a sep= line") -> Choice:
    """Return the best dialect; `declared` is the delimiter that something in the file declares."""
    text = "\n".join(
        line for lines in (sample.head, *sample.stretches) for line in lines[:_QUOTE_LINES]
    )
    if declared:
        fit = _fit_delimiter(declared, text, sample)
        return Choice(fit, 0.99, (f"{declared_by} declares {name_delimiter(declared)}",))
    fits = [_fit_delimiter(char, text, sample) for char in _present(FIRST_CLASS, sample)]
    sequence = find_sequence(sample.head)
    if sequence and not any(_cuts_from_the_top(fit, sequence) for fit in fits):
        fit = _fit_delimiter(sequence, text, sample)
        return Choice(fit, _SURE, tuple(_explain(fit, [])))
    single = _fit_single(text, sample)
    fits = [fit for fit in fits if not _is_one_column(fit, single)]
    if not fits and single.wholes >= _WHOLE_SHARE:
        single = replace(single, score=_WHOLE_SCORE)
    best = max((fit.score for fit in fits), default=0.0)
    if best < _GOOD_SCORE or any(char in text for char in _SELDOM_IN_TEXT):
        fits += _fit_rare(text, sample, single, best)
    return _decide(fits, single)


def _cuts_from_the_top(fit: Fit, sequence: str) -> bool:
    """Return whether a first-class delimiter cuts nearly all lines alike, and the first of them.

    A sequence is a part of values then: emphasis, a class's name, a number made unreadable.
    """
    if fit.dialect.delimiter in sequence or fit.width < 2 or fit.broken:
        return False
    widths = [len(row) for row in fit.records.cells]
    return widths[0] == fit.width and widths.count(fit.width) >= _MOSTLY_CUT * len(widths)


def _decide(fits: list[Fit], single: Fit) -> Choice:
    """Return the best of the fits, with what speaks for it."""
    ranked = sorted([*fits, single], key=lambda fit: -fit.score)
    best = ranked[0]
    second = ranked[1].score if len(ranked) > 1 else 0.0
    lead = (best.score - second) / best.score
    sure = (0.55 + 0.45 * min(1.0, 1.6 * lead)) * (0.6 + 0.4 * best.even)
    confidence = sure * (best.rows + 0.5) / (best.rows + 1)
    return Choice(best, confidence, tuple(_explain(best, ranked[1:])))


def _explain(best: Fit, others: list[Fit]) -> list[str]:
    """Return sentences that say why this delimiter was chosen."""
    if not best.dialect.delimiter:
        reason = "no delimiter splits the lines evenly into cells that look like values"
        if best.wholes >= _WHOLE_SHARE:
            reason = "the lines are single values as they stand"
        return [f"{reason}: taken for one column"]
    name = name_delimiter(best.dialect.delimiter)
    agree = round(best.even * best.rows)
    lines = [f"{name} splits {agree} of {best.rows} sampled rows into {best.width} cells"]
    if others and others[0].score > 0.7 * best.score and others[0].dialect.delimiter:
        lines.append(f"{name_delimiter(others[0].dialect.delimiter)} would be nearly as good")
    return lines


# --- candidates -------------------------------------------------------------------------------


def _present(delimiters: str, sample: Sample) -> list[str]:
    """Return the delimiters that stand on enough lines."""
    lines = [line for line in sample.head if line.strip()]
    least = max(1.0, _LEAST_LINES * len(lines))
    return [char for char in delimiters if sum(char in line for line in lines) >= least]


def _fit_delimiter(delimiter: str, text: str, sample: Sample) -> Fit:
    """Return the fit of a delimiter with the quoting that suits it best."""
    base = Dialect(delimiter, skip_initial_space=_has_blank_after(delimiter, text))
    fits = [
        measure_fit(replace(base, quotechar=quote), sample)
        for quote in _candidate_quotes(delimiter, text)
    ]
    fit = _pick_quoting(fits)
    return _settle_quotes(_settle_escape(fit, text, sample), text, sample)


def _has_blank_after(delimiter: str, text: str) -> bool:
    """Return whether a blank follows the delimiter as a rule."""
    if delimiter == " ":
        return "  " in text
    cuts = text.count(delimiter) - len(re.findall(re.escape(delimiter) + r"(?=\n|\Z)", text))
    blanks = text.count(delimiter + " ")
    return blanks >= 1 and blanks >= 0.9 * cuts


def _candidate_quotes(delimiter: str, text: str) -> list[str]:
    """Return the quote characters worth trying: those that enclose something."""
    quotes = ['"']
    enclosed = _find_enclosed("'", delimiter, text)
    if len(enclosed) >= 2 or any(delimiter in cell.strip(delimiter) for cell in enclosed):
        quotes.append("'")
    return quotes


def _find_enclosed(quote: str, delimiter: str, text: str) -> list[str]:
    """Return the cells that begin and end with the quote."""
    cut = re.escape(delimiter) if delimiter else "\n"
    inside = rf"[^{quote}\n\\]*+(?:(?:{quote}{quote}|\\.)[^{quote}\n\\]*+)*+"
    pattern = rf"(?:^|{cut}) ?{quote}{inside}{quote} ?(?={cut}|$)"
    return re.findall(pattern, text, re.MULTILINE)


def _pick_quoting(fits: list[Fit]) -> Fit:
    """Return the fit with the best score; among equals the one whose quotes enclose more cells."""
    best = max(fit.score for fit in fits)
    equals = [fit for fit in fits if fit.score >= 0.97 * best]
    return max(
        equals,
        key=lambda fit: (
            fit.quoted > 2 * fit.broken,
            _ENCLOSING * fit.quoted if fit.dialect.quotechar == '"' else fit.quoted,
        ),
    )


def _settle_escape(fit: Fit, text: str, sample: Sample) -> Fit:
    """Return the fit with a backslash as escape character when the text is read better so."""
    quote, delimiter = fit.dialect.quotechar, fit.dialect.delimiter
    if not any(mark in text for mark in (f"\\{quote}", f"\\{delimiter}")):
        return fit
    if _is_faultless(fit) or (f"\\{quote}" not in text and _PATH.search(text)):
        return fit
    other = measure_fit(replace(fit.dialect, escapechar="\\"), sample)
    if other.broken + other.restored > fit.broken + fit.restored:
        return fit
    if other.score > fit.score * 1.005 and other.broken <= fit.broken:
        return other
    inside = re.search(rf"\\{quote}(?! *(?:{re.escape(delimiter)}|\n|\Z))", text)
    if inside and other.score >= fit.score * 0.999 and (other.escaped or _escapes_all(fit, text)):
        return other
    return fit


def _is_faultless(fit: Fit) -> bool:
    """Return whether every quote stands where it should without any escape, and rows are even."""
    return bool(fit.quoted) and fit.even == 1 and not (fit.broken or fit.restored or fit.bare)


def _escapes_all(fit: Fit, text: str) -> bool:
    """Return whether every quote within an unquoted cell has a backslash before it."""
    quote, cut = fit.dialect.quotechar, re.escape(fit.dialect.delimiter) or "\n"
    naked = re.search(rf"[^\\\n{cut}]{quote}[^\n{cut}]", text)
    return naked is None and text.count(f"\\{quote}") > 1


def _settle_quotes(fit: Fit, text: str, sample: Sample) -> Fit:
    """Return the fit without a quote character when quotes stand in it but enclose nothing."""
    quote = fit.dialect.quotechar
    if not quote or quote not in text or _enclose_cells(fit, sample):
        return fit
    if fit.dialect.escapechar and not fit.broken:
        return fit
    if (
        fit.broken <= 1
        and not _is_mark_inside(quote, text)
        and not _is_lone_mark(fit, text, sample)
    ):
        # A single quote that never closes is a mistake to be reported, not a way of writing.
        return fit
    return measure_fit(replace(fit.dialect, quotechar=""), sample)


def _enclose_cells(fit: Fit, sample: Sample) -> bool:
    """Return whether quotes enclose more cells than they stand in otherwise."""
    if hiding := fit.records.hiding:
        return fit.quoted - hiding > fit.bare
    if not sample.openings:
        return 0 < fit.quoted >= fit.broken
    # One by one: each comes from elsewhere.
    looks = [Splitter(fit.dialect).split([line]) for line in sample.openings]
    return 0 < sum(look.quoted for look in looks) >= sum(look.broken for look in looks)


def _is_lone_mark(fit: Fit, text: str, sample: Sample) -> bool:
    """Return whether the only quote is text, as a second look may say.

    Programs that write commas or semicolons quote what needs it; others mostly know no quotes. A
    quote in the last line may be all that is left of a cell whose transfer broke off.
    """
    if not sample.thorough or fit.quoted or fit.dialect.delimiter in ("", ",", ";"):
        return False
    _, found, behind = text.partition(fit.dialect.quotechar)
    return bool(found) and "\n" in behind.rstrip()


def _is_mark_inside(quote: str, text: str) -> bool:
    """Return whether the quote stands for inches, seconds or a word's emphasis somewhere."""
    return re.search(rf"\w{quote}|\w ?{quote}\w", text) is not None


def _fit_single(text: str, sample: Sample) -> Fit:
    """Return the fit of one column."""
    fit = measure_single('"', sample)
    if '"' in text and fit.quoted <= fit.broken:
        return measure_single("" if _is_mark_inside('"', text) else '"', sample)
    return fit


# --- suspicion --------------------------------------------------------------------------------

_GROUPED = re.compile(
    r"[-+(]?\D{0,3}(?:[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+,\d+)\D{0,4}"
)
# What stands behind an address, not within it: "5" or "Anna", but not "1518" with ".html".
_VALUE = re.compile(r"\d+(?:\.\d+)?|[^\W\d]+")


def _is_one_column(fit: Fit, single: Fit) -> bool:
    """Return whether a first-class delimiter only cuts values that belong together."""
    if fit.dialect.delimiter != "," or not fit.records.cells:
        return False
    if _heads_one_column(fit):
        return True
    if fit.width > 3:
        return False
    lines = [row[0] for row in single.records.cells]
    heading_is_whole = len(fit.records.cells[0]) == 1 and len(lines) > 2
    if single.wholes >= 0.9 and (heading_is_whole or _are_grouped(lines)):
        return True
    kind, _ = classify_column(lines[1:])
    if kind in (CellKind.DATE, CellKind.ADDRESS):
        return single.wholes >= 0.9 and not _heads_cut_rows(fit, kind is CellKind.ADDRESS)
    return False


def _heads_one_column(fit: Fit) -> bool:
    """Return whether the first line names one column of texts with commas, each before a blank.

    "Springfield, IL" below "city": the heading would be cut as well if the comma were meant.
    """
    records = fit.records
    if len(records) < 3 or len(records.cells[0]) > 1 or not fit.dialect.skip_initial_space:
        return False
    if fit.width == 2:
        return True
    rows = records.cells[1:]
    is_right_above = records.lines[1] - records.lines[0] == 1 and len(rows[0]) > 1
    typed = _count_typed_columns(replace(fit, records=replace(records, cells=rows)))
    return is_right_above and typed < fit.width / 2 and not judge_header(rows).header


def _heads_cut_rows(fit: Fit, in_addresses: bool) -> bool:
    """Return whether a heading is cut as often as dates or addresses, or values follow those.

    "url,clicks" above "https://a.org/1,5": no address ends there.
    """
    first, *rows = fit.records.cells
    if len(first) != fit.width:
        return False
    if classify_cell(first[0]) not in TYPED:
        return True
    return in_addresses and all(_VALUE.fullmatch(cell) for row in rows for cell in row[1:])


def _are_grouped(lines: list[str]) -> bool:
    """Return whether all lines, but for a heading, are numbers with thousands separators."""
    heading_is_cut = "," in lines[0] and not _GROUPED.fullmatch(lines[0].strip())
    if len(lines) < 4 or heading_is_cut:
        return False
    return all(_GROUPED.fullmatch(line.strip()) for line in lines[1:])


def _fit_rare(text: str, sample: Sample, single: Fit, best: float) -> list[Fit]:
    """Return the fits of rare delimiters for which the evidence is overwhelming."""
    if single.wholes >= _WHOLE_SHARE:
        return []
    table = _without_comments(sample)
    rare = [char for char in _present(RARE, table) if char != ":" or not _hold_times(table)]
    fits = [_fit_delimiter(char, text, table) for char in rare]
    fits = [
        replace(fit, records=Splitter(fit.dialect).split(sample.head))
        for fit in fits
        if _is_overwhelming(fit, text, best)
    ]
    return [fit for fit in fits if fit.dialect.delimiter in _SELDOM_IN_TEXT] or fits


def _without_comments(sample: Sample) -> Sample:
    """Return the sample without the comments above its table: they are full of blanks."""
    comments = takewhile(lambda line: line.lstrip().startswith("#"), sample.head)
    first = sum(1 for _ in comments)
    if not 0 < first < len(sample.head):
        return sample
    return replace(sample, head=sample.head[first:])


def _hold_times(sample: Sample) -> bool:
    """Return whether nearly all lines hold a time, which a colon would cut."""
    lines = [line for line in sample.head if line.strip()]
    return sum(_TIME.search(line) is not None for line in lines) >= _MOSTLY_TIMES * len(lines)


def _is_overwhelming(fit: Fit, text: str, best: float) -> bool:
    """Return whether a rare delimiter may be believed against the best first-class score."""
    seldom = fit.dialect.delimiter in _SELDOM_IN_TEXT
    least = _SELDOM_EVEN if seldom else _RARE_EVEN
    if fit.even < least or fit.covered < least or fit.score < best:
        return False
    if seldom:
        return fit.width >= 3 or fit.rows >= _RARE_ROWS
    few = fit.rows == _FEW_ROWS and fit.width >= _WIDE
    return (fit.rows >= _RARE_ROWS or few) and _are_values(fit, text)


def _are_values(fit: Fit, text: str) -> bool:
    """Return whether enough columns hold numbers, dates, ... for a character of ordinary text."""
    delimiter, width = fit.dialect.delimiter, fit.width
    if fit.quoted >= _ALL_QUOTED * width * fit.rows:
        return True
    typed = _count_typed_columns(fit)
    if delimiter == "#":
        return width >= 3 or typed >= 1
    if width == 2:
        # A heading that is not cut stands above values that belong together: "score" above "3:1".
        heading_is_cut = len(fit.records.cells[0]) == width
        return typed == 2 and fit.rows > _RARE_ROWS and heading_is_cut
    if (delimiter == ":" and width > 3) or (delimiter == " " and _are_aligned(text)):
        return typed >= 1
    return typed >= width / 2


def _are_aligned(text: str) -> bool:
    """Return whether nearly all lines hold runs of blanks, as columns that are lined up do."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return sum("  " in line for line in lines) >= 0.9 * len(lines)


def _count_typed_columns(fit: Fit) -> int:
    """Return how many columns hold nearly only numbers, dates or other typed values."""
    body = [row for row in fit.records.cells[1:200] if len(row) == fit.width]
    columns = [classify_column([row[place] for row in body]) for place in range(fit.width)]
    return sum(kind in TYPED and share >= 0.9 for kind, share in columns)
