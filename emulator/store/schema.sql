-- One database holds every team; each table starts its keys with the team.
-- Times are microseconds since the Unix epoch, sizes are bytes.

-- One row: what all ids are derived from. It is kept, so that a team has the same id after a restart.
CREATE TABLE emulator (
    seed TEXT NOT NULL
);

CREATE TABLE teams (
    name          TEXT PRIMARY KEY,
    id_counter    INTEGER NOT NULL DEFAULT 0,  -- ids given so far
    clock_offset  INTEGER NOT NULL DEFAULT 0,
    frozen_at     INTEGER,
    overrides     TEXT NOT NULL DEFAULT '{}',  -- the team's own settings, JSON
    files_count   INTEGER NOT NULL DEFAULT 0,  -- this and what follows is kept by the triggers below
    files_bytes   INTEGER NOT NULL DEFAULT 0,
    files_deleted INTEGER NOT NULL DEFAULT 0   -- so far
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
    UPDATE teams SET files_count = files_count - 1, files_bytes = files_bytes - OLD.size,
        files_deleted = files_deleted + 1 WHERE name = OLD.team;
    INSERT INTO deleted_files SELECT OLD.team, OLD.id, OLD.seq, OLD.filename, OLD.size, OLD.created_at, files_deleted
        FROM teams WHERE name = OLD.team;
    DELETE FROM deleted_files
        WHERE team = OLD.team AND number <= (SELECT files_deleted - 10000 FROM teams WHERE name = OLD.team);
END;

-- Where the last 10,000 deleted files of a team stood in each order. `after=ID` continues from there: a client that deletes what
-- a page lists, and then asks for the next page, names a file that is gone.
CREATE TABLE deleted_files (
    team       TEXT NOT NULL,
    id         TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    filename   TEXT NOT NULL,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    number     INTEGER NOT NULL,  -- grows with every deletion of the team
    PRIMARY KEY (team, id)
) WITHOUT ROWID;
CREATE INDEX deleted_files_by_number ON deleted_files (team, number);

CREATE TABLE file_batch_uploads (
    team         TEXT NOT NULL,
    id           TEXT NOT NULL,
    file_ids     TEXT NOT NULL,  -- JSON array
    created_at   INTEGER NOT NULL,
    completed_at INTEGER,
    PRIMARY KEY (team, id)
) WITHOUT ROWID;

CREATE TABLE collections (
    seq                 INTEGER PRIMARY KEY AUTOINCREMENT,
    team                TEXT NOT NULL,
    id                  TEXT NOT NULL,
    name                TEXT NOT NULL,
    description         TEXT,
    created_at          INTEGER NOT NULL,
    model_name          TEXT NOT NULL,
    metric_space        TEXT NOT NULL,
    chunk_configuration TEXT NOT NULL,  -- JSON object
    field_definitions   TEXT NOT NULL,  -- JSON array
    documents_count     INTEGER NOT NULL DEFAULT 0,  -- kept by the triggers below, as is the next one
    documents_bytes     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (team, id)
);
CREATE INDEX collections_by_name ON collections (team, name, seq);
CREATE INDEX collections_by_created_at ON collections (team, created_at, seq);

-- Files as members of collections. What lists are ordered by is copied from the file, so that an index can hold it.
CREATE TABLE documents (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    team            TEXT NOT NULL,
    collection_id   TEXT NOT NULL,
    file_id         TEXT NOT NULL,
    name            TEXT NOT NULL,
    size            INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    fields          TEXT NOT NULL,  -- JSON object
    status          TEXT NOT NULL,
    error_message   TEXT,
    last_indexed_at INTEGER,
    chunks          INTEGER NOT NULL DEFAULT 0,
    revision        INTEGER NOT NULL,
    UNIQUE (team, collection_id, file_id),
    FOREIGN KEY (team, collection_id) REFERENCES collections (team, id) ON DELETE CASCADE,
    FOREIGN KEY (team, file_id) REFERENCES files (team, id) ON DELETE CASCADE
);
CREATE INDEX documents_by_file ON documents (team, file_id);
CREATE INDEX documents_by_name ON documents (team, collection_id, name, seq);
CREATE INDEX documents_by_size ON documents (team, collection_id, size, seq);
CREATE INDEX documents_by_created_at ON documents (team, collection_id, created_at, seq);
CREATE INDEX documents_by_expiry ON documents (team, collection_id, expires_at) WHERE expires_at IS NOT NULL;

-- The values of unique fields: the key of this table is what no two documents can both have.
CREATE TABLE document_unique_values (
    team          TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    key           TEXT NOT NULL,
    value         TEXT NOT NULL,
    file_id       TEXT NOT NULL,
    PRIMARY KEY (team, collection_id, key, value),
    FOREIGN KEY (team, collection_id, file_id) REFERENCES documents (team, collection_id, file_id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX document_unique_values_by_document ON document_unique_values (team, collection_id, file_id);

CREATE TRIGGER documents_inserted AFTER INSERT ON documents BEGIN
    UPDATE collections SET documents_count = documents_count + 1, documents_bytes = documents_bytes + NEW.size
    WHERE team = NEW.team AND id = NEW.collection_id;
END;
CREATE TRIGGER documents_resized AFTER UPDATE OF size ON documents BEGIN
    UPDATE collections SET documents_bytes = documents_bytes + NEW.size - OLD.size
    WHERE team = NEW.team AND id = NEW.collection_id;
END;
CREATE TRIGGER documents_deleted AFTER DELETE ON documents BEGIN
    UPDATE collections SET documents_count = documents_count - 1, documents_bytes = documents_bytes - OLD.size
    WHERE team = OLD.team AND id = OLD.collection_id;
END;
CREATE TRIGGER files_changed AFTER UPDATE OF filename, size, expires_at ON files BEGIN
    UPDATE documents SET name = NEW.filename, size = NEW.size, expires_at = NEW.expires_at
    WHERE team = NEW.team AND file_id = NEW.id;
END;

-- The documents that can be found. `seq` grows with every indexing, so a change of a collection is seen by it.
CREATE TABLE indexed_documents (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    team          TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    file_id       TEXT NOT NULL,
    UNIQUE (team, collection_id, file_id)
);
CREATE INDEX indexed_documents_by_seq ON indexed_documents (team, collection_id, seq);

CREATE TABLE batches (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    team              TEXT NOT NULL,
    id                TEXT NOT NULL,
    name              TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    created_by        TEXT NOT NULL,  -- the id of a key
    input_file_id     TEXT,
    input_blob        TEXT,  -- what the file held when the batch was made; it may be gone from files
    phase             TEXT NOT NULL,
    closed_at         INTEGER,
    cancelled_because TEXT,
    cancel_reverts    INTEGER NOT NULL DEFAULT 0,  -- boolean
    num_requests      INTEGER NOT NULL DEFAULT 0,  -- 0 while a file is being read, whatever is staged already
    num_success       INTEGER NOT NULL DEFAULT 0,
    num_error         INTEGER NOT NULL DEFAULT 0,
    read_bytes        INTEGER NOT NULL DEFAULT 0,
    read_lines        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (team, id)
);
CREATE INDEX batches_by_created_at ON batches (team, created_at, seq);
CREATE INDEX batches_by_input_blob ON batches (input_blob) WHERE input_blob IS NOT NULL;

-- No state is kept: a request is finished, or stands as its batch does.
CREATE TABLE batch_requests (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    team        TEXT NOT NULL,
    batch_id    TEXT NOT NULL,
    id          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    model       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    due_at      INTEGER,
    finished_at INTEGER,
    result      BLOB,  -- JSON
    error       TEXT,
    error_kind  TEXT,
    size        INTEGER NOT NULL,  -- of the body, or of its line in the input file
    body_offset INTEGER,  -- of that line
    body        BLOB,  -- JSON
    UNIQUE (team, batch_id, id),
    FOREIGN KEY (team, batch_id) REFERENCES batches (team, id) ON DELETE CASCADE
);
CREATE INDEX batch_requests_by_due ON batch_requests (team, batch_id, due_at, seq) WHERE finished_at IS NULL;
CREATE INDEX batch_requests_finished ON batch_requests (team, batch_id, id, seq) WHERE finished_at IS NOT NULL;

CREATE TABLE batch_costs (
    team     TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    ticks    INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (team, batch_id, endpoint),
    FOREIGN KEY (team, batch_id) REFERENCES batches (team, id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE batch_media (
    token        TEXT PRIMARY KEY,
    team         TEXT NOT NULL,
    batch_id     TEXT NOT NULL,
    name         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content      BLOB NOT NULL,
    expires_at   INTEGER NOT NULL,
    FOREIGN KEY (team, batch_id) REFERENCES batches (team, id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX batch_media_by_batch ON batch_media (team, batch_id);

-- The calls of the last seconds, where a profile bounds their rate.
CREATE TABLE batch_calls (
    team      TEXT NOT NULL,
    operation TEXT NOT NULL,
    at        INTEGER NOT NULL
);
CREATE INDEX batch_calls_by_operation ON batch_calls (team, operation, at);

CREATE TABLE jobs (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    team    TEXT NOT NULL,
    due_at  INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX jobs_by_due ON jobs (team, due_at, seq);
CREATE INDEX jobs_by_kind ON jobs (team, kind, due_at, seq);
CREATE INDEX jobs_by_subject ON jobs (team, subject, kind);
