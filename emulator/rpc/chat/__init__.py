"""The Chat service: requests of its messages, answers whole and in chunks."""
