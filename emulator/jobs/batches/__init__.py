"""The jobs of batches: read the input file, answer the requests, expire."""
