"""Kill the process that loads at each durable step of its way, one after the other.

Run as a program of its own, because it forks: a process with threads of others in it must not.
Every life of the loader is a forked child that does what a daemon does, without the waiting:
recover, then load what stands in the inboxes. A child is killed by SIGKILL when it comes to its
step; the next child lives on. Then every row and every file is counted.

    python -m tests.acceptance.crashes CASE URL FOLDER [--lives 3] [--statements] [--seed 1]
"""

import argparse
import errno
import functools
import gc
import importlib
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from dropload import in_order, small_files, staging_ahead
from dropload.config import ALWAYS_IGNORED, Config
from dropload.dock import Dock, open_dock
from dropload.identity import worker_name
from dropload.in_order import load_in_order
from dropload.intake import drop_of_observation
from dropload.journal import apply_scripts
from dropload.late_filing import recover
from dropload.model import OPEN_STATES, State, TableName
from dropload.parsers import installed_parsers
from dropload.watcher import scan_inboxes
from tests.conftest import make_config

OLD = "id,name\n1,Ada\n2,Bob\n"
NEW = "id,name\n" + "".join(f"{n},name {n}\n" for n in range(10, 16))
BAD = "id,name\n3,Cyd\n4,Dan,too,long\n5,Eve\n"
TEMPLATE = "template"


@dataclass(frozen=True)
class Case:
    """A file on its way, and how it must end whenever its loader dies."""

    area: str
    kind: str
    content: str
    rows: tuple[tuple[int, str], ...]
    """What the table holds in the end."""
    state: str
    filed: tuple[str, ...]
    """Names that stand in processed/ and error/ in the end, without the time before them."""
    old: str = ""
    """Loaded before it, without being killed."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    companion: bool = False
    small: bool = False
    """Staged and published in one transaction, as files of this size are; else as large ones."""
    ahead: bool = False
    """Staged while it is read for the first time, as large files are."""
    elsewhere: bool = False
    """processed/ and error/ are on another file system."""
    behind: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Files that a worker gets together with it: name, content, and the state they end in."""


_OLD_ROWS = ((1, "Ada"), (2, "Bob"))
_NEW_ROWS = tuple((n, f"name {n}") for n in range(10, 16))
_PLAIN, _REFERENCE = "none_reference_data_table", "reference_data_table"
CASES = {
    "new table": Case(_PLAIN, "append", NEW, _NEW_ROWS, "filed", ("processed/t.csv",)),
    "append": Case(
        _PLAIN, "append", NEW, _OLD_ROWS + _NEW_ROWS, "filed", ("processed/t.csv",), old=OLD
    ),
    "small file": Case(
        _PLAIN,
        "append",
        NEW,
        _OLD_ROWS + _NEW_ROWS,
        "filed",
        ("processed/t.csv",),
        old=OLD,
        small=True,
    ),
    "staged ahead": Case(
        _PLAIN,
        "append",
        NEW,
        _OLD_ROWS + _NEW_ROWS,
        "filed",
        ("processed/t.csv",),
        old=OLD,
        ahead=True,
    ),
    "new table ahead": Case(
        _PLAIN, "append", NEW, _NEW_ROWS, "filed", ("processed/t.csv",), ahead=True
    ),
    "fullload": Case(_PLAIN, "fullload", NEW, _NEW_ROWS, "filed", ("processed/t.csv",), old=OLD),
    "reference": Case(
        _REFERENCE, "fullload", NEW, _NEW_ROWS, "filed", ("processed/t.csv",), old=OLD
    ),
    "companion": Case(
        _PLAIN,
        "append",
        NEW,
        _NEW_ROWS,
        "filed",
        ("processed/t.csv", "processed/t.csv.done"),
        companion=True,
    ),
    "another file system": Case(
        _PLAIN, "append", NEW, _NEW_ROWS, "filed", ("processed/t.csv",), elsewhere=True
    ),
    "bad rows": Case(
        _PLAIN,
        "append",
        BAD,
        _OLD_ROWS,
        "failed",
        ("error/t.csv", "error/t.csv.report.txt", "error/t.rejects.csv"),
        old=OLD,
    ),
    "some rows": Case(
        _PLAIN,
        "append",
        BAD,
        (*_OLD_ROWS, (3, "Cyd"), (5, "Eve")),
        "filed",
        ("processed/t.csv", "processed/t.csv.report.txt", "processed/t.rejects.csv"),
        old=OLD,
        settings={"max_rejected_rows": 1},
    ),
    "together": Case(
        _PLAIN,
        "append",
        NEW,
        (*_OLD_ROWS, *_NEW_ROWS, (20, "Fay")),
        "filed",
        (
            "error/t_20260201.csv",
            "error/t_20260201.csv.report.txt",
            "error/t_20260201.rejects.csv",
            "processed/t.csv",
            "processed/t_20260203.csv",
        ),
        old=OLD,
        small=True,
        behind={
            "t_20260201.csv": (BAD, "failed"),
            "t_20260203.csv": ("id,name\n20,Fay\n", "filed"),
        },
    ),
    "duplicate": Case(_PLAIN, "append", OLD, _OLD_ROWS, "duplicate", ("processed/t.csv",), old=OLD),
}


