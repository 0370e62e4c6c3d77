-- How far a load is: written by its worker at most once a second, for `dropload status` anywhere.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- schema than ref, that name is put in its place. By hand:
-- psql -1 -v ON_ERROR_STOP=1 -f sql/postgresql/0002_progress.sql
-- It records itself in ref.schema_version, so that nothing is left for `dropload init` to run.
-- It may be run twice without harm.

ALTER TABLE ref.load_history
    ADD COLUMN IF NOT EXISTS step            varchar(20),      -- profiling, checking, staging
    ADD COLUMN IF NOT EXISTS rows_done       bigint,           -- by this step so far
    ADD COLUMN IF NOT EXISTS bytes_read      bigint,           -- of the file, by this step
    ADD COLUMN IF NOT EXISTS rows_per_second double precision, -- in the last seconds
    ADD COLUMN IF NOT EXISTS progress_at     timestamp;        -- when this was so

INSERT INTO ref.schema_version (version, script, applied_at)
    VALUES (2, '0002_progress.sql', now() AT TIME ZONE 'UTC')
    ON CONFLICT (version) DO NOTHING;
