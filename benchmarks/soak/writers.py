"""Write into the inboxes as people and programs do, and remember what must come of it."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TABLES = 4
LONGEST_PAUSE_SECONDS = 0.1
"""Between two pieces of a slow copy; the gate waits far longer."""
MIXED_APPEND, MIXED_FULLLOAD = "mixed append", "mixed fullload"
HEADER = "writer,file,version,row,text\n"
BROKEN = (
    "writer,file,version,row,text\n1,2,3\n",
    'writer,file,version,row,text\n9,9,9,1,"never closed\n9,9,9,2,x\n',
    "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    "writer,file,version,row,text\n",
    "",
)


@dataclass
class Promise:
    """One name in an inbox, and what must be in the tables in the end."""

    writer: int
    file: int
    table: str
    kind: str
    rows: list[int] = field(default_factory=list)
    """Rows of each version that was written under the name."""
    must_load: bool = True
    """The last version; earlier ones may have been replaced before they were loaded."""
    same_as: tuple[int, int] | None = None
    """The promise with the same bytes: these rows are there once for both."""
    too_slow: bool = False
    """The machine held the writer up for as long as the gate waits: nothing can be promised."""


class Writer(threading.Thread):
    """Drops one file after the other until it is told to stop."""

    def __init__(self, number: int, inbox: Path, seed: int, gate_seconds: float) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.number = number
        self.promises: list[Promise] = []
        self.over = threading.Event()
        self._inbox = inbox
        self._gate_seconds = gate_seconds
        self._random = random.Random(f"{seed}/{number}")
        self._ways: list[Callable[[], None]] = [
            *[self._copy_slowly] * 3,
            *[self._rename_into_place] * 4,
            *[self._rewrite] * 2,
            *[self._drop_again] * 2,
            *[self._drop_broken] * 2,
            self._take_away,
        ]

    def run(self) -> None:
        while not self.over.is_set():
            self._random.choice(self._ways)()
            self.over.wait(self._random.random() * 0.3)

    # --- ways to drop a file

    def _copy_slowly(self) -> None:
        promise = self._promise("slow copy")
        content = self._content(promise).encode()
        with self._path(promise).open("wb", buffering=0) as file:
            pieces = self._random.randrange(2, 12)
            size = len(content) // pieces + 1
            for start in range(0, len(content), size):
                began = time.monotonic()
                file.write(content[start : start + size])
                time.sleep(self._random.random() * LONGEST_PAUSE_SECONDS)
                promise.too_slow |= time.monotonic() - began > self._gate_seconds / 2

    def _rename_into_place(self) -> None:
        promise = self._promise("rename")
        self._put(promise, self._content(promise))

    def _rewrite(self) -> None:
        promise = self._promise("rewrite")
        self._put(promise, self._content(promise))
        time.sleep(self._random.random() * 2 * self._gate_seconds)
        self._put(promise, self._content(promise))

    def _drop_again(self) -> None:
        earlier = [p for p in self.promises if p.kind == "rename"]
        if not earlier:
            return
        first = self._random.choice(earlier)
        promise = self._promise("same bytes", first.table)
        promise.same_as, promise.must_load = (first.writer, first.file), False
        content = self._text(first.file, 0, first.rows[0])
        self._put(promise, content)

    def _drop_broken(self) -> None:
        promise = self._promise("broken")
        promise.must_load = False
        self._put(promise, self._random.choice(BROKEN))

    def _take_away(self) -> None:
        promise = self._promise("taken away")
        promise.must_load = False
        self._put(promise, self._content(promise))
        time.sleep(self._random.random() * 2 * self._gate_seconds)
        self._path(promise).unlink(missing_ok=True)

    # --- how they are written

    def _promise(self, kind: str, table: str = "") -> Promise:
        number = len(self.promises)
        table = table or f"t{self._random.randrange(TABLES)}"
        promise = Promise(self.number, number, table, kind)
        self.promises.append(promise)
        return promise

    def _content(self, promise: Promise) -> str:
        rows = self._random.choice([1, 3, 50, 2000, 20_000])
        promise.rows.append(rows)
        return self._text(promise.file, len(promise.rows) - 1, rows)

    def _text(self, file: int, version: int, rows: int) -> str:
        start = f"{self.number},{file},{version}"
        return HEADER + "".join(f"{start},{row},text {row}\n" for row in range(rows))

    def _path(self, promise: Promise) -> Path:
        return self._inbox / file_name(promise)

    def _put(self, promise: Promise, content: str) -> None:
        path = self._path(promise)
        part = path.with_name(path.name + ".part")
        part.write_text(content, encoding="latin-1")
        part.replace(path)


class FullloadWriter(Writer):
    """Replaces the rows of one table again and again, each time when the last file is gone."""

    def __init__(self, number: int, inbox: Path, seed: int, gate_seconds: float) -> None:
        super().__init__(number, inbox, seed, gate_seconds)
        self._ways = [self._replace]

    def _replace(self) -> None:
        promise = self._promise("fullload", f"full{self.number}")
        rows = self._random.randrange(1000, 1500)
        promise.rows.append(rows)
        promise.must_load = False
        self._put(promise, self._text(promise.file, 0, rows))
        while self._path(promise).exists() and not self.over.is_set():
            time.sleep(0.05)


class MixedWriter(Writer):
    """Replaces the rows of one table and appends to it, without waiting for what went before."""

    def __init__(
        self, number: int, append: Path, fullload: Path, seed: int, gate_seconds: float
    ) -> None:
        super().__init__(number, append, seed, gate_seconds)
        self._folders = {MIXED_APPEND: append, MIXED_FULLLOAD: fullload}
        self._ways = [self._add, self._add, self._replace]

    def _add(self) -> None:
        self._drop(MIXED_APPEND)

    def _replace(self) -> None:
        self._drop(MIXED_FULLLOAD)

    def _drop(self, kind: str) -> None:
        promise = self._promise(kind, f"mixed{self.number}")
        promise.rows.append(self._random.randrange(1000, 1500))
        self._put(promise, self._text(promise.file, 0, promise.rows[0]))
        # Files that are dropped in one moment have no order.
        self.over.wait(self._gate_seconds * (0.5 + self._random.random()))

    def _path(self, promise: Promise) -> Path:
        return self._folders[promise.kind] / file_name(promise)


def file_name(promise: Promise) -> str:
    """Return the name under which the file of a promise is dropped."""
    return f"{promise.table}_{name_day(promise.writer, promise.file)}.csv"


def name_day(writer: int, file: int) -> str:
    """Return a part of a file name that is left out of the table's name: a day and a time."""
    return f"20{writer:02}0101_{file // 3600:02}{file // 60 % 60:02}{file % 60:02}"
