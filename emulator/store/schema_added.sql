-- Changes after version 2 of the schema. Databases of that version get them when they are opened.

-- What is known of a job besides its row: only of one that was started, or continues what another one started.
CREATE TABLE IF NOT EXISTS job_attempts (
    job      INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
    attempts INTEGER NOT NULL DEFAULT 0,  -- begun, and not ended by the process that began them
    careful  INTEGER NOT NULL DEFAULT 0   -- pieces of the work that are done one by one from here on
);

-- Deferred chat completions that were not fetched yet.
CREATE TABLE IF NOT EXISTS deferred_completions (
    team       TEXT NOT NULL,
    id         TEXT NOT NULL,
    answer     BLOB NOT NULL,  -- JSON
    is_ready   INTEGER NOT NULL,  -- boolean
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (team, id)
) WITHOUT ROWID;

-- Images and videos of live calls, behind signed URLs.
CREATE TABLE IF NOT EXISTS live_media (
    token        TEXT PRIMARY KEY,
    team         TEXT NOT NULL,
    name         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content      BLOB NOT NULL,
    expires_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS live_media_by_expiry ON live_media (team, expires_at);

-- Videos of live calls, which are fetched by their request id.
CREATE TABLE IF NOT EXISTS deferred_videos (
    team       TEXT NOT NULL,
    id         TEXT NOT NULL,
    request    BLOB NOT NULL,  -- JSON
    result     BLOB NOT NULL,  -- JSON
    is_ready   INTEGER NOT NULL,  -- boolean
    created_at INTEGER NOT NULL,
    due_at     INTEGER,  -- null: it waits to be released
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (team, id)
) WITHOUT ROWID;

-- Stored responses, with all that a request needs which continues one.
CREATE TABLE IF NOT EXISTS stored_responses (
    seq        INTEGER PRIMARY KEY,
    team       TEXT NOT NULL,
    id         TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    answer     BLOB NOT NULL,  -- JSON, and so are the next two
    input      BLOB NOT NULL,
    messages   BLOB NOT NULL,
    UNIQUE (team, id)
);
CREATE INDEX IF NOT EXISTS stored_responses_by_age ON stored_responses (team, seq);

DROP VIEW IF EXISTS documents_of_files;

-- API keys that the management API made. Of their secrets only hashes are kept.
CREATE TABLE IF NOT EXISTS api_keys (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    team           TEXT NOT NULL,
    id             TEXT NOT NULL,
    name           TEXT NOT NULL,
    acls           TEXT NOT NULL,     -- a list in JSON
    qps            INTEGER,
    qpm            INTEGER,
    tpm            INTEGER,
    created_at     INTEGER NOT NULL,
    modified_at    INTEGER NOT NULL,
    expires_at     INTEGER,
    disabled       INTEGER NOT NULL,  -- boolean
    deleted        INTEGER NOT NULL,  -- boolean
    hash           TEXT NOT NULL,
    ending         TEXT NOT NULL,
    old_hash       TEXT,
    old_expires_at INTEGER,
    UNIQUE (team, id)
);
CREATE INDEX IF NOT EXISTS api_keys_by_hash ON api_keys (team, hash);
CREATE INDEX IF NOT EXISTS api_keys_by_old_hash ON api_keys (team, old_hash) WHERE old_hash IS NOT NULL;
CREATE INDEX IF NOT EXISTS api_keys_by_time ON api_keys (team, created_at, seq);

-- Hashes of the secrets before the last two of a key, so that they are refused in every auth mode.
CREATE TABLE IF NOT EXISTS retired_secrets (
    team   TEXT NOT NULL,
    hash   TEXT NOT NULL,
    key_id TEXT NOT NULL,
    PRIMARY KEY (team, hash)
) WITHOUT ROWID;

-- What calls changed.
CREATE TABLE IF NOT EXISTS audit_events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    team        TEXT NOT NULL,
    at          INTEGER NOT NULL,
    user_id     TEXT NOT NULL,
    api_key_id  TEXT NOT NULL,
    action      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    description TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_events_by_time ON audit_events (team, at, seq);

-- Files with pieces of search indexes, below the data directory. `owner` is a team; a column of that name would bring the
-- rows into snapshots, which do not hold the files.
CREATE TABLE IF NOT EXISTS index_segments (
    name          TEXT PRIMARY KEY,
    owner         TEXT NOT NULL,
    collection_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS index_segments_by_collection ON index_segments (owner, collection_id);

-- Additions of requests that are being written in steps: what their batches have from `first` on is not there before the
-- row goes. `owner` is a team; snapshots have neither these rows nor those requests.
CREATE TABLE IF NOT EXISTS batch_additions (
    owner    TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    first    INTEGER NOT NULL,  -- `seq` in batch_requests
    PRIMARY KEY (owner, batch_id),
    FOREIGN KEY (owner, batch_id) REFERENCES batches (team, id) ON DELETE CASCADE
) WITHOUT ROWID;
