"""The .proto sources of the gRPC contract and the descriptor set compiled from them."""
