#!/usr/bin/env python3
"""Make the drop tree with `python setup_directories.py [ROOT]`, also before an installation."""

import argparse
import os
import sys
from pathlib import Path

try:
    import dropload  # noqa: F401
except ModuleNotFoundError:
    sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from dropload.durable import path_text
from dropload.errors import DroploadError
from dropload.folders import DropTree

ROOT_VARIABLE = "DROPLOAD_PATHS__DROPOFF"
_EXPLANATION = """\
the tree:
  ROOT/reference_data_table/fullload/        a file replaces the rows of its table
  ROOT/reference_data_table/append/          a file adds rows to its table
  ROOT/none_reference_data_table/fullload/   the same, for tables of non-reference data
  ROOT/none_reference_data_table/append/
each with processed/ (loaded files) and error/ (refused files, each with a report).

Run it as the user of the service. New folders belong to that user's group and pass it on
(mode 2770): put the operators who drop files into the group. Folders that exist are left as
they are, so it can be run again at any time.

exit status: 0 the tree is there, 1 it could not be made (and why), 2 wrong usage
"""


def main(arguments: list[str] | None = None) -> int:
    """Make the tree, say what was made and what was there, and return the exit status."""
    root = _parse(arguments)
    tree = DropTree(root)
    try:
        made = set(tree.create())
    except DroploadError as exc:
        print(f"setup_directories: {exc}", file=sys.stderr)
        return 1
    for folder in tree.folders():
        print(f"{'made  ' if folder in made else 'exists'}  {path_text(folder)}")
    for shown in map(path_text, tree.world_writable()):
        print(f"warning: anybody can write to {shown}; run: chmod o-w '{shown}'")
    print(f"The drop tree is ready: {len(made)} folders made.")
    return 0


def _parse(arguments: list[str] | None) -> Path:
    default = os.environ.get(ROOT_VARIABLE) or "dropoff"
    parser = argparse.ArgumentParser(
        description="Make the folders into which files are dropped for dropload to load.",
        epilog=_EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "root",
        metavar="ROOT",
        nargs="?",
        type=Path,
        default=Path(default),
        help=f"where the tree stands (default: ${ROOT_VARIABLE}, else ./dropoff; now: {default})",
    )
    root: Path = parser.parse_args(arguments).root
    return root


if __name__ == "__main__":
    sys.exit(main())
