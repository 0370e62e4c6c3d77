-- How far a load is: written by its worker at most once a second, for `dropload status` anywhere.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- reference schema than `ref`, that name is put in its place. By hand:
-- sqlite3 dropload.db < sql/sqlite/0002_progress.sql
-- Run a second time by hand it says that the columns are there already, and changes nothing.

ALTER TABLE "ref.Load_History" ADD COLUMN step VARCHAR(20);         -- profiling, checking, staging
ALTER TABLE "ref.Load_History" ADD COLUMN rows_done BIGINT;         -- by this step so far
ALTER TABLE "ref.Load_History" ADD COLUMN bytes_read BIGINT;        -- of the file, by this step
ALTER TABLE "ref.Load_History" ADD COLUMN rows_per_second FLOAT;    -- in the last seconds
ALTER TABLE "ref.Load_History" ADD COLUMN progress_at DATETIME;     -- when this was so

INSERT OR IGNORE INTO "ref.Schema_Version" (version, script, applied_at)
    VALUES (2, '0002_progress.sql', CURRENT_TIMESTAMP);
