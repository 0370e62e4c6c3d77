"""The command `status`: what the daemon, the journal and the folders tell together."""

import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, ConsoleDimensions

import dropload
from dropload import status as module
from dropload.cli.status_screen import Shown, draw, fit
from dropload.daemon import Daemon
from dropload.heartbeat import FILE_NAME, read_heartbeat, remove_heartbeat
from dropload.identity import worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.model import Drop, Load, Outcome, Progress, State, Step, Verdict
from dropload.reasons import WaitsFor
from dropload.returned import Finished
from dropload.status import StatusReader, read_status
from tests.conftest import Yard, open_yard, unmeasured
from tests.unit.test_cli import Run, run
from tests.unit.test_daemon import Clock

__all__ = ["run"]
ORDERS = "id,name\n1,Ada\n2,Bob\n"
PATIENCE_SECONDS = 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def daemon(yard: Yard, clock: Clock) -> Iterator[Daemon]:
    made = Daemon(yard.dock, clock=clock)
    made._prepare()
    yield made
    made._shut_down()


def drop_of(yard: Yard, path: Path) -> Drop:
    return drop_of_path(path, yard.dock.tree, None, None, force=False, requested_by="x")


def claim(yard: Yard, path: Path, worker: str) -> Load:
    named = name_drop(drop_of(yard, path), yard.dock.target)
    with yard.dock.target.write() as conn:
        made = yard.dock.journal.claims.claim(conn, named.drop, named.table, worker)
    assert isinstance(made, Load)
    return made


# --- what the daemon tells -------------------------------------------------------------------


def test_the_daemon_tells_who_waits_at_the_gate(yard: Yard, daemon: Daemon) -> None:
    yard.put("orders.csv", ORDERS)
    daemon._take_turn_safely(woken=True)
    [file] = read_status(yard.dock).files
    assert file.why.waits_for is WaitsFor.GATE
    assert file.why.text.startswith("check 0 of 6, ")
    assert file.why.until is not None


def test_the_daemon_tells_what_it_has_put_off_and_why(
    yard: Yard, daemon: Daemon, clock: Clock
) -> None:
    path = yard.put("orders.csv", ORDERS)
    daemon._take_turn_safely(woken=True)
    busy = Outcome(Verdict.RETRY, path, message="It cannot be read.", category="file_busy")
    finished = Finished(drop_of(yard, path), "dbo.orders", busy, started_at=clock.now)
    daemon._settler.settle(finished)
    clock.now += 5
    daemon._take_turn_safely(woken=True)
    heartbeat = read_heartbeat(yard.dock.config.state_folder)
    assert heartbeat is not None
    assert heartbeat.put_off_count == 1
    [file] = read_status(yard.dock).files
    # Its path is at the gate, too, in this test: what was put off tells more.
    assert file.why.waits_for is WaitsFor.RETRY
    assert "It cannot be read" in file.why.text


def test_the_daemon_tells_who_is_queued_and_which_table_is_paused(
    yard: Yard, daemon: Daemon, clock: Clock
) -> None:
    for name in ("orders_20240101.csv", "orders_20240102.csv", "prices.csv"):
        yard.put(name, ORDERS)
        yard.put(f"{name}.done", "")
    daemon._outage.problem = "gone"  # nothing is started
    daemon._outage._next_try = clock.now + 60
    daemon._dispatcher.pause("dbo.prices", 60, "The disk is full.", for_owner=True)
    daemon._take_turn_safely(woken=True)
    heartbeat = read_heartbeat(yard.dock.config.state_folder)
    assert heartbeat is not None
    queues = {queue.table: queue for queue in heartbeat.queues}
    assert queues["dbo.orders"].count == 2
    assert [Path(file).name for file in queues["dbo.orders"].files] == [
        "orders_20240101.csv",
        "orders_20240102.csv",
    ]
    found = read_status(yard.dock)
    assert {file.why.waits_for for file in found.files} == {WaitsFor.DATABASE}
    assert [(pause.table, pause.reason) for pause in found.paused] == [
        ("dbo.prices", "The disk is full.")
    ]
    problems = " ".join(found.problems())
    assert "database away: gone" in problems
    assert "dbo.prices is paused until" in problems


