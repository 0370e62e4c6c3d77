-- The rights of a least-privilege user for dropload, after the numbered scripts have been run by
-- the database's owner.
--
-- Make the user first: CREATE ROLE ingest_user LOGIN PASSWORD '...'; then put its name in the place
-- of ingest_user here, and the names of your schemas in the place of ref, bkp, stg and public where
-- the configuration names others. Run it as the owner of the schemas and of their tables:
-- psql -1 -v ON_ERROR_STOP=1 -f sql/postgresql/grant_permissions.sql
-- It may be run twice without harm. `dropload init` does not run it.

-- Tables, backups and side tables that dropload makes belong to the user, who needs no more for
-- them. Without CREATE on public, dropload fills the tables that are there and makes none.
GRANT USAGE, CREATE ON SCHEMA ref, bkp, stg, public TO ingest_user;

-- The journal, and reference tables of other owners.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ref TO ingest_user;

-- Other tables of other owners. DELETE also stands for the lock that keeps writers out, so that an
-- append needs it too.
GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO ingest_user;

-- The same for tables that whoever runs this makes later.
ALTER DEFAULT PRIVILEGES IN SCHEMA ref, public
    GRANT SELECT, INSERT, DELETE ON TABLES TO ingest_user;
