"""The Chat service: requests, whole answers and chunks as messages."""
