"""What a family of types must offer, and what is decided of a column."""

from dataclasses import dataclass
from typing import Protocol

from dropload.column_types.values import Values
from dropload.model import ColumnType, Kind


@dataclass(frozen=True, slots=True)
class Decision:
    """The type of a column, and why it is not the one that a person may expect."""

    type: ColumnType
    note: str = ""
    """Empty when there is nothing to say."""
    doubt: str = ""
    """The key of the configuration that would settle the type; empty when there is no doubt."""
    nearly: tuple[Kind, ...] = ()
    """Of a text: the kinds of column that nearly all values look made for."""
    pointed: str = ""
    """The first of numbers whose points could all separate thousands (`1.234`), else empty."""


TEXT = ColumnType(Kind.TEXT)


class Family(Protocol):
    """Judges whether a whole column is of one family, batch by batch."""

    misfit: str
    """What a value is not that looks as if it were of the family."""

    def observe(self, values: Values) -> bool:
        """Take values in; return False when one of them is not of the family at all."""
        ...

    def decide(self) -> Decision:
        """Return the type that gives back all that was observed, or text and the reason."""
        ...
