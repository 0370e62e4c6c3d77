"""Write messages as somebody wants to read them at night: what, where, what to do."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from dropload.alert_config import Event
from dropload.durable import path_text
from dropload.folders import DropTree
from dropload.logs import mask_secrets
from dropload.naming import file_pattern
from dropload.notify.mailbox import Group
from dropload.notify.note import Note
from dropload.reports import count_of

_MOST_ITEMS = 5
_MOST_CHARACTERS = 360
"""Of one item's text: several services take no message of more than 2,000 in all."""
_OF_FILES = {
    Event.FILE_FAILED: "failed",
    Event.FILE_HELD: "held",
    Event.LOAD_UNUSUAL: "not as usual",
}
_MOST_IN_TITLE = 2
_OVER = "ok"


@dataclass(frozen=True, slots=True)
class Place:
    """Who speaks."""

    host: str
    tree: str

    @classmethod
    def of(cls, tree: DropTree) -> "Place":
        """Return the place of a drop tree on this machine."""
        return cls(socket.gethostname(), path_text(tree.root))


@dataclass(frozen=True, slots=True)
class Message:
    """What a receiver gets."""

    title: str
    body: str
    kind: str
    """A severity, or `ok`: services show it by colour or sign."""


def compose(
    groups: Sequence[Group], turned_away: int, place: Place, zone: tzinfo | None
) -> Message:
    """Return one message for all groups, of which the first is the gravest."""
    worst = groups[0].last
    kind = _OVER if worst.is_over else worst.severity.value
    items = [_describe(group, zone) for group in groups[:_MOST_ITEMS]]
    left = sum(group.count for group in groups[_MOST_ITEMS:]) + turned_away
    if left:
        items.append(f"And {left:,} more: `dropload status`, `dropload history --errors`.")
    items.append(_sign(place, groups[-1].last.at, zone))
    title = f"{kind.upper()}: {_headline(groups)} (dropload on {place.host})"
    return Message(mask_secrets(title), mask_secrets("\n\n".join(items)), kind)


def compose_test(place: Place, receiver: str, zone: tzinfo | None) -> Message:
    """Return the message of the test command."""
    now = datetime.now(UTC)
    body = (
        f"This is a test: notifications to {receiver!r} arrive. Nothing is wrong, and nothing is "
        f"to be done.\n\n{_sign(place, now, zone)}"
    )
    return Message(f"TEST: notifications arrive (dropload on {place.host})", body, "info")


def _headline(groups: Sequence[Group]) -> str:
    """Return the gravest things in a few words, files of one event together."""
    said: dict[tuple[Event, bool], str] = {}
    for group in groups:
        event, is_over = group.last.event, group.last.is_over
        alike = [one for one in groups if (one.last.event, one.last.is_over) == (event, is_over)]
        total = sum(one.count for one in alike)
        of_files = event in _OF_FILES and not is_over
        if (event, is_over) not in said:
            counted = of_files and total > 1
            said[event, is_over] = (
                _count_files(total, event) if counted else _count_alike(group, len(alike))
            )
    first, rest = list(said.values())[:_MOST_IN_TITLE], len(said) - _MOST_IN_TITLE
    return "; ".join(first) + (f"; {rest} more" if rest > 0 else "")


def _count_alike(group: Group, alike: int) -> str:
    more = f" and {alike - 1} more like it" if alike > 1 else ""
    return f"{group.last.headline}{more}"


def _describe(group: Group, zone: tzinfo | None) -> str:
    """Return an item of a message: what happened how often, then the last one's own words."""
    note, count = group.last, group.count
    when = _span(group.first.at, note.at, zone)
    if count == 1 or note.is_over or note.event not in _OF_FILES:
        return f"{_capital(note.headline)}{_of_table(note)}, {when}.\n{_cut(_capital(note.text))}"
    said = f"{_count_files(count, note.event)}: {file_pattern(note.file_name)}"
    table = _of_table(note) if group.first.table == note.table else ""
    return f"{said}{table}, {when}.\nThe last, {note.file_name}: {_cut(note.text)}"


def _count_files(count: int, event: Event) -> str:
    return f"{count_of(count, 'file')} {_OF_FILES[event]}"


def _of_table(note: Note) -> str:
    return f" ({note.table})" if note.table and note.table not in note.headline else ""


def _span(first: datetime, last: datetime, zone: tzinfo | None) -> str:
    begin, end = (moment.astimezone(zone) for moment in (first, last))
    if f"{begin:%H:%M}" == f"{end:%H:%M}" and begin.date() == end.date():
        return f"{begin:%H:%M}"
    day = "" if begin.date() == end.date() else f"{begin:%Y-%m-%d} "
    return f"{day}{begin:%H:%M} to {end:%H:%M}"


def _sign(place: Place, at: datetime, zone: tzinfo | None) -> str:
    local = at.astimezone(zone)
    return f"dropload on {place.host}, {place.tree}; times of {local:%Y-%m-%d}, {local:%Z}."


def _capital(text: str) -> str:
    # The name of a file or table stays as it is written.
    first = text.split(" ", 1)[0]
    return text if "." in first else text[:1].upper() + text[1:]


def _cut(text: str) -> str:
    text = text.strip()
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS].rsplit(' ', 1)[0]} …"
