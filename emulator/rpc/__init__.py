"""The gRPC transport: the official services, connected to the operations of the emulator."""
