"""What every other package builds on: time, ids, limits, errors, threads, locks. It imports nothing but itself."""
