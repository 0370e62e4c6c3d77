"""Notice another daemon that looks after the same tree under other rules.

Each daemon leaves a note below the drop tree, where all of them can read it, whichever database
they have: two with different databases would each get some of the files.
"""

import contextlib
import hashlib
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from dropload.alert_config import NotifyReceiver
from dropload.config import DEFAULT_URL, Config, DatabaseConfig
from dropload.config_digest import digest
from dropload.durable import path_text
from dropload.error_codes import code_of
from dropload.folders import DropTree
from dropload.identity import is_dead_worker, person_name, worker_name
from dropload.logs import get_logger

NOTE_SECONDS = 60.0
"""How often a daemon renews its note."""
_STALE_SECONDS = 10 * NOTE_SECONDS
"""A note that is so much older than ours is of a daemon that was killed."""
RULES = ("schemas", "gate", "watch", "load", "retention")
"""Sections that decide, beside the database, what becomes of a file."""
_PATTERN = "daemon-*.json"
_SINCE = time.time()


@dataclass(frozen=True, slots=True)
class Note:
    """What a daemon says of itself to others."""

    rules: dict[str, str]
    """Digest of each section that decides what becomes of a file."""
    process: str = field(default_factory=worker_name)
    pid: int = field(default_factory=os.getpid)
    user: str = field(default_factory=person_name)
    host: str = field(default_factory=socket.gethostname)
    tells: str = ""
    """Digest of whom it tells of trouble, and how; empty where it tells nobody."""
    since: float = _SINCE
    """When it began, in seconds since 1970."""


def leave_note(config: Config, one_of: Sequence[Path] = ()) -> None:
    """Write or renew this daemon's note; raise OSError where the tree refuses.

    With `one_of`, folders of the tree, one of them must be there: what is made on a bare mount
    point would be hidden by its share.
    """
    text = json.dumps(asdict(_note_of(config)))
    path = _own_path(config)
    root = path.parent.parent
    name, temporary = (str(p.relative_to(root)) for p in (path, path.with_name(f".{path.name}")))
    # Not its parents: a drop tree that was taken away must not come back as an empty folder. And
    # all by one open folder, which stays that of the share when it is unmounted meanwhile.
    opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if one_of and not any(_is_there(folder.relative_to(root), opened) for folder in one_of):
            raise FileNotFoundError(f"there is no inbox in {path_text(root)}")
        with contextlib.suppress(FileExistsError):
            os.mkdir(path.parent.name, 0o750, dir_fd=opened)
        with open(temporary, "w", encoding="utf-8", opener=partial(_open_in, opened)) as note:
            note.write(text)
        os.replace(temporary, name, src_dir_fd=opened, dst_dir_fd=opened)
    finally:
        os.close(opened)


def _is_there(folder: Path, opened: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(folder, dir_fd=opened).st_mode)
    except FileNotFoundError:
        return False


def _open_in(opened: int, path: str, flags: int) -> int:
    return os.open(path, flags, 0o666, dir_fd=opened)


def remove_note(config: Config) -> None:
    """Take this daemon's note away at a clean stop."""
    with contextlib.suppress(OSError):
        _own_path(config).unlink()


def find_rivals(config: Config) -> Iterator[str]:
    """Yield a sentence for each living daemon that works on this tree under other rules.

    Notes of daemons that are certainly gone are removed.
    """
    rules = _digest_rules(config)
    for note in _living(config):
        differing = [name for name in rules if rules[name] != note.rules.get(name)]
        if differing:
            yield _describe(note, config, differing)


@dataclass(frozen=True, slots=True)
class Company:
    """Whether other daemons of this tree tell the same people the same things."""

    is_alone: bool = True
    is_first: bool = True
    """It has run longest: what all of them see is for it to tell."""


def find_company(config: Config) -> Company:
    """Return this daemon's place among those that tell the same receivers."""
    own = _note_of(config)
    others = [note for note in _living(config) if note.tells == own.tells]
    first = min([own, *others], key=lambda note: (note.since, note.process))
    return Company(is_alone=not others, is_first=first == own)


