"""Batches: their requests and results, what is allowed, and what follows."""
