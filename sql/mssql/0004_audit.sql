-- What came of each action, and that nobody rewrites the audit log.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- schema than ref, that name is put in its place. By hand:
-- sqlcmd -b -i sql/mssql/0004_audit.sql
-- It records itself in ref.Schema_Version, so that nothing is left for `dropload init` to run.
-- It may be run twice without harm.

SET QUOTED_IDENTIFIER ON;
GO
-- done, refused or failed. Actions of before were written only where they were done.
IF COL_LENGTH('ref.Audit_Log', 'result') IS NULL
    ALTER TABLE ref.Audit_Log ADD result varchar(20) NOT NULL DEFAULT 'done';
GO
-- Why, in the person's words.
IF COL_LENGTH('ref.Audit_Log', 'reason') IS NULL
    ALTER TABLE ref.Audit_Log ADD reason nvarchar(max);
GO
-- Nobody changes a row.
IF OBJECT_ID('ref.tr_Audit_Log_update') IS NOT NULL
    DROP TRIGGER ref.tr_Audit_Log_update;
GO
CREATE TRIGGER ref.tr_Audit_Log_update ON ref.Audit_Log AFTER UPDATE AS
BEGIN
    SET NOCOUNT ON;
    THROW 51000, 'The audit log is append only: its rows are not changed.', 1;
END
GO
-- Rows go when they are old: the retention (retention.journal_days) keeps them for 90 days at least.
IF OBJECT_ID('ref.tr_Audit_Log_delete') IS NOT NULL
    DROP TRIGGER ref.tr_Audit_Log_delete;
GO
CREATE TRIGGER ref.tr_Audit_Log_delete ON ref.Audit_Log AFTER DELETE AS
BEGIN
    SET NOCOUNT ON;
    IF EXISTS (SELECT 1 FROM deleted WHERE at > DATEADD(day, -90, SYSUTCDATETIME()))
    BEGIN;
        THROW 51000, 'The audit log is append only: its rows stay for 90 days at least.', 1;
    END
END
GO

IF NOT EXISTS (SELECT 1 FROM ref.Schema_Version WHERE version = 4)
    INSERT INTO ref.Schema_Version (version, script, applied_at)
    VALUES (4, '0004_audit.sql', SYSUTCDATETIME());
GO