# --- the steps at which a process dies


class Steps:
    """Counts the steps of this process; kills it at one of them."""

    def __init__(self, last: int | None, *, statements: bool) -> None:
        self._last = last
        self._statements = statements
        self.names: list[str] = []

    def take(self, name: str) -> None:
        self.names.append(name)
        if self._last is not None and len(self.names) > self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, dock: Dock, *, elsewhere: bool) -> None:
        """Have each durable call of this process count."""
        for name in ("replace", "rename", "link", "unlink", "fsync"):
            found = getattr(os, name)
            if elsewhere and name in ("replace", "link"):
                found = _refuse_across(found)
            setattr(os, name, self._counted(f"os.{name}", found))
        if dock.target.name == "mssql":
            # A bulk copy is under way then; it is over with the first commit behind.
            bulk = importlib.import_module("dropload.targets.mssql.bulk")
            bulk.BulkStream.settle = self._counted("settle", bulk.BulkStream.settle)
        dialect = dock.target.engine.dialect
        dialect.do_commit = self._counted("COMMIT", dialect.do_commit)  # type: ignore[method-assign]
        if self._statements:
            sa.event.listen(dock.target.engine, "before_cursor_execute", self._take_statement)

    def _take_statement(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        self.take(statement.partition("\n")[0][:60])

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def counted(*args: Any, **kwargs: Any) -> Any:
            # What is on the disk after a call is what is there before the next one.
            self.take(f"before {name}")
            return call(*args, **kwargs)

        return counted


def _refuse_across(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a rename that finds inboxes and what is below them on two file systems."""

    @functools.wraps(call)
    def across(source: Any, destination: Any, **kwargs: Any) -> Any:
        if Path(source).parent.name in ("append", "fullload"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return call(source, destination, **kwargs)

    return across


# --- the lives of the loader


class Walk:
    """One case on one database, again and again from the same beginning."""

    def __init__(self, case: Case, url: str, folder: Path, *, statements: bool) -> None:
        self.case = case
        self.folder = folder
        self.statements = statements
        self._server = None if url.startswith("sqlite") else sa.make_url(url)
        self._has_templates = not url.startswith("mssql")
        """Else each beginning gets schemas of its own in the one database."""
        self._number = 0
        self.kills = 0

    def prepare(self) -> None:
        """Make the beginning: a tree, a journal, and what was loaded before."""
        # Imported once, here, and not again in each life; pyarrow looks for pandas by itself.
        installed_parsers()
        if not self.case.small:
            small_files.SMALL_BYTES = 0
        if self.case.ahead:
            staging_ahead.AHEAD_BYTES = 0
        # However slow the machine is, the steps are the same in each life.
        in_order.MOST_SECONDS = inf
        if not self._has_templates:
            # However few the rows are, they go by bulk copy.
            bulk: Any = importlib.import_module("dropload.targets.mssql.bulk")
            bulk.LEAST_BYTES = 0
        importlib.import_module("dropload.workers")
        importlib.import_module("pandas")
        open_dock(self._config(TEMPLATE)).target.close()
        # Garbage is looked for among what a life makes, not among all that was imported.
        gc.freeze()
        if not self._has_templates:
            return
        self._make_database(TEMPLATE, None)
        self._in_child(self._make_beginning)
        shutil.copytree(self.folder / "root", self.folder / "kept")

    def run(self, steps: tuple[int, ...]) -> tuple[list[str], list[str]]:
        """Begin anew, live once for each step to die at, and once to the end.

        Returns the steps of the last life, and what is wrong in the end.
        """
        self._begin_anew()
        self._drop_file()
        for step in steps:
            self._in_child(functools.partial(self._live, step))
        names, wrong = self._in_child(lambda: self._live(None))
        return names, wrong

    def _begin_anew(self) -> None:
        shutil.rmtree(self.folder / "root", ignore_errors=True)
        if self._has_templates:
            shutil.copytree(self.folder / "kept", self.folder / "root")
            self._make_database("run", TEMPLATE)
        else:
            self._number += 1
            self._in_child(self._make_beginning)

    def finish(self) -> None:
        """Drop the databases."""
        for name in ("run", TEMPLATE) if self._has_templates else ():
            self._drop_database(name)

    # --- in the children

    def _config(self, database: str) -> Config:
        if self._server is None:
            url = f"sqlite:///{self.folder / 'root' / 'dropload.db'}"
        else:
            suffix = f"_{database}" if self._has_templates else ""
            named = self._server.set(database=f"{self._server.database}{suffix}")
            url = named.render_as_string(hide_password=False)
        return make_config(
            self.folder / "root",
            database={"url": url},
            schemas=self._schemas,
            load={"batch_rows": 2, **self.case.settings},
        )

    @property
    def _schemas(self) -> dict[str, str]:
        """Return schemas of their own for a beginning that no template gives."""
        kinds = ("reference", "non_reference", "backup", "stage")
        return {} if self._has_templates else {kind: f"{kind}{self._number}" for kind in kinds}

    def _make_beginning(self) -> None:
        dock = open_dock(self._config(TEMPLATE))
        dock.tree.create()
        apply_scripts(dock.target)
        if self.case.old:
            (self._inbox / "t_20260101.csv").write_text(self.case.old)
            self._work(dock)
        dock.target.close()

    def _drop_file(self) -> None:
        (self._inbox / "t.csv").write_text(self.case.content)
        if self.case.companion:
            (self._inbox / "t.csv.done").touch()
        for name, (content, _) in self.case.behind.items():
            (self._inbox / name).write_text(content)

    @property
    def _inbox(self) -> Path:
        return self.folder / "root" / "dropoff" / self.case.area / self.case.kind

    def _live(self, last: int | None) -> tuple[list[str], list[str]]:
        """Live, until that step or to the end; return the steps, and what is wrong in the end."""
        steps = Steps(last, statements=self.statements)
        dock = open_dock(self._config("run"))
        steps.watch(dock, elsewhere=self.case.elsewhere)
        self._work(dock)
        steps.take("the end")
        names = list(steps.names)
        wrong = list(self._audit(dock))
        dock.target.close()
        return names, wrong

    @staticmethod
    def _work(dock: Dock) -> None:
        for _ in range(4):
            recover(dock)
            waiting = scan_inboxes(dock.tree, ALWAYS_IGNORED).observations
            drops = sorted(map(drop_of_observation, waiting), key=lambda drop: drop.path)
            load_in_order(dock, drops, worker_name())
            if not waiting:
                return

    def _audit(self, dock: Dock) -> Iterator[str]:
        """Yield what is not as it must be, whatever happened on the way."""
        case = self.case
        inbox = next(i for i in dock.tree.inboxes if i.path == self._inbox)
        table = TableName(dock.target.schema_of(inbox.area), "t")
        with dock.target.read() as conn:
            quoted = dock.target.quoted(table)
            query = f'SELECT "id", "name" FROM {quoted} ORDER BY "id"'
            rows = [tuple(row) for row in conn.exec_driver_sql(query)]
            loads = dock.journal.history.latest(conn, None, 100)
            stages = dock.target.list_stages(conn)
            paths = [self._inbox / name for name in self._states]
            tracked = dock.journal.tracking.at_paths(conn, paths).values()
        if rows != sorted(case.rows):
            yield f"rows: {rows}"
        ended = [load for load in reversed(loads) if load.file_name in self._states]
        over = [load for load in ended if load.state != State.CANCELLED]
        if sorted((load.file_name, load.state.value) for load in over) != [*self._states.items()]:
            yield f"states: {[(load.file_name, load.state.value) for load in ended]}"
        if any(load.state in OPEN_STATES or load.worker for load in loads):
            yield "a claim is left"
        if any(load.filed_at is None for load in over):
            yield "not noted as filed"
        if sorted((row.file_name, row.status) for row in tracked) != [*self._states.items()]:
            yield f"tracked as {[(row.file_name, row.status) for row in tracked]}"
        if stages:
            yield f"side tables: {stages}"
        yield from self._audit_files({load.file_name: load.filed_path for load in over})

    @property
    def _states(self) -> dict[str, str]:
        """Return the state in which each dropped file ends, by name."""
        behind = {name: state for name, (_, state) in self.case.behind.items()}
        return dict(sorted({"t.csv": self.case.state, **behind}.items()))

    def _audit_files(self, filed_paths: Mapping[str, str | None]) -> Iterator[str]:
        case = self.case
        left = [p.name for p in self._inbox.iterdir() if p.is_file() and p.name[0] != "."]
        if left:
            yield f"in the inbox: {left}"
        found = sorted(
            f"{folder}/{path.name.partition('_')[2]}"
            for folder in ("processed", "error")
            for path in (self._inbox / folder).iterdir()
            if not path.name.endswith("t_20260101.csv") and path.name[0] != "."
        )
        if found != sorted(case.filed):
            yield f"filed: {found}"
        contents = {name: content for name, (content, _) in case.behind.items()}
        for name, content in {"t.csv": case.content, **contents}.items():
            filed_path = filed_paths.get(name)
            if not filed_path or Path(filed_path).read_text() != content:
                yield f"the journal names another file: {filed_path}"
        for report in self._inbox.glob("*/*.report.txt"):
            if "too" not in report.read_text():
                yield f"the report does not show the bad row: {report.read_text()}"

    # --- processes and databases

    def _in_child(self, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, from a process of its own; None when that was killed."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            try:
                answer = json.dumps({"value": work()})
            except BaseException:  # noqa: BLE001 - told to the parent
                answer = json.dumps({"error": traceback.format_exc()})
            with os.fdopen(write, "w") as pipe:
                pipe.write(answer)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            answer = pipe.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            self.kills += 1
            return None
        found = json.loads(answer)
        if "error" in found:
            raise AssertionError(found["error"])
        return found["value"]

    def _make_database(self, name: str, template: str | None) -> None:
        if self._server is None:
            return
        self._drop_database(name)
        copied = f' TEMPLATE "{self._server.database}_{template}"' if template else ""
        self._on_server(f'CREATE DATABASE "{self._server.database}_{name}"{copied}')

    def _drop_database(self, name: str) -> None:
        # Servers of killed processes end when they find their clients gone, or here.
        if self._server is not None:
            named = f"{self._server.database}_{name}"
            self._on_server(f'DROP DATABASE IF EXISTS "{named}" WITH (FORCE)')

    def _on_server(self, statement: str) -> None:
        assert self._server is not None
        address = self._server.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def _empty_folder(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def walk(case: str, url: str, folder: Path, lives: int, seed: int, *, statements: bool) -> Any:
    """Die once at each step; then, with `lives` above 2, at random steps one after the other."""
    moments = random.Random(seed)  # noqa: S311 - the same moments each time
    failures: list[dict[str, object]] = []
    with _empty_folder(folder):
        way = Walk(CASES[case], url, folder, statements=statements)
        way.prepare()
        names, wrong = way.run(())
        if wrong:
            failures.append({"steps": [], "wrong": wrong})
        for step in range(len(names)):
            deaths = (step, *(moments.randrange(len(names)) for _ in range(lives - 2)))
            _, wrong = way.run(deaths)
            if wrong:
                failures.append({"steps": [names[s] for s in deaths], "at": deaths, "wrong": wrong})
        way.finish()
    return {"case": case, "steps": len(names), "kills": way.kills, "failures": failures}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=sorted(CASES))
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lives", type=int, default=2, help="the last of them is not killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--statements", action="store_true", help="die before each statement, too")
    asked = parser.parse_args()
    found = walk(
        asked.case, asked.url, asked.folder, asked.lives, asked.seed, statements=asked.statements
    )
    json.dump(found, sys.stdout)
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
