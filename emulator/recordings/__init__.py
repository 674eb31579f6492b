"""Recordings of calls to the service: HAR 1.2 files with a few fields of our own, free of secrets."""
