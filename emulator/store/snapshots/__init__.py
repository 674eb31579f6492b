"""Snapshots: save a team as a file, and restore it."""
