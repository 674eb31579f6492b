"""The base of every other package: time, ids, limits, errors, threads, locks. It imports no other package."""
