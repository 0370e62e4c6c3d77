-- The rights of a least-privilege user for dropload, after the numbered scripts have been run by
-- the database's owner.
--
-- Make the user first: CREATE LOGIN ingest_user WITH PASSWORD = '...'; and, in the database,
-- CREATE USER ingest_user FOR LOGIN ingest_user; then put its name in the place of ingest_user here,
-- and the names of your schemas in the place of ref, bkp, stg and dbo where the configuration names
-- others. Run it in that database: sqlcmd -b -d DATABASE -i sql/mssql/grant_permissions.sql
-- It may be run twice without harm. `dropload init` does not run it.

-- Reading and writing rows. The journal is in ref; dbo holds the tables of the non-reference area.
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::ref TO ingest_user;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::bkp TO ingest_user;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::stg TO ingest_user;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::dbo TO ingest_user;
GO

-- Making tables takes CREATE TABLE in the database and ALTER on the table's schema.
GRANT CREATE TABLE TO ingest_user;
GO
GRANT ALTER ON SCHEMA::ref TO ingest_user;
GO
GRANT ALTER ON SCHEMA::bkp TO ingest_user;
GO
GRANT ALTER ON SCHEMA::stg TO ingest_user;
GO

-- ALTER on dbo reaches everything in it. Whoever leaves it out grants
--     GRANT VIEW DEFINITION ON SCHEMA::dbo TO ingest_user;
-- instead, so that dropload sees which columns have defaults. It then fills the tables that are
-- there, and makes and widens none; numbers of an identity column are the server's, not the file's.
GRANT ALTER ON SCHEMA::dbo TO ingest_user;
GO
