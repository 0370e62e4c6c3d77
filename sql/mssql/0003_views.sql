-- What the views of the history need: which load a duplicate repeats, and ways to find it fast.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- schema than ref, that name is put in its place. By hand:
-- sqlcmd -b -i sql/mssql/0003_views.sql
-- It records itself in ref.Schema_Version, so that nothing is left for `dropload init` to run.
-- It may be run twice without harm.

-- The table has filtered indexes, and sqlcmd has it off.
SET QUOTED_IDENTIFIER ON;
GO
-- The load by which it was a duplicate.
IF COL_LENGTH('ref.Load_History', 'duplicate_of') IS NULL
    ALTER TABLE ref.Load_History ADD duplicate_of bigint;
GO
IF INDEXPROPERTY(OBJECT_ID('ref.Load_History'), 'ix_Load_History_commits', 'IndexID') IS NULL
CREATE INDEX ix_Load_History_commits
    ON ref.Load_History (schema_name, table_name, state, commit_no);
GO
IF INDEXPROPERTY(OBJECT_ID('ref.Load_History'), 'ix_Load_History_table', 'IndexID') IS NOT NULL
DROP INDEX ix_Load_History_table ON ref.Load_History;
GO
IF INDEXPROPERTY(OBJECT_ID('ref.Load_History'), 'ix_Load_History_error', 'IndexID') IS NULL
CREATE INDEX ix_Load_History_error
    ON ref.Load_History (error_category, claimed_at) WHERE error_category IS NOT NULL;
GO
IF INDEXPROPERTY(OBJECT_ID('ref.Audit_Log'), 'ix_Audit_Log_at', 'IndexID') IS NULL
CREATE INDEX ix_Audit_Log_at ON ref.Audit_Log (at);
GO

IF NOT EXISTS (SELECT 1 FROM ref.Schema_Version WHERE version = 3)
    INSERT INTO ref.Schema_Version (version, script, applied_at)
    VALUES (3, '0003_views.sql', SYSUTCDATETIME());
GO
