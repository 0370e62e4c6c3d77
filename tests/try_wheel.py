"""Build the wheel, install it into an empty environment, and load a file with it."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dropload-wheel-") as name:
        folder = Path(name)
        wheel = build_wheel(folder / "dist")
        dropload = install(wheel, folder / "venv")
        load_a_file(dropload, folder / "elsewhere")
    print(f"{wheel.name}: installed and tried from an empty folder")


def build_wheel(into: Path) -> Path:
    """Return the wheel, which is made of the source distribution, not of the checkout."""
    run([sys.executable, "-m", "build", "--outdir", str(into), str(ROOT)])
    [wheel] = into.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    missing = [name for name in shipped() if f"dropload/_resources/{name}" not in packed]
    if missing:
        sys.exit(f"{wheel.name} lacks {', '.join(missing)}")
    return wheel


def shipped() -> list[str]:
    folders = (ROOT / name for name in ("sql", "config", "systemd", "docs"))
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(ROOT)) for path in files]


def install(wheel: Path, into: Path) -> Path:
    venv.create(into, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(into / "bin" / "python")]
    run([*pip, "install", "--quiet", "--disable-pip-version-check", str(wheel)])
    return into / "bin" / "dropload"


def load_a_file(dropload: Path, folder: Path) -> None:
    folder.mkdir()
    run([str(dropload), "init"], folder)
    inbox = folder / "dropoff" / "reference_data_table" / "fullload"
    shutil.copy(ROOT / "examples" / "airports.csv", inbox)
    environ = {"DROPLOAD_GATE__CHECKS": "1", "DROPLOAD_GATE__INTERVAL_SECONDS": "0.2"}
    run([str(dropload), "run", "--until-idle"], folder, environ)
    answer = run([str(dropload), "history", "--json"], folder)
    if '"state": "filed"' not in answer or '"rows_loaded": 500' not in answer:
        sys.exit(f"the installed wheel did not load the example: {answer}")


def run(command: list[str], folder: Path = ROOT, environ: dict[str, str] | None = None) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DROPLOAD_"))}
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean | (environ or {}),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
