"""The operations on files, a module for each group of verbs."""
