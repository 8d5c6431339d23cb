"""The front ends that a server has, and the port of each."""

from __future__ import annotations

GRPC_PORT = 45000
HTTP_PORT = 8080

SERVER_PORTS = {"omi": GRPC_PORT, "v2-grpc": GRPC_PORT, "v2-http": HTTP_PORT, "v1-http": HTTP_PORT}
"""Open Model Interface, Open Inference Protocol v2 over gRPC and over HTTP, KServe v1: each with its port."""

SERVERS = tuple(SERVER_PORTS)
GRPC_SERVERS = tuple(name for name in SERVERS if SERVER_PORTS[name] == GRPC_PORT)
HTTP_SERVERS = tuple(name for name in SERVERS if SERVER_PORTS[name] == HTTP_PORT)

MAX_WORKERS = 256
"""Processes of the model beside one server."""
