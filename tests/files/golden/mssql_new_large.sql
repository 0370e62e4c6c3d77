CREATE TABLE stg.[orders__7] ([id] nvarchar(255) NULL, [name] nvarchar(255) NULL, [_load_id] bigint NOT NULL, [_source_row] bigint NOT NULL);
DECLARE @got int; EXEC @got = sp_getapplock @Resource = ?, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = ?; SELECT @got;
SELECT COUNT_BIG(*) FROM stg.[orders__7];
SELECT COUNT(*) FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND TABLE_TYPE = 'BASE TABLE';
CREATE TABLE ref.[orders] ([id] bigint NULL, [name] nvarchar(max) NULL, [_load_id] bigint NOT NULL, [_source_row] bigint NOT NULL);
SELECT COLUMN_NAME AS name, DATA_TYPE AS type, CHARACTER_MAXIMUM_LENGTH AS length, NUMERIC_PRECISION AS precision, NUMERIC_SCALE AS scale, DATETIME_PRECISION AS fraction, CAST(COLLATIONPROPERTY(COLLATION_NAME, 'CodePage') AS int) AS code_page, CASE WHEN IS_NULLABLE = 'YES' THEN 1 ELSE 0 END AS nullable, CASE WHEN COLUMN_DEFAULT IS NOT NULL   OR COLUMNPROPERTY(OBJECT_ID(?), COLUMN_NAME, 'IsIdentity') = 1   THEN 1 ELSE 0 END AS has_value, CASE WHEN COLUMNPROPERTY(OBJECT_ID(?), COLUMN_NAME, 'IsComputed') = 1   OR COLUMNPROPERTY(OBJECT_ID(?), COLUMN_NAME, 'GeneratedAlwaysType') > 0   OR DATA_TYPE IN ('timestamp', 'rowversion') THEN 1 ELSE 0 END AS computed, COALESCE(COLUMNPROPERTY(OBJECT_ID(?), COLUMN_NAME, 'IsIdentity'), 0) AS numbered, 0 AS numbered_always, COLLATION_NAME AS collation FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION;
SET NOCOUNT ON; INSERT INTO ref.[orders] WITH (TABLOCK) ([id], [name], [_load_id], [_source_row]) SELECT CAST([id] AS bigint), [name], [_load_id], [_source_row] FROM stg.[orders__7] ;
DROP TABLE IF EXISTS stg.[orders__7];
SELECT COUNT_BIG(*) FROM ref.[orders];
