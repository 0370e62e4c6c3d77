-- The journal: what dropload knows about files and loads, kept beside the rows it loads.
--
-- SQLite has no schemas, so the schema is part of each table's name. `dropload init` runs this
-- script once, in one transaction; where the configuration names another reference schema than
-- `ref`, that name is put in its place. By hand: sqlite3 dropload.db < sql/sqlite/0001_journal.sql
-- It records itself in "ref.Schema_Version", so that nothing is left for `dropload init` to run.
-- All times are UTC. It may be run twice without harm.

CREATE TABLE IF NOT EXISTS "ref.Schema_Version" (
    version     INTEGER      NOT NULL PRIMARY KEY,
    script      VARCHAR(200) NOT NULL,
    applied_at  DATETIME     NOT NULL
);

-- One row per drop path: its present state.
CREATE TABLE IF NOT EXISTS "ref.File_Monitor_Tracking" (
    id                        INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
    file_path                 VARCHAR(500) NOT NULL UNIQUE,
    file_name                 VARCHAR(255) NOT NULL,
    file_size                 BIGINT,
    file_hash                 VARCHAR(64),
    load_type                 VARCHAR(20)  NOT NULL,
    table_name                VARCHAR(300),
    detected_delimiter        VARCHAR(10),
    detected_headers          TEXT,                        -- JSON list
    is_reference_data         BOOLEAN      NOT NULL,
    reference_config_inserted BOOLEAN      NOT NULL DEFAULT 0,
    status                    VARCHAR(20)  NOT NULL,       -- waiting, held, released, vanished, or the load's state
    created_at                DATETIME     NOT NULL,       -- first seen
    processed_at              DATETIME,                    -- last outcome
    error_message             TEXT,
    reason                    TEXT,                        -- why it is waiting or held
    changed_at                DATETIME,                    -- this version was first seen then
    mtime_ns                  BIGINT,
    inode                     BIGINT,
    load_id                   BIGINT                       -- latest load of this path
);
CREATE INDEX IF NOT EXISTS "ref.ix_File_Monitor_Tracking_status"
    ON "ref.File_Monitor_Tracking" (status);
CREATE INDEX IF NOT EXISTS "ref.ix_File_Monitor_Tracking_created_at"
    ON "ref.File_Monitor_Tracking" (created_at);
CREATE INDEX IF NOT EXISTS "ref.ix_File_Monitor_Tracking_table_name"
    ON "ref.File_Monitor_Tracking" (table_name);

-- One row per load: an attempt to put one version of one file into one table.
CREATE TABLE IF NOT EXISTS "ref.Load_History" (
    load_id        INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
    tracking_id    BIGINT       NOT NULL,
    file_path      VARCHAR(500) NOT NULL,
    file_name      VARCHAR(255) NOT NULL,
    file_size      BIGINT,
    mtime_ns       BIGINT,
    inode          BIGINT,
    file_hash      VARCHAR(128),
    hash_algorithm VARCHAR(20),
    schema_name    VARCHAR(128) NOT NULL,
    table_name     VARCHAR(128) NOT NULL,                  -- empty when the file's name gives none
    load_type      VARCHAR(20)  NOT NULL,
    is_reference_data BOOLEAN   NOT NULL,
    in_tree        BOOLEAN      NOT NULL,                  -- 0: loaded from elsewhere, never moved
    forced         BOOLEAN      NOT NULL DEFAULT 0, -- past duplicates and guard rails
    state          VARCHAR(20)  NOT NULL,
    rows_read      BIGINT,
    rows_staged    BIGINT,
    rows_loaded    BIGINT,
    rows_rejected  BIGINT,
    rows_before    BIGINT,
    rows_after     BIGINT,
    layout         TEXT,                                   -- JSON
    "plan"         TEXT,                                   -- JSON
    claimed_at     DATETIME     NOT NULL,
    planned_at     DATETIME,
    staged_at      DATETIME,
    committed_at   DATETIME,
    finished_at    DATETIME,                               -- failed, duplicate, cancelled
    filed_at       DATETIME,                               -- the file was moved
    filed_path     VARCHAR(1000),                          -- chosen before the move, so that it can be finished
    report_path    VARCHAR(1000),
    backup_table   VARCHAR(300),                           -- what a fullload replaced
    worker         VARCHAR(200),                           -- who holds the claim; null: nobody
    lease_until    DATETIME,
    attempts       INTEGER      NOT NULL DEFAULT 1,
    crashes        INTEGER      NOT NULL DEFAULT 0,        -- worker processes that died on it
    error_category VARCHAR(30),
    error_message  TEXT,
    requested_by   VARCHAR(200),
    once_key       VARCHAR(500),                            -- see below
    commit_no      BIGINT,                                 -- order of the commits of one table, from 1
    duplicate_of   BIGINT                                  -- the load by which it was a duplicate
);
-- One open load per path: this is what keeps two daemons from loading one file twice.
CREATE UNIQUE INDEX IF NOT EXISTS "ref.ux_Load_History_open"
    ON "ref.Load_History" (tracking_id)
    WHERE state IN ('claimed', 'staging', 'publishing', 'committed');
-- The same bytes are appended to a table once: the publishing transaction writes
-- schema.table:hash here, and null when the load was forced or undone.
CREATE UNIQUE INDEX IF NOT EXISTS "ref.ux_Load_History_once"
    ON "ref.Load_History" (once_key) WHERE once_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS "ref.ix_Load_History_table"
    ON "ref.Load_History" (schema_name, table_name, state, commit_no);
CREATE INDEX IF NOT EXISTS "ref.ix_Load_History_state"
    ON "ref.Load_History" (state, filed_at);
CREATE INDEX IF NOT EXISTS "ref.ix_Load_History_error"
    ON "ref.Load_History" (error_category, claimed_at) WHERE error_category IS NOT NULL;

-- Rows that were refused, bounded per load.
CREATE TABLE IF NOT EXISTS "ref.Load_Reject" (
    load_id     BIGINT       NOT NULL,
    source_row  BIGINT       NOT NULL,                     -- record of the file, from 1, header not counted
    line        BIGINT       NOT NULL,                     -- physical line, from 1
    column_name VARCHAR(128),
    reason_code VARCHAR(50)  NOT NULL,
    message     TEXT         NOT NULL,
    row_text    TEXT,
    PRIMARY KEY (load_id, source_row)
);

-- One row per reference table, written by the load that publishes it.
CREATE TABLE IF NOT EXISTS "ref.Reference_Data_Cfg" (
    id          INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
    schema_name VARCHAR(128) NOT NULL,
    table_name  VARCHAR(128) NOT NULL,
    columns     TEXT         NOT NULL,                     -- JSON list of {name, type}
    created_at  DATETIME     NOT NULL,
    updated_at  DATETIME     NOT NULL,
    load_id     BIGINT       NOT NULL,                     -- the load that wrote it last
    UNIQUE (schema_name, table_name)
);

-- Who did what to which load, when. Append only.
CREATE TABLE IF NOT EXISTS "ref.Audit_Log" (
    id      INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
    at      DATETIME     NOT NULL,
    actor   VARCHAR(200) NOT NULL,
    action  VARCHAR(50)  NOT NULL,
    load_id BIGINT,
    detail  TEXT
);
CREATE INDEX IF NOT EXISTS "ref.ix_Audit_Log_at" ON "ref.Audit_Log" (at);

INSERT OR IGNORE INTO "ref.Schema_Version" (version, script, applied_at)
    VALUES (1, '0001_journal.sql', CURRENT_TIMESTAMP);
