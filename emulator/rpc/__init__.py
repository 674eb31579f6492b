"""The gRPC door: the official services, bound to the operations of the emulator."""
