"""Count physical lines, whatever ends them."""


def count_line_breaks(text: str, start: int = 0, end: int | None = None) -> int:
    r"""Return how many line ends there are: `\n`, `\r\n` and a bare `\r` count one each."""
    stop = len(text) if end is None else end
    breaks = text.count("\n", start, stop)
    returns = text.count("\r", start, stop)
    return breaks + returns - text.count("\r\n", start, stop) if returns else breaks


def count_breaks(data: bytes, end: int) -> int:
    """Return the same of the bytes before `end`, in UTF-8 or another encoding that holds ASCII."""
    breaks = data.count(b"\n", 0, end)
    if data.find(b"\r", 0, end) < 0:  # several times as fast as counting them
        return breaks
    returns = data.count(b"\r", 0, end)
    return breaks + returns - data.count(b"\r\n", 0, end)


class LineCounter:
    """The number of the physical line that the text read so far ends in, from 1."""

    def __init__(self) -> None:
        self.line = 1
        self._after_return = False

    def add(self, text: str) -> None:
        """Count on: `text` follows what was counted before."""
        if not text:
            return
        self.line += count_line_breaks(text)
        if self._after_return and text.startswith("\n"):
            self.line -= 1
        self._after_return = text.endswith("\r")
