"""What a load will do to its table."""

from dataclasses import dataclass

from dropload.model.contents import ColumnType, Layout, Profile
from dropload.model.drops import LoadType, TableName


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table in the target."""

    name: str
    type: ColumnType
    nullable: bool = True
    has_default: bool = False
    """The table fills it when a load does not."""
    declared: str = ""
    """The type as the database declares it, where that says more than `type`; else empty."""
    encoding: str = ""
    """Python codec of a text column that does not hold all of Unicode; else empty."""

    @property
    def shown_type(self) -> str:
        """Return the type as people know it."""
        return self.declared or str(self.type)


@dataclass(frozen=True, slots=True)
class CheckedColumn:
    """A column of a known table that may not hold every value of the file's column."""

    position: int
    """Index in the file's record, from 0."""
    column: TableColumn
    notation: str = ""
    """How the file writes values that are no text to the table (see `ColumnType`)."""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table of the target as it is now."""

    table: TableName
    columns: tuple[TableColumn, ...]
    """Without the lineage columns."""
    has_lineage: bool
    """It carries `_load_id` and `_source_row`: dropload made it."""
    computed: tuple[str, ...] = ()
    """Columns that the table fills by itself and that cannot be written; not among `columns`."""
    numbered: tuple[str, ...] = ()
    """Columns that the table numbers itself."""
    numbered_always: tuple[str, ...] = ()
    """Those of `computed` that a restored row brings along: its number."""


@dataclass(frozen=True, slots=True)
class TableRules:
    """What a table's owner has hung on it; it stays, and takes part when rows come and go."""

    triggers: tuple[str, ...] = ()
    """Those that are enabled."""
    constraints: tuple[str, ...] = ()
    """Keys, foreign keys and checks."""
    dependents: tuple[str, ...] = ()
    """Other tables whose rows go or change when rows of this one are deleted, with foreign key and
    action."""


CHANGING_ACTIONS = ("add", "widen")
"""What a load does to a column of a table that was there before it."""


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """Where the values of one column of the file go."""

    name: str
    """Name in the table."""
    type: ColumnType
    """The type that the values are stored with."""
    position: int
    """Index in the file's record, from 0."""
    action: str = "keep"
    """`create`, `add`, `widen` or `keep`."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load will do, and why; nothing has been written when it is made."""

    table: TableName
    load_type: LoadType
    layout: Layout
    profile: Profile
    columns: tuple[PlannedColumn, ...]
    missing: tuple[str, ...]
    """Columns of the table that the file does not have: they become null."""
    table_before: tuple[TableColumn, ...] | None
    """The table's columns when the plan was made, None when there was no table: publishing makes
    sure that they are still the same."""
    table_columns: tuple[TableColumn, ...]
    """All columns that the table has when the load is done, in order, without lineage."""
    has_lineage: bool
    rows_before: int | None
    """Rows in the table when the plan was made, 0 when there is no table; None where nobody asked:
    counting takes longer the larger the table is."""
    notes: tuple[str, ...] = ()
    """What a person should know, one sentence each."""
    checks: tuple[CheckedColumn, ...] = ()
    """Columns whose values were looked at one by one; misfits are among the profile's rejects."""

    @property
    def creates_table(self) -> bool:
        """Return whether the table is made by this load."""
        return self.table_before is None

    @property
    def changes_table(self) -> bool:
        """Return whether columns of a table that was there are added or widened."""
        return any(column.action in CHANGING_ACTIONS for column in self.columns)

    @property
    def keeps_table(self) -> bool:
        """Return whether the rows go into a table that dropload made, which stays as it is."""
        return self.has_lineage and not self.creates_table and not self.changes_table

    @property
    def leaves_what_is_there(self) -> bool:
        """Return whether a table is made, or rows are added to one of dropload's that stays."""
        return self.creates_table or (self.keeps_table and not self.replaces_rows)

    @property
    def replaces_rows(self) -> bool:
        """Return whether the rows that the table has now go away."""
        return self.load_type is LoadType.FULLLOAD

    @property
    def rows_planned(self) -> int:
        """Return the number of rows that the load brings."""
        return self.profile.good_rows
