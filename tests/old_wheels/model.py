"""A function that says which releases of the packages it has that the server has too."""

from __future__ import annotations

import importlib.util
import sys

import google.protobuf
import grpc
from google.protobuf import struct_pb2


def versions(content: bytes) -> dict[str, object]:
    """What this process imports; the input comes back through a message of its own protobuf."""
    message = struct_pb2.Value(string_value=content.decode())
    return {
        "echo": struct_pb2.Value.FromString(message.SerializeToString()).string_value,
        "grpcio": grpc.__version__,
        "protobuf": google.protobuf.__version__,
        "server's own": sorted(name for name in ("httptools", "uvloop") if importlib.util.find_spec(name)),
        "server's path": [path for path in sys.path if "/opt/chassis" in path],
    }
