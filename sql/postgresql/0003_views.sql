-- What the views of the history need: which load a duplicate repeats, and ways to find it fast.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- schema than ref, that name is put in its place. By hand:
-- psql -1 -v ON_ERROR_STOP=1 -f sql/postgresql/0003_views.sql
-- It records itself in ref.schema_version, so that nothing is left for `dropload init` to run.
-- It may be run twice without harm.

ALTER TABLE ref.load_history
    ADD COLUMN IF NOT EXISTS duplicate_of bigint;  -- the load by which it was a duplicate

CREATE INDEX IF NOT EXISTS ix_load_history_commits
    ON ref.load_history (schema_name, table_name, state, commit_no);
DROP INDEX IF EXISTS ref.ix_load_history_table;
CREATE INDEX IF NOT EXISTS ix_load_history_error
    ON ref.load_history (error_category, claimed_at) WHERE error_category IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_audit_log_at ON ref.audit_log (at);

INSERT INTO ref.schema_version (version, script, applied_at)
    VALUES (3, '0003_views.sql', now() AT TIME ZONE 'UTC')
    ON CONFLICT (version) DO NOTHING;
