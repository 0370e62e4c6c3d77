"""The commands about notifications: notify test."""

import time
from dataclasses import asdict, dataclass

import click

from dropload.alert_config import NotifyConfig
from dropload.cli import output
from dropload.cli.session import Session, json_option, pass_session
from dropload.errors import RefusedError, TransientError
from dropload.folders import DropTree
from dropload.notify import Place, Service, compose_test, open_services, zone_of


@dataclass(frozen=True, slots=True)
class _Tried:
    """What became of one test message."""

    receiver: str
    service: str
    ok: bool
    seconds: float
    message: str
    """Why it did not arrive; empty when the service took it."""


@click.group(short_help="Try out notifications.")
def notify() -> None:
    """Try out the notifications of [notify].

    The daemon sends them by itself: when files fail, when the database is away, when a file is
    missing that was expected, and when that is over.
    """


@notify.command("test", short_help="Send each receiver a message now, and say what happened.")
@click.argument("receivers", nargs=-1, metavar="[RECEIVER]...")
@json_option
@pass_session
def notify_test(session: Session, receivers: tuple[str, ...], as_json: bool) -> int:
    """Send a test message to each receiver of [notify], or to those that are named.

    It is sent once and at once, whatever the hour, severity, table or event that a receiver is
    configured for. Exit status 1 when one did not arrive. With --json: one object a line.
    """
    config = session.loaded.config
    services = _choose(config.notify, receivers)
    place = Place.of(DropTree(config.paths.dropoff.absolute()))
    tried = [_try(name, service, place, config.notify) for name, service in services.items()]
    if as_json:
        for one in tried:
            output.print_json(asdict(one))
    else:
        rows = [(t.receiver, t.service, t.message or f"sent in {t.seconds:.1f} s") for t in tried]
        output.print_table(["receiver", "service", "what happened"], rows)
    return 0 if all(one.ok for one in tried) else 1


def _choose(settings: NotifyConfig, wanted: tuple[str, ...]) -> dict[str, Service]:
    known = ", ".join(settings.receivers) or "none"
    unknown = [name for name in wanted if name not in settings.receivers]
    if unknown or not settings.receivers:
        what = f"There is no receiver {unknown[0]!r}" if unknown else "Nobody is to be told"
        raise RefusedError(
            f"{what} in [notify]; configured: {known}.",
            hint='For example: receivers.oncall.url = "mailtos://user:password@example.org"',
        )
    chosen = {name: settings.receivers[name] for name in wanted or settings.receivers}
    return open_services(settings.model_copy(update={"receivers": chosen}))


def _try(receiver: str, service: Service, place: Place, settings: NotifyConfig) -> _Tried:
    began = time.monotonic()
    try:
        service.send(compose_test(place, receiver, zone_of(settings)))
    except TransientError as exc:
        return _Tried(receiver, service.name, False, _seconds(began), f"did not arrive: {exc}")
    return _Tried(receiver, service.name, True, _seconds(began), "")


def _seconds(began: float) -> float:
    return round(time.monotonic() - began, 2)


COMMANDS: tuple[click.Command, ...] = (notify,)
