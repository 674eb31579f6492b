-- One database holds every team; each table starts its keys with the team.
-- Times are microseconds since the Unix epoch, sizes are bytes.

CREATE TABLE teams (
    name         TEXT PRIMARY KEY,
    id_counter   INTEGER NOT NULL DEFAULT 0,  -- ids given so far
    clock_offset INTEGER NOT NULL DEFAULT 0,
    frozen_at    INTEGER,
    files_count  INTEGER NOT NULL DEFAULT 0,  -- kept by the triggers below
    files_bytes  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE files (
    seq                   INTEGER PRIMARY KEY AUTOINCREMENT,
    team                  TEXT NOT NULL,
    id                    TEXT NOT NULL,
    filename              TEXT NOT NULL,
    size                  INTEGER NOT NULL,
    content_type          TEXT NOT NULL,
    hash                  TEXT NOT NULL,
    blob                  TEXT NOT NULL,
    created_at            INTEGER NOT NULL,
    expires_at            INTEGER,
    upload_status         TEXT NOT NULL,
    open_for_chunks       INTEGER NOT NULL,  -- boolean: made by files:initialize and not sealed
    public_url_token      TEXT,
    public_url_expires_at INTEGER,
    UNIQUE (team, id)
);
CREATE INDEX files_by_created_at ON files (team, created_at, seq);
CREATE INDEX files_by_filename ON files (team, filename, seq);
CREATE INDEX files_by_size ON files (team, size, seq);
CREATE UNIQUE INDEX files_by_public_url ON files (public_url_token) WHERE public_url_token IS NOT NULL;

CREATE TRIGGER files_inserted AFTER INSERT ON files BEGIN
    UPDATE teams SET files_count = files_count + 1, files_bytes = files_bytes + NEW.size WHERE name = NEW.team;
END;
CREATE TRIGGER files_resized AFTER UPDATE OF size ON files BEGIN
    UPDATE teams SET files_bytes = files_bytes + NEW.size - OLD.size WHERE name = NEW.team;
END;
CREATE TRIGGER files_deleted AFTER DELETE ON files BEGIN
    UPDATE teams SET files_count = files_count - 1, files_bytes = files_bytes - OLD.size WHERE name = OLD.team;
    -- where a deleted file stood in each order: `after=ID` goes on from there
    INSERT INTO deleted_files VALUES (OLD.team, OLD.id, OLD.seq, OLD.filename, OLD.size, OLD.created_at);
END;

CREATE TABLE deleted_files (
    team       TEXT NOT NULL,
    id         TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    filename   TEXT NOT NULL,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (team, id)
) WITHOUT ROWID;

CREATE TABLE file_batch_uploads (
    team         TEXT NOT NULL,
    id           TEXT NOT NULL,
    file_ids     TEXT NOT NULL,  -- JSON array
    created_at   INTEGER NOT NULL,
    completed_at INTEGER,
    PRIMARY KEY (team, id)
) WITHOUT ROWID;

-- The documents that can be found. `seq` grows with every indexing, so a change of a collection is seen by it.
CREATE TABLE indexed_documents (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    team          TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    file_id       TEXT NOT NULL,
    UNIQUE (team, collection_id, file_id)
);

CREATE TABLE chunks (
    team          TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    file_id       TEXT NOT NULL,
    ordinal       INTEGER NOT NULL,
    id            TEXT NOT NULL,
    content       TEXT NOT NULL,
    indexed_text  TEXT,  -- where it is not the content
    page_number   INTEGER,
    vector        BLOB NOT NULL,  -- float32, little-endian
    UNIQUE (team, collection_id, file_id, ordinal)
);

CREATE TABLE jobs (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    team    TEXT NOT NULL,
    due_at  INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX jobs_by_due ON jobs (team, due_at, seq);
CREATE INDEX jobs_by_subject ON jobs (team, subject, kind);
