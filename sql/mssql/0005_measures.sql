-- What a load has cost, step by step, and the code of the error that ended it.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- schema than ref, that name is put in its place. By hand:
-- sqlcmd -b -i sql/mssql/0005_measures.sql
-- It records itself in ref.Schema_Version, so that nothing is left for `dropload init` to run.
-- It may be run twice without harm.

-- The table has filtered indexes, and sqlcmd has it off.
SET QUOTED_IDENTIFIER ON;
GO
-- JSON: step to seconds.
IF COL_LENGTH('ref.Load_History', 'step_seconds') IS NULL
    ALTER TABLE ref.Load_History ADD step_seconds nvarchar(max);
GO
-- Steps done again within the load.
IF COL_LENGTH('ref.Load_History', 'steps_retried') IS NULL
    ALTER TABLE ref.Load_History ADD steps_retried int;
GO
-- DL-xxx, docs/errors.md.
IF COL_LENGTH('ref.Load_History', 'error_code') IS NULL
    ALTER TABLE ref.Load_History ADD error_code nvarchar(20);
GO

IF NOT EXISTS (SELECT 1 FROM ref.Schema_Version WHERE version = 5)
    INSERT INTO ref.Schema_Version (version, script, applied_at)
    VALUES (5, '0005_measures.sql', SYSUTCDATETIME());
GO
