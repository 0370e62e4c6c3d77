"""Send what the mailboxes hold: a thread for each receiver, so that none waits for another."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from structlog.contextvars import bind_contextvars

from dropload.alert_config import NotifyConfig, NotifyReceiver
from dropload.errors import TransientError
from dropload.logs import get_logger
from dropload.notify.mailbox import Group, Mailbox
from dropload.notify.message import Place, compose
from dropload.notify.note import Note
from dropload.notify.quiet_hours import zone_of
from dropload.notify.services import Service
from dropload.retries import call_until

_FIRST_WAIT_SECONDS = 5.0
"""Before the second try; then it doubles."""
_LONGEST_SLEEP_SECONDS = 60.0
"""Quiet hours go by the clock on the wall, which may be set."""


class Post:
    """Takes notes from the daemon's thread at once, and sends them in its own."""

    def __init__(
        self,
        settings: NotifyConfig,
        services: Mapping[str, Service],
        place: Place,
        first_wait_seconds: float = _FIRST_WAIT_SECONDS,
    ) -> None:
        self._rounds = [
            _Round(name, receiver, settings, services[name], place, first_wait_seconds)
            for name, receiver in settings.receivers.items()
        ]

    @property
    def problem(self) -> str:
        """Return who cannot be told, and since when; empty when all can, as far as is known."""
        return "; ".join(filter(None, (one.problem for one in self._rounds)))

    def add(self, note: Note) -> None:
        """Have a note sent to whom it concerns."""
        for one in self._rounds:
            one.add(note)

    def waiting(self) -> dict[str, list[dict[str, Any]]]:
        """Return what has not been sent yet, by receiver, for another life."""
        return {one.name: one.waiting() for one in self._rounds}

    def restore(self, kept: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """Take up what `waiting` returned."""
        for one in self._rounds:
            one.restore(kept.get(one.name, ()))

    def start(self) -> None:
        """Begin to send."""
        for one in self._rounds:
            one.start()

    def close(self, patience_seconds: float) -> None:
        """Send at once what may be sent, in so much time; what is left is still `waiting`."""
        for one in self._rounds:
            one.stop()
        deadline = time.monotonic() + patience_seconds
        for one in self._rounds:
            one.join(max(0.0, deadline - time.monotonic()))


class _Round:
    """The way from one mailbox to its receiver, again and again."""

    def __init__(
        self,
        name: str,
        receiver: NotifyReceiver,
        settings: NotifyConfig,
        service: Service,
        place: Place,
        first_wait_seconds: float,
    ) -> None:
        self.name = name
        self.problem = ""
        self._settings = settings
        self._service = service
        self._place = place
        self._first_wait_seconds = first_wait_seconds
        self._mailbox = Mailbox(receiver, settings, time.monotonic, lambda: datetime.now(UTC))
        self._under_way: list[Group] = []
        self._lost = 0
        self._failing_since: datetime | None = None
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notify {name}", daemon=True)

    def add(self, note: Note) -> None:
        with self._news:
            self._mailbox.add(note)
            self._news.notify()

    def waiting(self) -> list[dict[str, Any]]:
        with self._news:
            groups = [*self._under_way, *self._mailbox.waiting()]
            return [group.to_json() for group in groups]

    def restore(self, kept: Sequence[dict[str, Any]]) -> None:
        with self._news:
            self._mailbox.restore(kept)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with self._news:
            self._news.notify()

    def join(self, seconds: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        bind_contextvars(receiver=self.name)
        while not self._stopping.is_set():
            with self._news:
                due = self._mailbox.due_in()
                if due is None or due > 0:
                    self._news.wait(min(due or _LONGEST_SLEEP_SECONDS, _LONGEST_SLEEP_SECONDS))
                    continue
            self._send_safely()
        self._send_safely()

    def _send_safely(self) -> None:
        """Send; what nobody foresaw ends one message and not the thread."""
        try:
            self._send_ready()
        except Exception as exc:  # noqa: BLE001 - nobody else would hear of it
            get_logger().exception("notification_failed", reason=str(exc))
            with self._news:
                groups, self._under_way = self._under_way, []
            self._settle_loss(groups, TransientError(f"{type(exc).__name__}: {exc}"))

    def _send_ready(self) -> None:
        with self._news:
            groups = self._under_way = self._mailbox.take()
            turned_away, self._mailbox.turned_away = self._mailbox.turned_away, 0
        if not groups:
            return
        if turned_away:
            get_logger().error("notifications_lost", count=turned_away, reason="too many at once")
        message = compose(groups, turned_away, self._place, zone_of(self._settings))
        try:
            self._call(lambda: self._service.send(message))
        except TransientError as exc:
            self._settle_failure(groups, exc)
        else:
            get_logger().info("notification_sent", title=message.title)
            self.problem, self._failing_since = "", None
        with self._news:
            self._under_way = []

    def _call(self, send: Callable[[], None]) -> None:
        def try_once() -> None:
            try:
                send()
            except TransientError as exc:
                self._note_failure(exc)
                raise

        call_until(
            try_once,
            self._stopping,
            first_seconds=self._first_wait_seconds,
            give_up_seconds=self._settings.give_up_seconds,
        )

    def _note_failure(self, error: TransientError) -> None:
        self._failing_since = self._failing_since or datetime.now(UTC)
        lost = f", {self._lost} lost so far" if self._lost else ""
        self.problem = (
            f"notifications to {self.name} do not arrive since "
            f"{self._failing_since:%Y-%m-%d %H:%M} UTC{lost}: {error} "
            f"`dropload notify test {self.name}` tries again"
        )

    def _settle_failure(self, groups: list[Group], error: TransientError) -> None:
        if self._stopping.is_set():
            with self._news:
                self._mailbox.put_back(groups)
            return
        self._settle_loss(groups, error)

    def _settle_loss(self, groups: list[Group], error: TransientError) -> None:
        count = sum(group.count for group in groups)
        self._lost += count
        get_logger().error("notifications_lost", count=count, reason=str(error))
        self._note_failure(error)
