"""Build an emulator, start it, seed it, serve it, and demonstrate it."""
