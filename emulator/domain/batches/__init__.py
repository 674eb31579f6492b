"""Batches: their requests and results, and their rules."""
