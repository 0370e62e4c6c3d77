"""How well layouts are detected beside peers: `python -m benchmarks.detection [FOLDER]`.

Files and right answers are those of tests/files/layouts, on which our own detection was worked
out: the figures say where we stand with kinds of files that we know, not with all files.

Peers are told the right encoding, as text or as a copy in UTF-8, but where the encoding itself is
asked for. For a file of one column any delimiter that does not stand in it is right. Quotes are
compared in files that hold some.
"""

import csv
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from dropload.detection import detect_layout
from dropload.parsers.delimited import DelimitedParser
from dropload.profiling import profile_file

LAYOUTS = Path(__file__).parent.parent / "tests" / "files" / "layouts"
SNIFFED_CHARS = 8192


@dataclass(frozen=True)
class Sample:
    path: Path
    expected: dict[str, Any]
    text: str
    utf8_path: Path
    """A copy in UTF-8 for peers that read nothing else."""


@dataclass(frozen=True)
class Answer:
    delimiter: str
    quotechar: str
    header: bool


@dataclass
class Score:
    delimiter: list[bool] = field(default_factory=list)
    quote: list[bool] = field(default_factory=list)
    header: list[bool] = field(default_factory=list)
    no_header: list[bool] = field(default_factory=list)
    encoding: list[bool] = field(default_factory=list)
    crashes: int = 0
    times_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Peer:
    ask: Callable[[Sample], Answer]
    ask_encoding: Callable[[Path], str | None] | None = None


def main(folder: Path = LAYOUTS) -> None:
    with tempfile.TemporaryDirectory() as copies:
        samples = load_samples(folder, Path(copies))
        print(f"{len(samples)} tables in {folder}; % right")
        print(HEADING)
        for name, peer in peers():
            print(f"{name:18}" + (row(score(peer, samples)) if peer else "  not installed"))
        for name, cells in SHAPES.items():
            print(f"{name}: {time_whole(Path(copies) / 'shape.csv', *cells):.2f} s")


def load_samples(folder: Path, copies: Path) -> list[Sample]:
    samples = []
    for expectation in sorted(folder.glob("*.json")):
        expected = json.loads(expectation.read_text(encoding="utf-8"))
        path = expectation.with_suffix("")
        if not expected.get("delimiter") and not expected.get("columns"):
            continue
        text = path.read_bytes().decode(expected["encoding"]).removeprefix("\ufeff")
        copy = copies / path.name
        copy.write_bytes(text.encode())
        samples.append(Sample(path, expected, text, copy))
    return samples


# --- shapes: all columns and types of about as many bytes -------------------------------------

SHAPES = {
    "10,000 columns x 170 rows, 10 MB, layout and types": (10_000, 170),
    "20,000 columns x 1 row": (20_000, 1),
    "6 columns x 280,000 rows, 10 MB": (6, 280_000),
    "one line of 8 MB": (1, 0),
}


def time_whole(path: Path, columns: int, rows: int) -> float:
    if rows:
        lines = [",".join(f"c{n}" for n in range(columns))]
        lines += [
            ",".join(f"{(row * n) % 997 / 10:.2f}" for n in range(columns)) for row in range(rows)
        ]
        path.write_text("\n".join([*lines, ""]))
    else:
        path.write_bytes(b"a," * 4_000_000)
    start = time.perf_counter()
    layout = detect_layout(path)
    if rows:
        parser = DelimitedParser()
        profile_file(path, layout, parser, hash_algorithm="sha256", max_record_bytes=1 << 26)
    return time.perf_counter() - start


# --- peers ------------------------------------------------------------------------------------


def peers() -> list[tuple[str, Peer | None]]:
    clever, duck = find_module("clevercsv"), find_module("duckdb")
    return [
        ("dropload", Peer(ask_ours, lambda path: detect_layout(path).encoding)),
        ("csv.Sniffer, 8 KB", Peer(ask_sniffer)),
        ("CleverCSV", clever and Peer(ask_clevercsv(clever), clever.encoding.get_encoding)),
        ("DuckDB strict", duck and Peer(ask_duckdb(duck, ""))),
        ("DuckDB lenient", duck and Peer(ask_duckdb(duck, LENIENT))),
    ]


