"""The REST transport: routes, decoding, the two dialects of errors. It contains no rule of the API."""
