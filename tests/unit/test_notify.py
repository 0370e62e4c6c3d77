"""Notifications: who hears what, when, in which words, and what is kept when nobody can hear."""

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dropload.alert_config import Event, NotifyConfig, NotifyReceiver, Severity
from dropload.errors import ConfigError, TransientError
from dropload.logs import mask_secrets
from dropload.notify import Note, Place, Post, compose_test, open_services
from dropload.notify.mailbox import MOST_GROUPS, Mailbox
from dropload.notify.message import Message, compose
from dropload.notify.note import note_from_json
from dropload.notify.quiet_hours import end_of_quiet
from dropload.notify.services import secrets_in
from tests.http_receiver import PATIENCE_SECONDS, Site
from tests.mail_server import REFUSED, MailServer

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLACE = Place("loads1", "/srv/dropoff")


def settings(**values: Any) -> NotifyConfig:
    return NotifyConfig.model_validate({"time_zone": "UTC", **values})


def failed(name: str = "sales_20261120.csv", table: str = "dbo.sales", **values: Any) -> Note:
    given = {
        "event": Event.FILE_FAILED,
        "severity": Severity.ERROR,
        "headline": f"{name} failed",
        "text": "1 row cannot be loaded, of 2. Correct it and drop the file again.",
        "at": NOON,
        "table": table,
        "file_name": name,
    }
    return Note(**{**given, **values})


def away(**values: Any) -> Note:
    given = {
        "event": Event.DATABASE_AWAY,
        "severity": Severity.CRITICAL,
        "headline": "the database is away",
        "text": "connection refused",
        "at": NOON,
    }
    return Note(**{**given, **values})


def back() -> Note:
    return away(headline="the database is back after 14 min", is_over=True)


class Time:
    """Both clocks of a mailbox."""

    def __init__(self, at: datetime = NOON) -> None:
        self.seconds, self.at = 100.0, at

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.at

    def go(self, seconds: float) -> None:
        self.seconds += seconds
        self.at += timedelta(seconds=seconds)


def mailbox(clocks: Time, receiver: Mapping[str, Any] | None = None, /, **values: Any) -> Mailbox:
    who = NotifyReceiver.model_validate(receiver or {})
    return Mailbox(who, settings(**values), clocks.clock, clocks.now)


# --- who hears what


@pytest.mark.parametrize(
    ("receiver", "hears"),
    [
        ({}, True),
        ({"min_severity": "error"}, True),
        ({"min_severity": "critical"}, False),
        ({"tables": ["dbo.sales"]}, True),
        ({"tables": ["SALES"]}, True),
        ({"tables": ["sal*", "x"]}, True),
        ({"tables": ["ref.*"]}, False),
        ({"events": ["file_failed", "file_held"]}, True),
        ({"events": ["missing_file"]}, False),
    ],
)
def test_a_receiver_hears_what_is_grave_enough_and_of_its_tables_and_events(
    receiver: dict[str, Any], *, hears: bool
) -> None:
    assert failed().concerns(NotifyReceiver.model_validate(receiver)) is hears


def test_who_wants_to_hear_of_a_table_hears_nothing_of_what_concerns_none() -> None:
    assert not away().concerns(NotifyReceiver(tables=("dbo.*",)))


# --- when


def test_a_hundred_bad_files_within_the_window_are_one_item_of_one_message() -> None:
    clocks = Time()
    box = mailbox(clocks, window_seconds=60)
    assert box.due_in() is None
    for n in range(100):
        box.add(failed(f"sales_{n:03}.csv"))
        clocks.go(0.1)
    assert box.due_in() == pytest.approx(50)
    clocks.go(51)
    assert box.due_in() == 0
    [group] = box.take()
    assert (group.count, group.last.file_name) == (100, "sales_099.csv")
    assert box.due_in() is None


def test_between_two_messages_is_a_gap_that_only_what_is_critical_ignores() -> None:
    clocks = Time()
    box = mailbox(clocks, window_seconds=60, gap_seconds=600)
    box.add(failed())
    clocks.go(60)
    box.take()
    box.add(failed("prices.csv"))
    assert box.due_in() == 600
    box.add(away())
    assert box.due_in() == 60
    clocks.go(60)
    assert [group.last.event for group in box.take()] == [Event.DATABASE_AWAY, Event.FILE_FAILED]


