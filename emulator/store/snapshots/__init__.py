"""Snapshots: a team saved as a file, and made of one."""
