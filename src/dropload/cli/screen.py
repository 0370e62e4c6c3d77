"""A screen that is drawn anew until somebody has seen enough."""

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.live import Live

_SHARE = 0.5
"""At most this share of the time goes into looking, however full the tree is."""


def watch_screen(draw: Callable[[ConsoleDimensions], RenderableType], seconds: float) -> None:
    """Show what `draw` makes for the size of the window, until q or Ctrl-C is pressed.

    The window is left as it was, also when a signal ends the process.
    """
    console = Console()
    interrupts: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        # Noted, too: what is just running may swallow the exception.
        interrupts.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    try:
        with (
            _single_keys(sys.stdin.fileno()) as is_ended,
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            while not interrupts:
                began = time.monotonic()
                live.update(draw(console.size), refresh=True)
                took = time.monotonic() - began
                if is_ended(max(seconds, took / _SHARE - took)):
                    return
    except KeyboardInterrupt:
        return


def _end(number: int, _frame: object) -> None:
    # By an exception, so that the window gets back its lines and its cursor.
    sys.exit(128 + number)


@contextmanager
def _single_keys(descriptor: int) -> Iterator[Callable[[float], bool]]:
    """Yield what waits for a time and returns whether q was pressed meanwhile."""

    def is_ended(seconds: float) -> bool:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        if not ready:
            return False
        pressed = os.read(descriptor, 1024)
        return not pressed or b"q" in pressed.lower()

    if not os.isatty(descriptor):
        yield _sleep
        return
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield is_ended
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
