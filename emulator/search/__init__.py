"""Search as pure functions: uploads → text → chunks → vectors → one ranking. No store, no clock, no network."""
