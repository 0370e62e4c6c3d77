"""The findings as tables that read well on a terminal and in the documentation."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.databases import TITLES
from benchmarks.findings import Comparison, Findings
from benchmarks.goals import judge_goals
from benchmarks.peers import NEW
from benchmarks.peers.small_files import DAEMON
from benchmarks.running import Result
from benchmarks.scanning import describe as describe_scanning

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
_REFERENCES = (NEW, DAEMON)
"""What the ratios are of."""


def render(findings: Findings) -> str:
    """Return everything as Markdown."""
    return "\n".join(_lines(findings)).strip() + "\n"


def write_section(path: Path, text: str) -> None:
    """Put the text between the markers of a page; all else stays as it is."""
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{path} has no markers {BEGIN} and {END}.")
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def _lines(findings: Findings) -> Iterator[str]:
    yield f"{findings.date}, {findings.machine}; medians of {findings.rounds}."
    yield "Versions: " + ", ".join(f"{n} {v}" for n, v in findings.versions.items()) + "."
    if findings.is_quick:
        yield "\nA quick run with little data: it shows that all works, and no more."
    for name, reason in findings.missing.items():
        yield f"\n{TITLES[name]} was left out: {reason}."
    for comparison in findings.comparisons:
        yield f"\n### {TITLES[comparison.database]}: {comparison.description}\n"
        yield from _comparison(comparison)
    yield from _steps(findings)
    yield from _growth(findings)
    if findings.scanning:
        yield "\n### Scanning\n\n```"
        yield from describe_scanning(findings.scanning)
        yield "```"
    yield "\n### Goals\n"
    yield from _goals(findings)


def _comparison(comparison: Comparison) -> Iterator[str]:
    header = (
        *("", "s", f"{comparison.unit}/s", "MB/s", "client CPU s", "memory MB"),
        *("its time / dropload's", "rows", "does not do"),
    )
    reference = next(filter(None, map(comparison.result, _REFERENCES)), None)
    done = [result for result in comparison.results if result.is_measured]
    ours_first = sorted(done, key=lambda result: result.peer.name not in _REFERENCES)
    yield from _table(header, [_row(r, comparison, reference) for r in ours_first])
    failed = [result for result in comparison.results if result.failure]
    if failed:
        yield ""
    if failed:
        yield "Left out: " + ", ".join(f"{r.peer.name} ({r.failure})" for r in failed) + "."


def _row(result: Result, comparison: Comparison, reference: Result | None) -> tuple[str, ...]:
    seconds = result.seconds
    ratio = f"{seconds / reference.seconds:.2f}" if reference else ""
    return (
        result.peer.name,
        f"{seconds:.2f}",
        f"{comparison.count / seconds:,.0f}",
        f"{comparison.megabytes / seconds:.1f}",
        f"{result.cpu_seconds:.2f}",
        f"{result.memory_mb:,.0f}",
        ratio,
        result.rows,
        ", ".join(result.peer.lacks),
    )


def _steps(findings: Findings) -> Iterator[str]:
    """Where the time of our own loads went, as `dropload load --timings` says it."""
    loads = [
        (comparison, result)
        for comparison in findings.comparisons
        for result in comparison.results
        if result.is_measured and result.step_seconds
    ]
    if not loads:
        return
    steps = list(dict.fromkeys(step for _, result in loads for step in result.step_seconds))
    yield "\n### Where the time of a load goes (seconds)\n"
    header = ("", *steps)
    rows = [
        (
            ", ".join((TITLES[comparison.database], comparison.data, result.peer.name)),
            *(f"{result.step_seconds.get(step, 0):.3f}" for step in steps),
        )
        for comparison, result in loads
    ]
    yield from _table(header, rows)


def _growth(findings: Findings) -> Iterator[str]:
    done = [(c, c.result(NEW)) for c in findings.growth]
    rows = [
        (
            comparison.description,
            f"{result.seconds:.2f}",
            f"{comparison.count / result.seconds:,.0f}",
            f"{result.memory_mb:,.0f}",
        )
        for comparison, result in done
        if result
    ]
    if rows:
        yield "\n### Growth: dropload new table, SQLite\n"
        yield from _table(("", "s", "rows/s", "memory MB"), rows)


def _goals(findings: Findings) -> Iterator[str]:
    rows = [
        (
            goal.what,
            goal.against,
            goal.goal,
            goal.measured or "not measured",
            {True: "met", False: "missed", None: ""}[goal.is_met],
        )
        for goal in judge_goals(findings)
    ]
    yield from _table(("", "against", "goal", "measured", ""), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table whose columns stand below each other; numbers to the right."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(_is_number(row[at]) for row in cells[1:]) for at in range(len(header))]
    for number, row in enumerate(cells):
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        yield f"| {' | '.join(padded)} |"
        if number == 0:
            marks = (
                "-" * (width - 1) + (":" if to_right else "-")
                for width, to_right in zip(widths, right, strict=True)
            )
            yield f"| {' | '.join(marks)} |"


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").isdigit()
