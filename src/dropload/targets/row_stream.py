"""Rows that go to a side table ahead of the journal's word, on a connection of their own."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

Rows: TypeAlias = "Sequence[tuple[pa.RecordBatch, pa.Array]]"
"""Records (columns of text, in the file's order), and the numbers that they have in it."""
Arrange: TypeAlias = "Callable[[pa.RecordBatch, pa.Array], pa.RecordBatch]"
"""Makes of records and their numbers what the side table takes, column for column."""


class RowCopy(Protocol):
    """A statement under way that takes rows as they come; nothing else uses its connection."""

    def add(self, batches: "Rows") -> None:
        """Take batches; raises what writing those before them has raised."""

    def finish(self) -> int:
        """Return how many rows the table has taken; raise TransientError if these are not all."""
        ...

    def abandon(self) -> None:
        """Break it off."""


class RowStream:
    """Takes rows to a side table on a connection of its own, ahead of the journal's word.

    Rows that the journal does not know of are trimmed before a load goes on, and counted before
    they are published. This one takes none: most databases need no such way. Some take them to the
    table itself, in a transaction that is committed when they are published.
    """

    gathers: ClassVar[bool] = True
    """Whether rows are better sent when there is a transaction's worth of them."""

    def send(self, batches: "Rows") -> bool:  # noqa: ARG002
        """Take what `write_batches` would write; they are there at the latest after `settle`.

        Returns False when none was taken: there is no such way, or not now.
        """
        return False

    def settle(self) -> None:
        """Return when all is committed that was sent; raise TransientError when it is not."""

    def abandon(self) -> None:
        """Take no more of what was sent and is not committed: nobody wants these rows any more."""
