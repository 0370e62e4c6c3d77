-- How far a load is: written by its worker at most once a second, for `dropload status` anywhere.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- schema than ref, that name is put in its place. By hand:
-- sqlcmd -b -i sql/mssql/0002_progress.sql
-- It records itself in ref.Schema_Version, so that nothing is left for `dropload init` to run.
-- It may be run twice without harm.

-- The table has filtered indexes, and sqlcmd has it off.
SET QUOTED_IDENTIFIER ON;
GO
-- Profiling, checking, staging.
IF COL_LENGTH('ref.Load_History', 'step') IS NULL
    ALTER TABLE ref.Load_History ADD step nvarchar(20);
GO
-- By this step so far.
IF COL_LENGTH('ref.Load_History', 'rows_done') IS NULL
    ALTER TABLE ref.Load_History ADD rows_done bigint;
GO
-- Of the file, by this step.
IF COL_LENGTH('ref.Load_History', 'bytes_read') IS NULL
    ALTER TABLE ref.Load_History ADD bytes_read bigint;
GO
-- In the last seconds.
IF COL_LENGTH('ref.Load_History', 'rows_per_second') IS NULL
    ALTER TABLE ref.Load_History ADD rows_per_second float;
GO
-- When this was so.
IF COL_LENGTH('ref.Load_History', 'progress_at') IS NULL
    ALTER TABLE ref.Load_History ADD progress_at datetime2(6);
GO

IF NOT EXISTS (SELECT 1 FROM ref.Schema_Version WHERE version = 2)
    INSERT INTO ref.Schema_Version (version, script, applied_at)
    VALUES (2, '0002_progress.sql', SYSUTCDATETIME());
GO