def find_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def ask_ours(sample: Sample) -> Answer:
    layout = detect_layout(sample.path)
    return Answer(layout.delimiter, layout.quotechar, layout.header)


def ask_sniffer(sample: Sample) -> Answer:
    text = sample.text[:SNIFFED_CHARS]
    found = csv.Sniffer().sniff(text)
    return Answer(found.delimiter, found.quotechar or "", csv.Sniffer().has_header(text))


def ask_clevercsv(clever: Any) -> Callable[[Sample], Answer]:
    def ask(sample: Sample) -> Answer:
        found = clever.Sniffer().sniff(sample.text)
        header = clever.Sniffer().has_header(sample.text)
        return Answer(found.delimiter or "", found.quotechar or "", header)

    return ask


LENIENT = ", strict_mode = false, ignore_errors = true"


def ask_duckdb(duck: Any, options: str) -> Callable[[Sample], Answer]:
    connection = duck.connect()

    def ask(sample: Sample) -> Answer:
        query = f"SELECT Delimiter, Quote, HasHeader FROM sniff_csv(?{options})"
        delimiter, quote, header = connection.execute(query, [str(sample.utf8_path)]).fetchone()
        return Answer(delimiter, quote.removeprefix("(empty)").strip("\0"), bool(header))

    return ask


# --- scores -----------------------------------------------------------------------------------


def score(peer: Peer, samples: list[Sample]) -> Score:
    total = Score()
    for sample in samples:
        start = time.perf_counter()
        try:
            answer = peer.ask(sample)
        except Exception:  # noqa: BLE001 - whatever a peer raises, it gave no answer
            answer = None
            total.crashes += 1
        total.times_ms.append(1000 * (time.perf_counter() - start))
        add(total, sample, answer)
        if peer.ask_encoding and not sample.path.read_bytes().isascii():
            total.encoding.append(reads_alike(sample, peer.ask_encoding(sample.path)))
    return total


def add(total: Score, sample: Sample, answer: Answer | None) -> None:
    expected = sample.expected
    delimiter = answer is not None and is_delimiter(answer.delimiter, sample)
    total.delimiter.append(delimiter)
    if "quotechar" in expected and (expected["quotechar"] or '"') in sample.text:
        same = answer is not None and answer.quotechar == expected["quotechar"]
        total.quote.append(delimiter and same)
    if "header" in expected:
        kind = total.header if expected["header"] else total.no_header
        kind.append(answer is not None and answer.header == expected["header"])


def is_delimiter(found: str, sample: Sample) -> bool:
    wanted = sample.expected["delimiter"]
    return found == wanted or (not wanted and found not in sample.text)


def reads_alike(sample: Sample, encoding: str | None) -> bool:
    try:
        return (
            sample.path.read_bytes().decode(encoding or "ascii").removeprefix("\ufeff")
            == sample.text
        )
    except (UnicodeDecodeError, LookupError):
        return False


HEADING = (
    f"{'':18}{'delimiter':>11}{'with quote':>12}{'header':>9}{'balanced':>10}{'encoding':>10}"
    f"{'crashes':>9}{'median ms':>11}{'max ms':>9}"
)


def row(total: Score) -> str:
    balanced = (share(total.header) + share(total.no_header)) / 2
    encoding = f"{share(total.encoding):10.1f}" if total.encoding else f"{'-':>10}"
    return (
        f"{share(total.delimiter):11.1f}{share(total.quote):12.1f}"
        f"{share(total.header + total.no_header):9.1f}{balanced:10.1f}{encoding}"
        f"{total.crashes:9}{median(total.times_ms):11.2f}{max(total.times_ms):9.1f}"
    )


def share(answers: list[bool]) -> float:
    return 100 * sum(answers) / max(len(answers), 1)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
