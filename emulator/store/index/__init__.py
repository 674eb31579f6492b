"""The index of a collection: keywords, vectors, and the cache of open indexes."""
