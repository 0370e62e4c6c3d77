"""What a plan is asked for, and whom it may ask."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from dropload.model import ColumnType, LoadType, TableColumn, TableName

ListTables = Callable[[], Mapping[TableName, Sequence[str]]]
"""Returns the names of the columns of each table beside the one that is meant."""
FindCommas = Callable[[], Collection[str]]
"""Returns the columns of the table that were last filled from decimal commas."""
CountRows = Callable[[], int]
"""Returns how many rows the table has now."""
Measure = Callable[[TableColumn], ColumnType]
"""Returns the smallest type that holds what a column of the table holds now: its declared digits
include room to spare, which must not count when a wider type is chosen."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What may be asked about the database as it is now; not asked unless the plan hangs on it."""

    measure: Measure
    """Asked for columns whose type does not hold the file's values."""
    count_rows: CountRows
    """Asked where a fullload replaces the rows."""
    list_tables: ListTables
    """Asked when the file does not fit its table."""
    find_commas: FindCommas
    """Asked where points could separate thousands."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a plan is asked for."""

    table: TableName
    load_type: LoadType
    force: bool = False
    notes: tuple[str, ...] = ()
    """What was noticed on the way here, for example about the table's name."""
