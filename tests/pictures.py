"""Draw the pictures of the terminal for the documents: what the program prints, in its colours.

`python -m tests.pictures FOLDER` draws them all; a test compares those that need no daemon with
what the program prints today.
"""

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from rich.console import Console
from rich.text import Text

from dropload.cli.app import dropload

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
WIDTH, HEIGHT = 100, 20
PLACE = "/srv"
"""Where the tree seems to stand, in the place of the scratch folder."""
_REFERENCE = Path("dropoff/reference_data_table/fullload")
_ORDERS = Path("dropoff/none_reference_data_table/append")
_PATIENCE_SECONDS = 180
_LARGE_ROWS = 4_000_000
_PRICES = "article,price,valid_from\n" + "".join(
    f"{1000 + n},{n % 90 + 5}.50,2026-11-{n % 28 + 1:02}\n" for n in range(40)
)

_FEW_PRICES = "".join(_PRICES.splitlines(keepends=True)[:6])

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>%(title)s</title>
<desc>
%(text)s
</desc>
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, "Courier New", monospace; \
font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""As rich draws it, without the font that it fetches from elsewhere, and with its text for readers
that see no pictures."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What was typed, and what the terminal showed, with its colours as escape sequences."""

    name: str
    command: str
    shown: str

    @property
    def text(self) -> str:
        """Return it as it is read, without colours."""
        lines = f"$ {self.command}\n{_from_ansi(self.shown).plain}".splitlines()
        return "\n".join(line.rstrip() for line in lines)

    def as_svg(self) -> str:
        """Return the picture."""
        console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
        console.print(Text(f"$ {self.command}", style="bold"))
        for line in _from_ansi(self.shown).split("\n"):
            line.rstrip()
            # As a terminal does it: wherever a line is full.
            for part in line.divide(range(WIDTH, len(line), WIDTH)):
                console.print(part, no_wrap=True)
        labels = {"title": escape(self.command), "text": escape(self.text).replace("{", "{{")}
        form = _SVG % {name: text.replace("}", "}}") for name, text in labels.items()}
        return console.export_svg(title="", code_format=form, unique_id=f"picture-{self.name}")


def _from_ansi(shown: str) -> Text:
    text = Text.from_ansi(shown.replace("\r\n", "\n"))
    text.rstrip()
    return text


class Place:
    """A scratch folder with a drop tree, in which commands are run as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, inbox: Path, name: str, content: str) -> Path:
        """Drop a file; return its path from the scratch folder."""
        (self.folder / inbox / name).write_text(content, encoding="utf-8")
        return inbox / name

    def run(self, *arguments: str | Path) -> str:
        """Run a command; return what it shows on a terminal."""
        screen = _Screen()
        with (
            contextlib.chdir(self.folder),
            _environment(),
            contextlib.redirect_stdout(screen),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            dropload.main([str(word) for word in arguments], standalone_mode=False)
        return self.without_noise(screen.getvalue())

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command that goes on in the background."""
        return self._start(arguments, subprocess.DEVNULL)

    def frames(self, *arguments: str) -> Generator[str, None, None]:
        """Yield each screen that a command draws, until nobody asks for more."""
        main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        process = self._start(arguments, side)
        os.close(side)
        drawn, deadline = "", time.monotonic() + _PATIENCE_SECONDS
        try:
            while time.monotonic() < deadline and (piece := os.read(main, 65_536)):
                *whole, drawn = (drawn + piece.decode("utf-8", "ignore")).split("\x1b[H")
                for frame in whole:
                    plain = re.sub(r"\x1b\[[?\d;]*[A-HJKhl]", "", frame)
                    yield self.without_noise(plain)
        finally:
            process.terminate()
            process.wait()
            os.close(main)

    def _start(self, arguments: tuple[str, ...], screen: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "dropload", *arguments]
        with _environment():
            return subprocess.Popen(
                command, cwd=self.folder, stdin=screen, stdout=screen, stderr=screen
            )

    def set_clock(self) -> None:
        """Put the loads some minutes apart, on the day of which the documents speak."""
        minutes = "'2026-11-20 10:' || printf('%02d', 10 + 5 * load_id) || ':00.000000'"
        with sqlite3.connect(self.folder / "data" / "dropload.db", timeout=30) as connection:
            for column in ("claimed_at", "committed_at", "finished_at"):
                connection.execute(
                    f'UPDATE "ref.Load_History" SET {column} = {minutes} WHERE {column} IS NOT NULL'
                )
            connection.create_function("calm", 1, self.without_noise)
            connection.execute(
                'UPDATE "ref.Load_History" SET error_message = calm(error_message)'
                " WHERE error_message IS NOT NULL"
            )
        connection.close()

    def without_noise(self, text: str) -> str:
        """Return a text without what differs from machine to machine, and from day to day."""
        text = text.replace(str(self.folder), PLACE)
        text = re.sub(r"\d{8}T\d{6}Z_", "20261120T101500Z_", text)
        time = r"(?!2026-11-20)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        text = re.sub(time, "2026-11-20 10:15:00", text)
        return re.sub(r"process \d+ on [^)]+\)", "process 4711 on loads1)", text)


