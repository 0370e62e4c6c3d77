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
IF COL_LENGTH('ref.Load_History', 'progress_at') IS NULL
ALTER TABLE ref.Load_History ADD
    step            nvarchar(20),  -- profiling, checking, staging
    rows_done       bigint,        -- by this step so far
    bytes_read      bigint,        -- of the file, by this step
    rows_per_second float,         -- in the last seconds
    progress_at     datetime2(6);  -- when this was so
GO

IF NOT EXISTS (SELECT 1 FROM ref.Schema_Version WHERE version = 2)
    INSERT INTO ref.Schema_Version (version, script, applied_at)
    VALUES (2, '0002_progress.sql', SYSUTCDATETIME());
GO
