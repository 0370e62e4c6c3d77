"""Hide pandas from Arrow, which imports it where it is installed, and needs it for nothing here.

With the first list that becomes an array it asks whether that is one of pandas' own: 60 MB and a
third of a second (measured).
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def hidden_pandas() -> Iterator[None]:
    """Have nobody find pandas in the block who has not imported it before.

    Arrow asks once in a process, and remembers that there is none.
    """
    sys.meta_path.insert(0, _NoPandas)
    try:
        yield
    finally:
        sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """A finder of modules that finds everything but one."""

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG004 - what finders are asked
        target: ModuleType | None = None,  # noqa: ARG004
    ) -> None:
        """Raise ModuleNotFoundError for pandas; leave all others to those who know them."""
        if name == "pandas":
            raise ModuleNotFoundError(name)
