"""SQLite, the embedded default: one file, schemas as part of the table's name."""

from dropload.targets.sqlite.target import SQLiteTarget

__all__ = ["SQLiteTarget"]
