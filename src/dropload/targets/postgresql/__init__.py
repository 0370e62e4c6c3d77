"""PostgreSQL: COPY into a side table of text, one transaction to publish."""

from dropload.targets.postgresql.target import PostgreSQLTarget

__all__ = ["PostgreSQLTarget"]
