"""What the emulator costs, measured beside its peers: `make bench` prints the table."""
