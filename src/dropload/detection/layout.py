"""Detect how a delimited file is written, step by step."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from dropload.detection.content import refuse_binary, refuse_foreign_bytes, refuse_markup
from dropload.detection.dialect import Choice, choose_dialect, read_sep_line
from dropload.detection.encoding import Encoding, detect_encoding
from dropload.detection.fit import Fit
from dropload.detection.header import Verdict, judge_header
from dropload.detection.preamble import find_first_row, find_full_rows_above, find_rows_above
from dropload.detection.sample import HEAD_BYTES, Sample, read_sample
from dropload.detection.wrapped import find_wrapping, unwrap_sample
from dropload.errors import FileError
from dropload.model import Layout
from dropload.quoting import name_delimiter
from dropload.wrapping import Wrapping

# Enough records below the header to judge it by.
_HEADER_ROWS = 400
_COUNTED_ROWS = 3
# What the most patient database can be built for; others end at 1,024 and 1,600.
_MOST_COLUMNS = 32_767

# Who says what the delimiter is, and what else there is to say, by what is drawn around lines.
_DECLARED_BY = {
    Wrapping.NONE: "a sep= line",
    Wrapping.PIPES: "a pipe at both ends of every line",
    Wrapping.RULES: "the drawing of a printed table",
    Wrapping.QUOTES: "what stands between the quotes around every line",
}
_WRAPPED = {
    Wrapping.NONE: (),
    Wrapping.PIPES: ("every line stands between pipes: there are no columns beyond them",),
    Wrapping.RULES: ("a printed table: its rules and the blanks around cells are left out",),
    Wrapping.QUOTES: ("every line is enclosed in quotes once more: they are taken off",),
}


def detect_layout(path: Path, *, thorough: bool = False) -> Layout:
    """Return how the file is written; there is always an answer for text, with its confidence.

    `thorough` looks at far more of the file: for when reading it has contradicted the first answer.

    Raise FileError when the file is no delimited text (code `not_delimited` or `binary`) or
    breaks its own encoding (code `encoding`). Memory is bounded whatever the file holds; only
    the check of the encoding reads all of it.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        refuse_foreign_bytes(head, path)
        encoding = detect_encoding(stream, head)
        if not encoding.name.startswith(("utf-16", "utf-32")):
            refuse_binary(head)
        sample = _read_text(stream, encoding, thorough=thorough)
    if not any(line.strip() for line in sample.head):
        return _lay_out_nothing(encoding)
    refuse_markup("\n".join(islice(sample.head, 400)))
    return _lay_out_table(sample, encoding)


def _read_text(stream: BinaryIO, encoding: Encoding, *, thorough: bool) -> Sample:
    """Return the sampled lines of the file."""
    size_bytes = stream.seek(0, 2)
    return read_sample(stream, encoding.name, size_bytes, encoding.quote_offset, thorough=thorough)


def _lay_out_nothing(encoding: Encoding) -> Layout:
    """Return the layout of a file without a single character to read."""
    evidence = (encoding.evidence, "the file holds no text: no columns")
    return Layout(
        encoding.name, "", '"', "", False, 0, (), 0.0, has_bom=encoding.has_bom, evidence=evidence
    )


def _lay_out_table(sample: Sample, encoding: Encoding) -> Layout:
    """Return the layout of a file with at least one line of text."""
    declared = read_sep_line(sample)
    shift = 1 if declared else 0
    body = replace(sample, head=sample.head[shift:])
    if not any(line.strip() for line in body.head):
        body = sample
        declared, shift = "", 0
    wrapping, drawn = (Wrapping.NONE, "") if declared else find_wrapping(body.head)
    if wrapping:
        body = unwrap_sample(body, wrapping, drawn)
    choice = choose_dialect(body, declared or drawn.strip(" "), _DECLARED_BY[wrapping])
    fit = choice.fit
    _refuse_more_columns_than_tables_have(fit)
    start = find_first_row(fit.records.cells, fit.width)
    start = find_rows_above(fit.records.cells, fit.records.lines, start, fit.width)
    rows = fit.records.cells[start : start + _HEADER_ROWS]
    verdict = judge_header([rows[0], *(row for row in rows[1:] if _belongs(row, fit.width))])
    if start and not verdict.header:
        start = find_full_rows_above(fit.records.cells, fit.records.lines, start)
    skip_lines = fit.records.lines[start] + shift
    names = _pad_header(rows, fit.width) if verdict.header else ("",) * fit.width
    evidence = (
        encoding.evidence,
        *_WRAPPED[wrapping],
        *choice.evidence,
        *_explain_quotes(fit),
        *_explain_skipped(skip_lines),
        verdict.evidence,
        *_explain_width(names, fit.width),
    )
    layout = _assemble(encoding, choice, verdict, skip_lines, names, evidence)
    return replace(layout, wrapping=wrapping)


