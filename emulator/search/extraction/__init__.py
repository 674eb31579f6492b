"""Text from uploaded files."""
