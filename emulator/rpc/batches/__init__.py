"""The gRPC service of batches."""
