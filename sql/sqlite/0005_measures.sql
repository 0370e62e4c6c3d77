-- What a load has cost, step by step, and the code of the error that ended it.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- reference schema than `ref`, that name is put in its place. By hand:
-- sqlite3 dropload.db < sql/sqlite/0005_measures.sql
-- Run a second time by hand it says that the columns are there already, and changes nothing.

ALTER TABLE "ref.Load_History" ADD COLUMN step_seconds TEXT;         -- JSON: step to seconds
ALTER TABLE "ref.Load_History" ADD COLUMN steps_retried INTEGER;     -- steps done again within the load
ALTER TABLE "ref.Load_History" ADD COLUMN error_code VARCHAR(20);    -- DL-xxx, docs/errors.md

INSERT OR IGNORE INTO "ref.Schema_Version" (version, script, applied_at)
    VALUES (5, '0005_measures.sql', CURRENT_TIMESTAMP);
