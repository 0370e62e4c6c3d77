"""The plain-language answer beside a file, and the rejects that go round."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dropload.durable import path_text
from dropload.model import Layout, Load, Profile, Reject
from dropload.printable import printable
from dropload.quoting import name_delimiter
from dropload.times import iso_time, spoken_time

SHOWN_REJECTS = 100
"""Rejects in the report; the rejects file lists them all."""

REJECT_COLUMNS = ("_error_line", "_error_column", "_error_reason", "_error_surplus")
"""Columns that a rejects file carries behind the sender's own; a file dropped again with them is
read without them."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a report tells about one load."""

    load: Load
    title: str
    """One sentence: what became of the file."""
    problem: str
    advice: str
    at: datetime
    layout: Layout | None = None
    profile: Profile | None = None
    notes: tuple[str, ...] = ()
    code: str = ""
    """Stable code of what is wrong, `DL-xxx`; empty where the file was loaded."""
    rejects_file: str = ""
    """Name of the file beside the report that lists every refused row; empty: there is none."""

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """Return the first refused rows."""
        return self.profile.rejects if self.profile else ()


_REPORT_SUFFIXES = {"text": ".report.txt", "json": ".report.json"}


def report_path(filed_path: Path, form: str = "text") -> Path:
    """Return where the report of a filed file stands; `form` is `text` or `json`."""
    return filed_path.with_name(filed_path.name + _REPORT_SUFFIXES[form])


def report_paths(filed_path: Path) -> Iterator[Path]:
    """Yield where the report of a filed file may stand, whatever the format was then."""
    return (report_path(filed_path, form) for form in _REPORT_SUFFIXES)


def path_of_report(report: str | None) -> str:
    """Return the filed path that a report was written for; empty without a report."""
    # Where the name was taken it is `….report-2.txt`, and which file it was for is not to be seen.
    text = report or ""
    for suffix in _REPORT_SUFFIXES.values():
        text = text.removesuffix(suffix)
    return text


def rejects_path(filed_path: Path) -> Path:
    """Return where the rejected rows of a filed file stand: `…_airports.rejects.csv`."""
    # The rows are written unpacked, wherever they came from.
    plain = filed_path.with_name(filed_path.name.removesuffix(".gz"))
    return plain.with_name(f"{plain.stem}.rejects{plain.suffix}")


def render_report(findings: Findings, form: str = "text") -> str:
    """Return the report as text for the person who dropped the file, or the same as JSON."""
    return _render_json(findings) if form == "json" else _render_text(findings)


def _render_json(findings: Findings) -> str:
    load, profile = findings.load, findings.profile
    answer = {
        "title": findings.title,
        "code": findings.code or None,
        "problem": findings.problem,
        "advice": findings.advice,
        "rejects": [
            {
                "line": reject.line,
                "row": reject.source_row,
                "column": reject.column or None,
                "code": reject.code,
                "reason": reject.message,
                "fields": list(reject.fields),
            }
            for reject in findings.rejects[:SHOWN_REJECTS]
        ],
        "rejects_file": path_text(findings.rejects_file) or None,
        "notes": list(findings.notes),
        "layout": describe_layout(findings.layout) if findings.layout else None,
        "rows_read": profile.rows if profile else None,
        "rows_good": profile.good_rows if profile else None,
        "rows_rejected": profile.rejected_rows if profile else None,
        "load_id": load.load_id,
        "load_type": load.drop.load_type.value,
        "table": str(load.table) if load.table.name else None,
        "at": iso_time(findings.at),
    }
    return json.dumps(answer, ensure_ascii=False, indent=2) + "\n"


def _render_text(findings: Findings) -> str:
    sections = [findings.title, ""]
    for heading, lines in (
        ("What is wrong", _wrapped(findings.problem)),
        ("What to do", _wrapped(findings.advice)),
        ("Which rows", list(_reject_lines(findings))),
        ("Worth knowing", [line for note in findings.notes for line in _wrapped(note)]),
        ("How the file was read", list(_reading_lines(findings))),
        ("Where this is on record", list(_record_lines(findings))),
    ):
        if lines:
            sections += [heading, *(f"  {line}" for line in lines), ""]
    return "\n".join(sections)


