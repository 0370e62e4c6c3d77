"""The Dockerfile and the compose file, as far as they can be tried without Docker."""

import os
import re
import shlex
from pathlib import Path

import yaml

from dropload.config import WorkersConfig
from dropload.config_reading import load_config
from dropload.resources import resource_folder

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
_UNCOMMENTED = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)
LINES = [line for line in re.sub(r"\\\n\s*", "", _UNCOMMENTED).splitlines() if line]
"""One instruction each, without comments."""


def arguments(instruction: str) -> list[str]:
    prefix = f"{instruction} "
    return [line.removeprefix(prefix) for line in LINES if line.startswith(prefix)]


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for words in arguments("ENV") for word in shlex.split(words))


def test_what_is_copied_is_there_and_is_all_that_the_wheel_is_made_of() -> None:
    copied = [line.split()[:-1] for line in arguments("COPY") if "--from" not in line]
    sources = [name for names in copied for name in names]
    assert all((ROOT / name).exists() for name in sources)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = re.search(r"force-include\](.*?)\n\[", project, re.DOTALL)
    assert needed is not None
    forced = re.findall(r'^"(\w+)" = ', needed[1], re.MULTILINE)
    assert set(sources) == {"pyproject.toml", "README.md", "LICENSE", "src", *forced}
    assert all(resource_folder(name).is_dir() for name in forced)


def test_the_daemon_runs_as_a_user_without_rights() -> None:
    assert arguments("USER") == ["10187:10187"]
    # Nothing is done as root behind it.
    assert not [line for line in LINES[LINES.index("USER 10187:10187") :] if line.startswith("RUN")]
    service = COMPOSE["services"]["dropload"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "user" not in service


def test_the_environment_is_a_configuration_that_is_right(tmp_path: Path) -> None:
    values = environment()
    config = load_config(None, values, tmp_path / ".env").config
    assert str(config.paths.dropoff) == "/srv/dropoff"
    assert str(config.state_folder) == "/var/lib/dropload"
    composed = values | COMPOSE["services"]["dropload"]["environment"]
    config = load_config(None, composed, tmp_path / ".env").config
    assert str(config.database.password_file) == "/run/secrets/password"
    assert config.database.password is None
    mounted = {volume.split(":")[1] for volume in COMPOSE["services"]["dropload"]["volumes"]}
    assert mounted == {str(config.paths.dropoff), str(config.state_folder)}


def test_a_stop_leaves_loads_the_time_that_they_may_have() -> None:
    grace = int(COMPOSE["services"]["dropload"]["stop_grace_period"].removesuffix("s"))
    assert grace > WorkersConfig().stop_timeout_seconds
    assert arguments("STOPSIGNAL") == ["SIGTERM"]


def test_the_composed_image_is_built_from_this_file() -> None:
    build = COMPOSE["services"]["dropload"]["build"]
    context = Path(os.path.normpath(ROOT / "docker" / build["context"]))
    assert context == ROOT
    assert (context / build["dockerfile"]) == ROOT / "docker" / "Dockerfile"
    secret = COMPOSE["secrets"]["password"]["file"]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"/docker/{Path(secret).name}" in ignored
