"""How a file is written and what is in it."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from dropload.wrapping import Wrapping


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written."""

    encoding: str
    """Python codec name, lower case; `utf-8` also for pure ASCII."""
    delimiter: str
    """One character, seldom several (`||`), or the empty string for a file of one column."""
    quotechar: str
    """One character, or the empty string when quotes mean nothing in this file."""
    escapechar: str
    """One character, or the empty string; doubled quotes are understood in any case."""
    header: bool
    skip_lines: int
    """Physical lines before the header, or before the first record when there is none."""
    header_names: tuple[str, ...]
    """The header's cells as written; empty strings when the file has no header."""
    confidence: float
    """0 (a guess) to 1 (certain)."""
    has_bom: bool = False
    skip_initial_space: bool = False
    """A blank follows each delimiter and belongs to no value."""
    wrapping: Wrapping = Wrapping.NONE
    """What is drawn around every line and belongs to no value."""
    evidence: tuple[str, ...] = ()
    """One sentence for each thing that was decided, for people."""
    header_lines: int = 1
    """Records that the header takes, where there is one: names in two lines, units below them."""
    remarks: tuple[str, ...] = ()
    """The part of the evidence that is said after each load: lines that are no rows."""
    doubt: str = ""
    """Why a person should look before it is loaded; empty when there is no such reason."""
    seen_bytes: int = field(default=0, compare=False)
    """Bytes from the beginning that were looked at one by one, where that is not all of the file:
    who reads it looks at the others. 0: all."""

    @property
    def width(self) -> int:
        """Return the number of columns."""
        return len(self.header_names)

    def reads_like(self, other: "Layout") -> bool:
        """Return whether a file is read alike in both, however sure each is, and by what."""
        return replace(self, confidence=other.confidence, evidence=other.evidence) == other


class Kind(StrEnum):
    """The families of column types that dropload tells apart."""

    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMP_OFFSET = "timestamp_offset"
    """A point in time with its offset from UTC, which is kept."""
    TIME = "time"
    UUID = "uuid"


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type, in terms that every target can express."""

    kind: Kind
    precision: int = 0
    """Decimal: total digits. Integer: digits of the longest value, 0 when unknown (up to 19).
    Times and timestamps: digits of the second's fraction. Else 0."""
    scale: int = 0
    """Decimal: digits behind the point. Else 0."""
    max_length: int = 0
    """Text: units of UTF-16 that the longest value takes (the databases that count in bytes or
    characters need no more), 0 when every value is null or empty. Else 0."""
    spelling: str = field(default="", compare=False)
    """How a file writes what has two spellings, no part of the type: float `.0` when whole numbers
    are written `12.0`; timestamps `T` when that stands between date and time, and `Z` when that
    says UTC. Else empty."""
    notation: str = field(default="", compare=False)
    """How a file writes the values when a database prints them otherwise, by an example:
    `1.234,5`, `31.12.2024`. They are rewritten on their way into the table. Else empty."""

    def __str__(self) -> str:
        """Return the type as people read it, for example `decimal(10,2)`."""
        if self.kind is Kind.DECIMAL:
            return f"decimal({self.precision},{self.scale})"
        return self.kind.value


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the whole file says about one column."""

    name: str
    """The column's name in the table."""
    source_name: str
    """The name in the file's header, as written; empty when it has none."""
    type: ColumnType
    nulls: int
    max_length: int
    """Characters of the longest value as written."""
    note: str = ""
    """Why the type is not the one that a person may expect; empty when there is nothing to say."""
    doubt: str = ""
    """The key of the configuration that would settle the type; empty when there is no doubt."""
    nearly: tuple[Kind, ...] = ()
    """Of a text: the kinds of column that nearly all values look made for."""
    pointed: str = ""
    """The first of numbers whose points could all separate thousands (`1.234`), else empty."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused row."""

    source_row: int
    """Record number in the file, from 1, the header not counted."""
    line: int
    """Physical line on which the record starts, from 1."""
    column: str
    """Name of the column, or the empty string when the whole row is at fault."""
    value: str
    code: str
    message: str
    fields: tuple[str | None, ...] = ()
    """The record's cells as read; None for an empty one without quotes."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one full read of the file found."""

    file_hash: str
    hash_algorithm: str
    size_bytes: int
    rows: int
    """Data records, good and bad."""
    columns: tuple[ColumnProfile, ...]
    rejected_rows: int
    rejects: tuple[Reject, ...]
    """The first rejects only (bounded); `rejected_rows` is exact."""
    reader: str
    """Which reader was faithful to this file: `columnar` or `tolerant`."""
    footer: tuple[Reject, ...] = ()
    """Lines behind the table that say something about it ("Total rows: 4"); no rows of it."""

    @property
    def good_rows(self) -> int:
        """Return the number of records that can be loaded."""
        return self.rows - self.rejected_rows
