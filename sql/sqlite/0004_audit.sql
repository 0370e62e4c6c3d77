-- What came of each action, and that nobody rewrites the audit log.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- reference schema than `ref`, that name is put in its place. By hand:
-- sqlite3 dropload.db < sql/sqlite/0004_audit.sql
-- Run a second time by hand it says that the columns are there already, and changes nothing.

-- Actions of before were written only where they were done.
ALTER TABLE "ref.Audit_Log" ADD COLUMN result VARCHAR(20) NOT NULL DEFAULT 'done';  -- done, refused, failed
ALTER TABLE "ref.Audit_Log" ADD COLUMN reason TEXT;                 -- why, in the person's words

CREATE TRIGGER IF NOT EXISTS "ref.tr_Audit_Log_update" BEFORE UPDATE ON "ref.Audit_Log"
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append only: its rows are not changed');
END;

-- The retention takes out what is old (retention.journal_days, 90 days at least).
CREATE TRIGGER IF NOT EXISTS "ref.tr_Audit_Log_delete" BEFORE DELETE ON "ref.Audit_Log"
WHEN OLD.at > datetime('now', '-90 days')
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append only: its rows stay for 90 days at least');
END;

INSERT OR IGNORE INTO "ref.Schema_Version" (version, script, applied_at)
    VALUES (4, '0004_audit.sql', CURRENT_TIMESTAMP);
