"""The daemon's alarms: what is new is told once, what is over is told once, across restarts."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from dropload.alarms.kinds import MISSING, OF_DAEMON, OF_JOURNAL, PAUSED, Kind, severity_of
from dropload.alarms.memory import Memory, Open, read_memory, write_memory
from dropload.alert_config import Event, Severity
from dropload.config import Config
from dropload.dock import Dock
from dropload.durable import path_text
from dropload.errors import LockedError
from dropload.expected import ExpectedFiles
from dropload.health import Check, Level
from dropload.health.database import check_journal
from dropload.health.signs import check_problems
from dropload.heartbeat import Heartbeat
from dropload.logs import get_logger, mask_secrets
from dropload.model import Outcome, Verdict
from dropload.notify import Note, Place, Post, Service, open_services
from dropload.reasons import span
from dropload.reports import count_of
from dropload.returned import Finished
from dropload.rivals import Company

_PATIENCE_SECONDS = 5.0
"""What a stop waits for messages; those that are left are sent after the next start."""

_HANDOVER_SECONDS = 1.0
"""What a reload waits for a message that is being sent; one that takes longer may come twice."""


class Alarms:
    """Takes notes of what happens; does nothing where nobody is to be told."""

    def __init__(
        self,
        dock: Dock,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        open_post: Callable[[Config], Mapping[str, Service]] = lambda c: open_services(c.notify),
    ) -> None:
        """Raise ConfigError when a receiver of the configuration cannot be used."""
        self._dock = dock
        self.company = Company()
        """Which other daemons of this tree tell the same people."""
        self._now = now
        self._open_post = open_post
        self._memory = Memory()
        self._kept = ""
        """What stands in the file."""
        self._post = self._make_post(dock.config)

    @property
    def problem(self) -> str:
        """Return which notifications do not arrive; empty when all do."""
        return self._post.problem

    @property
    def _is_on(self) -> bool:
        return bool(self._dock.config.notify.receivers)

    def check(self, config: Config) -> None:
        """Raise ConfigError when a receiver of another configuration cannot be used."""
        self._open_post(config)

    def configure(self, dock: Dock) -> None:
        """Tell whom another configuration names from now on; what is unsent stays so."""
        notify = dock.config.notify
        # What stands in a file may be another URL by now.
        is_in_files = any(receiver.url is None for receiver in notify.receivers.values())
        is_same = notify == self._dock.config.notify and not is_in_files
        self._dock = dock
        if is_same:
            return
        self._post.close(_HANDOVER_SECONDS)
        self._memory.unsent = self._post.waiting()
        self._post = self._make_post(dock.config)
        self._begin()

    def start(self) -> None:
        """Take up what an earlier daemon has left, and begin to send."""
        if self._is_on:
            self._memory = read_memory(self._dock.config.state_folder)
        self._begin()

    def _begin(self) -> None:
        try:
            self._post.restore(self._memory.unsent)
        except (ValueError, TypeError, KeyError, AttributeError):
            get_logger().warning("notifications_lost", reason="what was kept cannot be read")
        self._post.start()

    def _make_post(self, config: Config) -> Post:
        return Post(config.notify, self._open_post(config), Place.of(self._dock.tree))

    def close(self) -> None:
        """Send what may be sent at once, and keep the rest for the next start."""
        self._post.close(_PATIENCE_SECONDS)
        self._keep()

    # --- files

    def note_finished(self, finished: Finished) -> None:
        """Take note of what became of a file."""
        outcome = finished.outcome
        if not self._is_on or outcome is None:
            return
        if outcome.verdict is Verdict.FAILED:
            self._note_failed(finished, outcome)
        elif outcome.verdict is Verdict.HELD and (outcome.load_id or self.company.is_alone):
            # Without a load somebody else has held it before, who tells of it where he can.
            self._note_held(finished, outcome)
        elif outcome.verdict is Verdict.PAUSED:
            text = f"{outcome.message} {outcome.hint}".strip()
            self._open(PAUSED, Severity.ERROR, text, table=finished.table, subject=finished.table)
        elif outcome.verdict is Verdict.LOADED:
            self._note_loaded(finished, outcome)

    def _note_failed(self, finished: Finished, outcome: Outcome) -> None:
        table, name = _table_of(finished), path_text(finished.drop.path.name)
        self._memory.failing.setdefault(table, self._now())
        text = f"{outcome.message} {outcome.hint}".strip()
        if outcome.load_id is not None and outcome.code:
            text += f"\nLoad {outcome.load_id}, {outcome.code}: `dropload help {outcome.code}`"
        if outcome.report_path is not None:
            text += f"\nReport: {path_text(outcome.report_path)}"
        self._tell(Event.FILE_FAILED, Severity.ERROR, f"{name} failed", text, table, name)

    def _note_held(self, finished: Finished, outcome: Outcome) -> None:
        table, path = _table_of(finished), finished.drop.path
        version = finished.drop.version
        # A daemon that starts anew reads held files anew.
        if not self._memory.note_held(path_text(path), f"{version.size_bytes} {version.mtime_ns}"):
            return
        command = f"dropload release {shlex.quote(path_text(path))}"
        text = f"{outcome.message} {outcome.hint}\n{command}"
        name = path_text(path.name)
        self._tell(Event.FILE_HELD, Severity.WARNING, f"{name} is held", text, table, name)

    def _note_loaded(self, finished: Finished, outcome: Outcome) -> None:
        table, name = _table_of(finished), path_text(finished.drop.path.name)
        self._memory.held.pop(path_text(finished.drop.path), None)
        rows = count_of(outcome.rows_loaded, "row")
        text = f"{name} was loaded, {rows} (load {outcome.load_id})."
        since = self._memory.failing.pop(table, None)
        if since is not None:
            said = f"{table} loads again, {self._after(since)} its first failure"
            self._tell(Event.FILE_FAILED, Severity.ERROR, said, text, table, is_over=True)
        self._close(_key(PAUSED, table), text)
        if outcome.unusual:
            self._note_unusual(outcome, table, name)

    def _note_unusual(self, outcome: Outcome, table: str, name: str) -> None:
        text = (
            f"Load {outcome.load_id} of {table}: {outcome.unusual}.\n"
            f"dropload stats {shlex.quote(table)}"
        )
        said = f"{name} is not as usual"
        self._tell(Event.LOAD_UNUSUAL, Severity.WARNING, said, text, table, name)

    # --- what lasts

    def look_at_journal(self, expected: ExpectedFiles) -> None:
        """Tell what the journal says of files and loads; raises DroploadError when it is away."""
        if not (self._is_on and self.company.is_first):
            return
        self._tell_missing(expected)
        try:
            checks = list(check_journal(self._dock))
        except LockedError:
            return  # a load has it just now: at the next look
        self._follow(OF_JOURNAL, checks)

    def tell(self, heartbeat: Heartbeat) -> None:
        """Tell what the daemon itself says, and keep what is known."""
        if not self._is_on:
            return
        self._follow(OF_DAEMON, check_problems(heartbeat, self._dock.config.health))
        self._keep()

    def _follow(self, kinds: Mapping[str, Kind], checks: Iterable[Check]) -> None:
        """Tell what is new among the findings, and what is no longer among them."""
        found = set()
        for check in checks:
            kind = kinds.get(check.name)
            if kind is None or check.level is Level.OK:
                continue
            severity = severity_of(kind, check.level)
            found.add(
                self._open(kind, severity, check.message, table=check.table, subject=check.subject)
            )
        events = {kind.event for kind in kinds.values()}
        for key, trouble in list(self._memory.open.items()):
            if trouble.event in events and key not in found:
                self._close(key, f"It was: {trouble.text}")

    def _tell_missing(self, expected: ExpectedFiles) -> None:
        missing = {}
        for deadline in expected.missing:
            key = self._open(
                MISSING,
                Severity.ERROR,
                deadline.describe(),
                table=deadline.expected.table or "",
                subject=deadline.key,
                about=deadline.what,
            )
            missing[key] = deadline
        here = {_key(MISSING, key) for key in expected.arrived}
        for key, trouble in list(self._memory.open.items()):
            if trouble.event is not Event.MISSING_FILE or key in missing:
                continue
            if key in here:
                self._close(key, f"It was expected: {trouble.text}")
            else:
                del self._memory.open[key]  # its day is over, and nobody is told twice

    def _open(
        self,
        kind: Kind,
        severity: Severity,
        text: str,
        *,
        table: str = "",
        subject: str = "",
        about: str = "",
    ) -> str:
        """Tell of trouble unless that was done, or it has become worse; return its key."""
        key, text = _key(kind, subject), mask_secrets(text)
        before = self._memory.open.get(key)
        if before is not None and before.severity.rank >= severity.rank:
            return key
        headline = kind.headline.format(about or subject)
        over = kind.over.format(about or subject)
        since = before.since if before else self._now()
        self._memory.open[key] = Open(
            kind.event, severity, headline, over, text, since, table, subject
        )
        self._tell(kind.event, severity, headline, text, table, subject=subject)
        return key

    def _close(self, key: str, text: str) -> None:
        trouble = self._memory.open.pop(key, None)
        if trouble is None or not trouble.over:
            return
        self._tell(
            trouble.event,
            trouble.severity,
            f"{trouble.over} after {span((self._now() - trouble.since).total_seconds())}",
            text,
            trouble.table,
            subject=trouble.subject,
            is_over=True,
        )

    def _after(self, since: datetime) -> str:
        return f"{span((self._now() - since).total_seconds())} after"

    def _tell(
        self,
        event: Event,
        severity: Severity,
        headline: str,
        text: str,
        table: str = "",
        file_name: str = "",
        *,
        subject: str = "",
        is_over: bool = False,
    ) -> None:
        self._post.add(
            Note(
                event,
                severity,
                headline,
                mask_secrets(text),
                self._now(),
                table,
                file_name,
                subject,
                is_over,
            )
        )

    # --- keeping

    def _keep(self) -> None:
        if not self._is_on:
            return
        self._memory.unsent = self._post.waiting()
        text = self._memory.to_text()
        if text == self._kept:
            return
        try:
            write_memory(self._dock.config.state_folder, text)
            self._kept = text
        except OSError as exc:
            get_logger().debug("alarms_not_kept", reason=str(exc))


def _key(kind: Kind, subject: str) -> str:
    return f"{kind.event}:{subject}"


def _table_of(finished: Finished) -> str:
    """Return the table; empty where the file's name gave none."""
    return "" if finished.table.endswith(".") else finished.table
