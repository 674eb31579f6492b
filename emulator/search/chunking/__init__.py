"""Chunks of a text."""
