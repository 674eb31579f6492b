-- The documents that have chunks, found or not. The names of their places stand here once, not in the row of each chunk.
-- `owner` is a team; a column of that name would bring these rows into snapshots, which have those of `placed_chunks`.
CREATE TABLE chunk_owners (
    number        INTEGER PRIMARY KEY,
    owner         TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    file_id       TEXT NOT NULL,
    UNIQUE (owner, collection_id, file_id)
);

CREATE TABLE chunks (
    key          INTEGER PRIMARY KEY,  -- the number of the owner << 31 | the ordinal
    id           TEXT NOT NULL,
    content      TEXT NOT NULL,
    indexed_text TEXT,  -- where it is not the content
    page_number  INTEGER,
    vector       BLOB NOT NULL  -- float32, little-endian; empty where the stand-in compares the text itself
);

CREATE VIEW placed_chunks AS
    SELECT owner AS team, collection_id, file_id, key & 0x7fffffff AS ordinal, id, content, indexed_text, page_number, vector
    FROM chunk_owners CROSS JOIN chunks ON key BETWEEN number << 31 AND number << 31 | 0x7fffffff;
