"""Find the files that ship with dropload: in the installed package, else in the checkout."""

from pathlib import Path

_PACKAGED = Path(__file__).parent / "_resources"
_CHECKOUT = Path(__file__).parents[2]


def resource_folder(name: str) -> Path:
    """Return the folder `name` (`sql`, `config`, `systemd`, `docs`).

    The package comes first: an editable install has no copy of it there, only the checkout has.
    """
    packaged = _PACKAGED / name
    return packaged if packaged.is_dir() else _CHECKOUT / name