def _refuse_more_columns_than_tables_have(fit: Fit) -> None:
    """Raise FileError before each of so many columns is looked at, named and given a type."""
    if fit.width > _MOST_COLUMNS:
        raise FileError(
            f"A {name_delimiter(fit.dialect.delimiter)} cuts its rows into {fit.width:,} columns; "
            f"no database has tables of more than {_MOST_COLUMNS:,}.",
            hint="Check that the file has line ends, or write one row for each value.",
            code="too_many_columns",
        )


def _belongs(row: list[str], width: int) -> bool:
    """Return whether a row below the first can speak for its columns."""
    return len(row) == width and any(cell.strip() for cell in row)


def _pad_header(rows: list[list[str]], width: int) -> tuple[str, ...]:
    """Return the header's cells, with unnamed ones for columns that are empty in every row.

    Other missing names are not made up: nobody knows whether they are missing left or right.
    """
    first = rows[0]
    tails = [row[len(first) :] for row in rows[1:] if len(row) <= width]
    if len(first) >= width:
        return tuple(first)
    if any(cell.strip() for tail in tails for cell in tail):
        is_counted = len(first) == width - 1 and _count_rows(rows[1:], width)
        return ("", *first) if is_counted else tuple(first)
    return (*first, *[""] * (width - len(first)))


def _count_rows(rows: list[list[str]], width: int) -> bool:
    """Return whether the first column only numbers the rows: some exports leave it unnamed."""
    whole = [row for row in rows if len(row) == width]
    numbers = [row[0].strip() for row in whole]
    return len(whole) >= _COUNTED_ROWS and numbers == [str(n + 1) for n in range(len(whole))]


def _explain_skipped(skip_lines: int) -> list[str]:
    """Return the sentence about lines before the table, if there are any."""
    if not skip_lines:
        return []
    return [f"lines before the table that are skipped: {skip_lines}"]


def _explain_width(names: tuple[str, ...], width: int) -> list[str]:
    """Return the sentence about a header that is not as wide as the rows."""
    if len(names) == width:
        return []
    return [f"the header has {len(names)} cells, most rows have {width}"]


def _assemble(
    encoding: Encoding,
    choice: Choice,
    verdict: Verdict,
    skip_lines: int,
    names: tuple[str, ...],
    evidence: tuple[str, ...],
) -> Layout:
    """Return the layout that the findings add up to."""
    dialect = choice.fit.dialect
    confidence = choice.confidence * (0.5 + 0.5 * verdict.confidence)
    return Layout(
        encoding=encoding.name,
        delimiter=dialect.delimiter,
        quotechar=dialect.quotechar,
        escapechar=dialect.escapechar,
        header=verdict.header,
        skip_lines=skip_lines,
        header_names=names,
        confidence=round(confidence * (0.4 + 0.6 * encoding.confidence), 3),
        has_bom=encoding.has_bom,
        skip_initial_space=dialect.skip_initial_space,
        evidence=evidence,
    )


def _explain_quotes(fit: Fit) -> list[str]:
    """Return sentences about quotes and escapes, where there is something to say."""
    dialect = fit.dialect
    if not dialect.quotechar:
        return ["quotes enclose no cells: they are part of the values"]
    lines = []
    if dialect.quotechar != '"':
        lines.append(f"cells are enclosed in {dialect.quotechar}")
    if dialect.escapechar:
        lines.append("a backslash takes a special character literally")
    if dialect.skip_initial_space and dialect.delimiter:
        lines.append(f"a blank follows each {name_delimiter(dialect.delimiter)}: not in the values")
    return lines