def test_a_heartbeat_names_the_first_files_and_counts_all(
    yard: Yard, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropload.telling.MOST_NAMED", 2)
    for number in range(5):
        yard.put(f"a{number}.csv", ORDERS)
    daemon._take_turn_safely(woken=True)
    heartbeat = read_heartbeat(yard.dock.config.state_folder)
    assert heartbeat is not None
    assert (heartbeat.waiting, len(heartbeat.at_gate)) == (5, 2)
    reasons = [file.why.text for file in read_status(yard.dock).files]
    assert len([text for text in reasons if text.startswith("check 0 of 6")]) == 5


def test_news_between_two_scans_are_told_at_most_once_a_second(
    yard: Yard, daemon: Daemon, clock: Clock
) -> None:
    daemon._take_turn_safely(woken=True)
    path = yard.dock.config.state_folder / FILE_NAME
    before = path.stat().st_mtime_ns
    daemon._teller.note_news()
    clock.now += 0.5
    daemon._take_turn_safely(woken=False)
    assert path.stat().st_mtime_ns == before
    clock.now += 0.6
    daemon._take_turn_safely(woken=False)
    assert path.stat().st_mtime_ns > before


def test_a_heartbeat_of_a_later_version_is_understood(yard: Yard, daemon: Daemon) -> None:
    yard.put("orders.csv", ORDERS)
    daemon._take_turn_safely(woken=True)
    folder = yard.dock.config.state_folder
    values = json.loads((folder / FILE_NAME).read_text())
    values["mood"] = "good"
    values["at_gate"][0]["mood"] = "good"
    (folder / FILE_NAME).write_text(json.dumps(values))
    heartbeat = read_heartbeat(folder)
    assert heartbeat is not None
    assert heartbeat.at_gate[0].checks_done == 0
    (folder / FILE_NAME).write_text('{"at_gate": [3]}')
    assert read_heartbeat(folder) is None


# --- what the journal tells ------------------------------------------------------------------


def test_a_load_of_any_daemon_is_shown_with_its_progress(yard: Yard) -> None:
    path = yard.put("orders.csv", ORDERS)
    made = claim(yard, path, "elsewhere@00000000#1#1")
    progress = Progress(Step.PROFILING, 1000, len(ORDERS) // 2, 50.0)
    with yard.dock.target.write() as conn:
        assert yard.dock.journal.claims.renew(conn, made, progress)
    found = read_status(yard.dock)
    [shown] = found.loads
    assert (shown.progress.step, shown.progress.rows_done) == ("profiling", 1000)
    assert shown.progress.share == pytest.approx(0.5)
    assert not shown.is_abandoned
    [file] = found.files
    assert (file.why.waits_for, file.why.load_id) == (WaitsFor.LOAD, made.load_id)


def test_a_load_whose_worker_is_gone_is_said_to_be_abandoned(yard: Yard, run: Run) -> None:
    path = yard.put("orders.csv", ORDERS)
    claim(yard, path, "elsewhere@00000000#1#1")
    yard.execute("""UPDATE "ref.Load_History" SET lease_until = '2020-01-01 00:00:00.000000'""")
    [shown] = read_status(yard.dock).loads
    assert shown.is_abandoned
    assert "its worker is gone" in run("status")[1]
    assert json.loads(run("status", "--json")[1])["loads"][0]["is_abandoned"] is True


def test_outcomes_are_of_loads_that_are_over(yard: Yard) -> None:
    yard.drop("done.csv", ORDERS)
    claim(yard, yard.put("orders.csv", ORDERS), "elsewhere@00000000#1#1")
    found = read_status(yard.dock)
    assert [row.state for row in found.last] == [State.FILED]


def hold(yard: Yard) -> Path:
    yard.drop("people.csv", "id\n1\n2\n3\n", load_type="fullload")
    path = yard.put("people.csv", "id\n1\n", load_type="fullload")
    assert yard.load(path).verdict is Verdict.HELD
    return path


def test_a_sender_whose_files_keep_failing_is_a_problem(yard: Yard, run: Run) -> None:
    for n in range(1, 4):
        yard.drop(f"sales_2026112{n}.csv", "id,name\n1\n")
    text = run("status")[1]
    assert "3 files like sales_########.csv failed since " in text
    assert " UTC and none has loaded since: `dropload show 3` says why the last" in text
    yard.drop("sales_20261124.csv", "id,name\n1,Ada\n")
    assert "failed since" not in run("status")[1]


def test_of_many_files_those_that_need_somebody_come_first(yard: Yard, run: Run) -> None:
    held = hold(yard)
    for number in range(100):
        yard.put(f"a{number:03}.csv", ORDERS)
    os.utime(held, (2**31, 2**31))
    # Still the same version for the journal.
    yard.execute(f'UPDATE "ref.File_Monitor_Tracking" SET mtime_ns = {2**31 * 10**9}')
    found = read_status(yard.dock, most_files=5)
    assert [Path(file.path).name for file in found.files] == [
        "people.csv",
        "a000.csv",
        "a001.csv",
        "a002.csv",
        "a003.csv",
    ]
    assert found.files_total == 101
    text = run("status")[1]
    assert "In the inboxes: 101" in text
    assert "… and 61 more files: `dropload status --all`" in text
    assert "more: `dropload" not in run("status", "--all")[1]
    assert len(json.loads(run("status", "--json")[1])["files"]) == 101


def test_a_held_file_comes_with_the_command_that_lets_it_load(yard: Yard, run: Run) -> None:
    hold(yard)
    text = run("status")[1]
    assert "held: The file has 1 row, 67% fewer" in text
    assert "dropload release 2" in text
    [file] = json.loads(run("status", "--json")[1])["files"]
    assert (file["waits_for"], file["next_step"]) == ("person", "dropload release 2")
    assert run("release", "2")[0] == 0
    assert "released" in run("status")[1]
    status, _, errors = run("release", "2")
    assert (status, "The file of load 2 is not held" in errors) == (1, True)
    assert run("release", "99")[0] == 1


def test_what_is_wrong_is_said_at_the_top(yard: Yard, run: Run) -> None:
    yard.put("lonely.csv.done", "")
    (yard.dock.tree.root / "stray.csv").write_text(ORDERS)
    gone = yard.inbox("reference").path
    gone.rename(gone.with_name("elsewhere"))
    lines = run("status")[1].splitlines()
    problems = [line for line in lines if line.startswith("Problem: ")]
    assert lines[: len(problems)] == problems
    said = " ".join(problems)
    assert "No daemon is running" in said
    assert str(gone) in said
    assert "no file for the companion" in said
    answer = json.loads(run("status", "--json")[1])
    assert len(answer["problems"]) == len(problems)
    assert answer["companions_without_file"]


def test_a_daemon_that_was_killed_is_told_from_one_that_runs(
    yard: Yard, daemon: Daemon, clock: Clock, run: Run
) -> None:
    daemon._take_turn_safely(woken=True)
    assert f"The daemon (process {os.getpid()} on " in run("status")[1]
    file = yard.dock.config.state_folder / FILE_NAME
    values = json.loads(file.read_text())
    # No process was started in the very moment in which the machine was.
    values["process"] = values["process"].rpartition("#")[0] + "#1"
    file.write_text(json.dumps(values))
    said = run("status")[1]
    assert "Problem: The daemon was killed" in said
    assert "looked" not in said
    remove_heartbeat(yard.dock.config.state_folder)
    assert "No daemon is running" in run("status")[1]


# --- patience --------------------------------------------------------------------------------


def test_a_database_that_hangs_is_not_waited_for(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.put("orders.csv", ORDERS)
    monkeypatch.setattr(module, "DATABASE_SECONDS", 0.05)
    released, calls = threading.Event(), []

    def hang(*_: object) -> list[Path]:
        calls.append(1)
        released.wait(PATIENCE_SECONDS)
        return []

    monkeypatch.setattr(module, "pending_scripts", hang)
    reader = StatusReader(yard.dock)
    for _ in range(3):
        found = reader.read()
        assert found.database_problem == "it has not answered within 0.05 s."
        assert [Path(file.path).name for file in found.files] == ["orders.csv"]
    assert len(calls) == 1, "those who hang do not pile up"
    released.set()
    assert reader._asking is not None
    reader._asking.join()
    monkeypatch.setattr(module, "DATABASE_SECONDS", PATIENCE_SECONDS)
    assert reader.read().database_problem == ""


def test_what_nobody_foresaw_is_not_taken_for_an_absent_database(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(module, "pending_scripts", explode)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        read_status(yard.dock)


def test_a_database_that_was_never_prepared_says_what_to_run(run: Run) -> None:
    text = run("status")[1]
    assert "it is not prepared (0001_journal.sql, " in text
    assert "). `dropload init`" in text


# --- the window ------------------------------------------------------------------------------


@dataclass
class Window:
    """A terminal with `status --watch` in it."""

    process: "subprocess.Popen[bytes]"
    terminal: int
    seen: bytes = b""

    def wait_for(self, text: bytes, times: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.seen.count(text) < times:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += os.read(self.terminal, 65536)

    def end(self) -> int:
        self.wait_for(b"\x1b[?1049l")
        return self.process.wait(PATIENCE_SECONDS)

    @property
    def flags(self) -> Any:
        return termios.tcgetattr(self.terminal)[3]


def _take_terminal() -> None:
    """Let Ctrl-C go to this process: the terminal becomes its own."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Window]:
    yard = open_yard(tmp_path)
    yard.put("orders.csv", ORDERS)
    yard.dock.target.close()
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (12, 50))
    # Nor is it measured: a Ctrl-C in the middle of the measuring would leave its locks taken.
    environ = {k: v for k, v in unmeasured().items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "dropload", "status", "--watch"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        cwd=tmp_path,
        env=environ
        | {
            "TERM": "xterm",
            "PYTHONPATH": str(Path(dropload.__file__).parents[1]),
            "DROPLOAD_PATHS__DROPOFF": str(tmp_path / "dropoff"),
            "DROPLOAD_DATABASE__URL": f"sqlite:///{tmp_path / 'dropload.db'}",
        },
        preexec_fn=_take_terminal,  # noqa: PLW1509 - nothing here has threads
    )
    made = Window(process, ours)
    yield made
    process.kill()
    process.wait()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("pressed", "status"), [(b"q", 0), (b"\x03", 0), (b"x\x1b[AQ", 0)], ids=["q", "ctrl-c", "keys"]
)
def test_a_key_ends_the_watch_and_leaves_the_window_as_it_was(
    window: Window, pressed: bytes, status: int
) -> None:
    before = window.flags
    window.wait_for(b"orders.csv")
    assert not window.flags & termios.ICANON
    os.write(window.terminal, pressed)
    assert window.end() == status
    assert window.flags == before
    assert b"Traceback" not in window.seen


def test_a_signal_leaves_the_window_as_it_was(window: Window) -> None:
    before = window.flags
    window.wait_for(b"orders.csv")
    window.process.send_signal(signal.SIGTERM)
    assert window.end() == 128 + signal.SIGTERM
    assert window.flags == before


def test_the_window_is_drawn_in_place_and_fits_when_it_is_narrow(window: Window) -> None:
    window.wait_for(b"orders.csv")
    assert b"\x1b[?1049h" in window.seen
    window.wait_for(b"orders.csv", times=3)
    assert b"\x1b[2J" not in window.seen[window.seen.index(b"orders.csv") :], "it would flicker"
    assert b"non-ref append" in window.seen


def test_a_window_of_any_size_shows_files_and_outcomes(
    yard: Yard, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        yard.drop(f"done{number}.csv", ORDERS)
    for number in range(30):
        yard.put(f"a{number}.csv", ORDERS)
    found = read_status(yard.dock)
    small = fit(found, ConsoleDimensions(50, 12))
    assert (len(small.files), small.last) == (4, 0)
    assert drawn(small, 50, 12)[-1] == "… and 26 more files: `dropload status --all`"
    large = fit(found, ConsoleDimensions(200, 100))
    assert (len(large.files), large.last) == (30, 8)


def drawn(shown: Shown, width: int, height: int) -> list[str]:
    """Return the lines of a window, which must have room for them."""
    console = Console(width=width, height=height, file=io.StringIO())
    for part in draw(shown, width):
        console.print(part)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 48), (50, 20)])
def test_loads_under_way_and_some_of_everything_are_seen_among_many_held_files(
    yard: Yard, width: int, height: int
) -> None:
    yard.drop("customers_of_the_region.csv", "id\n1\n2\n3\n", load_type="fullload")
    for number in range(42):
        name = f"customers_of_the_region_2026{1 + number // 28:02}{1 + number % 28:02}.csv"
        yard.drop(name, "id\n", load_type="fullload")
    for number in range(4):
        yard.put(f"new{number}.csv", ORDERS)
    made = claim(yard, yard.put("orders.csv", ORDERS), worker_name())
    with yard.dock.target.write() as conn:
        progress = Progress(Step.PROFILING, 1_234_567, 10, 98_765.0)
        yard.dock.journal.claims.renew(conn, made, progress)
    reader = StatusReader(yard.dock, most_files=40)
    shown = fit(reader.read(), ConsoleDimensions(width, height))
    lines = drawn(shown, width, height)
    text = "\n".join(lines)
    assert text.index("Loading: 1") < text.index("In the inboxes: 47")
    if width >= 80:
        assert "98,765" in text, "its rate"
    assert "new0.csv" in text, "not only held files"
    held = sum("held: The" in line for line in lines)
    assert held >= 2
    assert f"… and {42 - held} more held: `dropload status --all`" in lines
    assert "dropload release LOAD" in text
    if width == 160:
        assert "customers_of_the_region_20260101.csv" in text
    else:
        assert re.search(r"cust\S*…\S+\.csv", text), "an end, too"


@pytest.mark.parametrize("width", [50, 100, 160])
def test_tables_have_the_columns_that_a_terminal_has_room_for(
    yard: Yard, run: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("dropload.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    path = yard.put("orders.csv", ORDERS)
    yard.put("orders.csv", ORDERS, load_type="fullload")
    made = claim(yard, path, "elsewhere@00000000#1#1")
    with yard.dock.target.write() as conn:
        progress = Progress(Step.PROFILING, 1000, 10, 50.0)
        yard.dock.journal.claims.renew(conn, made, progress)
    yard.drop("done.csv", "id,name\n1\n")
    text = run("status")[1]
    assert max(len(line) for line in text.splitlines()) <= width
    assert ("a second" in text) == (width >= 80)
    inboxes = ("non-reference append", "non-reference fullload")
    if width < 120:
        inboxes = ("non-ref append", "non-ref full")
    assert all(inbox in text for inbox in inboxes), "files of one name are told apart"
    assert "50%" in text
    assert "step left" in text
    assert "being loaded" in text


def test_into_a_pipe_the_answer_comes_again_and_again(
    yard: Yard, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[float] = []

    def two_turns(seconds: float) -> None:
        turns.append(seconds)
        if len(turns) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("dropload.cli.status.time.sleep", two_turns)
    status, text, _ = run("status", "--watch")
    assert (status, text.count("## ")) == (0, 2)
    turns.clear()
    lines = run("status", "--watch", "--json")[1].splitlines()
    assert [json.loads(line)["files"] for line in lines] == [[], []]
    status, _, errors = run("status", "--account", "--watch")
    assert (status, "--account goes with" in errors) == (2, True)
