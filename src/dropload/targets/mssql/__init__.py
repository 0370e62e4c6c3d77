"""SQL Server: bulk copy into a side table of text, one transaction to publish."""

from dropload.targets.mssql.target import SQLServerTarget

__all__ = ["SQLServerTarget"]
