"""The OpenAPI document of `/v1`."""
