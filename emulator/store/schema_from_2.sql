-- Rows of version 2 of the schema, where each chunk had the names of its place, are moved into the tables of
-- schema_chunks.sql.

INSERT INTO chunk_owners (owner, collection_id, file_id)
    SELECT DISTINCT team, collection_id, file_id FROM former_chunks;
INSERT INTO chunks
    SELECT number << 31 | ordinal, id, content, indexed_text, page_number, vector
    FROM chunk_owners AS place CROSS JOIN former_chunks AS former
    ON team = owner AND former.collection_id = place.collection_id AND former.file_id = place.file_id
    ORDER BY number, ordinal;
DROP TABLE former_chunks;
