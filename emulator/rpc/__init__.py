"""The gRPC transport: the official services, bound to the operations of the emulator."""
