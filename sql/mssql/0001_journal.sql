-- The journal: what dropload knows about files and loads, kept beside the rows it loads.
--
-- `dropload init` runs this script once, in one transaction; where the configuration names other
-- schemas than ref, bkp and stg, those names are put in their place. By hand:
-- sqlcmd -b -i sql/mssql/0001_journal.sql
-- It records itself in ref.Schema_Version, so that nothing is left for `dropload init` to run.
-- All times are UTC. It may be run twice without harm.
--
-- Paths and keys have a binary collation: under the usual ones `A.csv` and `a.csv` are equal, and
-- so are all characters that the collation does not know. Trailing blanks are ignored under any
-- collation; dropload writes no path or key that ends in one.

-- Filtered indexes need it, and sqlcmd has it off.
SET QUOTED_IDENTIFIER ON;
-- A table comes with its indexes, or not at all: "once" hangs on two of them.
SET XACT_ABORT ON;
GO
IF SCHEMA_ID('ref') IS NULL EXEC('CREATE SCHEMA ref');
GO
IF SCHEMA_ID('bkp') IS NULL EXEC('CREATE SCHEMA bkp');
GO
IF SCHEMA_ID('stg') IS NULL EXEC('CREATE SCHEMA stg');
GO

IF OBJECT_ID('ref.Schema_Version', 'U') IS NULL
BEGIN
BEGIN TRANSACTION;
CREATE TABLE ref.Schema_Version (
    version     integer      NOT NULL PRIMARY KEY,
    script      nvarchar(200) NOT NULL,
    applied_at  datetime2(6)    NOT NULL
);
COMMIT;
END;
GO

-- One row per drop path: its present state.
IF OBJECT_ID('ref.File_Monitor_Tracking', 'U') IS NULL
BEGIN
BEGIN TRANSACTION;
CREATE TABLE ref.File_Monitor_Tracking (
    id                        bigint       IDENTITY(1,1) PRIMARY KEY,
    file_path                 nvarchar(500) COLLATE Latin1_General_BIN2 NOT NULL UNIQUE,
    file_name                 nvarchar(500) NOT NULL,
    file_size                 bigint,
    file_hash                 nvarchar(64),
    load_type                 nvarchar(20)  NOT NULL,
    table_name                nvarchar(300),
    detected_delimiter        nvarchar(10),
    detected_headers          nvarchar(max),                        -- JSON list
    is_reference_data         bit      NOT NULL,
    reference_config_inserted bit      NOT NULL DEFAULT 0,
    status                    nvarchar(20)  NOT NULL,       -- waiting, held, released, vanished, or the load's state
    created_at                datetime2(6)    NOT NULL,       -- first seen
    processed_at              datetime2(6),                   -- last outcome
    error_message             nvarchar(max),
    reason                    nvarchar(max),                        -- why it is waiting or held
    changed_at                datetime2(6),                   -- this version was first seen then
    mtime_ns                  bigint,
    inode                     bigint,
    load_id                   bigint                       -- latest load of this path
);
CREATE INDEX ix_File_Monitor_Tracking_status
    ON ref.File_Monitor_Tracking (status);
CREATE INDEX ix_File_Monitor_Tracking_created_at
    ON ref.File_Monitor_Tracking (created_at);
CREATE INDEX ix_File_Monitor_Tracking_table_name
    ON ref.File_Monitor_Tracking (table_name);
COMMIT;
END;
GO