class _Screen(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Have commands see a terminal of one width, and no configuration but the defaults."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("DROPLOAD_", "NO_COLOR", "FORCE_COLOR", "COLORTERM")):
            del os.environ[name]
    os.environ |= {
        "TERM": "xterm-256color",
        "COLUMNS": str(WIDTH),
        "PYTHONPATH": str(ROOT / "src"),
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def still_pictures(folder: Path) -> Iterator[Picture]:
    """Yield the pictures that need no daemon."""
    place = Place(folder)
    orders = EXAMPLES.joinpath("orders_0412.csv").read_text(encoding="utf-8")
    place.run("init")
    file = place.put(_REFERENCE, "airports_20261120.csv", _airports())
    place.run("load", str(file))
    place.run("load", str(place.put(_ORDERS, "orders.csv", orders)))
    yield _report(place)
    mended = orders.replace("Nowak,2026-04-11", "Nowak,2026-04-11,10.00").replace("15,90", "15.90")
    file = place.put(_ORDERS, "orders.csv", mended)
    yield _picture(place, "plan", "plan", str(file))
    place.run("load", str(file))
    header, *rows = mended.splitlines(keepends=True)
    next_day = header + "".join(f"2{row}" for row in rows[:3])
    place.run("load", str(place.put(_ORDERS, "orders_20261120.csv", next_day)))
    place.run("load", str(place.put(_REFERENCE, "airports.csv", _airports())))
    place.run("load", str(place.put(_REFERENCE, "prices.csv", _PRICES)))
    place.run("load", str(place.put(_REFERENCE, "prices.csv", _FEW_PRICES)))
    place.set_clock()
    yield _picture(place, "history", "history")
    yield _picture(place, "undo", "undo", "3", "--dry-run")


def _airports() -> str:
    return EXAMPLES.joinpath("airports.csv").read_text(encoding="utf-8")


def _picture(place: Place, name: str, *arguments: str) -> Picture:
    return Picture(name, " ".join(["dropload", *arguments]), place.run(*arguments))


def _report(place: Place) -> Picture:
    [report] = (place.folder / _ORDERS / "error").glob("*.report.txt")
    text = place.without_noise(report.read_text(encoding="utf-8"))
    return Picture("report", "cat error/20261120T101500Z_orders.csv.report.txt", text)


def moving_pictures(folder: Path) -> Iterator[Picture]:
    """Yield the pictures of a daemon at work, each at the moment that tells most."""
    place = Place(folder)
    orders = EXAMPLES.joinpath("orders_0412.csv").read_text(encoding="utf-8")
    place.run("init")
    place.run("load", str(place.put(_REFERENCE, "prices.csv", _PRICES)))
    place.run("load", str(place.put(_ORDERS, "orders.csv", orders)))
    daemon = place.start("run")
    try:
        _drop_whole(place, place.put(_REFERENCE, "prices.csv", _FEW_PRICES))
        _wait_for("held", lambda: place.run("status"))
        place.set_clock()
        place.put(_REFERENCE, "airports.csv", _airports())
        shown = _wait_for("check 3 of 6", lambda: place.run("status"))
        yield Picture("status", "dropload status", shown)
        _put_large(place)
        with contextlib.closing(place.frames("status", "--watch")) as frames:
            share = re.compile(r"(profiling|staging).*\b[456]\d%")
            frame = next(frame for frame in frames if share.search(_from_ansi(frame).plain))
        yield Picture("watch", "dropload status --watch", frame)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def _wait_for(words: str, look: Callable[[], str]) -> str:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        shown = look()
        if words in shown:
            return shown
        time.sleep(0.5)
    sys.exit(f"{words!r} was not seen; the last was:\n{shown}")


def _put_large(place: Place) -> None:
    """Drop a file that takes its time, whole at once."""
    path = place.folder / _ORDERS / "readings.csv.part"
    with path.open("w", encoding="utf-8") as stream:
        stream.write("sensor,read_at,value,note\n")
        for n in range(_LARGE_ROWS):
            stream.write(f"s{n % 97},2026-11-{n % 28 + 1:02} 10:{n % 60:02}:00,{n % 977}.25,ok\n")
    path.rename(path.with_suffix(""))
    _drop_whole(place, _ORDERS / "readings.csv")


def _drop_whole(place: Place, file: Path) -> None:
    """Say that a file is complete."""
    (place.folder / f"{file}.done").touch()


def main(folder: Path) -> None:
    """Draw all pictures into a folder."""
    for draw in (still_pictures, moving_pictures):
        with tempfile.TemporaryDirectory(prefix="dropload-pictures-") as scratch:
            for picture in draw(Path(scratch).resolve()):
                (folder / f"{picture.name}.svg").write_text(picture.as_svg(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
