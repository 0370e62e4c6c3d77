"""The status as people see it: on a terminal of any size, in a window, in a pipe."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap

from rich.console import ConsoleDimensions, RenderableType
from rich.progress_bar import ProgressBar
from rich.text import Text

from dropload.cli import output
from dropload.heartbeat import Heartbeat
from dropload.model import Area, LoadType
from dropload.reasons import WaitsFor, span
from dropload.reports import count_of
from dropload.status import FileStatus, LoadStatus, Status

MOST_FILES = 40
"""Files that are listed unless all are asked for."""
_ALL = "`dropload status --all`"
_NARROW = 80
"""Columns of a terminal below which tables have fewer columns still."""
_SILENT_SECONDS = 10.0
"""A worker that has told nothing for so long may be stuck: it is said."""
_SHORT_AREA: dict[str, str] = {Area.REFERENCE: "ref", Area.NON_REFERENCE: "non-ref"}
_SHORT_LOAD_TYPE: dict[str, str] = {LoadType.FULLLOAD: "full", LoadType.APPEND: "append"}
"""What tells files of one name apart has room in every terminal."""
_BAR_WIDTH, _SHORT_BAR_WIDTH = 16, 8
_AROUND = 2
"""Lines of a table beside its rows: title and header."""
_NOTES = 2
"""Lines below the files: more that are held, more that wait."""
_HELD_NOTE = "Held: `dropload release LOAD` lets it load; `dropload show LOAD` tells why."
_MOST_LAST = 5
_FEWEST_FILES = 3
_MOST_PROBLEMS = 4
"""In a window; all are told outside of it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What of the answer there is room for."""

    answer: Status
    files: tuple[FileStatus, ...]
    loads: tuple[LoadStatus, ...]
    problems: tuple[str, ...]
    strays: int
    last: int
    one_line: bool = False
    """Each file on one line, what has no room there is cut: the window must not be too small."""

    @property
    def held_left_out(self) -> int:
        """Return the number of held files that are not shown."""
        return max(0, self.answer.held_total - sum(map(_is_held, self.files)))

    @property
    def others_left_out(self) -> int:
        """Return the number of all other files that are not shown."""
        left_out = self.answer.files_total - len(self.files)
        return max(0, left_out - self.held_left_out)


def show_all(answer: Status) -> Shown:
    """Return everything that there is to tell."""
    problems = tuple(answer.problems())
    return Shown(answer, answer.files, answer.loads, problems, MOST_FILES, len(answer.last))


def fit(answer: Status, size: ConsoleDimensions) -> Shown:
    """Return what has room in a window: loads under way first, then files, then outcomes."""
    problems = tuple(answer.problems())[:_MOST_PROBLEMS]
    loads = answer.loads[: max(1, size.height // 3)]
    sentences = [*_daemon_lines(answer), *(f"Problem: {problem}" for problem in problems)]
    sentences += _troubles(loads)
    used = sum(len(wrap(text, size.width)) for text in [*sentences, _HELD_NOTE])
    used += min(1, answer.stray_count) + (_AROUND + len(loads) + 1 if loads else 0)
    room = size.height - used - _AROUND - _NOTES
    last = min(len(answer.last), _MOST_LAST)
    if room - last - _AROUND < min(_FEWEST_FILES, len(answer.files)):
        last = max(0, room - _AROUND - _FEWEST_FILES)
    files = _choose_files(answer.files, max(1, room - last - (_AROUND if last else 0)))
    last = min(len(answer.last), max(0, room - len(files) - _AROUND))
    return Shown(answer, files, loads, problems, 0, last, one_line=True)


def _choose_files(files: tuple[FileStatus, ...], room: int) -> tuple[FileStatus, ...]:
    """Return so many files, of the held and of the others something."""
    held = [file for file in files if _is_held(file)]
    others = [file for file in files if not _is_held(file)]
    kept = held[: max(1, room - min(len(others), room // 2))]
    return (*kept, *others[: room - len(kept)])


def _is_held(file: FileStatus) -> bool:
    return file.why.waits_for is WaitsFor.PERSON


def draw(shown: Shown, width: int) -> Iterator[RenderableType]:
    """Yield what a terminal of some width shows."""
    for part in parts(shown, width):
        if isinstance(part, str):
            yield Text(part, style="red" if part.startswith("Problem:") else "")
        else:
            yield part.drawn(width)


def parts(shown: Shown, width: int, *, is_screen: bool = True) -> Iterator[str | output.Listing]:
    """Yield the sentences and tables of the answer, what is wrong at the top."""
    answer = shown.answer
    yield from _daemon_lines(answer)
    for problem in shown.problems:
        yield f"Problem: {problem}"
    if answer.loads:
        yield _loads_listing(shown, width)
        yield from _troubles(shown.loads)
    if left_out := len(answer.loads) - len(shown.loads):
        yield f"… and {left_out:,} more loading: {_ALL}"
    if shown.files:
        yield _files_listing(shown, width, is_screen=is_screen)
    elif not answer.files_total:
        yield "Nothing is waiting."
    yield from _notes(shown, is_screen=is_screen)
    yield from _strays(shown)
    if shown.last:
        yield _last_listing(shown)


def _daemon_lines(answer: Status) -> Iterator[str]:
    if answer.daemon is not None and not answer.daemon_problem:
        yield _daemon_line(answer.daemon)


def _daemon_line(beat: Heartbeat) -> str:
    numbers = [
        (beat.waiting, "at the gate"),
        (beat.queued, "queued"),
        (len(beat.running), "loading"),
        (beat.put_off_count, "put off"),
    ]
    said = ", ".join(f"{number:,} {what}" for number, what in numbers if number)
    ago = span(beat.age_seconds)
    return f"The daemon (process {beat.pid} on {beat.host}) looked {ago} ago" + (
        f": {said}." if said else "."
    )


# --- loads under way -------------------------------------------------------------------------


def _troubles(loads: Sequence[LoadStatus]) -> Iterator[str]:
    for found in loads:
        if trouble := found.progress.trouble:
            yield f"Load {found.load.load_id} waits: {trouble}."


def _loads_listing(shown: Shown, width: int) -> output.Listing:
    columns = ("load", "file", "table", "step", output.BAR, "done", "rows", "a second", "step left")
    kept: list[int] = list(range(len(columns)))
    is_short = width < output.WIDE
    if width < _NARROW:
        kept = [0, 1, 3, 5, 8]
    elif is_short:
        kept = [0, 1, 3, 4, 5, 6, 7, 8]
    rows = [_load_cells(found, is_short=is_short) for found in shown.loads]
    return output.Listing(
        [columns[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        f"Loading: {len(shown.answer.loads):,}",
        one_line=True,
        shortened="file",
    )


def _load_cells(found: LoadStatus, *, is_short: bool) -> tuple[object, ...]:
    load, progress = found.load, found.progress
    rate = progress.rows_per_second
    return (
        str(load.load_id),
        load.file_name,
        load.table,
        progress.step,
        _bar(progress.share, _SHORT_BAR_WIDTH if is_short else _BAR_WIDTH),
        "" if progress.share is None else f"{progress.share:.0%}",
        _of(progress.rows_done, None if is_short else progress.rows_total),
        None if rate is None else round(rate),
        _time_left(found),
    )


def _bar(share: float | None, width: int) -> object:
    if share is None:
        return ""
    return ProgressBar(total=1.0, completed=share, width=width)


def _of(done: int | None, total: int | None) -> str:
    if done is None:
        return ""
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


def _time_left(found: LoadStatus) -> str:
    if found.is_abandoned:
        return "its worker is gone"
    silent, left = found.progress.silent_seconds, found.progress.seconds_left
    if silent is not None and silent > _SILENT_SECONDS:
        return f"silent for {span(silent)}"
    return "" if left is None else span(left)


# --- files that wait -------------------------------------------------------------------------


def _files_listing(shown: Shown, width: int, *, is_screen: bool) -> output.Listing:
    columns = ("load", "file", "inbox", "bytes", "status", "why")
    kept: list[int] = list(range(len(columns)))
    if width < output.WIDE:
        kept = [0, 1, 2, 5] if shown.one_line else [0, 1, 2, 4, 5]
    rows = [
        (
            str(file.why.load_id or ""),
            Path(file.path).name,
            _inbox_of(file, width),
            file.size_bytes,
            file.status,
            file.why.text if is_screen else _why_whole(file),
        )
        for file in shown.files
    ]
    return output.Listing(
        [columns[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        f"In the inboxes: {shown.answer.files_total:,}",
        one_line=shown.one_line,
        shortened="file",
        below=None if shown.one_line else "why",
    )


def _last_listing(shown: Shown) -> output.Listing:
    last = output.loads_listing(shown.answer.last[: shown.last], "Last loads")
    if not shown.one_line:
        return last
    return replace(last, one_line=True, spared=("table", "type", "rejected"), below=None)


def _inbox_of(file: FileStatus, width: int) -> str:
    if width >= output.WIDE:
        return f"{file.area} {file.load_type}"
    return f"{_SHORT_AREA[file.area]} {_SHORT_LOAD_TYPE[file.load_type]}"


def _why_whole(file: FileStatus) -> str:
    said = file.why.text
    return f"{said} Let it load: {file.why.next_step}" if file.why.next_step else said


def _notes(shown: Shown, *, is_screen: bool) -> Iterator[str]:
    """Yield what is left out, and what can be done about held files: never a path cut in two."""
    if left_out := shown.held_left_out:
        yield f"… and {left_out:,} more held: {_ALL}"
    if left_out := shown.others_left_out:
        yield f"… and {count_of(left_out, 'more file')}: {_ALL}"
    held = [file for file in shown.files if _is_held(file)]
    if is_screen and held:
        yield _HELD_NOTE


def _strays(shown: Shown) -> Iterator[str]:
    answer = shown.answer
    for stray in answer.strays[: shown.strays]:
        yield f"Stray (in no inbox, never touched): {stray}"
    more = answer.stray_count - min(shown.strays, len(answer.strays))
    if more > 0 and shown.strays:
        yield f"{more:,} more strays."
    elif more > 0:
        yield f"{count_of(more, 'stray')} (in no inbox, never touched): {_ALL}"