def test_what_is_over_before_anybody_has_heard_of_it_is_not_told() -> None:
    clocks = Time()
    box = mailbox(clocks)
    box.add(away())
    clocks.go(14)
    assert not box.add(back())
    assert box.take() == []
    box.add(away())
    clocks.go(60)
    box.take()
    assert box.add(back())
    assert [group.last.headline for group in box.take()] == ["the database is back after 14 min"]


def test_a_file_that_failed_is_told_although_its_table_loads_again_at_once() -> None:
    box = mailbox(Time())
    box.add(failed())
    assert not box.add(failed(is_over=True, file_name=""))
    assert [group.last.is_over for group in box.take()] == [False]


def test_what_is_over_is_not_told_where_nobody_wants_to_hear_it() -> None:
    assert not mailbox(Time(), recovery=False).add(back())


def test_more_different_things_than_there_is_room_for_are_counted() -> None:
    box = mailbox(Time())
    for n in range(MOST_GROUPS + 5):
        box.add(away(subject=str(n)))
    assert (len(box.waiting()), box.turned_away) == (MOST_GROUPS, 5)
    assert "And 200 more:" in compose(box.take(), box.turned_away, PLACE, UTC).body


# --- quiet hours

NIGHT: dict[str, Any] = {"quiet_from": "22:00", "quiet_until": "06:30"}


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-11-20T21:59", None),
        ("2026-11-20T22:00", "2026-11-21T06:30"),
        ("2026-11-21T06:29", "2026-11-21T06:30"),
        ("2026-11-21T06:30", None),
    ],
)
def test_quiet_hours_may_go_over_midnight(at: str, end: str | None) -> None:
    found = end_of_quiet(settings(**NIGHT), datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert found == (end and datetime.fromisoformat(end).replace(tzinfo=UTC))


def test_quiet_hours_are_those_of_their_time_zone() -> None:
    lunch = settings(quiet_from="13:00", quiet_until="14:00", time_zone="Europe/Berlin")
    assert end_of_quiet(lunch, NOON) == NOON + timedelta(hours=1)
    assert end_of_quiet(lunch, NOON + timedelta(hours=1)) is None
    local = NotifyConfig.model_validate({"quiet_from": "00:00", "quiet_until": "23:59"})
    assert end_of_quiet(local, NOON) is not None
    assert end_of_quiet(settings(), NOON) is None


def test_at_night_only_what_is_urgent_goes_and_the_rest_follows_in_the_morning() -> None:
    clocks = Time(NOON.replace(hour=23))
    box = mailbox(clocks, **NIGHT)
    for _ in range(3):
        box.add(failed())
    clocks.go(120)
    assert box.take() == []
    assert box.due_in() == 7.5 * 3600 - 120
    box.add(away())
    clocks.go(60)
    assert box.due_in() == 0
    assert [group.last.event for group in box.take()] == [Event.DATABASE_AWAY]
    box.add(back())
    clocks.go(60)
    assert [group.last.is_over for group in box.take()] == [True], "to who was woken up"
    clocks.go(7.5 * 3600)
    assert box.due_in() == 0
    assert [group.count for group in box.take()] == [3]


@pytest.mark.parametrize(
    ("least", "goes"), [("nothing", 0), ("critical", 1), ("error", 2), ("info", 2)]
)
def test_who_is_woken_by_what_is_a_setting(least: str, goes: int) -> None:
    box = mailbox(Time(NOON.replace(hour=23)), quiet_lets_through=least, **NIGHT)
    box.add(failed())
    box.add(away())
    assert len(box.take()) == goes


def test_a_receiver_may_ignore_the_quiet_hours() -> None:
    box = mailbox(Time(NOON.replace(hour=23)), {"ignore_quiet_hours": True}, **NIGHT)
    box.add(failed())
    assert len(box.take()) == 1


# --- keeping


def test_what_could_not_be_sent_is_put_back_and_counted_with_what_came_since() -> None:
    box = mailbox(Time())
    box.add(failed("a_1.csv"))
    taken = box.take()
    box.add(failed("a_2.csv"))
    box.add(away())
    box.put_back(taken)
    found = {group.last.headline: group.count for group in box.take()}
    assert found == {"the database is away": 1, "a_2.csv failed": 2}


def test_notes_outlive_the_process_as_json() -> None:
    box, other = mailbox(Time()), mailbox(Time())
    for name in ("a_1.csv", "a_2.csv"):
        box.add(failed(name))
    other.restore(json.loads(json.dumps([group.to_json() for group in box.waiting()])))
    [group] = other.take()
    assert (group.first, group.last, group.count) == (failed("a_1.csv"), failed("a_2.csv"), 2)
    assert note_from_json(back().to_json()) == back()


# --- words


def words(*notes: Note) -> Message:
    box = mailbox(Time())
    for note in notes:
        box.add(note)
    return compose(box.take(), 0, PLACE, UTC)


def test_a_message_says_what_where_when_and_what_to_do() -> None:
    said = words(failed())
    assert said.title == "ERROR: sales_20261120.csv failed (dropload on loads1)"
    assert said.kind == "error"
    assert said.body == (
        "sales_20261120.csv failed (dbo.sales), 12:00.\n"
        "1 row cannot be loaded, of 2. Correct it and drop the file again.\n\n"
        "dropload on loads1, /srv/dropoff; times of 2026-11-20, UTC."
    )


def test_files_named_alike_are_one_item_and_their_number_is_the_title() -> None:
    notes = [failed(f"sales_{n}.csv", at=NOON + timedelta(minutes=n)) for n in range(3)]
    said = words(*notes, failed("x.csv", ""), failed("y.csv", event=Event.FILE_HELD))
    assert said.title == "ERROR: 4 files failed; y.csv failed (dropload on loads1)"
    assert said.body.startswith(
        "3 files failed: sales_#.csv (dbo.sales), 12:00 to 12:02.\nThe last, sales_2.csv: 1 row"
    )
    assert "\n\nx.csv failed, 12:00.\n" in said.body


def test_files_of_one_sender_are_one_item_although_their_numbers_lead_to_several_tables() -> None:
    said = words(*[failed(f"sales_{n}.csv", f"dbo.sales_{n}") for n in range(3)])
    assert said.body.startswith("3 files failed: sales_#.csv, 12:00.\nThe last, sales_2.csv: 1")


def test_the_gravest_comes_first_and_what_is_over_last() -> None:
    loads = failed(headline="dbo.a loads again", is_over=True, table="dbo.a", file_name="")
    said = words(loads, failed(), away(), away(subject="x"))
    assert said.title.startswith("CRITICAL: the database is away and 1 more like it; sales_2026")
    assert "; 1 more (dropload" in said.title
    assert said.body.index("the database".capitalize()) < said.body.index("loads again")
    assert words(back()).title.startswith("OK: the database is back after 14 min")
    assert words(back()).kind == "ok"


def test_what_lasted_over_midnight_names_the_day_and_long_texts_are_cut() -> None:
    said = words(failed(at=NOON - timedelta(days=1)), failed(text="word " * 500))
    assert "2026-11-19 12:00 to 12:00" in said.body
    assert said.body.count("word") == 72
    assert " …" in said.body


def test_a_message_for_many_things_stays_short_enough_for_every_service() -> None:
    notes = [failed(f"{chr(97 + n)}.csv", f"dbo.{chr(97 + n)}") for n in range(20)]
    said = words(*notes)
    assert "And 15 more: `dropload status`" in said.body
    assert len(said.body) < 2000


def test_the_guide_names_every_event_with_its_severity() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|", guide, re.MULTILINE))
    assert told.keys() == set(Event)
    assert {one for cell in told.values() for one in cell.split(", ")} <= set(Severity)


# --- services


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def receiving(url: str, **values: Any) -> NotifyConfig:
    given = {"window_seconds": 0.01, "gap_seconds": 0, "timeout_seconds": PATIENCE_SECONDS}
    return settings(receivers={"oncall": {"url": url}}, **{**given, **values})


def test_a_service_gets_title_text_and_kind(site: Site) -> None:
    service = open_services(receiving(site.url))["oncall"]
    assert service.name == "JSON"
    for note, kind in ((failed(), "failure"), (back(), "success")):
        service.send(words(note))
        assert site.got[-1]["type"] == kind
        assert site.got[-1]["title"] == words(note).title
        assert site.got[-1]["message"].startswith(words(note).body[:40])
    service.send(compose_test(PLACE, "oncall", UTC))
    assert "Nothing is wrong" in site.got[-1]["message"]


def test_a_refusal_and_a_receiver_that_is_away_are_named_without_the_secret(
    site: Site, logs: io.StringIO
) -> None:
    site.server.answers = [403]
    service = open_services(receiving(site.url))["oncall"]
    with pytest.raises(TransientError, match="error=403"):
        service.send(words(failed()))
    gone = open_services(receiving("json://127.0.0.1:1/abcdef123456"))["oncall"]
    with pytest.raises(TransientError) as caught:
        gone.send(words(failed()))
    assert "(Connection refused)" in str(caught.value)
    assert "t0ken" not in logs.getvalue() + str(caught.value)
    assert mask_secrets(f"POST {site.url}") == "POST ***"
    assert "t0ps3cret-t0ken" not in mask_secrets("Max retries exceeded: /hook/t0ps3cret-t0ken")


def test_a_service_that_does_not_answer_is_given_up_in_time_and_not_asked_twice(
    site: Site,
) -> None:
    site.server.blocked = threading.Event()
    service = open_services(receiving(site.url, timeout_seconds=0.2))["oncall"]
    for _ in range(2):
        with pytest.raises(TransientError, match=r"not answered within 0\.2 s"):
            service.send(words(failed()))
    assert len(site.got) <= 1


@pytest.fixture
def mail() -> Iterator[MailServer]:
    made = MailServer()
    yield made
    made.close()


def test_a_mail_is_plain_text_with_its_lines_and_characters(mail: MailServer) -> None:
    text = "2 rows <b>, in größe_*.csv: 12,50 € & more\n.\ndropload release '/srv/a b/ж.csv'"
    said = words(failed("größe_ж.csv", text=text))
    open_services(receiving(mail.url()))["oncall"].send(said)
    [got] = mail.got
    assert got["Subject"] == "ERROR: größe_ж.csv failed (dropload on loads1)"
    assert (got["From"], got["To"]) == ("dropload@example.org", "oncall@example.org")
    assert got.get_content_type() == "text/plain"
    assert got.get_content().replace("\r\n", "\n").strip() == said.body
    assert text in said.body


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ({"password": "wr0ng-passw0rd"}, "(535 5.7.8 Authentication credentials invalid)"),
        ({"to": REFUSED}, f'Sending email to "{REFUSED}" failed (550 5.1.1 User unknown)'),
        ({"schema": "mailtos"}, "STARTTLS"),
        ({"schema": "mailtos", "to": "oncall@example.org&mode=ssl"}, "version number"),
    ],
)
def test_why_a_mail_was_refused_is_said_in_the_servers_words_in_log_and_health(
    mail: MailServer, logs: io.StringIO, url: dict[str, str], reason: str
) -> None:
    config = receiving(mail.url(**url), give_up_seconds=0.01)
    post = Post(config, open_services(config), PLACE)
    post.start()
    post.add(failed())
    wait_until(lambda: "notifications_lost" in logs.getvalue())
    post.close(PATIENCE_SECONDS)
    [lost] = [line for line in logs.getvalue().splitlines() if "notifications_lost" in line]
    assert reason in json.loads(lost)["reason"]
    assert reason in post.problem
    assert "`dropload notify test oncall` tries again" in post.problem
    assert "passw0rd" not in lost + post.problem
    assert mail.got == []


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("slak://T1JJ3T3L2/geheim", "Did you mean slack://?"),
        ("slack://geheim", "slack:// is written slack://{token_a}/{token_b}/{token_c}"),
        ("geheim", "Write SERVICE://…"),
        ("zzzzzzz://geheim", "Write SERVICE://…"),
    ],
)
def test_a_wrong_url_is_refused_with_its_key_and_what_would_be_right(url: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_services(receiving(url))
    assert "notify.receivers.oncall.url is no URL" in str(caught.value)
    assert hint in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_url_comes_from_a_file_or_a_systemd_credential(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "notify_oncall"
    named = settings(receivers={"oncall": {"url_file": str(file)}})
    with pytest.raises(ConfigError, match=r"notify_oncall cannot be read: No such file"):
        open_services(named)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    unnamed = settings(receivers={"oncall": {}})
    with pytest.raises(ConfigError, match="DROPLOAD_NOTIFY__RECEIVERS__ONCALL__URL"):
        open_services(unnamed)
    file.write_text(f"{site.url}\n")
    assert open_services(named)["oncall"].name == "JSON"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert open_services(unnamed)["oncall"].name == "JSON"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "apprise", None)
    assert open_services(settings()) == {}
    with pytest.raises(ConfigError, match=r"pip install 'dropload\[notify\]'"):
        open_services(receiving("json://x"))


@pytest.mark.parametrize(
    ("url", "hidden", "shown"),
    [
        ("mailtos://ada:geheim@example.org?to=bob@example.org", ["geheim"], ["example.org"]),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", ["TIiajkdnlazkcOXrIdevi7FQ"], []),
        ("tgram://123456789:AbCdEfGhIjKlMnOpQrSt/1231", ["AbCdEfGhIjKlMnOpQrSt"], ["1231"]),
        ("json://hooks.example.org/path", [], ["hooks.example.org", "path"]),
    ],
)
def test_what_looks_like_a_key_is_a_secret_and_a_host_is_not(
    url: str, hidden: list[str], shown: list[str]
) -> None:
    secrets = set(secrets_in(url))
    assert {url, *hidden} <= secrets
    assert not secrets & set(shown)


# --- the thread


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Broken:
    """A service with an error that nobody foresaw, once."""

    name = "Broken"

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, message: Message) -> None:
        if "first" in message.title:
            raise RuntimeError("nobody foresaw it")
        self.sent.append(message.title)


