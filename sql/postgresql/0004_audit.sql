-- What came of each action, and that nobody rewrites the audit log.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names another
-- schema than ref, that name is put in its place. By hand:
-- psql -1 -v ON_ERROR_STOP=1 -f sql/postgresql/0004_audit.sql
-- It records itself in ref.schema_version, so that nothing is left for `dropload init` to run.
-- It may be run twice without harm.

-- Actions of before were written only where they were done.
ALTER TABLE ref.audit_log
    ADD COLUMN IF NOT EXISTS result varchar(20) NOT NULL DEFAULT 'done',  -- done, refused, failed
    ADD COLUMN IF NOT EXISTS reason text;                       -- why, in the person's words

-- Nobody changes a row. Rows go when they are old: the retention (retention.journal_days) keeps them
-- for 90 days at least.
CREATE OR REPLACE FUNCTION ref.audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at <= (now() AT TIME ZONE 'UTC') - interval '90 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is append only: its rows are not changed, and stay for 90 days at least'
        USING ERRCODE = 'insufficient_privilege';
END
$$;

DROP TRIGGER IF EXISTS tr_audit_log_rows ON ref.audit_log;
CREATE TRIGGER tr_audit_log_rows BEFORE UPDATE OR DELETE ON ref.audit_log
    FOR EACH ROW EXECUTE PROCEDURE ref.audit_log_is_append_only();
DROP TRIGGER IF EXISTS tr_audit_log_truncate ON ref.audit_log;
CREATE TRIGGER tr_audit_log_truncate BEFORE TRUNCATE ON ref.audit_log
    FOR EACH STATEMENT EXECUTE PROCEDURE ref.audit_log_is_append_only();

INSERT INTO ref.schema_version (version, script, applied_at)
    VALUES (4, '0004_audit.sql', now() AT TIME ZONE 'UTC')
    ON CONFLICT (version) DO NOTHING;
