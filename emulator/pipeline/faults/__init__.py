"""Faults: the plans that a test makes, and their effects on a call."""
