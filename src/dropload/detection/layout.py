"""Detect how a delimited file is written, step by step."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from dropload.detection.content import refuse_binary, refuse_documents, refuse_foreign_bytes
from dropload.detection.dialect import Choice, choose_dialect, read_sep_line
from dropload.detection.encoding import Encoding, assume_encoding, detect_encoding
from dropload.detection.fit import Fit
from dropload.detection.heading import Block, Heading, find_heading
from dropload.detection.preamble import find_first_row
from dropload.detection.sample import (
    HEAD_BYTES,
    Sample,
    count_blank_lines,
    read_openings,
    read_sample,
)
from dropload.detection.wrapped import (
    find_wrapping,
    is_cut_by_blanks,
    refuse_uncut_table,
    unwrap_sample,
)
from dropload.errors import FileError
from dropload.model import Layout
from dropload.quoting import name_delimiter
from dropload.wrapping import Wrapping

SEEN_BYTES = 8 << 20
"""A larger file is not read twice to know its encoding, unless the rest of it speaks against what
its beginning says. Not less than the longest head of a sample, which is taken for UTF-8 then."""
# What is shown of lines that are skipped.
_QUOTED_LINES = 3
_QUOTED_CHARS = 60

# Who says what the delimiter is, and what else there is to say, by what is drawn around lines.
_DECLARED_BY = {
    Wrapping.NONE: "a sep= line",
    Wrapping.PIPES: "a pipe at both ends of every line",
    Wrapping.RULES: "the drawing of a printed table",
    Wrapping.RULER: "a line of dashes below the header",
    Wrapping.QUOTES: "what stands between the quotes around every line",
}
_WRAPPED = {
    Wrapping.NONE: (),
    Wrapping.PIPES: ("every line stands between pipes: there are no columns beyond them",),
    Wrapping.RULES: ("a printed table: its rules and the blanks around cells are left out",),
    Wrapping.RULER: ("the line of dashes below the header is no row",),
    Wrapping.QUOTES: ("every line is enclosed in quotes once more: they are taken off",),
}


def detect_layout(path: Path, *, thorough: bool = False, whole: bool = False) -> Layout:
    """Return how the file at a path is written: see `lay_out`."""
    with path.open("rb") as stream:
        return lay_out(stream, thorough=thorough, whole=whole)


def lay_out(stream: BinaryIO, *, thorough: bool = False, whole: bool = False) -> Layout:
    """Return how the file is written; there is always an answer for text, with its confidence.

    Of a large file only the beginning is looked at byte by byte, and the layout says so, unless
    `whole` is asked for. `thorough` looks at far more of the file: for when reading it has
    contradicted the first answer.

    Raise FileError when the file is no delimited text (code `not_delimited` or `binary`) or
    breaks its own encoding (code `encoding`). Memory is bounded whatever the file holds.
    """
    if not (thorough or whole) and stream.seek(0, 2) > SEEN_BYTES:
        layout = lay_out_beginning(stream, SEEN_BYTES)
        if layout is not None:
            return layout
    head = _read_head(stream)
    refuse_foreign_bytes(head, stream)
    encoding = detect_encoding(stream, head)
    return _lay_out_text(stream, head, encoding, _read_text(stream, encoding, thorough=thorough))


def lay_out_beginning(stream: BinaryIO, seen_bytes: int) -> Layout | None:
    """Return how a file is written that goes on behind so many bytes, as `lay_out` does.

    None where only the whole of it can say: it is not UTF-8, or may switch between alphabets, or
    its first quotes come behind those bytes.
    """
    head = _read_head(stream)
    encoding = assume_encoding(stream, head, seen_bytes)
    if encoding is None:
        return None
    refuse_foreign_bytes(head, stream)
    sample = _read_text(stream, encoding)
    if encoding.quote_offset < 0 and _shows_quotes(sample):
        return None
    return _lay_out_text(stream, head, encoding, sample)


def _read_head(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read(HEAD_BYTES)


def _lay_out_text(stream: BinaryIO, head: bytes, encoding: Encoding, sample: Sample) -> Layout:
    """Return how a file of that encoding is written."""
    if not encoding.name.startswith(("utf-16", "utf-32", "iso2022")):
        refuse_binary(head)
    blank = count_blank_lines(sample.head)
    if blank == len(sample.head):
        _refuse_late_text(sample)
        return _lay_out_nothing(encoding)
    refuse_documents("\n".join(islice(sample.head, blank, blank + 400)))
    layout = _lay_out_table(sample, encoding, blank)
    if not _needs_look_at_quotes(layout, sample):
        return layout
    openings = read_openings(stream, encoding.name, layout.delimiter)
    return _lay_out_table(replace(sample, openings=openings), encoding, blank)


def _shows_quotes(sample: Sample) -> bool:
    """Return whether there are quotes in what was sampled further on."""
    return any('"' in line for stretch in sample.stretches for line in stretch)


def _needs_look_at_quotes(layout: Layout, sample: Sample) -> bool:
    """Return whether quotes that enclose nothing so far may enclose cells further on.

    Programs that write commas or semicolons quote what needs it.
    """
    return not (layout.quotechar or sample.complete) and layout.delimiter in (",", ";")


def _read_text(stream: BinaryIO, encoding: Encoding, *, thorough: bool = False) -> Sample:
    """Return the sampled lines of the file."""
    size_bytes = stream.seek(0, 2)
    return read_sample(stream, encoding.name, size_bytes, encoding.quote_offset, thorough=thorough)


def _refuse_late_text(sample: Sample) -> None:
    """Raise FileError when text may follow blank lines that are too many to look behind."""
    if not sample.complete:
        raise FileError(
            "The first megabyte of the file holds nothing but blanks.",
            hint="Remove them and drop the file again.",
            code="empty",
        )


def _lay_out_nothing(encoding: Encoding) -> Layout:
    """Return the layout of a file without a single character to read."""
    evidence = (encoding.evidence, "the file holds no text: no columns")
    return Layout(
        encoding.name, "", '"', "", False, 0, (), 0.0, has_bom=encoding.has_bom, evidence=evidence
    )


def _lay_out_table(file: Sample, encoding: Encoding, blank: int) -> Layout:
    """Return the layout of a file with at least one line of text, below so many blank ones."""
    sample = replace(file, head=file.head[blank:])
    declared = read_sep_line(sample)
    shift = 1 if declared else 0
    body = replace(sample, head=sample.head[shift:])
    if not any(line.strip() for line in body.head):
        body = sample
        declared, shift = "", 0
    wrapping, drawn = (Wrapping.NONE, "") if declared else find_wrapping(body.head)
    as_drawn = body.head
    if wrapping:
        body = unwrap_sample(body, wrapping, drawn)
    told = drawn if drawn != " " or is_cut_by_blanks(as_drawn) else ""
    choice = choose_dialect(body, declared or told, _DECLARED_BY[wrapping])
    fit = choice.fit
    refuse_uncut_table(as_drawn, wrapping, fit.dialect.delimiter)
    first = find_first_row(fit.records.cells, fit.width)
    lines = [line + shift + blank + 1 for line in fit.records.lines]
    block = Block(fit.records.cells, lines, fit.width)
    heading = find_heading(block, first)
    skip_lines = lines[heading.start] - 1
    skipped = _explain_skipped(skip_lines, file)
    evidence = (
        encoding.evidence,
        *_WRAPPED[wrapping],
        *choice.evidence,
        *_explain_quotes(fit),
        *skipped,
        heading.verdict.evidence,
        *heading.evidence,
        *([heading.doubt] if heading.doubt else ()),
    )
    layout = _assemble(encoding, choice, heading, skip_lines, evidence)
    return replace(layout, wrapping=wrapping, remarks=(*skipped, *heading.remarks))


def _explain_skipped(skip_lines: int, sample: Sample) -> list[str]:
    """Return the sentence about lines before the table, if there are any."""
    if not skip_lines:
        return []
    quoted = [line.strip()[:_QUOTED_CHARS] for line in sample.head[:skip_lines] if line.strip()]
    shown = ", ".join(f'"{line}"' for line in quoted[:_QUOTED_LINES])
    more = ", …" if len(quoted) > _QUOTED_LINES else ""
    return [f"lines before the table that are skipped: {skip_lines} ({shown or 'blank'}{more})"]


def _assemble(
    encoding: Encoding,
    choice: Choice,
    heading: Heading,
    skip_lines: int,
    evidence: tuple[str, ...],
) -> Layout:
    """Return the layout that the findings add up to."""
    dialect = choice.fit.dialect
    confidence = choice.confidence * (0.5 + 0.5 * heading.verdict.confidence)
    return Layout(
        encoding=encoding.name,
        delimiter=dialect.delimiter,
        quotechar=dialect.quotechar,
        escapechar=dialect.escapechar,
        header=heading.verdict.header,
        skip_lines=skip_lines,
        header_names=heading.names,
        confidence=round(confidence * (0.4 + 0.6 * encoding.confidence), 3),
        has_bom=encoding.has_bom,
        skip_initial_space=dialect.skip_initial_space,
        evidence=evidence,
        header_lines=max(1, heading.lines),
        doubt=heading.doubt,
        seen_bytes=encoding.seen_bytes,
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
