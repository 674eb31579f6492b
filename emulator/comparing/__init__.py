"""Send a recording of the service to an emulator, and report where the two differ."""
