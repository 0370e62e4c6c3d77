-- What a load has cost, step by step, and the code of the error that ended it.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- schema than ref, that name is put in its place. By hand:
-- psql -1 -v ON_ERROR_STOP=1 -f sql/postgresql/0005_measures.sql
-- It records itself in ref.schema_version, so that nothing is left for `dropload init` to run.
-- It may be run twice without harm.

ALTER TABLE ref.load_history
    ADD COLUMN IF NOT EXISTS step_seconds text,          -- JSON: step to seconds
    ADD COLUMN IF NOT EXISTS steps_retried integer,      -- steps done again within the load
    ADD COLUMN IF NOT EXISTS error_code varchar(20);     -- DL-xxx, docs/errors.md

INSERT INTO ref.schema_version (version, script, applied_at)
    VALUES (5, '0005_measures.sql', now() AT TIME ZONE 'UTC')
    ON CONFLICT (version) DO NOTHING;
