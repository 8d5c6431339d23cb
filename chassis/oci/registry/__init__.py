"""A client for registries: OCI distribution specification 1.1, as docker-registry and the hosted ones
speak it."""
