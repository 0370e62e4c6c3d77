"""The services that Apprise knows: check a URL, send one message, say what went wrong."""

import difflib
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from dropload.alert_config import NotifyConfig, NotifyReceiver
from dropload.errors import ConfigError, TransientError
from dropload.logs import hide_secrets, mask_secrets
from dropload.notify.message import Message

if TYPE_CHECKING:
    import apprise

_KINDS = {"info": "info", "ok": "success", "warning": "warning"}
"""Apprise's word for ours; all that is graver is a failure to it."""
_LONG = 20
"""A part of a URL with so many characters is a key, whatever is in it."""
_WHY = (
    re.compile(r"\[Errno -?\d+\] ([\w ,-]+)"),
    re.compile(r"(?<=\W)(timed out)"),
    re.compile(r"\((\d{3}), b['\"](.+?)['\"]\)"),
    re.compile(r"\[SSL: \w+\] ([\w :,-]+)"),
    re.compile(r"Exception: (.+?)\.?$"),
)
"""The system's own words, or the mail server's, in what Apprise writes for its developers."""
_SHORT = 6
"""What has fewer is found in every text by chance."""


class Service(Protocol):
    """Where messages can be sent."""

    name: str
    """Of the service, for people: `Slack`."""

    def send(self, message: Message) -> None:
        """Send a message; raise TransientError with the reason when it does not arrive."""


def open_services(settings: NotifyConfig) -> dict[str, Service]:
    """Return the service of each receiver; raise ConfigError with what would be right."""
    if not settings.receivers:
        return {}
    try:
        # It takes its time to load, which only those pay who use it.
        import apprise  # noqa: F401, PLC0415
    except ImportError as exc:
        raise ConfigError(
            "notify.receivers: the package apprise, which sends the messages, is not installed.",
            hint="Install it: pip install 'dropload[notify]'.",
            code="extra",
        ) from exc
    return {
        name: AppriseService(
            _open(f"notify.receivers.{name}", url_of(name, receiver)), settings.timeout_seconds
        )
        for name, receiver in settings.receivers.items()
    }


def url_of(name: str, receiver: NotifyReceiver) -> str:
    """Return the URL from the configuration, its file, or a systemd credential."""
    if receiver.url is not None:
        return receiver.url.get_secret_value().strip()
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / f"notify_{name}" if folder else None
    key = f"notify.receivers.{name}"
    file = receiver.url_file or (credential if credential and credential.exists() else None)
    if file is None:
        raise ConfigError(
            f"{key}.url is missing.",
            hint=f"Write {key}.url or {key}.url_file, set DROPLOAD_{_variable(key)}__URL, or pass "
            f"the systemd credential notify_{name}.",
        )
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
        raise ConfigError(
            f"{key}.url_file {file} cannot be read: {reason}.",
            hint="The service's user must be allowed to read it; only the URL is in it.",
        ) from exc


def _variable(key: str) -> str:
    return key.upper().replace(".", "__")


def _open(key: str, url: str) -> "apprise.NotifyBase":
    import apprise  # noqa: PLC0415

    hide_secrets(secrets_in(url))
    with _listening():
        asset = apprise.AppriseAsset(
            app_id="dropload",
            app_desc="dropload",
            async_mode=False,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
        )
        service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        raise ConfigError(f"{key}.url is no URL that Apprise can use.", hint=_advise(url))
    if "overflow=" not in url:
        # Many services refuse what is too long for them, and nobody would hear anything.
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
    return service


def _advise(url: str) -> str:
    """Return what would be right, without what was wrong: that may be a secret."""
    import apprise  # noqa: PLC0415

    schema = url.partition("://")[0].lower() if "://" in url else ""
    known: dict[str, Any] = {
        name: entry
        for entry in apprise.Apprise().details()["schemas"]
        for name in (*(entry["protocols"] or ()), *(entry["secure_protocols"] or ()))
    }
    if schema in known:
        forms = [form.replace("{schema}", schema) for form in known[schema]["details"]["templates"]]
        return f"{schema}:// is written {' or '.join(forms[:3])}: {known[schema]['setup_url']}"
    near = difflib.get_close_matches(schema, known, n=1, cutoff=0.6) if schema else []
    guess = f"Did you mean {near[0]}://? " if near else ""
    return (
        f"{guess}Write SERVICE://…, for example mailtos://user:password@example.org: "
        "https://appriseit.com/services/ lists them."
    )


