"""gRPC: the server, and the services that every model has."""