class Neighbours:
    """What a daemon knows of the others of its tree; used from its thread only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.company = Company()
        self.rivals: tuple[str, ...] = ()
        """What is said of other daemons that work on the tree under other rules."""
        self._next_note = float("-inf")

    def note_change(self) -> None:
        """Take note that the rules of this daemon changed: the others are told when next met."""
        self._next_note = float("-inf")

    def meet_when_due(self, tree: DropTree, config: Config) -> None:
        """Leave a note for other daemons of this tree, and say which have other rules."""
        if self._clock() < self._next_note:
            return
        self._next_note = self._clock() + NOTE_SECONDS
        try:
            leave_note(config, [inbox.path for inbox in tree.inboxes])
        except OSError as exc:
            get_logger().debug("note_not_left", reason=str(exc))
            return
        self.company = find_company(config)
        found = tuple(find_rivals(config))
        for rival in found:
            if rival not in self.rivals:
                get_logger().error("another_daemon", problem=rival)
        self.rivals = found


def _note_of(config: Config) -> Note:
    return Note(_digest_rules(config), tells=_digest_receivers(config))


def _digest_receivers(config: Config) -> str:
    """Return what stands for whom a daemon tells; a slow hash, for addresses are secret."""
    notify = config.notify
    if not notify.receivers:
        return ""
    told = [notify.model_dump(mode="json"), [_address_of(one) for one in notify.receivers.values()]]
    salt = str(config.paths.dropoff.absolute()).encode()
    text = json.dumps(told, sort_keys=True).encode()
    return hashlib.scrypt(text, salt=salt, n=1 << 12, r=8, p=1, dklen=8).hex()


def _address_of(receiver: NotifyReceiver) -> str:
    if receiver.url is not None:
        return receiver.url.get_secret_value()
    try:
        return receiver.url_file.read_text(encoding="utf-8") if receiver.url_file else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _living(config: Config) -> Iterator[Note]:
    """Yield the notes of other daemons that have not gone; remove those of others."""
    own = _own_path(config)
    try:
        # The clock that dates both notes is that of the file system, whoever wrote them.
        newest = own.stat().st_mtime
        paths = sorted(own.parent.glob(_PATTERN))
    except OSError:
        return
    for path in paths:
        note = _read_note(path) if path != own else None
        if note is None:
            continue
        if is_dead_worker(note.process) or _is_stale(path, newest):
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        yield note


def _describe(note: Note, config: Config, differing: list[str]) -> str:
    sections = ", ".join(f"[{name}]" for name in differing)
    return (
        f"Another daemon (process {note.pid} of {note.user} on {note.host}) looks after "
        f"{path_text(config.paths.dropoff.absolute())} with other settings in {sections}: it "
        "depends on chance what becomes of a file. Stop one of them, or give both the same "
        f"configuration. [{code_of('rival')}]"
    )


def _own_path(config: Config) -> Path:
    # In the tree also where [paths] state is elsewhere: only the tree is common to all.
    digest = hashlib.sha256(worker_name().encode()).hexdigest()[:16]
    return config.paths.dropoff.absolute() / ".dropload" / f"daemon-{digest}.json"


def _read_note(path: Path) -> Note | None:
    try:
        return Note(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # of another version, or removed in this moment


def _is_stale(path: Path, newest: float) -> bool:
    try:
        return newest - path.stat().st_mtime > _STALE_SECONDS
    except OSError:
        return True


def _digest_rules(config: Config) -> dict[str, str]:
    sections = {name: getattr(config, name).model_dump(mode="json") for name in RULES}
    rules = {"database": _database_of(config.database), **sections}
    return {name: digest(rule) for name, rule in rules.items()}


def _database_of(settings: DatabaseConfig) -> object:
    """Return which database it is, without who asks and how."""
    if settings.type is not None:
        return [settings.type, settings.host, settings.port, settings.instance, settings.name]
    text = settings.url.get_secret_value() if settings.url else DEFAULT_URL
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return ""
    if url.host is None and url.database:
        # Embedded: a file of this machine.
        return [url.get_backend_name(), socket.gethostname(), str(Path(url.database).absolute())]
    return [url.get_backend_name(), url.host, url.port, url.database]