-- One row per load: an attempt to put one version of one file into one table.
IF OBJECT_ID('ref.Load_History', 'U') IS NULL
BEGIN
BEGIN TRANSACTION;
CREATE TABLE ref.Load_History (
    load_id           bigint       IDENTITY(1,1) PRIMARY KEY,
    tracking_id       bigint       NOT NULL,
    file_path         nvarchar(500) COLLATE Latin1_General_BIN2 NOT NULL,
    file_name         nvarchar(500) NOT NULL,
    file_size         bigint,
    mtime_ns          bigint,
    inode             bigint,
    file_hash         nvarchar(128),
    hash_algorithm    nvarchar(20),
    schema_name       nvarchar(128) NOT NULL,
    table_name        nvarchar(128) NOT NULL,               -- empty when the file's name gives none
    load_type         nvarchar(20)  NOT NULL,
    is_reference_data bit      NOT NULL,
    in_tree           bit      NOT NULL,               -- 0: loaded from elsewhere, never moved
    forced            bit      NOT NULL DEFAULT 0,  -- past duplicates and guard rails
    state             nvarchar(20)  NOT NULL,
    rows_read         bigint,
    rows_staged       bigint,
    rows_loaded       bigint,
    rows_rejected     bigint,
    rows_before       bigint,
    rows_after        bigint,
    layout            nvarchar(max),                                -- JSON
    [plan]            nvarchar(max),                                -- JSON
    claimed_at        datetime2(6)    NOT NULL,
    planned_at        datetime2(6),
    staged_at         datetime2(6),
    committed_at      datetime2(6),
    finished_at       datetime2(6),                           -- failed, duplicate, cancelled
    filed_at          datetime2(6),                           -- the file was moved
    filed_path        nvarchar(1000),                       -- chosen before the move, so that it can be finished
    report_path       nvarchar(1000),
    backup_table      nvarchar(300),                        -- what a fullload replaced
    worker            nvarchar(200),                        -- who holds the claim; null: nobody
    lease_until       datetime2(6),
    attempts          integer      NOT NULL DEFAULT 1,
    crashes           integer      NOT NULL DEFAULT 0,     -- worker processes that died on it
    error_category    nvarchar(30),
    error_message     nvarchar(max),
    requested_by      nvarchar(200),
    once_key          nvarchar(500) COLLATE Latin1_General_BIN2,  -- see below
    commit_no         bigint,                              -- order of the commits of one table, from 1
    duplicate_of      bigint                               -- the load by which it was a duplicate
);
-- One open load per path: this is what keeps two daemons from loading one file twice.
CREATE UNIQUE INDEX ux_Load_History_open
    ON ref.Load_History (tracking_id)
    WHERE state IN ('claimed', 'staging', 'publishing', 'committed');
-- The same bytes are appended to a table once: the publishing transaction writes
-- schema.table:hash here, and null when the load was forced or undone.
CREATE UNIQUE INDEX ux_Load_History_once
    ON ref.Load_History (once_key) WHERE once_key IS NOT NULL;
CREATE INDEX ix_Load_History_table
    ON ref.Load_History (schema_name, table_name, state, commit_no);
CREATE INDEX ix_Load_History_state
    ON ref.Load_History (state, filed_at);
CREATE INDEX ix_Load_History_error
    ON ref.Load_History (error_category, claimed_at) WHERE error_category IS NOT NULL;
COMMIT;
END;
GO

-- Rows that were refused, bounded per load.
IF OBJECT_ID('ref.Load_Reject', 'U') IS NULL
BEGIN
BEGIN TRANSACTION;
CREATE TABLE ref.Load_Reject (
    load_id     bigint      NOT NULL,
    source_row  bigint      NOT NULL,                      -- record of the file, from 1, header not counted
    line        bigint      NOT NULL,                      -- physical line, from 1
    column_name nvarchar(500),
    reason_code nvarchar(50) NOT NULL,
    message     nvarchar(max)        NOT NULL,
    row_text    nvarchar(max),
    PRIMARY KEY (load_id, source_row)
);
COMMIT;
END;
GO

-- One row per reference table, written by the load that publishes it.
IF OBJECT_ID('ref.Reference_Data_Cfg', 'U') IS NULL
BEGIN
BEGIN TRANSACTION;
CREATE TABLE ref.Reference_Data_Cfg (
    id          bigint       IDENTITY(1,1) PRIMARY KEY,
    schema_name nvarchar(128) NOT NULL,
    table_name  nvarchar(128) NOT NULL,
    columns     nvarchar(max)         NOT NULL,                     -- JSON list of {name, type}
    created_at  datetime2(6)    NOT NULL,
    updated_at  datetime2(6)    NOT NULL,
    load_id     bigint       NOT NULL,                     -- the load that wrote it last
    UNIQUE (schema_name, table_name)
);
COMMIT;
END;
GO

-- Who did what to which load, when. Append only.
IF OBJECT_ID('ref.Audit_Log', 'U') IS NULL
BEGIN
BEGIN TRANSACTION;
CREATE TABLE ref.Audit_Log (
    id      bigint       IDENTITY(1,1) PRIMARY KEY,
    at      datetime2(6)    NOT NULL,
    actor   nvarchar(200) NOT NULL,
    action  nvarchar(50)  NOT NULL,
    load_id bigint,
    detail  nvarchar(max)
);
CREATE INDEX ix_Audit_Log_at ON ref.Audit_Log (at);
COMMIT;
END;
GO

IF NOT EXISTS (SELECT 1 FROM ref.Schema_Version WHERE version = 1)
    INSERT INTO ref.Schema_Version (version, script, applied_at)
    VALUES (1, '0001_journal.sql', SYSUTCDATETIME());
GO
