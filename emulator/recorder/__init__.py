"""Record the calls between clients and the service: a proxy on loopback, for REST and gRPC on one port."""
