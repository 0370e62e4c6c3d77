"""The environment that the peers are installed into, apart from dropload's own."""

import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path


class NotInstalledError(Exception):
    """Why a package could not be installed, in a line."""


class Environment:
    """A virtual environment below the build folder; packages come when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._failed: dict[tuple[str, ...], str] = {}

    @cached_property
    def python(self) -> Path:
        """Return its interpreter; the environment is made when it is not there."""
        path = self.folder / "bin" / "python"
        if not path.exists():
            command = [sys.executable, "-m", "venv", str(self.folder)]
            subprocess.run(command, check=True, capture_output=True)
        return path

    @property
    def site_packages(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))

    def install(self, requirements: Sequence[str]) -> None:
        """Install what is missing; raises NotInstalledError with the reason when that fails.

        What is there already is not asked for again: its version stays the same between runs.
        """
        wanted = tuple(sorted(requirements))
        if wanted not in self._failed:
            self._failed[wanted] = "" if self._has(wanted) else self._install(wanted)
        if self._failed[wanted]:
            raise NotInstalledError(self._failed[wanted])

    def _marker(self, wanted: tuple[str, ...]) -> Path:
        return self.folder / f".installed-{'-'.join(wanted)}"

    def _has(self, wanted: tuple[str, ...]) -> bool:
        return self._marker(wanted).exists()

    def _install(self, wanted: tuple[str, ...]) -> str:
        print(f"installing {', '.join(wanted)}", file=sys.stderr)
        command = [str(self.python), "-m", "pip", "install", "--quiet", *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return (errors or done.stderr.strip().splitlines() or ["pip failed"])[-1]
        self._marker(wanted).touch()
        return ""

    def versions(self) -> dict[str, str]:
        """Return what is installed, by its name."""
        if not self.folder.exists():
            return {}
        command = [str(self.python), "-m", "pip", "list", "--format=freeze"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        pairs = (line.partition("==") for line in listed.splitlines())
        return {name: version for name, _, version in pairs}
