"""The emulator as a whole: it is built here, started, seeded, served and shown."""