def secrets_in(url: str) -> Iterator[str]:
    """Yield what must never be shown of a URL: all of it, and the parts that look like keys.

    In which part of it the key is differs from service to service. Names of hosts may be shown.
    """
    yield url
    rest = url.partition("://")[2]
    yield rest
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    if "@" in authority:
        yield authority.rpartition("@")[0]
        password = authority.rpartition("@")[0].partition(":")[2]
        yield password if len(password) > 3 else ""
    for part in re.split(r"[/:@?&=,]", rest):
        has_digit = any(c.isdigit() for c in part)
        if len(part) >= _LONG or (len(part) >= _SHORT and has_digit and "." not in part):
            yield part


class AppriseService:
    """One service that Apprise has opened; a send that hangs is left behind."""

    def __init__(self, plugin: "apprise.NotifyBase", timeout_seconds: float) -> None:
        self._plugin = plugin
        self._timeout_seconds = timeout_seconds
        self._hanging: threading.Thread | None = None
        self.name = str(plugin.service_name)

    def send(self, message: Message) -> None:
        """Send a message; raise TransientError with the reason when it does not arrive."""
        late = TransientError(f"{self.name} has not answered within {self._timeout_seconds:g} s.")
        if self._hanging is not None and self._hanging.is_alive():
            raise late
        said: SimpleQueue[str] = SimpleQueue()
        self._hanging = threading.Thread(
            target=lambda: said.put(self._try(message)), name="notification", daemon=True
        )
        self._hanging.start()
        try:
            reason = said.get(timeout=self._timeout_seconds)
        except Empty:
            raise late from None
        # It has answered, although the system may take a moment to end it.
        self._hanging = None
        if reason:
            raise TransientError(reason)

    def _try(self, message: Message) -> str:
        """Send, and return why it did not arrive; empty when it did."""
        import apprise  # noqa: PLC0415
        from apprise.conversion import convert_between  # noqa: PLC0415

        with _listening() as heard:
            try:
                # As plain text, or made of it: else lines run together, and `<` and `*` steer it.
                form = self._plugin.resolve_format(apprise.NotifyFormat.TEXT)
                arrived = self._plugin.notify(
                    body=convert_between(apprise.NotifyFormat.TEXT, form, message.body),
                    title=message.title,
                    notify_type=_KINDS.get(message.kind, "failure"),
                    body_format=form,
                )
            except Exception as exc:  # noqa: BLE001 - whatever a plugin raises, the daemon goes on
                return mask_secrets(f"{self.name}: {type(exc).__name__}: {exc}")
        if arrived:
            return ""
        return mask_secrets(heard()) or f"{self.name} took it and said that it did not arrive."


@contextmanager
def _listening() -> Iterator[Callable[[], str]]:
    """Keep what Apprise logs in this thread out of the log; yield what it complained of."""
    ear = _Ear(threading.get_ident())
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(ear)
    try:
        yield ear.complaint
    finally:
        logger.removeHandler(ear)


class _Ear(logging.Handler):
    """Hears what Apprise says in one thread: in its debug lines stands the system's own word."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread
        self._said = ""
        self._why = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        text = " ".join(record.getMessage().split())
        if record.levelno >= logging.WARNING:
            self._said = text
        elif found := next(filter(None, (pattern.search(text) for pattern in _WHY)), None):
            self._why = " ".join(found.groups()).strip()

    def complaint(self) -> str:
        """Return the last complaint, with what was the reason where that was said."""
        if not (self._said and self._why):
            return self._said
        return f"{self._said.rstrip('.')} ({self._why})"
