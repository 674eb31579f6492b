"""JSON as the API writes and reads it: the structs, and what makes them from the core's values and back."""
