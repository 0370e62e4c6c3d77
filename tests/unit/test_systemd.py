"""The units: known to systemd, closed to all that is not needed, and one like the other."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dropload.config import WorkersConfig

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
EXPOSURE = 1.5
PATH_OF_INSTALLATION = "/opt/dropload/bin/dropload"
OF_ONE_TREE = ("/dropload/%i.", "dropload-%i.", "dropload/%i", "dropload@%i", " (%i)")


def settings(name: str) -> list[str]:
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def value(name: str, key: str) -> str:
    [found] = [line.partition("=")[2] for line in settings(name) if line.startswith(f"{key}=")]
    return found


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("name", [*SERVICES, *TIMERS])
def test_systemd_knows_every_line(name: str) -> None:
    said = analyze("verify", "--man=no", str(UNITS / name))
    complaints = [
        line
        for line in (said.stdout + said.stderr).splitlines()
        if name.partition(".")[0].rstrip("@") in line and PATH_OF_INSTALLATION not in line
    ]
    assert complaints == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_little_that_it_does_not_need(name: str) -> None:
    said = analyze("security", "--offline=true", "--no-pager", str(UNITS / name))
    if "unrecognized option" in said.stderr:
        pytest.skip("this systemd-analyze judges only what runs")
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    assert match, said
    assert float(match[1]) <= EXPOSURE


@pytest.mark.parametrize(
    "name", ["dropload.service", "dropload-health.service", "dropload-health.timer"]
)
def test_the_unit_for_several_trees_differs_only_in_their_names(name: str) -> None:
    stem, _, kind = name.partition(".")
    template = "\n".join(settings(f"{stem}@.{kind}"))
    plain = ("/dropload/dropload.", "dropload.", "dropload", "dropload", "")
    for instance, alone in zip(OF_ONE_TREE, plain, strict=True):
        template = template.replace(instance, alone)
    assert template.splitlines() == settings(name)


def test_the_check_may_do_no_more_than_the_daemon_whose_rights_it_checks() -> None:
    begin = "NoNewPrivileges=yes"
    of_daemon, of_check = settings("dropload.service"), settings("dropload-health.service")
    end = of_daemon.index("[Install]")
    assert of_check[of_check.index(begin) :] == of_daemon[of_daemon.index(begin) : end]


def test_every_line_of_the_daemons_unit_has_its_reason() -> None:
    lines = (UNITS / "dropload.service").read_text(encoding="utf-8").splitlines()
    said_nothing = []
    explained = False
    for line in lines:
        if line.startswith("#"):
            explained = True
        elif not line or line.startswith("["):
            explained = False
        elif not explained:
            said_nothing.append(line)
    obvious = ("Description=", "Documentation=", "WantedBy=")
    assert [line for line in said_nothing if not line.startswith(obvious)] == []


def test_the_unit_waits_longer_for_the_stop_than_the_daemon_for_its_loads() -> None:
    assert int(value("dropload.service", "TimeoutStopSec")) > WorkersConfig().stop_timeout_seconds


def test_workers_and_claims_of_others_stay_visible() -> None:
    """A holder of a claim that is hidden would count as dead (identity.is_dead_worker)."""
    hiding = ("ProtectProc=", "ProcSubset=", "PrivatePIDs=")
    assert [line for line in settings("dropload.service") if line.startswith(hiding)] == []
