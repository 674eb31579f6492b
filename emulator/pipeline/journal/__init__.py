"""The journal of calls: entries, queries and views."""
