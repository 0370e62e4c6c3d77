"""One clock for everything that is said: UTC, with its name."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from click.testing import CliRunner
from sqlalchemy.dialects import sqlite

from dropload.api import ReferenceDataAPI
from dropload.cli.app import dropload
from dropload.journal.tables import UTCTime
from dropload.times import clock_time, column_time, iso_time, spoken_time
from tests.conftest import Yard

BERLIN = timezone(timedelta(hours=1))
MOMENT = datetime(2020, 11, 20, 11, 15, 0, 250_999, tzinfo=BERLIN)
ONE_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_every_form_is_utc_whatever_the_zone_of_the_time() -> None:
    assert iso_time(MOMENT) == "2020-11-20T10:15:00.250Z"
    assert column_time(MOMENT) == "2020-11-20 10:15:00"
    assert spoken_time(MOMENT) == clock_time(MOMENT) == "2020-11-20 10:15:00 UTC"
    today = datetime.now(BERLIN)
    assert clock_time(today) == f"{today.astimezone(UTC):%H:%M:%S} UTC"


def test_programs_read_the_time_back_and_sort_it_as_text() -> None:
    whole = MOMENT.replace(microsecond=0)
    assert datetime.fromisoformat(iso_time(whole)) == whole
    assert sorted([iso_time(MOMENT), iso_time(whole)]) == [iso_time(whole), iso_time(MOMENT)]


@pytest.mark.parametrize("say", [iso_time, column_time, spoken_time, clock_time])
def test_a_time_without_its_zone_is_a_mistake(say: object) -> None:
    assert callable(say)
    with pytest.raises(ValueError, match="without its zone"):
        say(datetime(2020, 11, 20))


def test_the_journal_takes_no_time_without_its_zone() -> None:
    kept = UTCTime()
    with pytest.raises(ValueError, match="without its zone"):
        kept.process_bind_param(datetime(2020, 11, 20), sqlite.dialect())
    assert kept.process_bind_param(MOMENT, sqlite.dialect()) == datetime(
        2020, 11, 20, 10, 15, 0, 250_999
    )


@pytest.mark.parametrize(
    "command",
    [
        ["history"],
        ["history", "--duplicates"],
        ["history", "--errors"],
        ["history", "--audit"],
        ["show", "1"],
        ["status"],
        ["reference", "list"],
        ["undo", "1", "--dry-run"],
    ],
    ids=" ".join,
)
def test_all_json_says_times_in_one_form(
    yard: Yard, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in ("id\n1\n", "id\n1\n", "id\nx,y\n"):
        yard.drop("t.csv", content, "reference")
    monkeypatch.setenv("DROPLOAD_PATHS__DROPOFF", str(yard.dock.tree.root))
    monkeypatch.setenv("DROPLOAD_DATABASE__URL", f"sqlite:///{yard.root / 'dropload.db'}")
    answer = CliRunner().invoke(dropload, [*command, "--json"], standalone_mode=False)
    assert answer.exception is None
    times = [value for line in answer.output.splitlines() for value in times_in(json.loads(line))]
    assert times or command[0] == "undo"
    assert [value for value in times if not ONE_FORM.fullmatch(value)] == []


def times_in(value: object, key: str = "") -> list[str]:
    """Return every text that begins as a time does, and what keys of times hold."""
    if isinstance(value, dict):
        return [found for name, one in value.items() for found in times_in(one, name)]
    if isinstance(value, list):
        return [found for one in value for found in times_in(one)]
    is_time = isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", value)
    is_named_so = (key.endswith("_at") or key in ("at", "until")) and value is not None
    return [str(value)] if is_time or is_named_so else []


def test_programs_get_times_that_know_their_zone(yard: Yard) -> None:
    yard.drop("t.csv", "id\n1\n")
    with ReferenceDataAPI(yard.dock.config) as api:
        history = api.history()
        assert history.ok
        [load] = history.value
        assert load.committed_at is not None
        assert abs(datetime.now(UTC) - load.committed_at) < timedelta(hours=1)
        tables = api.tables()
        assert tables.ok
        assert tables.value[0].last_committed_at == load.committed_at
