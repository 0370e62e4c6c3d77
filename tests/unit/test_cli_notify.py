"""`dropload notify test`, and secrets in what other commands print."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http_receiver import Site
from tests.unit.test_cli import Run, run

__all__ = ["run"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site()
    monkeypatch.setenv("DROPLOAD_NOTIFY__RECEIVERS__ONCALL__URL", made.url)
    monkeypatch.setenv("DROPLOAD_NOTIFY__RECEIVERS__ONCALL__MIN_SEVERITY", "critical")
    yield made
    made.close()


def test_a_test_message_is_sent_now_whatever_the_receiver_usually_hears(
    run: Run, site: Site, tmp_path: Path
) -> None:
    status, printed, _ = run("notify", "test")
    assert status == 0
    assert "sent in" in printed
    [message] = site.got
    assert message["title"].startswith("TEST: notifications arrive (dropload on ")
    assert str(tmp_path / "dropoff") in message["message"]
    assert not (tmp_path / "dropload.db").exists(), "no database is needed"


def test_one_that_does_not_arrive_is_named_with_its_reason_and_status_one(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPLOAD_NOTIFY__RECEIVERS__GONE__URL", "json://127.0.0.1:1/t0ps3cret")
    status, printed, _ = run("notify", "test", "--json")
    assert status == 1
    told = {one["receiver"]: one for one in map(json.loads, printed.splitlines())}
    assert told["oncall"]["ok"] is True
    assert told["gone"]["ok"] is False
    assert "Connection refused" in told["gone"]["message"]
    assert "t0ps3cret" not in printed
    assert run("notify", "test", "oncall")[0] == 0


def test_an_unknown_receiver_and_none_at_all_are_refused(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, said = run("notify", "test", "nobody")
    assert status == 1
    assert "There is no receiver 'nobody' in [notify]; configured: oncall." in said
    for name in ("URL", "MIN_SEVERITY"):
        monkeypatch.delenv(f"DROPLOAD_NOTIFY__RECEIVERS__ONCALL__{name}")
    status, _, said = run("notify", "test")
    assert status == 1
    assert "Nobody is to be told" in said


def test_a_wrong_url_is_found_by_config_check_and_never_printed(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("config", "check")[0] == 0
    shown = run("config", "show")[1] + run("config", "show", "--json")[1]
    assert "notify.receivers.oncall.url" in shown
    assert "t0ps3cret" not in shown
    monkeypatch.setenv("DROPLOAD_NOTIFY__RECEIVERS__ONCALL__URL", "slak://t0ps3cret")
    status, _, said = run("config", "check")
    assert status == 1
    assert "Did you mean slack://?" in said
    assert "t0ps3cret" not in said
