-- What the views of the history need: which load a duplicate repeats, and ways to find it fast.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- reference schema than `ref`, that name is put in its place. By hand:
-- sqlite3 dropload.db < sql/sqlite/0003_views.sql
-- Run a second time by hand it says that the column is there already, and changes nothing.

ALTER TABLE "ref.Load_History" ADD COLUMN duplicate_of BIGINT;  -- the load it was a duplicate of

CREATE INDEX IF NOT EXISTS "ref.ix_Load_History_commits"
    ON "ref.Load_History" (schema_name, table_name, state, commit_no);
DROP INDEX IF EXISTS "ref.ix_Load_History_table";
CREATE INDEX IF NOT EXISTS "ref.ix_Load_History_error"
    ON "ref.Load_History" (error_category, claimed_at) WHERE error_category IS NOT NULL;
CREATE INDEX IF NOT EXISTS "ref.ix_Audit_Log_at" ON "ref.Audit_Log" (at);

INSERT OR IGNORE INTO "ref.Schema_Version" (version, script, applied_at)
    VALUES (3, '0003_views.sql', CURRENT_TIMESTAMP);