def test_an_error_that_nobody_foresaw_loses_one_message_and_not_those_after_it(
    logs: io.StringIO,
) -> None:
    broken = Broken()
    post = Post(receiving("json://x"), {"oncall": broken}, PLACE)
    post.start()
    post.add(failed("first.csv"))
    wait_until(lambda: "notifications_lost" in logs.getvalue())
    assert "1 lost so far: RuntimeError: nobody foresaw it" in post.problem
    post.add(failed("second.csv"))
    post.close(PATIENCE_SECONDS)
    assert broken.sent == ["ERROR: second.csv failed (dropload on loads1)"]
    assert post.problem == ""


def posted(site: Site, **values: Any) -> Post:
    config = receiving(site.url, **values)
    post = Post(config, open_services(config), PLACE, first_wait_seconds=0.01)
    post.start()
    return post


def test_a_note_is_sent_while_nobody_waits_for_it(site: Site) -> None:
    post = posted(site)
    site.server.blocked = threading.Event()
    post.add(failed())
    post.add(failed("other.csv"))
    assert post.waiting()["oncall"], "kept until it has arrived"
    site.server.blocked.set()
    site.wait_for_one()
    post.close(PATIENCE_SECONDS)
    assert sum("other.csv" in one["message"] for one in site.got) == 1
    assert post.waiting() == {"oncall": []}
    assert post.problem == ""