def _wrapped(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _reject_lines(findings: Findings) -> Iterator[str]:
    for reject in findings.rejects[:SHOWN_REJECTS]:
        where = f', column "{reject.column}"' if reject.column else ""
        yield f"line {reject.line:,} (row {reject.source_row:,}){where}: {reject.message}"
        if reject.fields:
            yield f"    {_shortened(' | '.join(cell or '' for cell in reject.fields))}"
    rejected = findings.profile.rejected_rows if findings.profile else 0
    unlisted = rejected - min(len(findings.rejects), SHOWN_REJECTS)
    if unlisted > 0:
        yield f"... and {unlisted:,} more."
    if findings.rejects_file:
        yield f"All of them, with their reasons, are in {path_text(findings.rejects_file)}."


def _shortened(text: str, most: int = 160) -> str:
    line = printable(text.replace("\r\n", "⏎").replace("\n", "⏎").replace("\r", "⏎"))
    return line if len(line) <= most else line[: most - 1] + "…"


def _reading_lines(findings: Findings) -> Iterator[str]:
    if findings.layout is not None:
        yield describe_layout(findings.layout)
    if findings.profile is not None:
        profile = findings.profile
        yield (
            f"{count_of(profile.rows, 'row')} read, {profile.good_rows:,} good, "
            f"{profile.rejected_rows:,} rejected"
        )


def _record_lines(findings: Findings) -> Iterator[str]:
    load = findings.load
    table = load.table if load.table.name else "none"
    yield f"load {load.load_id}, {load.drop.load_type.value}, table {table}"
    if findings.code:
        yield f"error code {findings.code}; more with: dropload help {findings.code}"
    yield f"{spoken_time(findings.at)}; more with: dropload show {load.load_id}"


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, as people write it: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def describe_layout(layout: Layout) -> str:
    """Return one line that says how a file is written."""
    if layout.width == 0:
        return "nothing to read"
    delimiter = "one column" if not layout.delimiter else f"{name_delimiter(layout.delimiter)}s"
    quote = f"quote {layout.quotechar}" if layout.quotechar else "no quotes"
    header = f"header in line {layout.skip_lines + 1}" if layout.header else "no header"
    above = count_of(layout.skip_lines, "line")
    skipped = f", {above} skipped before it" if layout.skip_lines else ""
    columns = count_of(layout.width, "column")
    return (
        f"{columns}, {delimiter}, {quote}, {layout.encoding}, {header}{skipped} "
        f"(confidence {layout.confidence:.0%})"
    )


def write_rejects(path: Path, layout: Layout, rejects: Iterable[Reject]) -> int:
    """Write refused records in the file's own layout, with the reason behind; return their number.

    What stands at `path` is replaced. Surplus cells of a too long record are kept in
    `_error_surplus`, so that every column stays under its header.
    """
    count = 0
    # Under names, so that the file, dropped again, has a header like any other.
    made = tuple(f"column_{number + 1}" for number in range(layout.width))
    names = layout.header_names if layout.header else made
    with path.open("w", encoding=layout.encoding, errors="backslashreplace", newline="") as out:
        out.write(_record_line((*names, *REJECT_COLUMNS), layout))
        for reject in rejects:
            out.write(_record_line(_reject_record(reject, layout), layout))
            count += 1
        out.flush()
        os.fsync(out.fileno())
    return count


def _reject_record(reject: Reject, layout: Layout) -> tuple[str | None, ...]:
    cells = reject.fields[: layout.width]
    missing = (None,) * (layout.width - len(cells))
    surplus = None
    if len(reject.fields) > layout.width:
        surplus = _record_line(reject.fields[layout.width :], layout).rstrip("\n")
    return (*cells, *missing, str(reject.line), reject.column or None, reject.message, surplus)


def _record_line(cells: Iterable[str | None], layout: Layout) -> str:
    """Return a record as the file writes them; an empty text gets quotes, null does not.

    Quotes are doubled, not escaped: nothing else in the file would say how to read an escape.
    """
    delimiter, quote = layout.delimiter or ",", layout.quotechar or '"'
    # Of several characters, each: half of one at a cell's end would be read as the delimiter's.
    special = (*delimiter, quote, "\n", "\r")

    def written(cell: str | None) -> str:
        if cell is None:
            return ""
        if cell and cell == cell.strip() and not any(mark in cell for mark in special):
            return cell
        return f"{quote}{cell.replace(quote, quote * 2)}{quote}"

    return delimiter.join(map(written, cells)) + "\n"
