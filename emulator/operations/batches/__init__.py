"""The operations on batches, their requests and their results."""
