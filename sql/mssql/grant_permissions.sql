-- The rights of a least-privilege user for dropload, after 0001_journal.sql has been run by the
-- database's owner. Replace ingest_user by the name of the user; run with sqlcmd -i.
--
-- ALTER on a schema is what creating, widening and dropping its tables takes; without it on dbo,
-- dropload fills the tables that are there and makes none.

GRANT CREATE TABLE TO ingest_user;
GO
GRANT ALTER, SELECT, INSERT, UPDATE, DELETE ON SCHEMA::ref TO ingest_user;
GO
GRANT ALTER, SELECT, INSERT, UPDATE, DELETE ON SCHEMA::bkp TO ingest_user;
GO
GRANT ALTER, SELECT, INSERT, UPDATE, DELETE ON SCHEMA::stg TO ingest_user;
GO
GRANT ALTER, SELECT, INSERT, UPDATE, DELETE ON SCHEMA::dbo TO ingest_user;
GO
