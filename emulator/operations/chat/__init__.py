"""The operations of the model endpoints."""
