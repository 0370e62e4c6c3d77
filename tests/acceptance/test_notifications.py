"""Notifications of a real daemon, as a real receiver gets them over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon
from tests.http_receiver import Site


def zone_at_noon() -> str:
    """Return a time zone in which midnight, when another file is expected, is hours away."""
    hours = 12 - datetime.now(UTC).hour
    # These zones have the sign that was usual before UTC was: GMT-5 is ahead by five hours.
    return f"Etc/GMT{-hours:+d}"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def daemon(tmp_path: Path, site: Site) -> Iterator[Daemon]:
    made = Daemon(
        tmp_path,
        DROPLOAD_NOTIFY__RECEIVERS__ONCALL__URL=site.url,
        DROPLOAD_NOTIFY__RECEIVERS__ONCALL__EVENTS="file_failed,missing_file",
        # Long enough for all files on a slow machine; a stop sends what is there at once.
        DROPLOAD_NOTIFY__WINDOW_SECONDS="3600",
        DROPLOAD_NOTIFY__TIME_ZONE="UTC",
        DROPLOAD_EXPECTED__TIME_ZONE=zone_at_noon(),
        DROPLOAD_EXPECTED__FILES__PRICES__PATTERN="prices_*.csv",
        DROPLOAD_EXPECTED__FILES__PRICES__BY="00:00",
    )
    yield made
    made.end()


def last(site: Site) -> dict[str, Any]:
    message: dict[str, Any] = site.got[-1]
    return message


def test_bad_files_are_one_message_a_missing_file_is_told_once_and_the_recovery_follows(
    daemon: Daemon, site: Site
) -> None:
    daemon.start()
    for n in range(10, 20):
        (daemon.inbox() / f"orders_202611{n}.csv").write_text("id,name\n1,Ada,too many\n")
    daemon.wait_until_filed(10)
    daemon.wait_for(lambda: "prices_" in daemon.command("status").stdout, "for what is missing")
    assert daemon.stop() == 0
    [message] = site.got
    assert message["title"].startswith("ERROR: ")
    assert "10 files failed" in message["title"]
    assert "a file named prices_*.csv is not here" in message["title"]
    assert "10 files failed: orders_########.csv (dbo.orders), " in message["message"]
    assert "1 row cannot be loaded, of 1" in message["message"]
    assert "(expected.files.prices). Ask its sender" in message["message"]
    assert message["type"] == "failure"

    daemon.environ["DROPLOAD_NOTIFY__WINDOW_SECONDS"] = "0.1"
    daemon.environ["DROPLOAD_NOTIFY__GAP_SECONDS"] = "0"
    daemon.start()
    (daemon.inbox() / "orders_20261120.csv").write_text("id,name\n1,Ada\n")
    daemon.wait_for(lambda: len(site.got) == 2, "for the recovery, while it runs")
    assert last(site)["title"].startswith("OK: dbo.orders loads again, ")
    assert "orders_20261120.csv was loaded, 1 row (load 11)." in last(site)["message"]
    assert last(site)["type"] == "success"
    assert daemon.stop() == 0
    assert len(site.got) == 2, "what is missing is not told again after a restart"
    assert "t0ps3cret" not in daemon.log.read_text()
