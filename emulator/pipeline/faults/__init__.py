"""Planned faults of tests, and their effects on calls."""