def test_what_does_not_arrive_at_first_is_tried_again(site: Site, logs: io.StringIO) -> None:
    site.server.answers = [500, 503]
    post = posted(site)
    post.add(failed())
    for _ in range(3):
        site.wait_for_one()
    post.close(PATIENCE_SECONDS)
    assert len(site.got) == 3
    assert logs.getvalue().count('"level": "warning"') == 1, "said once"
    assert post.problem == ""


def test_what_never_arrives_is_lost_counted_and_said(site: Site, logs: io.StringIO) -> None:
    site.server.answers = [500] * 1000
    post = posted(site, window_seconds=0.2, give_up_seconds=0.05)
    for _ in range(3):
        post.add(failed())
    wait_until(lambda: "lost so far" in post.problem)
    assert "notifications to oncall do not arrive since" in post.problem
    assert "3 lost so far" in post.problem
    lost = [line for line in logs.getvalue().splitlines() if "notifications_lost" in line]
    assert (json.loads(lost[0])["count"], json.loads(lost[0])["receiver"]) == (3, "oncall")
    post.close(PATIENCE_SECONDS)


def test_a_stop_sends_at_once_and_what_does_not_arrive_then_is_sent_by_the_next(
    site: Site,
) -> None:
    site.server.answers = [500]
    post = posted(site, window_seconds=3600)
    post.add(failed())
    post.close(PATIENCE_SECONDS)
    assert len(site.got) == 1
    kept = json.loads(json.dumps(post.waiting()))
    assert len(kept["oncall"]) == 1
    successor = Post(
        receiving(site.url), open_services(receiving(site.url)), PLACE, first_wait_seconds=0.01
    )
    successor.restore(kept)
    successor.start()
    successor.close(PATIENCE_SECONDS)
    assert [one["title"] for one in site.got] == [words(failed()).title] * 2
    assert successor.waiting() == {"oncall": []}
