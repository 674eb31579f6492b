"""Record what clients and the service say to each other: a proxy on loopback, for REST and gRPC on one port."""
